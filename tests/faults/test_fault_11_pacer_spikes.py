"""Fault 11: pacing spikes are no beats of their own; where the device marks them the beats are paced ones."""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.beats import find_beats
from models.ecg import Ecg
from tests.faults.recordings import real_ecg, same_beats


def spiked() -> tuple[Ecg, list[int]]:
    ecg = real_ecg(20)
    expected = [b.sample for b in find_beats(ecg)]
    mv, marks = ecg.mv.copy(), []
    for r in expected:
        at = r - round(0.12 * ecg.fs_hz)
        if at > 2:
            mv[:, at:at + 2] += 2.5
            marks.append(at)
    return replace(ecg, mv=mv, pacer_marks=np.array(marks)), expected


def test_spikes_add_no_beats() -> None:
    ecg, expected = spiked()
    found = find_beats(replace(ecg, pacer_marks=np.zeros(0, np.int64)))
    assert same_beats([b.sample for b in found], expected, ecg.fs_hz, tolerance_s=0.13)


def test_marked_beats_are_paced() -> None:
    ecg, expected = spiked()
    kinds = [b.kind for b in find_beats(replace(ecg, paced=True))]
    assert len(kinds) == len(expected)
    assert kinds.count("P") >= len(expected) - 1

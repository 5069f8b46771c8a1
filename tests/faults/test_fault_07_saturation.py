"""Fault 7: after a shock the amplifier sits at its rail: the lead says saturated, and beats return with the signal."""

from __future__ import annotations

import numpy as np

from models.beats.detector import BeatStream, find_beats
from models.ecg import Ecg
from models.signal.quality import SATURATED
from tests.faults.recordings import real_ecg, same_beats


def shocked() -> tuple[Ecg, int]:
    ecg = real_ecg(30)
    mv, fs = ecg.mv.copy(), ecg.fs_hz
    start, stop = round(8 * fs), round(11 * fs)
    mv[:, stop:] += 4.5 * np.exp(-np.arange(mv.shape[1] - stop) / (0.8 * fs))
    mv[:, start:stop] = 5.0
    return Ecg(ecg.leads, fs, np.clip(mv, -5, 5)), stop


def test_no_beat_at_the_rail_and_beats_return() -> None:
    ecg, stop = shocked()
    expected = [b.sample for b in find_beats(real_ecg(30))]
    found = [b.sample for b in find_beats(ecg)]
    recovered = stop + round(3 * ecg.fs_hz)
    assert not [r for r in found if stop - 2.5 * ecg.fs_hz < r < stop]
    assert same_beats([r for r in found if r > recovered], [r for r in expected if r > recovered], ecg.fs_hz)


def test_the_lead_says_saturated_while_it_is() -> None:
    ecg, stop = shocked()
    stream = BeatStream(ecg.leads, ecg.fs_hz)
    stream.push(ecg.slice(0, stop))
    assert stream.quality["II"].state == SATURATED
    assert stream.usable_leads == ()

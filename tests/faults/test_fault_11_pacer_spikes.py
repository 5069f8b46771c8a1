"""Fault 11: pacing spikes are no beats of their own, marked or not: without a beat behind them it is asystole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import signal

from models.arrhythmia.tier import find_episodes
from models.beats.detector import find_beats
from models.ecg import Ecg
from models.signal.conditioning import resample
from tests.faults.recordings import real_ecg, same_beats


def spiked() -> tuple[Ecg, list[int]]:
    ecg = real_ecg(20)
    expected = [b.sample for b in find_beats(ecg)]
    mv, marks = ecg.mv.copy(), []
    for r in expected:
        at = r - round(0.12 * ecg.fs_hz)
        if at > 2:
            mv[:, at : at + 2] += 2.5
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


@pytest.mark.parametrize("fs", [250.0, 500.0])
@pytest.mark.parametrize("cut_hz", [None, 60.0, 100.0])
def test_spikes_that_no_longer_capture_do_not_hide_asystole(fs: float, cut_hz: float | None) -> None:
    """The heart stops after 40 s; the pacemaker goes on. The monitor marks nothing, and may filter or not."""
    fine = 2000.0
    ecg = real_ecg(60, leads=("II", "V1"))
    mv = resample(ecg.mv, ecg.fs_hz, fine)
    stop = round(40 * fine)
    line = np.random.default_rng(0).normal(0, 0.004, mv[:, stop:].shape)
    mv = np.concatenate([mv[:, :stop], mv[:, stop - 1 : stop] + line], axis=1)
    r = [b.sample / ecg.fs_hz for b in find_beats(ecg)]
    last = max(at for at in r if at < 40)
    train = np.zeros(mv.shape[1])
    for at in [*(at for at in r if at < 40), *np.arange(last + 0.85, 59, 0.85)]:
        train[round((at - 0.12) * fine) :][:4] = 1.0
    if cut_hz is not None:
        train = np.convolve(train, signal.firwin(401, cut_hz, fs=fine), "same")
        train /= np.abs(train).max()
    mv = (mv + np.array([[2.5], [-1.8]]) * train).astype(np.float32)
    episodes = find_episodes(Ecg(("II", "V1"), fs, resample(mv, fine, fs)))
    stops = [e for e in episodes if e.code == "ASYSTOLE"]
    assert len(stops) == 1 and stops[0].end is None
    assert abs(stops[0].onset / fs - last) < 0.1 and stops[0].detected / fs - last < 6.0
    assert not {"EXTREME_TACHY", "TACHY", "VTACH"} & {e.code for e in episodes}


def test_p_waves_after_the_last_paced_beat_are_no_beats() -> None:
    """Complete block: the pacemaker falls silent, the atria go on at 80 a minute, the ventricles stand still."""
    fine, fs = 2000.0, 250.0
    t = np.arange(round(50 * fine)) / fine
    mv, train = np.random.default_rng(2).normal(0, 0.005, len(t)), np.zeros(len(t))
    for at in np.arange(0.6, 49.5, 0.75):
        mv += 0.28 * np.exp(-0.5 * ((t - at) / 0.022) ** 2)
        if at < 35.0:
            train[round((at + 0.15) * fine) :][:2] = 1.0
            mv += 2.0 * np.exp(-0.5 * ((t - at - 0.23) / 0.03) ** 2) - 0.6 * np.exp(-0.5 * ((t - at - 0.5) / 0.06) ** 2)
    last = max(at for at in np.arange(0.6, 49.5, 0.75) if at < 35.0) + 0.23
    train = np.convolve(train, signal.firwin(401, 60, fs=fine), "same")
    both = np.stack([mv + 1.5 * train / train.max(), 0.7 * mv - train / train.max()]).astype(np.float32)
    episodes = find_episodes(Ecg(("II", "V1"), fs, resample(both, fine, fs)))
    stops = [e for e in episodes if e.code == "ASYSTOLE"]
    assert len(stops) == 1 and abs(stops[0].onset / fs - last) < 0.1 and stops[0].detected / fs - last < 6.0

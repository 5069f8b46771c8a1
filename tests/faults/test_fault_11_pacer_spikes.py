"""Fault 11: pacing spikes are no beats of their own, marked or not: without a beat behind them it is asystole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import signal

from models.arrhythmia.tier import RhythmTier, find_episodes, update_chunks
from models.beats.detector import find_beats
from models.ecg import Ecg
from models.signal.conditioning import resample
from tests.faults.pacing import BEAT_R_S, pulses, recorded, wide_beats
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


@pytest.mark.parametrize("fs", [250.0, 500.0, 1000.0])
@pytest.mark.parametrize(
    ("mv", "recovery_mv", "rail_mv"),
    [(8.0, 0.0, 100.0), (12.0, 0.0, 100.0), (20.0, 3.0, 100.0), (50.0, 0.0, 100.0), (50.0, 1.0, 10.0)],
)
def test_external_pacing_is_a_regular_rhythm_and_its_loss_of_capture_asystole(
    fs: float, mv: float, recovery_mv: float, rail_mv: float
) -> None:
    """Pulses of 8 to 50 mV, clipped for 4 ms or not, capture for 30 s; then the heart stands still under them."""
    seconds, at_s = 45.0, np.arange(0.5, 44.5, 0.8)
    captured = at_s[at_s < 30.0]
    width_s = 0.004 if rail_mv < mv else 0.002
    signal_mv = wide_beats(seconds, captured) + pulses(seconds, at_s, mv, width_s=width_s, recovery_mv=recovery_mv)
    ecg = recorded(signal_mv, fs, rail_mv)
    tier, last_s = RhythmTier(ecg.leads, fs), float(captured[-1]) + BEAT_R_S
    results = [tier.push(chunk) for chunk in update_chunks(ecg)]
    while_captured = results[9:30]
    assert {r.rhythm for r in while_captured} == {"regular rhythm"} and all(r.judged for r in while_captured)
    assert all(r.hr is not None and abs(r.hr - 75.0) < 3.0 for r in while_captured)
    assert not {e.code for r in results[:30] for e in r.episodes}
    on = {e.code: e for e in results[-1].episodes if e.end is None}
    assert abs(on["ASYSTOLE"].onset / fs - last_s) < 0.1 and on["ASYSTOLE"].detected / fs - last_s < 6.0
    assert on["PACER_NOT_CAPTURING"].detected / fs - last_s < 6.0
    assert "NOISY_SIGNAL" not in on


@pytest.mark.parametrize("fs", [250.0, 500.0])
@pytest.mark.parametrize("cut_hz", [30.0, 40.0, 60.0])
@pytest.mark.parametrize("gains", [(1.0, 0.0), (0.0, 1.0)])
def test_pulses_of_one_lead_do_not_hide_a_slow_escape_rhythm(
    fs: float, cut_hz: float, gains: tuple[float, float]
) -> None:
    """Pulses that a monitor's filter has made 0.2 mV high do not capture; the ventricles beat 18 times a minute."""
    seconds, escape = 30.0, np.arange(1.2, 29.0, 60 / 18)
    train = pulses(seconds, np.arange(0.5, 29.5, 0.833), 0.2, width_s=0.001, cut_hz=cut_hz, gains=gains)
    ecg = recorded(wide_beats(seconds, escape) + train, fs)
    slow = [e for e in find_episodes(ecg) if e.code == "EXTREME_BRADY"]
    assert slow and slow[0].detected / fs <= escape[0] + 10.0
    beats = [b.sample / fs for b in find_beats(ecg)]
    missed = [at for at in escape[:-1] if min(abs(at + BEAT_R_S - b) for b in beats) > 0.06]
    assert not missed and len(beats) <= len(escape) + (0 if cut_hz > 30.0 else 8)


@pytest.mark.parametrize("pulses_mv", [0.0, 2.5])
def test_a_silent_pacemaker_is_reported_though_the_device_marks_nothing(pulses_mv: float) -> None:
    """A paced patient's heart and pacemaker go silent for 3 s, with pulses seen in the signal before it or none."""
    fs, seconds, at_s = 500.0, 30.0, np.arange(0.5, 29.0, 0.8)
    at_s = at_s[(at_s < 18.0) | (at_s > 20.4)]
    train = pulses(seconds, at_s, pulses_mv, width_s=0.001) if pulses_mv else 0.0
    ecg = replace(recorded(wide_beats(seconds, at_s) + train, fs), paced=True)
    found = [e for e in find_episodes(ecg) if e.code == "PACER_NOT_PACING"]
    last_s = float(at_s[at_s < 18.0][-1]) + BEAT_R_S
    assert len(found) == 1
    assert abs(found[0].onset / fs - last_s) < 0.1 and 2.0 < found[0].detected / fs - last_s <= 4.0
    assert not [e for e in find_episodes(replace(ecg, paced=False)) if e.code == "PACER_NOT_PACING"]

"""Mains that come and go, and pulses that the device marks, hide no standstill; the beats among them are counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.arrhythmia.codes import LETHAL
from models.arrhythmia.episodes import Episode
from models.arrhythmia.tier import find_episodes
from models.beats.bursts_and_pulses import is_mains_burst
from models.beats.detector import find_beats
from models.ecg import Ecg
from models.networks.delineator import NET_FS_HZ
from models.signal.conditioning import resample, without_baseline
from tests.faults.pacing import BEAT_R_S, pulses, recorded, wide_beats
from tests.faults.recordings import real_ecg, same_beats

STOP_S = 19.85  # after the T wave of the last beat


def with_bursts(ecg: Ecg, mv: float, on_s: float, every_s: float, line_hz: float = 50.0) -> Ecg:
    at = np.arange(ecg.n_samples) / ecg.fs_hz
    hum = mv * (at % every_s < on_s) * np.sin(2 * np.pi * line_hz * at)
    return replace(ecg, mv=(ecg.mv + np.array([[1.0], [0.7]]) * hum).astype(np.float32))


def heart_stops(seconds: float) -> Ecg:
    ecg = real_ecg(seconds, leads=("II", "V1"))
    mv, stop = ecg.mv.copy(), round(STOP_S * ecg.fs_hz)
    noise = np.random.default_rng(0).normal(0, 0.004, mv[:, stop:].shape)
    mv[:, stop:] = np.median(mv, axis=1)[:, None] + noise
    return replace(ecg, mv=mv)


def lethal(ecg: Ecg) -> list[Episode]:
    return [e for e in find_episodes(ecg) if e.code in LETHAL]


@pytest.mark.parametrize(
    ("mv", "on_s", "every_s", "line_hz"),
    [(0.2, 0.5, 2.0, 50.0), (0.4, 1.0, 3.0, 50.0), (0.4, 2.0, 5.0, 60.0), (0.4, 0.1, 0.7, 60.0)],
)
def test_mains_that_come_and_go_hide_no_standstill_and_cost_no_beat(
    mv: float, on_s: float, every_s: float, line_hz: float
) -> None:
    ecg = heart_stops(40.0)
    noisy = with_bursts(ecg, mv, on_s, every_s, line_hz)
    (found,) = lethal(noisy)
    assert (found.code, found.end) == ("ASYSTOLE", None)
    assert found.detected / ecg.fs_hz - STOP_S < 8.0
    assert same_beats([b.sample for b in find_beats(noisy)], [b.sample for b in find_beats(ecg)], ecg.fs_hz)


@pytest.mark.parametrize(("on_s", "every_s"), [(0.3, 1.5), (1.0, 3.0), (2.0, 5.0)])
def test_mains_larger_than_the_beats_leave_no_standstill_without_a_lethal_alarm(on_s: float, every_s: float) -> None:
    """Edges of bursts of 4 mV peak to peak may count as beats: the heart then is slow, which is as urgent."""
    ecg = heart_stops(40.0)
    found = lethal(with_bursts(ecg, 2.0, on_s, every_s))
    assert min(e.detected for e in found) / ecg.fs_hz - STOP_S < 10.0
    assert {e.code for e in found} <= {"ASYSTOLE", "EXTREME_BRADY"} and any(e.end is None for e in found)


@pytest.mark.parametrize("cut_hz", [30.0, 40.0])
@pytest.mark.parametrize("mv", [0.2, 1.0])
def test_marked_pulses_that_a_filter_made_wide_hide_no_loss_of_capture(cut_hz: float, mv: float) -> None:
    fs_hz, seconds, at_s = 250.0, 26.0, np.arange(0.5, 25.5, 0.8)
    captured = at_s[at_s < 14.0]
    train = pulses(seconds, at_s, mv, cut_hz=cut_hz)
    ecg = recorded(wide_beats(seconds, captured) + train, fs_hz)
    episodes = find_episodes(replace(ecg, paced=True, pacer_marks=np.round(at_s * fs_hz).astype(np.int64)))
    on = {e.code: e for e in episodes if e.end is None}
    last_s = float(captured[-1]) + BEAT_R_S
    assert abs(on["ASYSTOLE"].onset / fs_hz - last_s) < 0.1 and on["ASYSTOLE"].detected / fs_hz - last_s < 6.0
    assert on["PACER_NOT_CAPTURING"].detected / fs_hz - last_s < 6.0
    assert not [e for e in episodes if e.code in LETHAL and e.onset / fs_hz < last_s - 0.1]


def test_beats_that_a_marked_pulse_falls_into_are_counted() -> None:
    """Pseudofusion: the pacemaker's pulse comes within the patient's own QRS complex."""
    ecg = real_ecg(20, leads=("II", "V1"))
    own = [b.sample for b in find_beats(ecg)]
    at_s = np.array(own) / ecg.fs_hz - 0.01
    train = pulses(20.0, at_s[at_s > 0.05], 1.0, cut_hz=40.0)[:, :: round(4000 / ecg.fs_hz)]
    n = min(train.shape[1], ecg.n_samples)
    mv = (ecg.mv[:, :n] + train[:, :n]).astype(np.float32)
    marked = replace(ecg, mv=mv, paced=True, pacer_marks=np.round(at_s * ecg.fs_hz).astype(np.int64))
    assert same_beats([b.sample for b in find_beats(marked)], own, ecg.fs_hz)


@pytest.mark.parametrize(("mv", "cut_hz", "paced"), [(2.5, None, False), (8.0, None, False), (0.2, 40.0, True)])
@pytest.mark.parametrize("bpm", [75.0, 110.0])
def test_pacing_that_begins_to_capture_is_no_tachycardia(
    mv: float, cut_hz: float | None, paced: bool, bpm: float
) -> None:
    """Wide beats begin at once after the patient's own: known by their pulses, or by the patient's mark where not."""
    seconds, own = 34.0, real_ecg(16, leads=("II", "V1"))
    at_s, fine_hz = np.arange(16.3, 33.0, 60 / bpm), 4000
    mv_fine = resample(own.mv, own.fs_hz, fine_hz)
    mv_fine = np.pad(mv_fine, ((0, 0), (0, round(seconds * fine_hz) - mv_fine.shape[1])), "edge")
    paced_mv = wide_beats(seconds, at_s) + pulses(seconds, at_s, mv, cut_hz=cut_hz)
    ecg = replace(recorded(mv_fine + paced_mv, 250.0), paced=paced)
    assert not lethal(ecg)


@pytest.mark.parametrize("after_s", [0.0, 0.004, 0.012, 0.03, 0.06])
def test_a_beat_whose_end_has_not_arrived_is_no_burst(after_s: float) -> None:
    ecg = real_ecg(20, leads=("II", "V1"))
    flat = without_baseline(resample(ecg.mv, ecg.fs_hz, NET_FS_HZ), NET_FS_HZ)
    tops = [round(b.sample / ecg.fs_hz * NET_FS_HZ) for b in find_beats(ecg)]
    assert len(tops) > 15
    for top in tops:
        arrived = flat[:, : top + round(after_s * NET_FS_HZ) + 1]
        assert not is_mains_burst(arrived, top, None) and not is_mains_burst(arrived, top, 1.2)

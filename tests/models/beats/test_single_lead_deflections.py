"""A deflection in one lead is no beat where a lead that shows beats has nothing; a lost electrode hides no beat."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from models.arrhythmia.tier import find_episodes
from models.beats.detector import find_beats
from models.ecg import Ecg
from tests.agents.signals import ecg
from tests.faults.recordings import real_ecg

FS, STOP_S, END_S = 250.0, 30.0, 60.0


def motion(n: int, mv: float, seed: int) -> np.ndarray:
    """Steps of an electrode, 1.5 a second, each with its own recovery of 0.7 s."""
    rng = np.random.default_rng(seed)
    steps = np.where(rng.random(n) < 1.5 / FS, rng.normal(0, mv, n), 0.0)
    return np.asarray(lfilter([1.0], [1.0, -np.exp(-1 / (0.7 * FS))], steps), np.float32)


def pulses(n: int, mv: float) -> np.ndarray:
    """Pulses of one sample at 92 Hz, 75 a minute."""
    out = np.zeros(n, np.float32)
    for at in np.arange(0.35, n / FS, 0.8):
        out[round(at * FS) : round((at + 1 / 92) * FS)] = mv
    return out


def standstill(disturbance: np.ndarray) -> Ecg:
    clean = ecg(END_S, silent=[(STOP_S, END_S)], start_ns=0)
    return Ecg(clean.leads, FS, np.stack([clean.mv[0], clean.mv[1] + disturbance]))


def after(signal: Ecg, since_s: float) -> list[float]:
    return [b.sample / signal.fs_hz for b in find_beats(signal) if b.sample / signal.fs_hz >= since_s]


@pytest.mark.parametrize(("mv", "seed"), [(0.3, 1), (0.8, 2), (2.0, 3)])
def test_motion_of_one_electrode_hides_no_standstill_of_the_other_lead(mv: float, seed: int) -> None:
    signal = standstill(motion(round(END_S * FS), mv, seed))
    (asystole,) = [e for e in find_episodes(signal) if e.code == "ASYSTOLE"]
    assert asystole.onset / FS == pytest.approx(STOP_S, abs=1.0) and asystole.detected / FS <= STOP_S + 10
    assert asystole.end is None  # no beat was found since


@pytest.mark.parametrize("mv", [0.4, 3.0])
def test_wide_pulses_in_one_lead_are_no_beats(mv: float) -> None:
    signal = standstill(pulses(round(END_S * FS), mv))
    assert [e.code for e in find_episodes(signal) if e.code == "ASYSTOLE" and e.detected / FS <= STOP_S + 10]


def test_beats_that_one_lead_no_longer_shows_are_counted_in_the_other() -> None:
    """The electrode of a lead slips off unmarked: the lead is flat, and the heart goes on."""
    signal = real_ecg(60, leads=("II", "V5"))
    dead = signal.mv.copy()
    dead[0, round(STOP_S * signal.fs_hz) :] = 0.0
    whole, one = after(signal, STOP_S + 1), after(Ecg(signal.leads, signal.fs_hz, dead), STOP_S + 1)
    assert len(one) == pytest.approx(len(whole), abs=2)
    assert not [e for e in find_episodes(Ecg(signal.leads, signal.fs_hz, dead)) if e.code in ("ASYSTOLE", "PAUSE")]


def test_ventricular_beats_are_counted_where_the_other_lead_lost_its_electrode_before() -> None:
    t = np.arange(round(END_S * FS)) / FS
    normal = ecg(END_S, silent=[(40.0, END_S)], start_ns=0).mv.copy()
    normal[0, t >= STOP_S] = 0.0
    for at in np.arange(40.3, END_S, 0.4):  # 150 a minute, wide, in the lead that is left
        wave = 1.5 * np.exp(-0.5 * ((t - at) / 0.03) ** 2) - 0.4 * np.exp(-0.5 * ((t - at - 0.18) / 0.05) ** 2)
        normal[1] += wave.astype(np.float32)
    assert len(after(Ecg(("II", "V1"), FS, normal), 41.0)) >= 40


def test_an_ectopic_beat_that_is_small_in_a_lead_is_counted_by_its_t_wave_there() -> None:
    t = np.arange(round(END_S * FS)) / FS
    signal = ecg(END_S, silent=[(28.8, 29.8), (40.0, 41.0)], start_ns=0)
    mv = signal.mv.copy()
    for at in (29.0, 40.2):
        mv[1] += (1.4 * np.exp(-0.5 * ((t - at) / 0.035) ** 2)).astype(np.float32)
        mv[0] += (-0.3 * np.exp(-0.5 * ((t - at - 0.25) / 0.05) ** 2)).astype(np.float32)
    found = np.array(after(Ecg(signal.leads, FS, mv), 0.0))
    assert all(np.abs(found - at).min() < 0.1 for at in (29.0, 40.2))

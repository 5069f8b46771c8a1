"""Fault 9: muscle and motion artefact has no beats, raises no lethal alarm, and on all leads is NOISY_SIGNAL."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from models.arrhythmia.codes import LETHAL
from models.arrhythmia.tier import RhythmTier, find_episodes, update_chunks
from models.beats.detector import find_beats
from models.ecg import Ecg
from models.signal.quality import NOISY, lead_quality
from tests.faults.recordings import real_ecg


def muscle(n: int, fs: float, rms_mv: float) -> np.ndarray:
    band = signal.butter(2, [20, 100], "bandpass", fs=fs, output="sos")
    x = signal.sosfilt(band, np.random.default_rng(5).normal(0, 1, n))
    return (x / x.std() * rms_mv).astype(np.float32)


def test_noise_alone_is_noisy_and_has_next_to_no_beat() -> None:
    mv = muscle(round(30 * 250.0), 250.0, 0.3)[None]
    assert lead_quality(mv, 250.0)[0].state == NOISY
    assert len(find_beats(Ecg(("II",), 250.0, mv))) <= 2


def test_a_noisy_lead_beside_a_clean_one_adds_no_beat() -> None:
    clean = real_ecg(20)
    both = Ecg(("II", "V1"), clean.fs_hz, np.stack([clean.mv[0], muscle(clean.n_samples, clean.fs_hz, 0.4)]))
    assert len(find_beats(both)) == len(find_beats(clean))


NOISE_FROM_S, NOISE_TO_S = 15.0, 45.0


def motion(n: int, fs: float, mv: float) -> np.ndarray:
    """An electrode that moves: jumps several times a second, each with its own recovery."""
    rng = np.random.default_rng(11)
    jumps = np.where(rng.random(n) < 4.0 / fs, rng.normal(0, mv, n), 0.0)
    x = signal.lfilter([1.0], [1.0, -np.exp(-1 / (0.15 * fs))], jumps)
    return (x + muscle(n, fs, 0.2 * mv)).astype(np.float32)


def disturbed(kind: str) -> Ecg:
    """A minute of two leads, with half a minute of artefact on both."""
    ecg = real_ecg(60, start_s=10.0, leads=("II", "V5"))
    mv = ecg.mv.copy()
    part = slice(round(NOISE_FROM_S * ecg.fs_hz), round(NOISE_TO_S * ecg.fs_hz))
    n = part.stop - part.start
    noise = muscle(n, ecg.fs_hz, 0.8) if kind == "muscle" else motion(n, ecg.fs_hz, 1.5)
    mv[:, part] += np.stack([noise, np.roll(noise, 40)])
    if kind == "rail":
        mv[:, part] = 5.0
    return Ecg(ecg.leads, ecg.fs_hz, mv)


@pytest.mark.parametrize("kind", ["muscle", "motion", "rail"])
def test_artefact_on_all_leads_raises_no_lethal_alarm(kind: str) -> None:
    assert not [e.code for e in find_episodes(disturbed(kind)) if e.code in LETHAL]


@pytest.mark.parametrize("kind", ["muscle", "rail"])
def test_where_no_lead_is_usable_the_signal_is_called_noisy_within_ten_seconds(kind: str) -> None:
    ecg = disturbed(kind)
    episodes = find_episodes(ecg)
    noisy = [e for e in episodes if e.code == "NOISY_SIGNAL"]
    assert len(noisy) == 1
    assert noisy[0].detected / ecg.fs_hz - NOISE_FROM_S <= 10.0
    assert noisy[0].end is not None
    assert NOISE_TO_S - 1.0 <= noisy[0].end / ecg.fs_hz <= NOISE_TO_S + 7.0


@pytest.mark.parametrize("kind", ["muscle", "motion", "rail"])
def test_noise_is_named_before_ten_seconds_without_a_verdict(kind: str) -> None:
    """CANNOT_ANALYZE would come ten seconds after the last judged update: NOISY_SIGNAL explains it before."""
    ecg = disturbed(kind)
    tier, unexplained = RhythmTier(ecg.leads, ecg.fs_hz), 0.0
    for chunk in update_chunks(ecg):
        result = tier.push(chunk)
        named = any(e.code == "NOISY_SIGNAL" and e.end is None for e in result.episodes)
        since = 0 if result.last_judged is None else result.last_judged
        unexplained = max(unexplained, 0.0 if named else (result.now - since) / ecg.fs_hz)
    assert unexplained <= 9.0

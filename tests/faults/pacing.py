"""Simulated paced hearts: wide captured or escape beats in two leads, and pacing pulses from 0.2 to 50 mV."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from models.ecg import Ecg
from models.signal.conditioning import resample

FINE_HZ = 4000.0
LEADS = ("II", "V1")
BEAT_R_S = 0.1  # from the pulse to the R peak of the beat that it captures
# lead, time after the pulse (s), standard deviation (s), mV: QRS complex of about 150 ms, and T wave
WAVES = (
    (0, 0.06, 0.022, -0.4),
    (0, 0.10, 0.030, 1.6),
    (0, 0.36, 0.060, -0.45),
    (1, 0.05, 0.020, 0.3),
    (1, 0.095, 0.028, -1.3),
    (1, 0.35, 0.060, 0.4),
)


def wide_beats(seconds: float, at_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Wide beats at the given times, mV [2 leads, samples at 4000 Hz], with some respiration."""
    t = np.arange(round(seconds * FINE_HZ)) / FINE_HZ
    mv = np.tile(0.03 * np.sin(2 * np.pi * 0.25 * t), (2, 1))
    for at in at_s:
        part = slice(max(0, round((at - 0.1) * FINE_HZ)), round((at + 0.7) * FINE_HZ))
        for lead, delay, width, height in WAVES:
            mv[lead, part] += height * np.exp(-0.5 * ((t[part] - at - delay) / width) ** 2)
    return mv


def pulses(
    seconds: float,
    at_s: NDArray[np.float64],
    mv: float,
    *,
    width_s: float = 0.002,
    recovery_mv: float = 0.0,
    recovery_s: float = 0.03,
    cut_hz: float | None = None,
    gains: tuple[float, float] = (1.0, -0.7),
) -> NDArray[np.float64]:
    """Pulses at the given times, mV [2 leads, samples at 4000 Hz]: filtered or not, with the amplifier's recovery.

    A filtered pulse is scaled back to ``mv``.
    """
    train = np.zeros(round(seconds * FINE_HZ))
    for at in at_s:
        k, wide = round(at * FINE_HZ), round(width_s * FINE_HZ)
        train[k : k + wide] += mv
        tail = train[k + wide : k + wide + round(8 * recovery_s * FINE_HZ)]
        tail -= recovery_mv * np.exp(-np.arange(len(tail)) / FINE_HZ / recovery_s)
    if cut_hz is not None:
        train = np.convolve(train, signal.firwin(801, cut_hz, fs=FINE_HZ), "same")
        train *= mv / np.abs(train).max()
    return np.array(gains)[:, None] * train


def recorded(mv: NDArray[np.float64], fs: float, rail_mv: float = 100.0) -> Ecg:
    """The signal at ``fs`` with a little noise, clipped at the amplifier's rail."""
    clipped = np.clip(mv, -rail_mv, rail_mv).astype(np.float32)
    out = np.clip(resample(clipped, FINE_HZ, fs), -rail_mv, rail_mv)
    noise = np.random.default_rng(0).normal(0, 0.008, out.shape)
    return Ecg(LEADS, fs, (out + noise).astype(np.float32))

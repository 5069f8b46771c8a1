"""Repetitive motion of the size of the ECG: chest compressions.

In: the newest seconds of the leads, mV [leads, samples]. Out: a `RepetitiveMotion` where all leads carry large waves of
one rate, nearly sinusoidal in most, as chest compressions leave them over any rhythm; else None. Nothing is suppressed
by it: it names what the signal shows. A ventricular tachycardia of this rate whose waves are sinusoidal looks alike
(`benchmarks/compressions.md`), so the words are "waves like those of".
What separates them is the first harmonic: it has most of the power, and the second and third have little. The beats of
a rhythm, wide ones too, have higher harmonics of their own rate; fibrillation has several frequencies at once. The
power of a rhythm below the compressions lies at frequencies that are no harmonics of theirs.
Source: own rule. Rate of compressions: European Resuscitation Council 2021, 100 to 120 a minute; done, 90 to 140.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.ecg import Millivolts

WINDOW_S = 8.0  # a dozen compressions, so that the spectrum tells 90 a minute from 100
ENOUGH_HZ = 40.0  # rate that the leads are reduced to, at least
RATE_BPM = (85.0, 145.0)  # 90 to 140 within the accuracy of rates
SOUGHT_BPM = (50.0, 200.0)  # rates among which the strongest wave is sought
HEART_HZ = (0.7, 15.0)  # of the power that is compared: slower is baseline, faster is muscle
NEAR_HZ = 0.3  # the main lobe of the window's spectrum
MIN_SHARE = 0.7  # of the power of most leads, within `NEAR_HZ` of the rate
MAX_HARMONICS = 0.12  # of that: the power within `NEAR_HZ` of twice and three times the rate
CARRIED_SHARE = 0.5  # of every other lead that has waves: none shows the heart alone
MIN_MV = 0.8  # of the largest lead, between the 5th and the 95th percentile; QRS complexes are shorter than that
MIN_OTHER_MV = 0.2  # of the others
PARTS, FILLED = 8, 0.4  # parts of the window, and the least size of each, of the largest: the waves fill it
SAME_RATE = 0.06  # relative difference of the rates that two leads show
N_FFT = 1024


@dataclass(frozen=True, slots=True)
class RepetitiveMotion:
    """Waves of one rate that all leads carry.

    Attributes
    ----------
    rate_bpm : float
        Waves a minute.
    share : float
        Of the power that they have, in the lead of ``leads`` where it is least.
    leads : tuple of str
        Leads that show little else.
    """

    rate_bpm: float
    share: float
    leads: tuple[str, ...]


def repetitive_motion(leads: Sequence[str], mv: Millivolts, fs_hz: float) -> RepetitiveMotion | None:
    """The motion of the last `WINDOW_S`; None where a lead does not carry it, or fewer than most show little else.

    Parameters
    ----------
    leads : sequence of str
        Names of the rows, leads of sufficient quality only.
    mv : float32 [leads, samples]
        Millivolts; a lead with a missing sample carries nothing.
    fs_hz : float
        Samples a second.
    """
    n, step = round(WINDOW_S * fs_hz), max(1, int(fs_hz / ENOUGH_HZ))
    if not leads or mv.shape[1] < n:
        return None
    newest = mv[:, mv.shape[1] - n // step * step :]
    rough_mv = np.ptp(newest[:, ::step], axis=1)
    largest = int(np.argmax(rough_mv))  # NaN is the largest: a sample is missing
    if (
        not rough_mv[largest] >= MIN_MV
        or not _strongest(_means(newest[[largest]], step), fs_hz / step)[1] > CARRIED_SHARE
    ):
        return None  # nearly always
    x = _means(newest, step)
    low, high = np.quantile(x, (0.05, 0.95), axis=1)
    size = high - low
    rate, share, harmonics = _strongest(x, fs_hz / step)
    waves = ~(size < MIN_OTHER_MV)
    shows = waves & (rate >= RATE_BPM[0]) & (rate <= RATE_BPM[1])
    shows &= (share > MIN_SHARE) & (harmonics < MAX_HARMONICS) & _filled(x)
    if 2 * np.count_nonzero(shows) <= np.count_nonzero(waves) or not size[shows].max() >= MIN_MV:
        return None
    middle = float(np.median(rate[shows]))
    carries = (share > CARRIED_SHARE) & (np.abs(rate / middle - 1.0) <= SAME_RATE)
    if not carries[waves].all():
        return None
    named = tuple(lead for lead, does in zip(leads, shows.tolist(), strict=True) if does)
    return RepetitiveMotion(round(middle, 1), round(float(share[shows].min()), 3), named)


def _filled(x: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of [leads, samples] have waves in every part of the time."""
    parts = np.stack([np.ptp(part, axis=1) for part in np.array_split(x, PARTS, axis=1)])
    return np.asarray(parts.min(axis=0) >= FILLED * parts.max(axis=0))


def _means(mv: Millivolts, step: int) -> NDArray[np.float64]:
    """Means of ``step`` samples, [leads, samples // step]."""
    return np.asarray(mv.reshape(len(mv), -1, step).mean(axis=2, dtype=np.float64))


@lru_cache(maxsize=64)
def _bands(n: int, fs_hz: float) -> tuple[NDArray[np.float64], NDArray[np.float64], slice, slice]:
    """Window of ``n`` samples, frequencies of the spectrum, and the bins of `HEART_HZ` and `SOUGHT_BPM`."""
    hz = np.asarray(np.fft.rfftfreq(N_FFT, 1.0 / fs_hz), np.float64)
    heart, rates = (
        slice(int(np.searchsorted(hz, low)), int(np.searchsorted(hz, high, "right")))
        for low, high in (HEART_HZ, (SOUGHT_BPM[0] / 60.0, SOUGHT_BPM[1] / 60.0))
    )
    return np.asarray(np.hanning(n), np.float64), hz, heart, rates


def _strongest(x: NDArray[np.float64], fs_hz: float) -> NDArray[np.float64]:
    """Of the strongest wave within `SOUGHT_BPM`: rate, share of the power, and of that its harmonics; each [leads]."""
    window, hz, heart, rates = _bands(x.shape[1], fs_hz)
    power = np.abs(np.fft.rfft((x - x.mean(axis=1, keepdims=True)) * window, N_FFT, axis=1)) ** 2
    peak = hz[rates][np.argmax(power[:, rates], axis=1)]
    first, second, third = ((power * (np.abs(hz - k * peak[:, None]) <= NEAR_HZ)).sum(axis=1) for k in (1, 2, 3))
    total = power[:, heart].sum(axis=1)
    return np.stack([60.0 * peak, first / np.maximum(total, 1e-12), (second + third) / np.maximum(first, 1e-12)])

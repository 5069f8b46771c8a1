"""Features that separate ventricular fibrillation and flutter from other signal, one row a lead.

In: millivolts [leads, samples] of about four seconds. Out: float64 [leads, features], in the order of `FEATURES`.
Features of several kinds are combined, since each alone fails on some artefact: spectrum (first moment and share around
the peak), leakage outside the dominant period, organisation (autocorrelation at the period, and the share of time at
rest, which QRS complexes leave and fibrillation does not), amplitude, and fast activity of muscle and motion.
Sources: Barro 1989 (spectrum), Kuo and Dillman 1978 (leakage). Deviation: lengths and bands are those named below.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.ecg import Millivolts
from models.signal.conditioning import fill_gaps, resample, without_baseline

FS_HZ = 125.0  # everything below 40 Hz is kept
WINDOW_S = 4.0  # length of the clinical definition (Philips, CinC 2015)
RESTING = 0.15  # a slope below this share of the steep slopes (95th percentile) is rest
RESTS_TOO_MUCH = 0.6  # share of the time at rest from which no lead fibrillates (0.17 to 0.5 in fibrillation)
FEATURES = (
    "rms_mv",
    "peak_hz",
    "peak_share",
    "low_share",
    "moment",
    "high_share",
    "leakage",
    "autocorrelation",
    "period_hz",
    "rest_share",
    "kurtosis",
    "crossings_hz",
    "slope_kurtosis",
    "range_ratio",
)


def may_fibrillate(mv: Millivolts, fs_hz: float) -> bool:
    """Whether the features are worth computing: some lead, of mV [leads, samples], rests less than `RESTS_TOO_MUCH`.

    This check costs little beside the features.
    """
    return bool((_rest_share(mv, fs_hz) < RESTS_TOO_MUCH).any())


def most_may_fibrillate(mv: Millivolts, fs_hz: float) -> bool:
    """Whether half of the leads rest less than `RESTS_TOO_MUCH`; a lead with a missing sample counts as one of them.

    The limit of the criterion is a lower one: what it accepts, in half of the leads, is never left out here.
    """
    return bool(2 * np.count_nonzero(_rest_share(mv, fs_hz) >= RESTS_TOO_MUCH) <= len(mv))


def _rest_share(mv: Millivolts, fs_hz: float) -> NDArray[np.float64]:
    """Share of the time that each lead rests, [leads]; NaN for a lead with a missing sample."""
    step = max(1, int(fs_hz // FS_HZ))
    slope = np.abs(np.diff(mv[:, ::step], axis=1))
    out = np.full(len(mv), np.nan)
    there = np.isfinite(slope).all(axis=1)
    if not there.any() or not slope.shape[1]:
        return out
    slope, at = slope[there], int(0.95 * slope.shape[1])
    steep = np.partition(slope, at, axis=1)[:, at]
    out[there] = np.count_nonzero(slope < RESTING * steep[:, None], axis=1) / slope.shape[1]
    return out


def fibrillation_features(mv: Millivolts, fs_hz: float) -> NDArray[np.float64]:
    """Features of a segment, one row a lead; NaN for a lead without signal.

    Parameters
    ----------
    mv : float32 [leads, samples]
        Millivolts, NaN where a sample is missing.
    fs_hz : float
        Samples a second.

    Returns
    -------
    float64 [leads, features]
        In the order of `FEATURES`.
    """
    dead = ~np.isfinite(mv).any(axis=1) if mv.shape[1] else np.ones(len(mv), bool)
    if mv.shape[1] < fs_hz or dead.all():
        return np.full((len(mv), len(FEATURES)), np.nan)
    filled, _ = fill_gaps(mv)
    x = without_baseline(resample(filled, fs_hz, FS_HZ), FS_HZ).astype(np.float64)
    edge = round(0.1 * FS_HZ)  # the moving mean is inexact at its edges
    x = x[:, edge:-edge]
    x -= x.mean(axis=1, keepdims=True)
    out = np.column_stack([*_spectral(x), *_leakage(x), *_organisation(x)])
    out[dead] = np.nan
    return out


def _spectral(x: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    n_fft = 1024
    power = np.abs(np.fft.rfft(x * np.hanning(x.shape[1]), n_fft, axis=1)) ** 2
    hz = np.fft.rfftfreq(n_fft, 1.0 / FS_HZ)
    heart = (hz >= 0.7) & (hz <= 40.0)
    total = power[:, heart].sum(axis=1) + 1e-12
    search = (hz >= 1.5) & (hz <= 10.0)
    peak = hz[search][np.argmax(power[:, search], axis=1)]
    near = np.abs(hz[None] - peak[:, None]) <= 0.75
    rms = np.sqrt(np.mean(x**2, axis=1))
    moment = (power[:, heart] * hz[heart]).sum(axis=1) / total / np.maximum(peak, 0.5)
    share = (power * near).sum(axis=1) / total
    low = power[:, (hz >= 2.0) & (hz <= 9.0)].sum(axis=1) / total
    high = power[:, (hz >= 15.0) & (hz <= 40.0)].sum(axis=1) / total
    return [rms, peak, share, low, moment, high]


def _leakage(x: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """VF filter leakage, [leads]: the share left after adding the signal half a mean period earlier (Kuo 1978)."""
    out = np.zeros(len(x))
    for k, row in enumerate(x):
        change = np.abs(np.diff(row)).sum()
        half = round(np.pi * np.abs(row).sum() / max(float(change), 1e-9))
        half = min(max(half, 1), len(row) // 2)
        out[k] = np.abs(row[half:] + row[:-half]).sum() / max(
            float((np.abs(row[half:]) + np.abs(row[:-half])).sum()), 1e-9
        )
    return [out]


def _organisation(x: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    n = x.shape[1]
    spectrum = np.abs(np.fft.rfft(x, 2 * n, axis=1)) ** 2
    correlation = np.fft.irfft(spectrum, axis=1)[:, :n]
    correlation /= np.maximum(correlation[:, :1], 1e-12)
    low, high = round(FS_HZ / 10.0), min(round(FS_HZ / 1.2), n - 1)
    lag = low + np.argmax(correlation[:, low:high], axis=1)
    at_period = correlation[np.arange(len(x)), lag]
    slope = np.diff(x, axis=1)
    steep = np.quantile(np.abs(slope), 0.95, axis=1)
    rest = np.mean(np.abs(slope) < RESTING * steep[:, None], axis=1)
    kurtosis = _kurtosis(x)
    crossings = np.sum(np.diff(np.signbit(x), axis=1), axis=1) / (n / FS_HZ) / 2.0
    quarters = np.stack([np.ptp(part, axis=1) for part in np.array_split(x, 4, axis=1)])
    ratio = quarters.min(axis=0) / np.maximum(quarters.max(axis=0), 1e-9)
    return [at_period, FS_HZ / lag, rest, kurtosis, crossings, _kurtosis(slope), ratio]


def _kurtosis(x: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = x - x.mean(axis=1, keepdims=True)
    squares = np.square(centred)
    second = np.mean(squares, axis=1)
    kurtosis: NDArray[np.float64] = np.mean(np.square(squares), axis=1) / np.maximum(second**2, 1e-18)
    return kurtosis

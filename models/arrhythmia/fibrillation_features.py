"""Features that separate ventricular fibrillation and flutter from other signal, one row a lead.

In: millivolts [leads, samples] of about four seconds. Out: float64 [leads, features], in the order of `FEATURES`.
Features of several kinds are combined, since each alone fails on some artefact: amplitude, the share of the spectrum
around its peak, leakage outside the dominant period, the share of time at rest, which QRS complexes leave and
fibrillation does not, and the kurtosis of the slope, which is that of spikes in motion and of QRS complexes.
Sources: Barro 1989 (spectrum), Kuo and Dillman 1978 (leakage). Deviation: lengths and bands are those named below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.ecg import Millivolts
from models.signal.conditioning import fill_gaps, resample, without_baseline
from models.signal.quantiles import quantile

FS_HZ = 125.0  # everything below 40 Hz is kept
HEART_HZ, PEAK_HZ, LOW_HZ = (0.7, 40.0), (1.5, 10.0), (2.0, 9.0)
N_FFT = 1024  # samples that the spectrum is padded to
WINDOW_S = 4.0  # length of the clinical definition (Philips, CinC 2015)
FILTER_GAIN = 1.05  # of the low-pass filter, at most, and a margin
RESTING = 0.15  # a slope below this share of the steep slopes (95th percentile) is rest
RESTS_TOO_MUCH = 0.6  # share of the time at rest from which no lead fibrillates (0.17 to 0.5 in fibrillation)
FEATURES = ("rms_mv", "peak_share", "low_share", "leakage", "rest_share", "kurtosis", "slope_kurtosis")


def may_fibrillate(mv: Millivolts, fs_hz: float) -> bool:
    """Whether the features are worth computing: some lead, of mV [leads, samples], rests less than `RESTS_TOO_MUCH`.

    This check costs little beside the features.
    """
    return bool((_rest_share(mv[:, :: _step(fs_hz)]) < RESTS_TOO_MUCH).any())


def most_may_fibrillate(shares: NDArray[np.float64]) -> NDArray[np.bool_]:
    """In which windows half of the leads rest less than `RESTS_TOO_MUCH`, [windows], for [leads, windows].

    A lead with a missing sample, whose share is NaN, counts as one of them. The limit of the criterion is a lower one:
    what it accepts, in half of the leads, is never left out here.
    """
    return np.asarray(2 * np.count_nonzero(shares >= RESTS_TOO_MUCH, axis=0) <= len(shares))


def most_too_low(mv: Millivolts, n_window: int, rms_mv: float) -> bool:
    """Whether most leads certainly have an ``rms_mv`` of less, in each window of ``n_window`` samples of a signal.

    The low-pass filter keeps the size of a signal to 1 %, and its moving mean, which is subtracted, lies within it.
    A third of a millisecond for four windows is saved where a line is flat.
    """
    low, high = mv.min(axis=1), mv.max(axis=1)
    from_middle = mv - ((low + high) / 2)[:, None]
    size = np.sqrt(np.einsum("ls,ls->l", from_middle, from_middle) / n_window)  # NaN, and no less, with a gap
    return bool(2 * np.count_nonzero(FILTER_GAIN * (size + (high - low) / 2) < rms_mv) > len(mv))


def rest_shares(mv: Millivolts, fs_hz: float, seconds: float, ends_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the time that each lead rests in several windows, [leads, windows]; NaN where a sample is missing.

    Parameters
    ----------
    mv : float32 [leads, samples]
        Millivolts.
    fs_hz : float
        Samples a second.
    seconds : float
        Length of a window; shorter where the signal begins later.
    ends_s : float64 [windows]
        Their ends, s before that of the signal.
    """
    n, step = round(seconds * fs_hz), _step(fs_hz)
    ends = mv.shape[1] - np.round(ends_s * fs_hz).astype(np.int64)
    if ends.min() >= n:
        return _rest_share(np.stack([mv[:, end - n : end : step] for end in ends.tolist()], axis=1))
    return np.stack([_rest_share(mv[:, max(0, end - n) : max(0, end) : step]) for end in ends.tolist()], axis=1)


def _step(fs_hz: float) -> int:
    return max(1, int(fs_hz // FS_HZ))


def _rest_share(mv: Millivolts) -> NDArray[np.float64]:
    """Share of the time that [..., samples] at `FS_HZ` or a little more rest, [...]; NaN where a sample is missing."""
    slope = np.abs(np.diff(mv, axis=-1))
    out = np.full(mv.shape[:-1], np.nan)
    there = np.isfinite(slope).all(axis=-1)
    if not there.any() or not slope.shape[-1]:
        return out
    slope, at = slope[there], int(0.95 * slope.shape[-1])
    steep = np.partition(slope, at, axis=1)[:, at]
    out[there] = np.count_nonzero(slope < RESTING * steep[:, None], axis=1) / slope.shape[1]
    return out


def fibrillation_features(
    mv: Millivolts, fs_hz: float, bounds: Mapping[str, float] | None = None
) -> NDArray[np.float64]:
    """Features of a segment, one row a lead; NaN for a lead without signal.

    Parameters
    ----------
    mv : float32 [leads, samples]
        Millivolts, NaN where a sample is missing.
    fs_hz : float
        Samples a second.
    bounds : mapping, optional
        Lower bound of ``rms_mv``, upper bounds of ``rest_share`` and ``slope_kurtosis``: where fewer than half of the
        leads are within all three, the other features, which cost more, stay NaN.

    Returns
    -------
    float64 [leads, features]
        In the order of `FEATURES`.
    """
    dead = ~np.isfinite(mv).any(axis=1) if mv.shape[1] else np.ones(len(mv), bool)
    if mv.shape[1] < fs_hz or dead.all():
        return np.full((len(mv), len(FEATURES)), np.nan)
    x = _centred(mv, fs_hz)
    rms = _rms(x)
    size, rest, slope_kurtosis = _slopes(x)
    if bounds is not None:
        within = _within(rms, rest, slope_kurtosis, bounds)
        if 2 * np.count_nonzero(within) < len(x):
            unknown = np.full(len(x), np.nan)
            known = {"rms_mv": rms, "rest_share": rest, "slope_kurtosis": slope_kurtosis}
            return np.column_stack([np.where(dead, np.nan, known.get(name, unknown)) for name in FEATURES])
    leakage = _leakage(x, size.sum(axis=1))
    out = np.column_stack([rms, *_spectral(x), leakage, rest, _kurtosis(x), slope_kurtosis])
    out[dead] = np.nan
    return out


def most_outside(
    parts: Sequence[Millivolts], fs_hz: float, bounds: Mapping[str, float], order: Sequence[int]
) -> list[bool]:
    """In which segments more than half of the leads are certainly outside the bounds of `fibrillation_features`.

    One more than half of the leads are looked at, in all segments together: a third of the time of the features.

    Parameters
    ----------
    parts : sequence of float32 [leads, samples]
        Segments, mV; NaN where a sample is missing.
    fs_hz : float
        Samples a second.
    bounds : mapping
        Of ``rms_mv``, ``rest_share`` and ``slope_kurtosis``.
    order : sequence of int
        The leads, those first that are probably outside.
    """
    if not parts or any(part.shape != parts[0].shape for part in parts) or parts[0].shape[1] < fs_hz:
        return [False] * len(parts)
    looked_at = list(order[: len(parts[0]) // 2 + 1])
    x = _centred(np.concatenate([part[looked_at] for part in parts]), fs_hz)
    within, rms = np.zeros(len(x), bool), _rms(x)
    large = np.flatnonzero(rms > bounds["rms_mv"])
    if len(large):
        _, rest, slope_kurtosis = _slopes(x[large])
        within[large] = _within(rms[large], rest, slope_kurtosis, bounds)
    return [not any(some) for some in within.reshape(len(parts), -1).tolist()]


def _centred(mv: Millivolts, fs_hz: float) -> NDArray[np.float64]:
    """[leads, samples] at `FS_HZ` without gaps, baseline and mean."""
    x = without_baseline(resample(fill_gaps(mv)[0], fs_hz, FS_HZ), FS_HZ).astype(np.float64)
    edge = round(0.1 * FS_HZ)  # the moving mean is inexact at its edges
    x = x[:, edge:-edge]
    x -= x.mean(axis=1, keepdims=True)
    return x


def _slopes(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Size of the slope, [leads, samples - 1]; share of it that is rest, and kurtosis of the slope, [leads]."""
    slope = np.diff(x, axis=1)
    size = np.abs(slope)
    return size, np.mean(size < RESTING * quantile(size, 0.95)[:, None], axis=1), _kurtosis(slope)


def _rms(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(np.mean(np.square(x), axis=1)), np.float64)


def _within(
    rms: NDArray[np.float64],
    rest: NDArray[np.float64],
    slope_kurtosis: NDArray[np.float64],
    bounds: Mapping[str, float],
) -> NDArray[np.bool_]:
    within = (rms > bounds["rms_mv"]) & (rest < bounds["rest_share"]) & (slope_kurtosis < bounds["slope_kurtosis"])
    return np.asarray(within)


@lru_cache(maxsize=64)
def _bands(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64], list[slice]]:
    """Window of ``n`` samples, frequencies of the spectrum, and the bins of `HEART_HZ`, `PEAK_HZ` and `LOW_HZ`."""
    hz = np.asarray(np.fft.rfftfreq(N_FFT, 1.0 / FS_HZ), np.float64)
    bins = [np.flatnonzero((hz >= low) & (hz <= high)) for low, high in (HEART_HZ, PEAK_HZ, LOW_HZ)]
    return np.asarray(np.hanning(n), np.float64), hz, [slice(int(part[0]), int(part[-1]) + 1) for part in bins]


def _spectral(x: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Share of the power within 0.75 Hz of the largest peak, and in `LOW_HZ`, each [leads]."""
    window, hz, (heart, search, low) = _bands(x.shape[1])
    power = np.abs(np.fft.rfft(x * window, N_FFT, axis=1)) ** 2
    total = power[:, heart].sum(axis=1) + 1e-12
    peak = hz[search][np.argmax(power[:, search], axis=1)]
    near = np.abs(hz[None] - peak[:, None]) <= 0.75
    return [(power * near).sum(axis=1) / total, power[:, low].sum(axis=1) / total]


def _leakage(x: NDArray[np.float64], change: NDArray[np.float64]) -> NDArray[np.float64]:
    """VF filter leakage, [leads]: the share left after adding the signal half a mean period earlier (Kuo 1978).

    ``change``: sum of the absolute changes of each lead.
    """
    size = np.abs(x)
    half = np.round(np.pi * size.sum(axis=1) / np.maximum(change, 1e-9))
    out = np.zeros(len(x))
    for k, shift in enumerate(np.clip(half, 1, x.shape[1] // 2).astype(int).tolist()):
        whole = float(size[k, shift:].sum() + size[k, :-shift].sum())
        out[k] = float(np.abs(x[k, shift:] + x[k, :-shift]).sum()) / max(whole, 1e-9)
    return out


def _kurtosis(x: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = x - x.mean(axis=1, keepdims=True)
    squares = np.square(centred)
    second = np.mean(squares, axis=1)
    kurtosis: NDArray[np.float64] = np.mean(np.square(squares), axis=1) / np.maximum(second**2, 1e-18)
    return kurtosis

"""Signal conditioning: gaps, resampling, baseline, and the twelve leads in order.

Arrays in and out: float32 [leads, samples], millivolts, NaN where there is no sample.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal
from scipy.ndimage import uniform_filter1d

from models.ecg import Ecg, Millivolts
from models.leads import STANDARD_12, derive_limb_leads
from models.signal.windows import windows

BLOCK_OUT = 32  # smallest number of samples from one matrix product: fewer do not use a core fully
MAX_BLOCK = 1 << 15  # entries of such a matrix; for larger ones the filter is faster
ONE_THREAD_PRODUCT = 1 << 17  # multiplications at a time: OpenBLAS wakes other threads for twice as many, and they spin
MAX_RATIO_TERM = 1000  # numerator and denominator of a ratio that the polyphase filter is designed for
MAX_RATIO_ERROR = 1e-6  # of such a ratio: 4 ms an hour; other ratios (250.02 Hz to 250) are interpolated exactly
BASELINE_S = 0.6  # moving mean that is subtracted,
BASELINE_REACH_S = 0.7  # and how far to a side it reaches, twice, at any rate
ZERO_CROSSINGS, KAISER_BETA = 10, 5.0  # to a side of the low-pass filter, and its window
PHASES = 512  # positions between two samples in the table of interpolation filters: images below -60 dB at 40 Hz
OUT_AT_ONCE = 4096  # interpolated samples at a time, which bounds the memory


def fill_gaps(mv: Millivolts) -> tuple[Millivolts, NDArray[np.bool_]]:
    """Linear interpolation across gaps.

    Parameters
    ----------
    mv : float32 [leads, samples]
        Millivolts, NaN where there is no sample.

    Returns
    -------
    filled : float32 [leads, samples]
        Finite everywhere; a lead without any sample is zero.
    missing : bool [leads, samples]
        Where there was no sample.
    """
    there = np.isfinite(mv)
    missing = ~there
    if there.all():
        return mv, missing
    count = np.count_nonzero(missing, axis=1)
    filled = mv.copy()
    filled[count == mv.shape[1]] = 0.0
    at = np.arange(mv.shape[1])
    for k in np.flatnonzero((count > 0) & (count < mv.shape[1])).tolist():
        row, gap = filled[k], missing[k]
        row[gap] = np.interp(at[gap], at[~gap], row[~gap])
    return filled, missing


@lru_cache(maxsize=64)
def _ratio(fs: float, to_fs: float) -> tuple[int, int] | None:
    """Numerator and denominator of the resampling ratio; None where no small terms are near enough to it."""
    exact = to_fs / fs
    ratio = Fraction(exact).limit_denominator(MAX_RATIO_TERM)
    if ratio.numerator > MAX_RATIO_TERM or abs(float(ratio) / exact - 1.0) > MAX_RATIO_ERROR:
        return None
    return ratio.numerator, ratio.denominator


@lru_cache(maxsize=64)
def _low_pass(up: int, down: int) -> Any:
    """The polyphase filter of a ratio other than 1 (Kaiser 5.0, ten zero crossings to a side), designed once."""
    longest = max(up, down)
    taps = signal.firwin(2 * ZERO_CROSSINGS * longest + 1, 1.0 / longest, window=("kaiser", KAISER_BETA))
    return np.asarray(taps, np.float32)


@lru_cache(maxsize=16)
def _interpolation_filters(fs: float, to_fs: float) -> Millivolts:
    """The same filter at `PHASES` + 1 positions between two samples, [positions, taps], for any other ratio.

    Tap ``j`` belongs to the sample ``j - taps / 2 + 1`` after the one before the position.
    """
    stretch = max(1.0, fs / to_fs)
    half = int(np.ceil(ZERO_CROSSINGS * stretch)) + 1
    distance = (np.arange(-half + 1, half + 1)[None] - np.linspace(0.0, 1.0, PHASES + 1)[:, None]) / stretch
    inside = np.sqrt(np.clip(1.0 - (distance / ZERO_CROSSINGS) ** 2, 0.0, None))
    taps = np.where(np.abs(distance) <= ZERO_CROSSINGS, np.sinc(distance) * np.i0(KAISER_BETA * inside), 0.0)
    filters: Millivolts = (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)
    return filters


def _interpolated(x: Millivolts, n_out: int, fs: float, to_fs: float) -> Millivolts:
    """[leads, samples] that begin and end at zero, at any ratio of the rates; sample k lies at exactly k / to_fs."""
    filters = _interpolation_filters(fs, to_fs)
    half = filters.shape[1] // 2
    at = np.minimum(np.arange(n_out) * (fs / to_fs), x.shape[1] - 1)
    before = np.floor(at).astype(np.int64)
    phase = np.round((at - before) * PHASES).astype(np.int64)
    padded = np.pad(x, ((0, 0), (half - 1, half)))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, 2 * half, axis=1)
    out = np.empty((len(x), n_out), np.float32)
    for k in range(0, n_out, OUT_AT_ONCE):
        part = slice(k, k + OUT_AT_ONCE)
        out[:, part] = np.einsum("lst,st->ls", pieces[:, before[part]], filters[phase[part]])
    return out


@lru_cache(maxsize=64)
def _block(up: int, down: int) -> tuple[Millivolts, int, int] | None:
    """The same filter as a matrix from a block of samples to those that it becomes; None for a ratio of large terms.

    Returns
    -------
    matrix : float32 [reach + samples + reach, samples out]
    samples, reach : int
        Input samples of a block, and those on either side that its ends depend on.
    """
    taps = up * _low_pass(up, down).astype(float)
    half, groups = len(taps) // 2, -(-BLOCK_OUT // up)
    samples, reach = groups * down, -(-half // up)
    if (samples + 2 * reach) * groups * up > MAX_BLOCK:
        return None
    at = np.arange(groups * up)[None, :] * down - np.arange(-reach, samples + reach)[:, None] * up
    matrix = np.where(np.abs(at) <= half, taps[np.clip(at + half, 0, 2 * half)], 0.0)
    return matrix.astype(np.float32), samples, reach


@lru_cache(maxsize=16)
def _ramp(n: int, step: float) -> Millivolts:
    """The first ``n`` multiples of ``step``."""
    return (np.arange(n) * step).astype(np.float32)


def _by_blocks(x: Millivolts, n_out: int, matrix: Millivolts, samples: int, reach: int) -> Millivolts:
    """[leads, samples] that begin and end at zero, filtered by matrix products, in a third of the filter's time."""
    blocks = max(1, -(-n_out // matrix.shape[1]))
    padded = np.zeros((len(x), blocks * samples + 2 * reach), np.float32)
    fits = min(x.shape[1], padded.shape[1] - reach)
    padded[:, reach : reach + fits] = x[:, :fits]
    rows = windows(padded, len(matrix), samples).reshape(-1, len(matrix))
    out = np.empty((len(rows), matrix.shape[1]), np.float32)
    at_once = ONE_THREAD_PRODUCT // matrix.size
    for k in range(0, len(rows), at_once):
        np.matmul(rows[k : k + at_once], matrix, out=out[k : k + at_once])
    return out.reshape(len(x), -1)[:, :n_out]


def resample(mv: Millivolts, fs: float, to_fs: float) -> Millivolts:
    """Band-limited resampling of [leads, samples] at any ratio; gaps stay gaps.

    A ratio of small terms uses a polyphase filter, another one a table of interpolation filters. Beyond its ends the
    signal is extrapolated along the straight line through them.

    >>> import numpy as np
    >>> resample(np.ones((1, 3600), np.float32), 360, 500).shape
    (1, 5000)
    """
    if fs == to_fs or mv.shape[1] == 0:
        return mv
    ratio = _ratio(float(fs), float(to_fs))
    filled, missing = fill_gaps(mv)
    n = round(mv.shape[1] * to_fs / fs)
    block = None if ratio is None or ratio == (1, 1) else _block(*ratio)
    out: Millivolts
    if ratio == (1, 1):
        out = filled
    elif ratio is None or block is not None:
        first, rise = filled[:, :1], (filled[:, -1:] - filled[:, :1]) / np.float32(max(1, mv.shape[1] - 1))
        from_line = filled - first
        from_line -= rise * _ramp(mv.shape[1], 1.0)
        out = _interpolated(from_line, n, fs, to_fs) if block is None else _by_blocks(from_line, n, *block)
        per_sample = fs / to_fs if ratio is None else ratio[1] / ratio[0]
        line = rise * _ramp(n, per_sample)
        line += first
        out += line
    else:
        up, down = ratio
        taps = _low_pass(up, down)
        out = signal.resample_poly(filled, up, down, axis=1, window=taps, padtype="line").astype(np.float32)
    if out.shape[1] < n:
        out = np.pad(out, ((0, 0), (0, n - out.shape[1])), mode="edge")
    out = out[:, :n]
    if filled is not mv:
        source = np.minimum((np.arange(n) * (fs / to_fs)).round().astype(int), mv.shape[1] - 1)
        out[missing[:, source]] = np.nan
    return out


def without_baseline(filled: Millivolts, fs: float) -> Millivolts:
    """Minus its moving mean of 0.6 s, taken twice: a linear-phase high-pass at about 0.7 Hz."""
    width = max(3, round(BASELINE_S * fs)) | 1
    slow = np.empty(filled.shape, filled.dtype)
    uniform_filter1d(filled, width, axis=1, output=slow, mode="nearest")
    uniform_filter1d(slow, width, axis=1, output=slow, mode="nearest")
    return np.asarray(filled - slow, np.float32)


def to_twelve(ecg: Ecg, fs_hz: float = 500.0) -> tuple[Millivolts, NDArray[np.bool_]]:
    """The twelve leads in canonical order at ``fs_hz``.

    Missing limb leads are derived where two others are there; absent leads are zero, with `present` False.
    Gaps are zero too.

    Returns
    -------
    mv : float32 [12, samples]
    present : bool [12]
    """
    there = np.isfinite(ecg.mv)
    as_wanted = ecg.leads == STANDARD_12 and ecg.fs_hz == fs_hz and not ecg.leads_off
    if as_wanted and there.all():  # most monitors send it so
        return ecg.mv.copy(), np.ones(12, bool)
    some = np.asarray(there.any(axis=1))
    by_name = {
        lead: row
        for lead, row, has_samples in zip(ecg.leads, ecg.mv, some, strict=True)
        if lead not in ecg.leads_off and has_samples
    }
    by_name |= derive_limb_leads(by_name)
    present = np.array([lead in by_name for lead in STANDARD_12])
    n = round(ecg.n_samples * fs_hz / ecg.fs_hz)
    out = np.zeros((12, n), np.float32)
    if present.any():
        rows = np.stack([by_name[lead] for lead in STANDARD_12 if lead in by_name])
        resampled = resample(rows, ecg.fs_hz, fs_hz)
        out[present] = resampled if np.isfinite(resampled).all() else np.nan_to_num(resampled)
    return out, present

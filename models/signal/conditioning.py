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

BLOCK_OUT = 32  # smallest number of samples from one matrix product: fewer do not use a core fully
MAX_BLOCK = 1 << 15  # entries of such a matrix; for larger ones the filter is faster
ONE_THREAD_PRODUCT = 1 << 17  # multiplications at a time: OpenBLAS wakes other threads for twice as many, and they spin
MAX_RATIO_TERM = 1000  # numerator and denominator of a resampling ratio; the time error over 10 s stays under 0.1 ms


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
    missing = ~np.isfinite(mv)
    if not missing.any():
        return mv, missing
    filled = mv.copy()
    at = np.arange(mv.shape[1])
    for row, gap in zip(filled, missing, strict=True):
        if gap.all():
            row[:] = 0.0
        elif gap.any():
            row[gap] = np.interp(at[gap], at[~gap], row[~gap])
    return filled, missing


@lru_cache(maxsize=64)
def _ratio(fs: float, to_fs: float) -> tuple[int, int]:
    ratio = Fraction(to_fs / fs).limit_denominator(MAX_RATIO_TERM)
    return ratio.numerator, ratio.denominator


@lru_cache(maxsize=64)
def _low_pass(up: int, down: int) -> Any:
    """The polyphase filter of a ratio (Kaiser 5.0, ten zero crossings to a side), designed once."""
    longest = max(up, down)
    taps = signal.firwin(20 * longest + 1, 1.0 / longest, window=("kaiser", 5.0))
    return np.asarray(taps, np.float32)


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


def _by_blocks(x: Millivolts, n_out: int, matrix: Millivolts, samples: int, reach: int) -> Millivolts:
    """[leads, samples] that begin and end at zero, filtered by matrix products, in a third of the filter's time."""
    blocks = max(1, -(-n_out // matrix.shape[1]))
    padded = np.zeros((len(x), blocks * samples + 2 * reach), np.float32)
    fits = min(x.shape[1], padded.shape[1] - reach)
    padded[:, reach : reach + fits] = x[:, :fits]
    pieces = np.lib.stride_tricks.sliding_window_view(padded, len(matrix), axis=1)[:, ::samples]
    rows = pieces.reshape(-1, len(matrix))
    out = np.empty((len(rows), matrix.shape[1]), np.float32)
    at_once = ONE_THREAD_PRODUCT // matrix.size
    for k in range(0, len(rows), at_once):
        np.matmul(rows[k : k + at_once], matrix, out=out[k : k + at_once])
    return out.reshape(len(x), -1)[:, :n_out]


def resample(mv: Millivolts, fs: float, to_fs: float) -> Millivolts:
    """Band-limited resampling (polyphase) of [leads, samples]; gaps stay gaps.

    Beyond its ends the signal is extrapolated along the straight line through them.

    >>> import numpy as np
    >>> resample(np.ones((1, 3600), np.float32), 360, 500).shape
    (1, 5000)
    """
    if fs == to_fs or mv.shape[1] == 0:
        return mv
    up, down = _ratio(float(fs), float(to_fs))
    filled, missing = fill_gaps(mv)
    n, block = round(mv.shape[1] * to_fs / fs), _block(up, down)
    out: Millivolts
    if block is not None:
        first, rise = filled[:, :1], (filled[:, -1:] - filled[:, :1]) / np.float32(max(1, mv.shape[1] - 1))
        from_line = filled - first - rise * np.arange(mv.shape[1], dtype=np.float32)
        out = _by_blocks(np.asarray(from_line, np.float32), n, *block)
        out += first + rise * (np.arange(n) * (down / up)).astype(np.float32)
    else:
        taps = _low_pass(up, down)
        out = signal.resample_poly(filled, up, down, axis=1, window=taps, padtype="line").astype(np.float32)
    if out.shape[1] < n:
        out = np.pad(out, ((0, 0), (0, n - out.shape[1])), mode="edge")
    out = out[:, :n]
    if missing.any():
        source = np.minimum((np.arange(n) * (fs / to_fs)).round().astype(int), mv.shape[1] - 1)
        out[missing[:, source]] = np.nan
    return out


def without_baseline(filled: Millivolts, fs: float) -> Millivolts:
    """Minus its moving mean of 0.6 s, taken twice: a linear-phase high-pass at about 0.7 Hz."""
    width = max(3, round(0.6 * fs)) | 1
    slow = uniform_filter1d(uniform_filter1d(filled, width, axis=1, mode="nearest"), width, axis=1, mode="nearest")
    out: Millivolts = (filled - slow).astype(np.float32)
    return out


def to_twelve(ecg: Ecg, fs_hz: float = 500.0) -> tuple[Millivolts, NDArray[np.bool_]]:
    """The twelve leads in canonical order at ``fs_hz``.

    Missing limb leads are derived where two others are there; absent leads are zero, with `present` False.
    Gaps are zero too.

    Returns
    -------
    mv : float32 [12, samples]
    present : bool [12]
    """
    by_name = {
        lead: row
        for lead, row in zip(ecg.leads, ecg.mv, strict=True)
        if lead not in ecg.leads_off and np.isfinite(row).any()
    }
    by_name |= derive_limb_leads(by_name)
    present = np.array([lead in by_name for lead in STANDARD_12])
    n = round(ecg.n_samples * fs_hz / ecg.fs_hz)
    out = np.zeros((12, n), np.float32)
    if present.any():
        rows = np.stack([by_name[lead] for lead in STANDARD_12 if lead in by_name])
        out[present] = np.nan_to_num(resample(rows, ecg.fs_hz, fs_hz))
    return out, present

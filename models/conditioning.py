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

MAX_RATIO_TERM = 1000  # numerator and denominator of a resampling ratio; the time error over 10 s stays under 0.1 ms


def fill_gaps(mv: Millivolts) -> tuple[Millivolts, NDArray[np.bool_]]:
    """Straight lines across gaps, and where they were.

    Parameters
    ----------
    mv : [leads, samples]

    Returns
    -------
    filled : [leads, samples]
        Finite everywhere; a lead without any sample is zero.
    missing : bool [leads, samples]
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


def resample(mv: Millivolts, fs: float, to_fs: float) -> Millivolts:
    """Band-limited resampling (polyphase) of [leads, samples]; gaps stay gaps.

    >>> import numpy as np
    >>> resample(np.ones((1, 3600), np.float32), 360, 500).shape
    (1, 5000)
    """
    if fs == to_fs or mv.shape[1] == 0:
        return mv
    up, down = _ratio(float(fs), float(to_fs))
    filled, missing = fill_gaps(mv)
    taps = _low_pass(up, down)
    out: Millivolts = signal.resample_poly(filled, up, down, axis=1, window=taps, padtype="line").astype(np.float32)
    n = round(mv.shape[1] * to_fs / fs)
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

    Missing limb leads are derived where two others are there; what stays absent is zero, and the mask says so.
    Gaps are zero too.

    Returns
    -------
    mv : float32 [12, samples]
    present : bool [12]
    """
    by_name = {lead: row for lead, row in zip(ecg.leads, ecg.mv, strict=True)
               if lead not in ecg.leads_off and np.isfinite(row).any()}
    by_name |= derive_limb_leads(by_name)
    present = np.array([lead in by_name for lead in STANDARD_12])
    n = round(ecg.n_samples * fs_hz / ecg.fs_hz)
    out = np.zeros((12, n), np.float32)
    if present.any():
        rows = np.stack([by_name[lead] for lead in STANDARD_12 if lead in by_name])
        out[present] = np.nan_to_num(resample(rows, ecg.fs_hz, fs_hz))
    return out, present

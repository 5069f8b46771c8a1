"""Single missing samples, filled with the mean of their neighbours where the signal stays sampled at 100 Hz or more.

In and out: float32 [leads, samples] in mV, NaN where a sample is missing. A device that sends every second sample of
250 or 500 Hz sends an ECG of 125 or 250 Hz. A longer gap stays a gap: nothing is interpolated into beats.
"""

from __future__ import annotations

import numpy as np

from models.ecg import MORPHOLOGY_FS_HZ, Millivolts


def with_short_gaps_filled(mv: Millivolts, fs_hz: float) -> Millivolts:
    """The signal without its single missing samples; the same array where there are none.

    Parameters
    ----------
    mv : float32 [leads, samples]
    fs_hz : float
        Sampling rate, Hz; below 200 Hz nothing is filled.

    Examples
    --------
    >>> every_second = np.array([[0.1, np.nan, 0.3, np.nan, np.nan, 0.6]], np.float32)
    >>> with_short_gaps_filled(every_second, 250.0).tolist()[0][:3]
    [0.10000000149011612, 0.20000000298023224, 0.30000001192092896]
    """
    missing = ~np.isfinite(mv)
    if 2.0 / fs_hz > 1.0 / MORPHOLOGY_FS_HZ or not missing.any():
        return mv
    single = np.zeros_like(missing)
    single[:, 1:-1] = missing[:, 1:-1] & ~missing[:, :-2] & ~missing[:, 2:]
    if not single.any():
        return mv
    lead, at = np.nonzero(single)
    filled = mv.copy()
    filled[lead, at] = (mv[lead, at - 1] + mv[lead, at + 1]) / 2.0
    return filled

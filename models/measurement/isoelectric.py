"""The isoelectric level that ST, wave heights and the QRS axis are measured from.

The level is the median of the last 16 ms of the PR segment, up to the QRS onset; one artefact does not move it.
"""

from __future__ import annotations

import math
import statistics

import numpy as np
from numpy.typing import NDArray

from models.ecg import Millivolts

PR_SEGMENT_S = 0.016  # of the PR segment's end; two samples at least


def isoelectric_mv(row: Millivolts, qrs_on: int, fs_hz: float) -> float | None:
    """Level of the PR segment before one beat.

    Parameters
    ----------
    row : float32 [samples]
        One lead, mV.
    qrs_on : int
        QRS onset, sample of ``row``.
    fs_hz : float
        Sampling rate.

    Returns
    -------
    float or None
        Millivolts; None where a sample is missing or none is there.
    """
    piece = row[max(0, qrs_on - max(2, round(PR_SEGMENT_S * fs_hz))) : qrs_on + 1].tolist()
    return statistics.median(piece) if piece and math.isfinite(sum(piece)) else None


def isoelectric_levels(mv: Millivolts, qrs_on: int, fs_hz: float) -> NDArray[np.float64] | None:
    """`isoelectric_mv` of each row of [leads, samples], [leads]; NaN or infinite where a sample is missing."""
    piece = mv[:, max(0, qrs_on - max(2, round(PR_SEGMENT_S * fs_hz))) : qrs_on + 1].astype(np.float64)
    n = piece.shape[1]
    if not n:
        return None
    ordered = np.sort(piece, axis=1)  # NaN last
    level: NDArray[np.float64] = (ordered[:, (n - 1) // 2] + ordered[:, n // 2]) / 2
    level[~np.isfinite(piece).all(axis=1)] = np.nan
    return level

"""Input scaling of the small networks: each lead in units of its own typical QRS size.

In: float32 [leads, samples] in millivolts, without gaps. Out: the same shape, no baseline wander, QRS complexes about
one unit high, clipped at six units.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.ecg import Millivolts
from models.signal.conditioning import without_baseline
from models.signal.quantiles import quantile

SCALE_FLOOR_MV = 0.1  # smallest unit: a flat line is not enlarged to an ECG
SCALE_QUANTILE = 0.75  # of the largest deflections of each second: single artefacts do not move it
INPUT_CLIP = 6.0  # units


def net_input(mv: Millivolts, fs_hz: float) -> tuple[Millivolts, NDArray[np.float32]]:
    """Baseline removed and scaled.

    Parameters
    ----------
    mv : float32 [leads, samples]
        Millivolts without gaps.
    fs_hz : float
        Sampling rate.

    Returns
    -------
    x : float32 [leads, samples]
        In units of the lead's QRS size.
    unit_mv : float32 [leads, 1]
        That unit.
    """
    return scaled(without_baseline(mv, fs_hz), fs_hz)


def scaled(flat: Millivolts, fs_hz: float) -> tuple[Millivolts, NDArray[np.float32]]:
    """`net_input` for a signal [leads, samples] whose baseline has been removed already."""
    unit_mv = qrs_scale(flat, fs_hz)
    return np.clip(flat / unit_mv, -INPUT_CLIP, INPUT_CLIP).astype(np.float32), unit_mv


def qrs_scale(flat: Millivolts, fs_hz: float) -> NDArray[np.float32]:
    """Typical QRS size of each lead: a quantile of the largest deflections of each second; mV [leads, 1]."""
    second = max(1, min(round(fs_hz), flat.shape[1]))
    seconds = flat.shape[1] // second
    maxima = np.abs(flat[:, : seconds * second]).reshape(len(flat), seconds, second).max(axis=2)
    scale = np.maximum(quantile(maxima, SCALE_QUANTILE), SCALE_FLOOR_MV)
    return np.asarray(scale[:, None], np.float32)

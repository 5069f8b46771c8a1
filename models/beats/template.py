"""The bed's dominant beat, and how like it each beat is: a run of strangers is ventricular, whatever they look like.

What a ventricular beat looks like differs from patient to patient, and a bundle-branch block or a pacemaker makes every
beat look like one. What tells is the change: `DominantBeatTemplate` keeps the shapes of the last beats, takes their median for
the bed's own beat, and correlates each new beat with it. No training.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.beats.detector import LEAD_PREFERENCE, Beat
from models.ecg import Millivolts

BEFORE_S, AFTER_S = 0.112, 0.184  # about R: QRS complex and ST segment
SHAPE_HZ = 250.0
PLAY = 4  # samples at 250 Hz by which two shapes may be shifted to fit
STEP = 2
KEPT_BEATS = 24  # the dominant beat is their median: half of them must be strangers to move it
FEWEST_BEATS = 6
MAX_LEADS = 3  # more cost time and add little
DEAD_MV = 0.03  # peak to peak: a lead without electrical activity (`models.signal.quality`)


class DominantBeatTemplate:
    """Likeness of each beat of one bed, -1 to 1, to the median of the beats before it.

    Parameters
    ----------
    leads : sequence of str
        Leads of the bed.
    fs_hz : float
        Samples a second.
    """

    def __init__(self, leads: Sequence[str], fs_hz: float) -> None:
        def rank(k: int) -> int:
            return LEAD_PREFERENCE.index(leads[k]) if leads[k] in LEAD_PREFERENCE else len(LEAD_PREFERENCE)

        self._rows = sorted(sorted(range(len(leads)), key=rank)[:MAX_LEADS])
        offsets = np.arange(-round(BEFORE_S * SHAPE_HZ), round(AFTER_S * SHAPE_HZ))
        self._at = np.round(offsets * fs_hz / SHAPE_HZ).astype(np.int64)
        self._shapes: deque[NDArray[np.float32]] = deque(maxlen=KEPT_BEATS)
        self._median: NDArray[np.float32] | None = None  # of the shapes kept, each lead in units of its own size
        self._scale = np.ones((len(self._rows), 1), np.float32)
        self._alive = np.zeros(len(self._rows), bool)

    def add(self, mv: Millivolts, start: int, beat: Beat) -> float:
        """Likeness of a beat that is final, which then counts among the beats; NaN where it cannot be told."""
        shape = self._shape(mv, start, beat)
        if shape is None:
            return float("nan")
        like = self._likeness(shape)
        self._shapes.append(shape)
        self._median = None
        return like

    def likeness(self, mv: Millivolts, start: int, beat: Beat) -> float:
        """Likeness of a beat that may still move; NaN where it cannot be told.

        Parameters
        ----------
        mv : [leads, samples]
            The newest signal.
        start : int
            Absolute number of its first sample.
        beat : Beat
        """
        shape = self._shape(mv, start, beat)
        return float("nan") if shape is None else self._likeness(shape)

    def _shape(self, mv: Millivolts, start: int, beat: Beat) -> NDArray[np.float32] | None:
        """The beat's signal, each lead about its mean; None where not all of it is there."""
        at = self._at + (beat.sample - start)
        if at[0] < 0 or at[-1] >= mv.shape[1]:
            return None
        part = np.nan_to_num(mv[self._rows][:, at])
        return np.asarray(part - part.mean(axis=1, keepdims=True), np.float32)

    def _likeness(self, shape: NDArray[np.float32]) -> float:
        if len(self._shapes) < FEWEST_BEATS:
            return float("nan")
        if self._median is None:
            kept = np.stack(self._shapes)
            middle = np.median(kept, axis=0)
            self._alive = np.ptp(middle, axis=1) >= DEAD_MV
            size = np.median(np.sqrt(np.square(kept).mean(axis=2)), axis=0)
            self._scale = np.where(self._alive, 1.0 / np.maximum(size, 1e-6), 0.0)[:, None].astype(np.float32)
            self._median = np.asarray(middle[:, PLAY:-PLAY] * self._scale, np.float32)
        alive = self._alive & (np.ptp(shape, axis=1) >= DEAD_MV)  # a lead that is off now tells nothing
        if not alive.any():
            return float("nan")
        own, scaled = _unit(self._median[alive]), shape[alive] * self._scale[alive]
        width = own.shape[1]
        return round(
            max(float(np.sum(_unit(scaled[:, lag : lag + width]) * own)) for lag in range(0, 2 * PLAY + 1, STEP)), 3
        )


def _unit(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each lead about its mean, all of it of length one."""
    x = x - x.mean(axis=1, keepdims=True)
    return np.asarray(x / (np.sqrt(np.square(x).sum()) + 1e-9), np.float32)

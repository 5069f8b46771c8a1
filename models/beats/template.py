"""Template of the bed's dominant beat, and the morphology correlation of each beat with it.

In: the newest signal in mV, [leads, samples], and the beats in it. Out: one correlation a beat, -1 to 1.
The morphology of a ventricular beat differs from patient to patient, and bundle-branch block or pacing makes every beat
wide. A run of beats that differ from the bed's own dominant beat is therefore a better sign of a ventricular run than
their width. The template is the median of the last 24 beats of the best three leads; no trained weights are used.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.beats.detector import LEAD_PREFERENCE, Beat
from models.ecg import Millivolts

BEFORE_S, AFTER_S = 0.112, 0.184  # about R: QRS complex and ST segment
TEMPLATE_FS_HZ = 250.0
MAX_LAG_SAMPLES = 4  # largest shift between beat and template, samples at 250 Hz
LAG_STEP_SAMPLES = 2
KEPT_BEATS = 24  # the template is their median: half of them must be of another morphology to change it
MIN_BEATS = 6  # no template with fewer beats
MAX_LEADS = 3  # more leads cost time and improve little
NO_ACTIVITY_MV = 0.03  # peak to peak: a lead without electrical activity (`models.signal.quality`)


class DominantBeatTemplate:
    """Morphology correlation of each beat of one bed, -1 to 1, with the median of the beats before it.

    Parameters
    ----------
    leads : sequence of str
        Leads of the bed.
    fs_hz : float
        Samples a second.
    """

    def __init__(self, leads: Sequence[str], fs_hz: float) -> None:
        self._leads = tuple(leads)
        self._rows = _preferred(leads)
        offsets = np.arange(-round(BEFORE_S * TEMPLATE_FS_HZ), round(AFTER_S * TEMPLATE_FS_HZ))
        self._at = np.round(offsets * fs_hz / TEMPLATE_FS_HZ).astype(np.int64)
        self._beats: deque[NDArray[np.float32]] = deque(maxlen=KEPT_BEATS)
        self._median: NDArray[np.float32] | None = None  # of the beats kept, each lead divided by its own RMS
        self._scale = np.ones((len(self._rows), 1), np.float32)
        self._active = np.zeros(len(self._rows), bool)

    def set_leads(self, leads: Sequence[str]) -> None:
        """Change the leads of the bed; the template starts again where other leads are preferred now."""
        names = [self._leads[row] for row in self._rows]
        rows = _preferred(leads)
        self._leads, self._rows = tuple(leads), rows
        if [leads[row] for row in rows] == names:
            return
        self._beats.clear()
        self._median = None
        self._scale = np.ones((len(rows), 1), np.float32)
        self._active = np.zeros(len(rows), bool)

    def add(self, mv: Millivolts, start: int, beat: Beat) -> float:
        """Correlation of a final beat, which is then added to the template; NaN without a template or signal."""
        beat_mv = self._cut(mv, start, beat)
        if beat_mv is None:
            return float("nan")
        correlation = self._correlation(beat_mv)
        self._beats.append(beat_mv)
        self._median = None
        return correlation

    def correlation(self, mv: Millivolts, start: int, beat: Beat) -> float:
        """Correlation of a beat that is not final yet; NaN without a template or signal.

        Parameters
        ----------
        mv : [leads, samples]
            The newest signal.
        start : int
            Absolute number of its first sample.
        beat : Beat
        """
        beat_mv = self._cut(mv, start, beat)
        return float("nan") if beat_mv is None else self._correlation(beat_mv)

    def _cut(self, mv: Millivolts, start: int, beat: Beat) -> NDArray[np.float32] | None:
        """The beat's signal, each lead about its mean; None where not all of it is there."""
        at = self._at + (beat.sample - start)
        if at[0] < 0 or at[-1] >= mv.shape[1]:
            return None
        part = np.nan_to_num(mv[self._rows][:, at])
        return np.asarray(part - part.mean(axis=1, keepdims=True), np.float32)

    def _correlation(self, beat_mv: NDArray[np.float32]) -> float:
        if len(self._beats) < MIN_BEATS:
            return float("nan")
        if self._median is None:
            kept = np.stack(self._beats)
            middle = np.median(kept, axis=0)
            self._active = np.ptp(middle, axis=1) >= NO_ACTIVITY_MV
            size = np.median(np.sqrt(np.square(kept).mean(axis=2)), axis=0)
            self._scale = np.where(self._active, 1.0 / np.maximum(size, 1e-6), 0.0)[:, None].astype(np.float32)
            self._median = np.asarray(middle[:, MAX_LAG_SAMPLES:-MAX_LAG_SAMPLES] * self._scale, np.float32)
        active = self._active & (np.ptp(beat_mv, axis=1) >= NO_ACTIVITY_MV)  # a lead that is off now does not count
        if not active.any():
            return float("nan")
        template, scaled = _unit(self._median[active]), beat_mv[active] * self._scale[active]
        width, lags = template.shape[1], range(0, 2 * MAX_LAG_SAMPLES + 1, LAG_STEP_SAMPLES)
        return round(max(float(np.sum(_unit(scaled[:, lag : lag + width]) * template)) for lag in lags), 3)


def _preferred(leads: Sequence[str]) -> list[int]:
    """Rows of the leads of the template."""

    def rank(k: int) -> int:
        return LEAD_PREFERENCE.index(leads[k]) if leads[k] in LEAD_PREFERENCE else len(LEAD_PREFERENCE)

    return sorted(sorted(range(len(leads)), key=rank)[:MAX_LEADS])


def _unit(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each lead about its mean, all of it of length one."""
    x = x - x.mean(axis=1, keepdims=True)
    return np.asarray(x / (np.sqrt(np.square(x).sum()) + 1e-9), np.float32)

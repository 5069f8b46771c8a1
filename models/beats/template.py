"""Template of the bed's dominant beat, and the morphology correlation of each beat with it.

In: the newest signal in mV, [leads, samples], and the beats in it. Out: one correlation a beat, -1 to 1.
The morphology of a ventricular beat differs from patient to patient, and bundle-branch block or pacing makes every beat
wide. A run of beats that differ from the bed's own dominant beat is therefore a better sign of a ventricular run than
their width. The last 24 beats of the best three leads are clustered by their correlation. The template is the median of
the dominant class, to which the beats that are not ventricular belong: in bigeminy half of the beats are ventricular,
and a median of all would be of neither class. In bundle-branch block or pacing, where all beats look ventricular, the
largest class is dominant. No trained weights are used.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.beats.detector import LEAD_PREFERENCE, Beat
from models.ecg import Millivolts
from models.signal.windows import windows

BEFORE_S, AFTER_S = 0.112, 0.184  # about R: QRS complex and ST segment
TEMPLATE_FS_HZ = 250.0
MAX_LAG_SAMPLES = 4  # largest shift between beat and template, samples at 250 Hz
LAG_STEP_SAMPLES = 2
KEPT_BEATS = 24  # a class that is not ventricular stays dominant as long as four of them belong to it
MIN_CLASS_CORRELATION = 0.8  # of the beats of a class with the one in its middle
VENTRICULAR_WEIGHT = 0.15  # of a ventricular beat, when the dominant class is chosen; 1 of any other beat
MIN_CLASS_BEATS = 3  # where no class has more, the signal is noisy, and all beats make the template
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
        self._sizes: deque[NDArray[np.float32]] = deque(maxlen=KEPT_BEATS)  # RMS of each lead of each beat
        self._weights: deque[float] = deque(maxlen=KEPT_BEATS)
        self._median: NDArray[np.float32] | None = None  # of the dominant class, each lead divided by its own RMS
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
        self._sizes.clear()
        self._weights.clear()
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
        self._sizes.append(np.sqrt(np.square(beat_mv).mean(axis=1)))
        self._weights.append(VENTRICULAR_WEIGHT if beat.kind == "V" else 1.0)
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
        part = mv[self._rows, at[0] : at[-1] + 1][:, at - at[0]]
        if not np.isfinite(part).all():
            part = np.nan_to_num(part)
        return np.asarray(part - part.mean(axis=1, keepdims=True), np.float32)

    def _correlation(self, beat_mv: NDArray[np.float32]) -> float:
        if len(self._beats) < MIN_BEATS:
            return float("nan")
        if self._median is None:
            kept, sizes = np.array(self._beats), np.array(self._sizes)
            dominant = _dominant_class(kept, _median(sizes), np.array(self._weights))
            middle = _median(kept[dominant])
            self._active = np.ptp(middle, axis=1) >= NO_ACTIVITY_MV
            size = _median(sizes[dominant])
            self._scale = np.where(self._active, 1.0 / np.maximum(size, 1e-6), 0.0)[:, None].astype(np.float32)
            self._median = np.asarray(middle[:, MAX_LAG_SAMPLES:-MAX_LAG_SAMPLES] * self._scale, np.float32)
        active = self._active & (np.ptp(beat_mv, axis=1) >= NO_ACTIVITY_MV)  # a lead that is off now does not count
        if not active.any():
            return float("nan")
        template, shifted = _units(self._median[active][None])[0], _shifted(beat_mv[active] * self._scale[active])
        return round(float((_units(shifted) * template).sum(axis=1).max()), 3)


def _preferred(leads: Sequence[str]) -> list[int]:
    """Rows of the leads of the template."""

    def rank(k: int) -> int:
        return LEAD_PREFERENCE.index(leads[k]) if leads[k] in LEAD_PREFERENCE else len(LEAD_PREFERENCE)

    return sorted(sorted(range(len(leads)), key=rank)[:MAX_LEADS])


def _dominant_class(
    beats: NDArray[np.float32], size: NDArray[np.float32], weights: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which beats are of the dominant class; all of them where no class is large enough.

    Parameters
    ----------
    beats : float32 [beats, leads, samples]
        Beats, each lead about its mean, mV.
    size : float32 [leads]
        Usual RMS of each lead, mV.
    weights : float64 [beats]
        Weight of each beat in the choice of the dominant class.
    """
    scaled = beats / np.maximum(size, NO_ACTIVITY_MV)[:, None]
    shifted = np.swapaxes(_shifted(np.asarray(scaled, np.float32)), 0, 1)  # [lags, beats, leads, samples]
    units = _units(shifted.reshape(-1, *shifted.shape[2:])).reshape(*shifted.shape[:2], -1)
    correlation = (units @ units[len(units) // 2].T).max(axis=0)  # [beats, beats]
    similar = np.maximum(correlation, correlation.T) >= MIN_CLASS_CORRELATION
    if similar.all():
        return np.ones(len(beats), bool)
    best, best_weight = np.ones(len(beats), bool), 0.0
    left = np.ones(len(beats), bool)
    while left.sum() >= MIN_CLASS_BEATS:
        members = similar & left
        members[~left] = False
        found = members[int(members.sum(axis=1).argmax())]
        if found.sum() < MIN_CLASS_BEATS:
            break
        if weights[found].sum() > best_weight:
            best, best_weight = found, float(weights[found].sum())
        left &= ~found
    return best


def _units(beats: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each beat's leads about their means, all leads together of length one, [beats, leads x samples]."""
    flat = (beats - beats.mean(axis=2, keepdims=True)).reshape(len(beats), -1)
    return np.asarray(flat / (np.sqrt(np.square(flat).sum(axis=1, keepdims=True)) + 1e-9), np.float32)


def _shifted(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The signal at each lag, [..., lags, leads, samples] of [..., leads, lags more samples]."""
    width = x.shape[-1] - 2 * MAX_LAG_SAMPLES
    return np.swapaxes(windows(x, width, LAG_STEP_SAMPLES), -2, -3)


def _median(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Median over the first axis."""
    low, high = (len(x) - 1) // 2, len(x) // 2
    ordered = np.sort(x, axis=0)  # of so few in half the time of a partition
    return np.asarray((ordered[low] + ordered[high]) / 2, np.float32)

"""Plausibility of asystole: whether the beats or the lead's signal are missing.

In: the signal of each lead second by second, mV, [leads, samples]. Out: the leads on which a time without beats is
plausible as asystole. A lead whose electrode slips off, or whose amplifier is at its rail or recovers from it, shows no
beats either. Lead artefact is suspected when the silence began with an excursion, when the level of the lead has
shifted, or when the lead never showed a beat.
Source: own rules, chosen on the 57 false asystole alarms of CinC 2015 that are used here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.ecg import Millivolts
from models.signal.conditioning import fill_gaps
from models.signal.quantiles import middle
from models.signal.windows import windows

KEPT_S = 90  # seconds kept
TYPICAL_S = 60  # a lead's usual size and level are medians over this time
ARTEFACT_FACTOR = 3.0  # an excursion of this many times the usual peak-to-peak of a second is no beat
ARTEFACT_FLOOR_MV = 2.5  # and at least this high
ARTEFACT_CEILING_MV = 9.0  # nor is a higher one, whatever is usual, but for shocks: an input has ±5 mV (IEC 60601-2-27)
USUAL_EVERY_S = 5  # the usual size and level, which change slowly, are computed this often
LEVEL_FLOOR_MV = 1.0  # a smaller change of the level is none
MIN_BEAT_MV = 0.15  # IEC 60601-2-27: smaller deflections are no QRS
AFTER_ARTEFACT_S = 10.0  # asystole is plausible again this long after the last excursion
BEFORE_S = 3  # an excursion this long before the silence counts as its beginning
RAIL_S = 0.06  # equal samples far from the usual level for this long: an amplifier at its rail


class AsystolePlausibility:
    """Level, peak-to-peak and rail of each lead over the last 90 s, one row a second.

    Parameters
    ----------
    leads : sequence of str
        Leads of the bed.
    fs_hz : float
        Samples a second.
    """

    def __init__(self, leads: Sequence[str], fs_hz: float) -> None:
        self._leads = tuple(leads)
        self._fs = fs_hz
        self._level: deque[NDArray[np.float64]] = deque(maxlen=KEPT_S)
        self._range: deque[NDArray[np.float64]] = deque(maxlen=KEPT_S)
        self._usual = (np.zeros(len(self._leads)), np.zeros(len(self._leads)))
        self._seconds = 0
        self._rail: deque[NDArray[np.bool_]] = deque(maxlen=KEPT_S)

    def set_leads(self, leads: Sequence[str]) -> None:
        """Change the leads of the bed; a new one has no past."""
        rows = [self._leads.index(lead) if lead in self._leads else len(self._leads) for lead in leads]
        self._leads = tuple(leads)
        self._level = deque((np.append(row, np.nan)[rows] for row in self._level), maxlen=KEPT_S)
        self._range = deque((np.append(row, np.nan)[rows] for row in self._range), maxlen=KEPT_S)
        self._rail = deque((np.append(row, False)[rows] for row in self._rail), maxlen=KEPT_S)
        self._usual = (np.append(self._usual[0], 0.0)[rows], np.append(self._usual[1], 0.0)[rows])

    def update(self, second: Millivolts) -> None:
        """Take the newest second, mV [leads, samples]; NaN where a sample is missing."""
        known = np.asarray(np.isfinite(second).any(axis=1))
        filled = fill_gaps(second)[0]
        low, high = ((filled.shape[1] - 1) // 2, filled.shape[1] // 2)
        ordered = np.partition(filled, (low, high), axis=1)[:, [low, high]].astype(np.float64)  # faster than in double
        top, bottom = filled.max(axis=1).astype(np.float64), filled.min(axis=1).astype(np.float64)
        self._level.append(np.where(known, (ordered[:, 0] + ordered[:, 1]) / 2, np.nan))
        self._range.append(np.where(known, top - bottom, np.nan))
        self._seconds += 1
        if self._seconds % USUAL_EVERY_S == 1:
            self._usual = (_median(np.array(self._level)[-TYPICAL_S:]), _median(np.array(self._range)[-TYPICAL_S:]))
        self._rail.append(self._at_rail(filled))

    def _at_rail(self, filled: Millivolts) -> NDArray[np.bool_]:
        """Which leads are constant at a value far from their usual level, [leads]."""
        run = max(3, round(RAIL_S * self._fs))
        if filled.shape[1] <= run or not self._level:
            return np.zeros(len(filled), bool)
        still = np.abs(np.diff(filled, axis=1)) < 1e-6
        if still.sum(axis=1).max() < run - 1:
            return np.zeros(len(filled), bool)
        usual, size = self._usual
        away = np.abs(filled[:, 1:] - usual[:, None]) > np.maximum(LEVEL_FLOOR_MV, size)[:, None]
        both: NDArray[np.bool_] = np.logical_and(still, away)
        if np.count_nonzero(both, axis=1).max() < run - 1:
            return np.zeros(len(filled), bool)
        together = windows(both, run - 1)
        return np.array([bool(row.all(axis=1).any()) for row in together])

    def leads(self, silent_s: float, usable: Sequence[str], arrest: bool = False) -> tuple[str, ...]:
        """Leads on which ``silent_s`` without a beat is plausible as asystole.

        Parameters
        ----------
        silent_s : float
            Time without a beat in any lead, s.
        usable : sequence of str
            Leads usable now.
        arrest : bool
            Fibrillation, tachycardia or asystole was there just before: an excursion is a shock and not a lead that
            slips off, and the line may still return to its level.
        """
        seconds = min(int(np.ceil(silent_s)), len(self._level))
        before = len(self._level) - seconds
        levels = np.array(self._level)
        past = slice(max(0, before - TYPICAL_S), before)
        usual_size, usual_level = _median(np.array(self._range)[past]), _median(levels[past])
        disturbed = self._disturbed(usual_size, np.inf if arrest else ARTEFACT_CEILING_MV)
        with_beats = self._with_beats(before)
        present = np.isfinite(levels[-1])
        all_usable = all(lead in usable for lead, there in zip(self._leads, present, strict=True) if there)
        out = []
        for k, lead in enumerate(self._leads):
            if lead not in usable:
                continue
            if k not in with_beats:
                if all_usable and not with_beats:
                    out.append(lead)
                continue
            around = disturbed[before if arrest else max(0, before - BEFORE_S) :, k]
            quiet_s = int(np.argmax(around[::-1])) if around.any() else len(around)
            size, level = float(usual_size[k]), float(usual_level[k])
            moved = abs(float(levels[-1, k]) - level) > max(LEVEL_FLOOR_MV, 2.0 * size)
            if not (moved and not arrest) and (not around.any() or quiet_s >= AFTER_ARTEFACT_S):
                out.append(lead)
        return tuple(out)

    def quiet_s(self, silent_s: float, usable: Sequence[str]) -> float:
        """Seconds since the newest excursion within ``silent_s``, on the usable lead with beats where it is longest.

        Without such a lead there is no size to compare with: ``silent_s``.
        """
        before = len(self._level) - min(int(np.ceil(silent_s)), len(self._level))
        usual_size = _median(np.array(self._range)[max(0, before - TYPICAL_S) : before])
        disturbed = self._disturbed(usual_size)[before:]
        quiet = []
        for k in self._with_beats(before):
            if self._leads[k] in usable:
                quiet.append(float(np.argmax(disturbed[::-1, k])) if disturbed[:, k].any() else silent_s)
        return max(quiet, default=silent_s)

    def _with_beats(self, before: int) -> list[int]:
        """Rows of the leads that showed beats before the second ``before``."""
        past = slice(max(0, before - TYPICAL_S), before)
        largest = np.nanmax(np.array(self._range)[past], axis=0, initial=0)
        return [k for k in range(len(self._leads)) if largest[k] >= MIN_BEAT_MV]

    def _disturbed(self, usual_size: NDArray[np.float64], ceiling_mv: float = np.inf) -> NDArray[np.bool_]:
        """Seconds in which a lead was at its rail, or moved far more than its beats do, [seconds, leads].

        ``usual_size``: peak to peak of a second with beats, mV [leads]. A move of more than ``ceiling_mv`` counts
        whatever beats do.
        """
        limit = np.minimum(ceiling_mv, np.fmax(ARTEFACT_FLOOR_MV, ARTEFACT_FACTOR * usual_size))
        return np.asarray(np.array(self._rail) | (np.array(self._range) > limit))


def _median(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of each lead's seconds that are there, [leads]; NaN of a lead without any."""
    if rows.size and np.isfinite(rows).all():
        return middle(rows.T)
    return np.array([np.median(there) if len(there := lead[np.isfinite(lead)]) else np.nan for lead in rows.T])

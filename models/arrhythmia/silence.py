"""Is a silent lead believed? What each lead looked like second by second, and whether its silence is that of the heart.

A lead whose electrode slips off, whose amplifier sits at a rail or recovers from it is silent too. Its silence is not
believed when it began with an artefact, when its level has moved away, or when the lead never showed a beat while
others cannot be used. Most silences of the 57 false asystole alarms of CinC 2015 at hand look so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.ecg import Millivolts
from models.signal.conditioning import fill_gaps

KEPT_S = 90  # seconds remembered
TYPICAL_S = 60  # a lead's usual size and level are medians over this time
ARTEFACT_FACTOR = 3.0  # an excursion this many times the usual one of a second is no beat
ARTEFACT_FLOOR_MV = 2.5  # and at least this high
USUAL_EVERY_S = 5  # the usual size and level, which move slowly, are taken anew this often
LEVEL_FLOOR_MV = 1.0  # a level that moves less has not moved
SHOWS_BEATS_MV = 0.15  # IEC 60601-2-27: smaller deflections are no QRS
AFTER_ARTEFACT_S = 10.0  # a silence that began with an artefact is believed after this time
BEFORE_S = 3  # an artefact this long before the silence belongs to it
RAIL_RUN_S = 0.06  # equal samples far from the usual level for this long: an amplifier at its rail


class AsystolePlausibility:
    """The last minute and a half of each lead, a row a second.

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

    def update(self, second: Millivolts) -> None:
        """Take the newest second, [leads, samples] mV; NaN where there is no sample."""
        known: NDArray[np.bool_] = np.array([bool(np.isfinite(row).any()) for row in second], bool)
        filled = fill_gaps(second)[0].astype(np.float64)
        self._level.append(np.where(known, np.median(filled, axis=1), np.nan))
        self._range.append(np.where(known, np.ptp(filled, axis=1), np.nan))
        self._seconds += 1
        if self._seconds % USUAL_EVERY_S == 1:
            self._usual = (_median(np.array(self._level)[-TYPICAL_S:]), _median(np.array(self._range)[-TYPICAL_S:]))
        self._rail.append(self._at_rail(filled))

    def _at_rail(self, filled: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Leads that stand still away from their usual level."""
        run = max(3, round(RAIL_RUN_S * self._fs))
        if filled.shape[1] <= run or not self._level:
            return np.zeros(len(filled), bool)
        still = np.abs(np.diff(filled, axis=1)) < 1e-6
        if still.sum(axis=1).max() < run - 1:
            return np.zeros(len(filled), bool)
        usual, size = self._usual
        away = np.abs(filled[:, 1:] - usual[:, None]) > np.maximum(LEVEL_FLOOR_MV, size)[:, None]
        both: NDArray[np.bool_] = np.logical_and(still, away)
        together = np.lib.stride_tricks.sliding_window_view(both, run - 1, axis=1)
        return np.array([bool(row.all(axis=1).any()) for row in together])

    def believed(self, silent_s: float, usable: Sequence[str]) -> tuple[str, ...]:
        """Leads whose silence of the last ``silent_s`` seconds is that of the heart.

        Parameters
        ----------
        silent_s : float
            Seconds without a beat in any lead.
        usable : sequence of str
            Leads that may speak at all.
        """
        seconds = min(int(np.ceil(silent_s)), len(self._level))
        before = len(self._level) - seconds
        levels, ranges, rails = np.array(self._level), np.array(self._range), np.array(self._rail)
        past = slice(max(0, before - TYPICAL_S), before)
        largest = np.nanmax(ranges[past], axis=0, initial=0)
        shown = [k for k in range(len(self._leads)) if largest[k] >= SHOWS_BEATS_MV]
        all_usable = len(usable) == len(self._leads)
        out = []
        for k, lead in enumerate(self._leads):
            if lead not in usable:
                continue
            if k not in shown:
                if all_usable and not shown:
                    out.append(lead)
                continue
            size, level = (float(x[k]) for x in (_median(ranges[past]), _median(levels[past])))
            limit = max(ARTEFACT_FLOOR_MV, ARTEFACT_FACTOR * size)
            around = slice(max(0, before - BEFORE_S), len(levels))
            disturbed = rails[around, k] | (ranges[around, k] > limit)
            quiet_s = int(np.argmax(disturbed[::-1])) if disturbed.any() else len(disturbed)
            moved = abs(float(levels[-1, k]) - level) > max(LEVEL_FLOOR_MV, 2.0 * size)
            if not moved and (not disturbed.any() or quiet_s >= AFTER_ARTEFACT_S):
                out.append(lead)
        return tuple(out)


def _median(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of each lead's seconds that are there, [leads]; NaN of a lead without any."""
    return np.array([np.median(there) if len(there := lead[np.isfinite(lead)]) else np.nan for lead in rows.T])

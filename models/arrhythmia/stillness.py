"""Flatness of the line between beats, which separates bradycardia and asystole from missed beats and artefact.

In: the newest seconds of signal, mV [leads, samples], and the R peaks. Out: whether the line is flat between the beats.
A rate that is low because beats were missed or hidden by artefact has steep deflections between the detected beats.
Steepness is relative to that of the lead's own QRS complexes. Pacing pulses, which are narrower, are smoothed away.
Where mains interference comes and goes, only its edges are steep: a line that is flat but for them is flat.
Source: own method; the limit was chosen on CinC 2015 (see `STILL_BELOW`).
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d, uniform_filter1d

from models.ecg import Millivolts
from models.signal.conditioning import fill_gaps
from models.signal.mains import burst_samples
from models.signal.quantiles import middle
from models.signal.span_quality import MOTION_MV, MOTION_S

SMOOTH_S = 0.024  # a moving mean of this length keeps QRS complexes and removes pacing pulses
STEP_S = 0.04  # steepness is the change over this time: about a QRS complex's upstroke
BESIDE_R_S = 0.08  # a QRS complex lies within this of its R peak
MIN_STEEPNESS_MV = 0.05  # a lead whose beats are less steep does not count
QUICK = 0.6  # share of the usual RR after which a beat's T wave is over in a fast rhythm
AFTER_BEAT_S = 0.45  # from here after a beat on nothing steep is its own (QRS and T wave are over)
BEFORE_BEAT_S = 0.15  # and from here before the next one on it may be that one's
STILL_BELOW = 0.6  # true bradycardia and asystole of CinC 2015: 0.55 and less; false ones 0.7 and more
# In a silence nothing is as steep as a small beat: true asystole of CinC 2015 0.26 mV and less, missed beats 0.4 and
# more. Where no beat is known, nothing is as steep as the smallest QRS complex (IEC 60601-2-27).
SMALL_BEAT_MV, SMALLEST_BEAT_MV = 0.3, 0.15
LEAST_OF_A_BEAT = 0.25  # of the usual steepness of beats: wide ones are less steep, P waves far less
AFTER_T_S = 0.8  # from here after a beat on its T wave is over
SILENCE_S = 4.0  # newest time of a silence that is looked at
BEFORE_MARK_S, AFTER_MARK_S = 0.04, 0.08  # about a mark: a pulse behind a filter of 30 Hz; a captured beat goes on
NO_MARKS = np.zeros(0, np.int64)
MIN_BEATS = 3  # least number of beats for their usual steepness


class Stillness:
    """Steepness of the newest signal.

    Parameters
    ----------
    mv : float32 [leads, samples]
        Usable leads, mV; NaN where a sample is missing.
    fs_hz : float
        Samples a second.
    now : int
        Absolute sample number after the last sample of ``mv``.
    r : int64 [beats]
        R peaks, absolute samples; those within the signal are used.
    marks : int64 [marks]
        Pacing marks of the device, absolute samples: what is steep there alone is the pulse, which a filter made wide.
    """

    def __init__(
        self, mv: Millivolts, fs_hz: float, now: int, r: NDArray[np.int64], marks: NDArray[np.int64] = NO_MARKS
    ) -> None:
        self._step = max(1, round(STEP_S * fs_hz))
        self._filled = fill_gaps(mv)[0]
        self._smooth = smooth = uniform_filter1d(self._filled, max(1, round(SMOOTH_S * fs_hz)), axis=1)
        self._steep = np.abs(smooth[:, self._step :] - smooth[:, : -self._step])
        self._fs = fs_hz
        self._n = mv.shape[1]
        self._start = now - self._n
        self._r = r
        self._marks = marks

    def _most(self, start: float, stop: float) -> NDArray[np.float64]:
        """Steepest change of each lead between two places, samples after the first."""
        return self._most_of(self._steep, start, stop)

    def _most_of(self, steep: Millivolts, start: float, stop: float) -> NDArray[np.float64]:
        lo, hi = max(0, round(start)), min(self._n, round(stop)) - self._step
        if hi <= lo:
            return np.zeros(len(steep))
        return np.asarray(steep[:, lo:hi].max(axis=1), np.float64)

    @cached_property
    def _steep_beside_bursts(self) -> Millivolts | None:
        """Steepness without the places at which mains interference comes and goes; None without any."""
        burst = burst_samples(self._filled, self._fs)
        if not burst.any():
            return None
        steep: Millivolts = np.where(burst[:, : -self._step] | burst[:, self._step :], np.float32(0.0), self._steep)
        return steep

    def _beside_marks(self, steep: Millivolts) -> Millivolts:
        """Steepness without the places of marked pacing pulses."""
        places = self._marks - self._start
        places = places[(places >= 0) & (places < self._n)]
        if not len(places):
            return steep
        steep = steep.copy()
        for at in places.tolist():
            first = at - round(BEFORE_MARK_S * self._fs) - self._step
            steep[:, max(0, first) : max(0, at + round(AFTER_MARK_S * self._fs))] = 0.0
        return steep

    @cached_property
    def own(self) -> NDArray[np.float64]:
        """Steepness that is usual for this bed's beats, [leads]; NaN where there are too few."""
        beside = BESIDE_R_S * self._fs
        there = self._r[self._r - beside >= self._start] - self._start
        each = [self._most(at - beside, at + beside + self._step) for at in there.tolist()]
        return middle(np.array(each).T) if len(each) >= MIN_BEATS else np.full(len(self._steep), np.nan)

    def still(self, since: int, until: int | None = None) -> bool:
        """Whether some lead with beats is flat between all of them; True where no lead has enough beats.

        Parameters
        ----------
        since : int
            Absolute sample of a beat, or the end of an unusable interval.
        until : int, optional
            Absolute sample of the last beat; the end of the signal where it is left out.
        """
        with_beats = self.own >= MIN_STEEPNESS_MV  # False where it is NaN
        if not with_beats.any():
            return True
        end = self._start + self._n
        between = self._r[(self._r > since) & (self._r <= (end if until is None else until))].tolist()
        places = [max(since, self._start), *between, *([end] if until is None else [])]
        spans = [
            (
                a - self._start + AFTER_BEAT_S * self._fs,
                b - self._start - (0.0 if b == end else BEFORE_BEAT_S * self._fs),
            )
            for a, b in pairwise(places)
        ]

        def flat(steep: Millivolts) -> bool:
            most = np.zeros(len(steep))
            for span in spans:
                most = np.maximum(most, self._most_of(steep, *span))
            return bool((most[with_beats] < STILL_BELOW * self.own[with_beats]).any())

        return flat(self._steep) or (self._steep_beside_bursts is not None and flat(self._steep_beside_bursts))

    def beat_inside(self, since: int, until: int) -> NDArray[np.bool_]:
        """Which leads show something as steep as their own beats between two beats in a row, [leads].

        In a fast rhythm a beat that was missed follows the one before within `AFTER_BEAT_S`.
        """
        usual_s = float(np.median(np.diff(self._r))) / self._fs if len(self._r) > 1 else AFTER_BEAT_S / QUICK
        lo = since - self._start + min(AFTER_BEAT_S, QUICK * usual_s) * self._fs
        steep = self._most(lo, until - self._start - BEFORE_BEAT_S * self._fs)
        limit = np.minimum(STILL_BELOW * self.own, SMALL_BEAT_MV)  # a beat of another shape may be less steep
        return np.asarray((self.own >= MIN_STEEPNESS_MV) & (steep >= limit))  # False where it is NaN

    def beat_at(self, r: int) -> NDArray[np.bool_]:
        """Which leads show something about as steep as a beat of theirs at a sample, [leads]."""
        at, beside = r - self._start, BESIDE_R_S * self._fs
        return np.asarray(~(self._most(at - beside, at + beside + self._step) < LEAST_OF_A_BEAT * self.own))

    def silent(self, since: int, until: int | None = None) -> bool:
        """Whether in some lead nothing is as steep as a small beat, in the newest seconds of a time without beats.

        Parameters
        ----------
        since, until : int
            As in `still`.
        """
        with_beats = self.own >= MIN_STEEPNESS_MV
        hi = self._n if until is None else until - self._start - BEFORE_BEAT_S * self._fs
        lo = max(since - self._start + AFTER_T_S * self._fs, hi - SILENCE_S * self._fs)
        known = bool(with_beats.any())
        limit, leads = (SMALL_BEAT_MV, with_beats) if known else (SMALLEST_BEAT_MV, np.ones(len(with_beats), bool))

        def quiet(steep: Millivolts) -> bool:
            return bool((self._most_of(self._beside_marks(steep), lo, hi)[leads] < limit).any())

        return quiet(self._steep) or (self._steep_beside_bursts is not None and quiet(self._steep_beside_bursts))

    def level(self, since: int, until: int) -> bool:
        """Whether the baseline of some lead with beats keeps its level from one beat to the next.

        An amplifier that recovers from an excursion shows its beats too small to be found.
        """
        with_beats = self.own >= MIN_STEEPNESS_MV
        lo = max(0, since - self._start + round(AFTER_BEAT_S * self._fs))
        hi = min(self._n, until - self._start - round(BEFORE_BEAT_S * self._fs))
        if hi <= lo or not with_beats.any():
            return True
        line, width = self._smooth[with_beats, lo:hi], max(1, round(MOTION_S * self._fs))
        moved = maximum_filter1d(line, width, axis=1) - minimum_filter1d(line, width, axis=1)
        return bool((moved.max(axis=1) <= MOTION_MV).any())

"""Atrial rhythm: irregular or not, with P waves or without, from the beats of the last half minute.

In, once a hop: the beat track, the measured waves, the signal. Out: `AtrialRhythm.irregular`, `.fibrillating` (None
where the signal cannot tell) and the evidence of both.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.beat_track import METHOD, BeatTrack
from models.ecg import Ecg
from models.evidence import Criterion, Evidence
from models.wave_criteria import WaveBeat

LOOK_S = 30.0               # beats of this time are judged together
MIN_RRS = 10
IRREGULAR_LIMIT = 0.08      # median change from one RR to the next, over the median RR
ABSENT_P_LIMIT = 0.6        # share of beats without a P wave


class AtrialRhythm:
    """Irregularity and P waves of one bed, as of the last hop."""

    def __init__(self, fs_hz: float) -> None:
        self._fs = fs_hz
        self.irregular: bool | None = None
        self.fibrillating: bool | None = None
        self.onset: int | None = None
        self._track: BeatTrack | None = None
        self._absent_p = float("nan")
        self._first = 0

    def update(self, track: BeatTrack, waves: Sequence[WaveBeat], window: Ecg) -> None:
        """One hop."""
        del window
        self._track = track
        self.irregular = self.fibrillating = None
        if not track.leads:
            return
        recent = np.flatnonzero(track.r > track.now - LOOK_S * self._fs)
        if len(recent) < MIN_RRS + 1:
            return
        self._first = int(recent[0])
        self.onset = int(track.r[self._first])
        rr = track.rr_s[self._first:]
        normal = ~(track.ventricular[self._first:-1] | track.ventricular[self._first + 1:])
        index = irregularity(rr, normal)
        if index is None:
            return
        seen = [b for b in waves if b.sample >= self.onset and b.conducted]
        self._absent_p = float(np.mean([b.pr_ms is None for b in seen])) if seen else float("nan")
        self.irregular = index > IRREGULAR_LIMIT
        self.fibrillating = self.irregular and self._absent_p > ABSENT_P_LIMIT

    def evidence(self, code: str, over_s: float, source: str) -> tuple[Evidence, ...]:
        """REGULARITY over the judged beats, and ABSENT_P for atrial fibrillation."""
        track = self._track
        assert track is not None
        rr = np.diff(track.r[self._first:]) / self._fs
        start, end = int(track.r[self._first]), int(track.r[-1])
        rule = f"irregular {'without' if code == 'AFIB' else 'with'} P waves for {over_s:g} s"
        criterion = Criterion(rule, over_s, source)
        regularity = Evidence("REGULARITY", round(float(np.std(rr) / np.mean(rr)), 3), track.leads, start, end,
                              criterion=criterion, over_s=over_s, method=METHOD)
        if code != "AFIB" or not np.isfinite(self._absent_p):
            return (regularity,)
        absent = Evidence("ABSENT_P", round(self._absent_p, 3), track.leads, start, end, criterion=criterion,
                          over_s=over_s,
                          method=METHOD)
        return regularity, absent


def irregularity(rr_s: NDArray[np.float64], normal: NDArray[np.bool_]) -> float | None:
    """Median change from one RR to the next over the median RR, of beats that are not ventricular; None of too few."""
    good = np.isfinite(rr_s) & normal
    pairs = good[:-1] & good[1:]
    if good.sum() < MIN_RRS or pairs.sum() < MIN_RRS - 1:
        return None
    return float(np.median(np.abs(np.diff(rr_s)[pairs])) / np.median(rr_s[good]))

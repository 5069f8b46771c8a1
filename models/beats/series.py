"""The beats of a bed's last minutes as arrays: what the criteria of rate and of ventricular beats are written on.

Positions are absolute samples of the bed's stream. An RR interval counts only where a usable lead was watched from one
beat to the next: an interval that spans noise, a detached electrode or missing samples is no interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.evidence import BeatSpan, Criterion, Evidence

Span = tuple[int, int]
LIKE_FROM = 0.88  # likeness of a bed's own beats to their dominant one (0.95 and more, most of them)
METHOD = "beats 1"  # name and version of the beat detector, as cited


@dataclass(frozen=True, eq=False)
class BeatTrack:
    """Beats up to now.

    Attributes
    ----------
    fs_hz : float
        Samples a second.
    now : int
        Sample up to which signal has been seen.
    r : int array
        R positions, ascending.
    kinds : sequence of str
        ``N``, ``S``, ``V``, ``P`` (paced) or ``?`` for each.
    qrs_ms : float array
        QRS duration of each, NaN where it was not measured.
    confidence : float array
        0 to 1, of each.
    leads : tuple of str
        Usable leads now: what evidence is cited on.
    blind : sequence of (start, stop)
        Spans in which no lead was usable.
    since : int
        First sample watched.
    likeness : float array
        Of each beat to the bed's dominant one (`models.beats.template`), NaN where it cannot be told.
    """

    fs_hz: float
    now: int
    r: NDArray[np.int64]
    kinds: Sequence[str]
    qrs_ms: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    confidence: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    leads: tuple[str, ...] = ()
    blind: Sequence[Span] = ()
    since: int = 0
    likeness: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    @cached_property
    def like(self) -> NDArray[np.float64]:
        """`likeness`, NaN for every beat where it was not given, [beats]."""
        return self.likeness if len(self.likeness) == len(self.r) else np.full(len(self.r), np.nan)

    @cached_property
    def rr_s(self) -> NDArray[np.float64]:
        """Seconds from each beat to the next, [beats - 1]; NaN across a blind span."""
        rr = np.diff(self.r) / self.fs_hz
        for start, stop in self.blind:
            rr[(self.r[:-1] < stop) & (self.r[1:] > start)] = np.nan
        return rr

    @cached_property
    def running_s(self) -> float:
        """Seconds since the last beat; NaN where no usable lead was watched since, or there is no beat."""
        if not len(self.r):
            return float("nan")
        last = int(self.r[-1])
        if any(stop > last for _, stop in self.blind):
            return float("nan")
        return (self.now - last) / self.fs_hz

    @cached_property
    def silent_from(self) -> int:
        """Where the running silence began: the last beat, or where a usable lead was watched again after it."""
        seen_again = max((stop for _, stop in self.blind), default=self.since)
        return max(int(self.r[-1]) if len(self.r) else self.since, seen_again)

    @cached_property
    def silent_s(self) -> float:
        """Seconds since `silent_from`."""
        return (self.now - self.silent_from) / self.fs_hz

    @cached_property
    def ventricular(self) -> NDArray[np.bool_]:
        """Which beats are ventricular, [beats]."""
        return np.array([kind == "V" for kind in self.kinds], bool)

    @cached_property
    def ectopic(self) -> NDArray[np.bool_]:
        """Which beats are ventricular and unlike the bed's dominant beat, [beats].

        Where all beats look ventricular (bundle-branch block, pacing) none of them is ectopic.
        """
        return np.asarray(self.ventricular & ~(self.like >= LIKE_FROM), bool)

    def age_s(self, index: int) -> float:
        """Seconds since beat ``index``."""
        return float(self.now - self.r[index]) / self.fs_hz

    def rate_evidence(self, first: int, last: int, criterion: Criterion) -> Evidence:
        """HR over the beats ``first`` to ``last``, each with the RR that led to it."""
        r = self.r[first : last + 1]
        hr = 60.0 * (len(r) - 1) * self.fs_hz / float(r[-1] - r[0])
        beats = tuple(
            BeatSpan(int(b), int(a), int(b), round(float(b - a) / self.fs_hz, 4)) for a, b in pairwise(r.tolist())
        )
        return Evidence(
            "HR",
            round(hr, 1),
            self.leads,
            int(r[0]),
            int(r[-1]),
            beats,
            criterion,
            confidence=self._trust(first, last),
            method=METHOD,
        )

    def rr_evidence(self, first: int, criterion: Criterion) -> Evidence:
        """The RR from beat ``first`` to the next one; the silence since it, where none has come yet."""
        start = int(self.r[first])
        ended = first + 1 < len(self.r)
        stop = int(self.r[first + 1]) if ended else self.now
        value = round((stop - start) / self.fs_hz, 4)
        beat = BeatSpan(start, start, stop, value)
        return Evidence(
            "RR" if ended else "SILENCE",
            value,
            self.leads,
            start,
            stop,
            (beat,),
            criterion,
            confidence=self._trust(first, first),
            method=METHOD,
        )

    def _trust(self, first: int, last: int) -> float:
        known = self.confidence[first : last + 1] if len(self.confidence) == len(self.r) else np.ones(1)
        return round(float(np.clip(np.mean(known), 0.0, 1.0)), 3)

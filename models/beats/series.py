"""The beats of a bed's last minutes as arrays, the input of the criteria of rate and of ventricular beats.

In: the beats of one bed, and the intervals in which no lead was usable. Out: `BeatTrack` with RR intervals, the running
interval since the last beat, ventricular and ectopic beats, and the evidence that criteria cite.
Positions are absolute samples of the bed's stream. An RR interval counts only where a lead was usable from one beat to
the next: an interval across noise, a detached electrode or missing samples is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.beats.detector import Beat
from models.evidence import BeatSpan, Criterion, Evidence

Span = tuple[int, int]  # first sample, and the one after the last
MIN_DOMINANT_CORRELATION = 0.88  # of a beat of the dominant morphology; most have 0.95 and more
METHOD = "beats 1"  # name and version of the beat detector, as cited


@dataclass(frozen=True, eq=False, kw_only=True)
class BeatTrack:
    """Beats up to now; all arrays have one value a beat.

    Attributes
    ----------
    fs_hz : float
        Samples a second.
    now : int
        Absolute sample up to which the signal is known.
    r : int64 [beats]
        R peaks, absolute samples, ascending.
    kinds : sequence of str, one a beat
        ``N``, ``S``, ``V``, ``P`` (paced) or ``?``.
    qrs_ms : float64 [beats]
        QRS duration, ms; NaN where it was not measured.
    confidence : float64 [beats]
        Confidence of the detection, 0 to 1.
    correlation : float64 [beats]
        Morphology correlation with the bed's dominant-beat template (`models.beats.template`); NaN where there is none.
    leads : tuple of str
        Leads usable now; evidence is cited on them.
    unusable : sequence of (start, stop)
        Intervals in which no lead was usable.
    since : int
        First sample of the bed's stream.

    Raises
    ------
    ValueError
        An array has another length than ``r``.
    """

    fs_hz: float
    now: int
    r: NDArray[np.int64]
    kinds: Sequence[str]
    qrs_ms: NDArray[np.float64]
    confidence: NDArray[np.float64]
    correlation: NDArray[np.float64]
    leads: tuple[str, ...] = ()
    unusable: Sequence[Span] = ()
    since: int = 0

    def __post_init__(self) -> None:
        for name in ("kinds", "qrs_ms", "confidence", "correlation"):
            if len(getattr(self, name)) != len(self.r):
                raise ValueError(f"BeatTrack has {len(self.r)} beats, but {len(getattr(self, name))} {name}")

    @classmethod
    def of_beats(
        cls,
        beats: Sequence[Beat],
        *,
        fs_hz: float,
        now: int,
        leads: tuple[str, ...] = (),
        unusable: Sequence[Span] = (),
        since: int = 0,
    ) -> BeatTrack:
        """The track of ``beats``, in order of their R peaks; the other parameters are those of the class."""
        return cls(
            fs_hz=fs_hz,
            now=now,
            r=np.array([b.sample for b in beats], np.int64),
            kinds=[b.kind for b in beats],
            qrs_ms=np.array([b.qrs_ms for b in beats], float),
            confidence=np.array([b.confidence for b in beats], float),
            correlation=np.array([b.correlation for b in beats], float),
            leads=leads,
            unusable=unusable,
            since=since,
        )

    def until(self, now: int) -> BeatTrack:
        """The track of an earlier instant: beats up to ``now``, and the unusable intervals that began before it."""
        unusable = [(start, min(stop, now)) for start, stop in self.unusable if start < now]
        return replace(self._only(self.r <= now), now=now, unusable=unusable)

    def confident(self, least: float) -> BeatTrack:
        """The track of the beats with a confidence of ``least`` or more."""
        clear = self.confidence >= least
        return self if clear.all() else self._only(clear)

    def _only(self, which: NDArray[np.bool_]) -> BeatTrack:
        return replace(
            self,
            r=self.r[which],
            kinds=[kind for kind, kept in zip(self.kinds, which.tolist(), strict=True) if kept],
            qrs_ms=self.qrs_ms[which],
            confidence=self.confidence[which],
            correlation=self.correlation[which],
        )

    @cached_property
    def rr_s(self) -> NDArray[np.float64]:
        """Seconds from each beat to the next, [beats - 1]; NaN across an unusable interval."""
        rr = np.diff(self.r) / self.fs_hz
        for start, stop in self.unusable:
            rr[(self.r[:-1] < stop) & (self.r[1:] > start)] = np.nan
        return rr

    @cached_property
    def running_s(self) -> float:
        """Seconds since the last beat; NaN after an unusable interval, or without a beat."""
        if not len(self.r):
            return float("nan")
        last = int(self.r[-1])
        if any(stop > last for _, stop in self.unusable):
            return float("nan")
        return (self.now - last) / self.fs_hz

    @cached_property
    def silent_from(self) -> int:
        """Start of the running interval without a beat: the last beat, or the end of an unusable interval after it."""
        usable_again = max((stop for _, stop in self.unusable), default=self.since)
        return max(int(self.r[-1]) if len(self.r) else self.since, usable_again)

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
        """Which beats are ventricular and not of the dominant morphology, [beats].

        In bundle-branch block or pacing, where all beats look ventricular, none is ectopic.
        """
        return np.asarray(self.ventricular & ~(self.correlation >= MIN_DOMINANT_CORRELATION), bool)

    def age_s(self, index: int) -> float:
        """Seconds since beat ``index``."""
        return float(self.now - self.r[index]) / self.fs_hz

    def first_within(self, seconds: float) -> int:
        """Index of the first beat that is not older than this; the number of beats where all are."""
        return int(np.count_nonzero((self.now - self.r) / self.fs_hz > seconds))

    def rate_evidence(self, first: int, last: int, criterion: Criterion) -> Evidence:
        """HR over the beats ``first`` to ``last``, per minute; each beat is cited with the RR before it."""
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
            confidence=self._confidence(first, last),
            method=METHOD,
        )

    def rr_evidence(self, first: int, criterion: Criterion) -> Evidence:
        """RR from beat ``first`` to the next one, s; SILENCE since ``first`` where it is the last beat."""
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
            confidence=self._confidence(first, first),
            method=METHOD,
        )

    def _confidence(self, first: int, last: int) -> float:
        return round(float(np.clip(np.mean(self.confidence[first : last + 1]), 0.0, 1.0)), 3)

"""Schedules by seed: drawn, run, judged, and made smaller where they violate a rule.

A violation that the undistorted source shows too is no fault of a producer: an episode that the record does not raise
with the leads at hand is not demanded of a distorted one, and a false alarm of the record itself is not counted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from models.beats.detector import RECORDED, find_beats
from tests.fuzz.distortion import Distortion
from tests.fuzz.feed import Signal
from tests.fuzz.harness import Run, run
from tests.fuzz.oracle import Violation, violations
from tests.fuzz.schedule import Built, Schedule, build, draw
from tests.fuzz.sources import Source, sources


@dataclass(frozen=True)
class Outcome:
    """A schedule with the violations of its run.

    Attributes
    ----------
    records : Counter
        Records of the fuzzed bed, legal and illegal.
    demanded : bool
        It had a lethal episode that had to be raised.
    """

    seed: int
    schedule: Schedule
    violations: tuple[Violation, ...]
    records: Counter[str]
    demanded: bool


@dataclass(frozen=True)
class OneLead(Distortion):
    """One lead of the source alone."""

    lead: int = 0

    def on_signal(self, signal: Signal) -> None:
        signal.leads = [signal.leads[self.lead % len(signal.leads)]]
        signal.mv, signal.usable = (x[[self.lead % len(x)]] for x in (signal.mv, signal.usable))


class Fuzzer:
    """Draws, runs and judges schedules over one set of sources."""

    def __init__(self, data: Path | None, *, icu: bool = True) -> None:
        self.sources: dict[str, Source] = sources(data, icu)
        self._undistorted: dict[tuple[Schedule, str], bool] = {}
        self._beats = lru_cache(maxsize=None)(self._find_beats)

    def run(self, schedule: Schedule) -> tuple[Built, Run, list[Violation]]:
        """Run one schedule and judge it."""
        built = self._build(schedule)
        found = run(built.records, schedule.clean_start_s)
        return built, found, [v for v in violations(built, found) if not self._in_the_source(schedule, v.kind)]

    def outcome(self, seed: int) -> Outcome:
        """Run the schedule of a seed."""
        schedule = draw(seed, self.sources)
        built, _, wrong = self.run(schedule)
        records = Counter("illegal" if r.illegal else "legal" for r in built.records)
        return Outcome(seed, schedule, tuple(wrong), records, built.must_raise)

    def smallest(self, schedule: Schedule, kind: str) -> Schedule:
        """A schedule with as few distortions as still violate the rule."""
        shorter = True
        while shorter:
            shorter = False
            for k in range(len(schedule.distortions)):
                fewer = replace(schedule, distortions=schedule.distortions[:k] + schedule.distortions[k + 1 :])
                if any(v.kind == kind for v in self.run(fewer)[2]):
                    schedule, shorter = fewer, True
                    break
        return schedule

    def _build(self, schedule: Schedule) -> Built:
        source = self.sources[schedule.source]
        return build(schedule, source, self._beats(schedule.source))

    def _find_beats(self, name: str) -> list[float]:
        signal = self.sources[name].ecg
        return [beat.sample / signal.fs_hz for beat in find_beats(signal, RECORDED)]

    def _in_the_source(self, schedule: Schedule, kind: str) -> bool:
        """The undistorted source violates the same rule, with its leads together or with one alone."""
        if kind == "episode not raised":
            return any(self._violates(schedule, d, kind) for d in ((), (OneLead(lead=0),), (OneLead(lead=1),)))
        return kind == "false lethal alarm" and self._violates(schedule, (), kind)

    def _violates(self, schedule: Schedule, distortions: tuple[Distortion, ...], kind: str) -> bool:
        plain = replace(schedule, clean_start_s=0.0, distortions=distortions)
        if (plain, kind) not in self._undistorted:
            built = self._build(plain)
            self._undistorted[plain, kind] = any(v.kind == kind for v in violations(built, run(built.records)))
        return self._undistorted[plain, kind]

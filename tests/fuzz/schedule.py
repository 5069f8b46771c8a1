"""A schedule: a source, its length, and distortions; drawn from a seed, and built into the records of one bed.

`repr` of a `Schedule` is Python that makes it again, so a failure is kept as it is printed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.fuzz.distortion import Distortion
from tests.fuzz.feed import GRID_HZ, LETHAL, Episode, Packet, Record, Signal, cut, present_map, unusable, usable_map
from tests.fuzz.illegal_messages import Illegal, bed_of_partition
from tests.fuzz.message_distortions import MESSAGE_DISTORTIONS, Flood, Restart, SecondProducer, Sequence
from tests.fuzz.signal_distortions import SIGNAL_DISTORTIONS
from tests.fuzz.sources import Source
from tests.fuzz.timing_distortions import TIMING_DISTORTIONS, DeviceClock, GatewayClock

KINDS = (*SIGNAL_DISTORTIONS, *TIMING_DISTORTIONS, *MESSAGE_DISTORTIONS, Illegal)
BED_STREAM = bed_of_partition("icu-3/", 0)
CLEAN_STREAM = bed_of_partition("icu-4/", 0)
OTHER_TIMES = (DeviceClock, GatewayClock, Restart, SecondProducer, Sequence, Flood)
LEARNT_S = 10.0  # usable signal before an episode that must be raised
RAISED_S = 10.0


@dataclass(frozen=True)
class Schedule:
    """One schedule.

    Attributes
    ----------
    source : str
        Name of a `Source`.
    before_s, after_s : float
        Signal before and after the onset; of a source without an episode, their sum is taken.
    clean_start_s : float
        When the clean bed beside it begins.
    distortions : tuple of Distortion
    """

    source: str
    before_s: float = 16.0
    after_s: float = 14.0
    clean_start_s: float = 0.0
    distortions: tuple[Distortion, ...] = ()

    @property
    def seconds(self) -> float:
        """Length of the schedule."""
        return self.before_s + self.after_s

    @property
    def timing_only(self) -> bool:
        """Every distortion is a legal one of time and order: the analysis must find what it finds without."""
        return all(d.timing_only for d in self.distortions)

    def inputs(self) -> Counter[str]:
        """The distortions by kind."""
        return Counter(
            f"{type(d).__name__}: {d.kind}" if hasattr(d, "kind") else type(d).__name__ for d in self.distortions
        )


@dataclass(frozen=True)
class Built:
    """The records of a schedule, and what is true of them.

    Attributes
    ----------
    records : list of Record
        In order of arrival.
    must_raise : bool
        The episode must be raised.
    deadline_s : float
        By when: the signal up to 10 s after the onset has arrived.
    longest_s : float
        The longest message.
    present : array, one value each 1 / `GRID_HZ` s, or None
        Some lead had a sample; None where documents may rightly state other times than those of the schedule.
    """

    schedule: Schedule
    episode: Episode | None
    packets: list[Packet]
    records: list[Record]
    must_raise: bool
    deadline_s: float
    longest_s: float
    present: NDArray[np.bool_] | None


def draw(seed: int, names: Mapping[str, Source], *, most: int = 6) -> Schedule:
    """The schedule of a seed."""
    rng = np.random.default_rng([seed, 13])
    source = list(names.values())[int(rng.integers(len(names)))]
    before_s, after_s = float(rng.integers(11, 19)), float(rng.integers(12, 16))
    weights = np.array([kind.weight for kind in KINDS])
    only_timing = rng.random() < 0.2
    if only_timing:
        weights = weights * [kind.timing_only for kind in KINDS]
    chosen: list[Distortion] = []
    for _ in range(int(rng.integers(1, most + 1))):
        kind = KINDS[int(rng.choice(len(KINDS), p=weights / weights.sum()))]
        if kind.group and any(d.group == kind.group for d in chosen):
            continue
        chosen.append(kind.draw(rng, before_s + after_s))
    return Schedule(source.name, before_s, after_s, float(rng.choice((0.0, 8.0, 16.0))), tuple(chosen))


def build(schedule: Schedule, source: Source, beats_s: list[float]) -> Built:
    """The records of a schedule; ``beats_s`` are the R waves of the source."""
    ordered = sorted(schedule.distortions, key=lambda d: d.stage)
    signal = _signal(schedule, source, beats_s)
    for distortion in ordered:
        distortion.on_signal(signal)
    lengths = next((d.lengths_s() for d in ordered if d.lengths_s()), (1.0,))
    packets = cut(signal, lengths)
    for distortion in ordered:
        packets = distortion.on_packets(packets)
    if _states_losses(ordered):
        for packet in packets:
            unusable(packet)
    key, other = BED_STREAM.encode(), CLEAN_STREAM.encode()
    records = [Record(p.append_s, key, p.message(BED_STREAM).SerializeToString()) for p in packets]
    for distortion in ordered:
        records += distortion.records(packets, key, other)
    records.sort(key=lambda r: r.append_s)
    must, deadline_s = _must_raise(signal, packets, schedule.seconds)
    longest_s = max((p.seconds for p in packets), default=0.0)
    other_times = any(isinstance(d, OTHER_TIMES) for d in ordered)
    present = None if other_times else present_map(packets, schedule.seconds)
    return Built(schedule, signal.episode, packets, records, must, deadline_s, longest_s, present)


def _states_losses(distortions: list[Distortion]) -> bool:
    """Every second number is left out, and device times are too unsteady to show that no message is lost.

    docs/produce.md: numbers count by one. A number that is left out is a lost message, unless exact device times show
    that no sample is missing.
    """
    doubled = any(isinstance(d, Sequence) and d.kind == "doubled" for d in distortions)
    return doubled and any(isinstance(d, DeviceClock) and d.kind in ("truncated", "jittered") for d in distortions)


def _signal(schedule: Schedule, source: Source, beats_s: list[float]) -> Signal:
    ecg, onset_s = source.ecg, source.onset_s
    start_s = 0.0 if onset_s is None else max(0.0, onset_s - schedule.before_s)
    part = ecg.slice(round(start_s * ecg.fs_hz), round((start_s + schedule.seconds) * ecg.fs_hz))
    episode = None if onset_s is None else Episode(source.code, onset_s - start_s)
    assert episode is None or episode.code in LETHAL
    return Signal(
        leads=list(part.leads),
        fs_hz=part.fs_hz,
        mv=part.mv.copy(),
        usable=np.ones(part.mv.shape, bool),
        episode=episode,
        beats_s=[b - start_s for b in beats_s if start_s <= b and (onset_s is None or b <= onset_s)],
        demands_episode=source.clear,
    )


def _must_raise(signal: Signal, packets: list[Packet], seconds: float) -> tuple[bool, float]:
    episode = signal.episode
    if episode is None or not signal.demands_episode:
        return False, 0.0
    start, stop = round((episode.onset_s - LEARNT_S) * GRID_HZ), round((episode.onset_s + RAISED_S) * GRID_HZ)
    lines = usable_map(packets, seconds).values()
    if start < 0 or not any(line.size >= stop and line[start:stop].all() for line in lines):
        return False, 0.0
    needed = [p.append_s for p in packets if p.usable.any() and p.start_s < episode.onset_s + RAISED_S]
    return True, max(needed)

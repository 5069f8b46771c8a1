"""Fault 24: two producers send for one bed. It has a name, and the two hearts are never put together to one rhythm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain

from streams.wire import EcgWindow
from tests.agents.signals import ecg, messages
from tests.agents.ward import BedUnderTest


def both(a: Iterable[EcgWindow], b: Iterable[EcgWindow]) -> list[EcgWindow]:
    return list(chain.from_iterable(zip(a, b, strict=False)))


def test_two_producers_in_one_epoch_are_named_and_their_rates_are_not_added() -> None:
    one, other = messages(ecg(60, bpm=75)), messages(ecg(60, bpm=85, seed=2))
    bed = BedUnderTest().feed(one[:20] + both(one[20:], other[20:]))
    assert {a.code for a in bed.alerts} == {"DUPLICATE_SOURCE"}
    assert bed.alerts[0].priority == "PL"
    assert all(abs(v.hr - 75) < 4 for v in bed.vitals[15:] if v.hr)


def test_an_older_epoch_that_goes_on_for_five_seconds_into_a_newer_is_named() -> None:
    old, new = messages(ecg(60)), messages(ecg(60, seed=2), epoch=2)
    bed = BedUnderTest().feed(old[:20] + both(new[20:40], old[20:40]))
    first = bed.of("DUPLICATE_SOURCE")[0]
    named_s = (first.onset.timestamp() - old[20].device_time_ns / 1e9, first.published.timestamp())
    assert 4.0 <= named_s[0] <= 7.0


def test_the_standstill_of_the_other_producer_is_not_this_patients() -> None:
    one, other = messages(ecg(60)), messages(ecg(60, silent=[(25.0, 50.0)], seed=2))
    bed = BedUnderTest().feed(one[:20] + both(one[20:], other[20:]))
    assert bed.of("ASYSTOLE") == []


def test_the_standstill_of_the_one_that_was_there_first_is_found_though_the_other_heart_beats() -> None:
    one, other = messages(ecg(60, silent=[(25.0, 50.0)])), messages(ecg(60, seed=2))
    bed = BedUnderTest().feed(one[:20] + both(one[20:], other[20:]))
    assert bed.of("ASYSTOLE")[0].sounding


def test_it_ends_when_one_of_them_stops() -> None:
    one, other = messages(ecg(90)), messages(ecg(90, seed=2))
    bed = BedUnderTest().feed(one[:20] + both(one[20:40], other[20:40]) + one[40:])
    assert bed.of("DUPLICATE_SOURCE")[-1].phase.value == "end"


def test_when_the_first_falls_silent_the_other_is_watched() -> None:
    one = messages(ecg(80))
    other = [replace(w, sequence=w.sequence) for w in messages(ecg(80, silent=[(45.0, 70.0)], seed=2))]
    bed = BedUnderTest().feed(one[:20] + both(one[20:30], other[20:30]) + other[30:])
    assert bed.of("ASYSTOLE")[0].sounding

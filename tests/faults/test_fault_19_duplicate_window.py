"""Fault 19: the same window arrives twice. It counts once: no beat twice, no alert twice, no version more."""

from __future__ import annotations

from itertools import chain

from streams.alert import Alert
from tests.agents.signals import ecg, messages
from tests.agents.ward import BedUnderTest

STANDSTILL = messages(ecg(50, silent=[(20.0, 32.0)]))  # last beat at 19.6 s, next at 32.4 s


def outcomes(alerts: list[Alert]) -> list[tuple[object, ...]]:
    return [(a.id, a.version, a.state, a.sounding, a.onset, a.end, a.citations) for a in alerts]


def test_every_window_sent_twice_gives_the_alerts_of_every_window_sent_once() -> None:
    once = BedUnderTest().feed(STANDSTILL)
    twice = BedUnderTest().feed(chain.from_iterable((window, window) for window in STANDSTILL))
    assert once.of("ASYSTOLE")
    assert outcomes(twice.alerts) == outcomes(once.alerts)


def test_a_retry_of_the_last_seconds_changes_nothing() -> None:
    once = BedUnderTest().feed(STANDSTILL)
    retried = BedUnderTest().feed([*STANDSTILL[:28], *STANDSTILL[20:28], *STANDSTILL[28:]])
    assert [a.id for a in retried.of("ASYSTOLE")] == [a.id for a in once.of("ASYSTOLE")]
    assert retried.of("DUPLICATE_SOURCE") == []


def test_a_duplicate_is_no_faster_heart() -> None:
    bed = BedUnderTest().feed(chain.from_iterable((w, w) for w in messages(ecg(40, bpm=100))))
    assert bed.alerts == []
    assert {round(v.hr) for v in bed.vitals[15:] if v.hr} <= set(range(98, 103))

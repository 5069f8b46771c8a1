"""Fault 31: the feed stops. A technical alarm within 10 s says so, also for a bed that was silent before the worker."""

from __future__ import annotations

from streams.alert import State
from tests.agents.signals import S, ecg, messages
from tests.agents.ward import BedUnderTest


def test_the_alarm_comes_within_ten_seconds_of_the_last_message_and_ends_with_the_next() -> None:
    windows = messages(ecg(60))
    bed = BedUnderTest().feed(windows[:20]).wait(10)
    (alert,) = bed.of("SILENT_FEED")
    assert (alert.published - alert.onset).total_seconds() <= 10.0
    assert (alert.kind, alert.priority, alert.sounding) == ("technical", "PM", True)
    bed.feed(windows[35:37])
    assert bed.of("SILENT_FEED")[-1].state is State.OFF


def test_an_asystole_that_was_on_when_the_feed_stopped_stays_on() -> None:
    bed = BedUnderTest().feed(messages(ecg(40, silent=[(20.0, 40.0)]))[:28]).wait(60)
    assert bed.of("SILENT_FEED") and bed.of("ASYSTOLE")[-1].state is State.ON


def test_a_worker_that_starts_an_hour_later_names_it_once_it_has_read_to_the_end() -> None:
    before = BedUnderTest().feed(messages(ecg(20)))
    after = BedUnderTest(before.monitor.bed, generation=2)
    after.clock.set_ns(before.clock.now_ns() + 3600 * S)
    after.outputs += after.monitor.tick(caught_up=False)
    assert after.alerts == [], "the messages may still be there, unread"
    after.outputs += after.monitor.tick(caught_up=True)
    assert [a.code for a in after.alerts] == ["SILENT_FEED"]

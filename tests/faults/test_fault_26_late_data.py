"""Fault 26: data arrives minutes late. It never takes the place of the newest signal, and history does not sound."""

from __future__ import annotations

from dataclasses import replace

from tests.agents.signals import T0_NS, S, ecg, messages
from tests.agents.ward import BedUnderTest


def test_messages_that_come_three_minutes_late_do_not_disturb_the_newest_signal() -> None:
    windows = messages(ecg(240))
    standstill = messages(ecg(240, silent=[(20.0, 30.0)], seed=2))[20:30]
    bed = BedUnderTest().feed([*windows[:20], *windows[30:210]])
    known = len(bed.alerts)
    bed.offset += 1
    for window in standstill:
        bed.outputs += bed.monitor.apply_window(window, bed.offset, bed.clock.now_ns())
        bed.offset += 1
    bed.feed(windows[210:])
    assert not any(a.sounding for a in bed.alerts[known:])
    assert bed.of("ASYSTOLE") == []


def test_a_device_that_was_cut_off_sends_what_it_kept_and_then_what_is_now() -> None:
    """Cut off from 30 to 150 s, asystole from 60 to 72 s; at 150 s everything comes at once, in order."""
    windows = messages(ecg(180, silent=[(60.0, 72.0)]))
    bed = BedUnderTest().feed(windows[:30]).wait(120)
    for window in windows[30:150]:
        bed.offset += 1
        bed.outputs += bed.monitor.apply_window(window, bed.offset, T0_NS + 150 * S)
    bed.feed(windows[150:])
    first = bed.of("ASYSTOLE")[0]
    assert (first.late, first.sounded) == (True, False)
    assert not any(a.sounded for a in bed.of("ASYSTOLE"))


def test_an_asystole_of_now_sounds_though_old_data_came_before_it() -> None:
    windows = messages(ecg(180, silent=[(60.0, 72.0), (160.0, 175.0)]))
    bed = BedUnderTest().feed(windows[:30]).wait(120)
    for window in windows[30:150]:
        bed.offset += 1
        bed.outputs += bed.monitor.apply_window(window, bed.offset, T0_NS + 150 * S)
    bed.feed(windows[150:])
    old, new = {a.id: a for a in bed.of("ASYSTOLE")}.values()
    assert (old.late, old.sounded) == (True, False)
    assert (new.late, new.sounded) == (False, True)


def test_a_gateway_whose_clock_runs_a_minute_behind_is_no_history() -> None:
    slow = [replace(w, gateway_time_ns=w.gateway_time_ns - 60 * S) for w in messages(ecg(50, silent=[(20.0, 40.0)]))]
    bed = BedUnderTest()
    for k, window in enumerate(slow):
        bed.clock.set_ns(T0_NS + (k + 1) * S)
        bed.outputs += bed.monitor.apply_window(window, k, bed.clock.now_ns())
        bed.clock.advance_s(0.6)
        bed.outputs += bed.monitor.tick(caught_up=True)
    first = bed.of("ASYSTOLE")[0]
    assert (first.sounding, first.late) == (True, False)

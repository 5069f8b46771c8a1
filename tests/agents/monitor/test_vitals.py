"""Vitals once a second for every monitored bed, whatever arrives; what they say of the newest verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from agents.monitor.bed import system_bed
from streams.alert import State
from streams.bed import Action, Vitals
from streams.document import ns_of_time
from streams.wire import EcgWindow
from tests.agents.law import vitals_gaps
from tests.agents.signals import T0_NS, S, ecg, messages
from tests.agents.ward import BedUnderTest

WINDOWS = messages(ecg(60))


def unreadable(window: EcgWindow) -> EcgWindow:
    return replace(window, samples=np.full_like(window.samples, -32768))


def after(bed: BedUnderTest, seconds: float) -> list[Vitals]:
    return [v for v in bed.vitals if ns_of_time(v.at) > T0_NS + seconds * S]


@pytest.mark.parametrize(
    ("what", "feed"),
    [
        ("the signal", lambda bed: bed.feed(WINDOWS)),
        ("nothing after 20 s", lambda bed: bed.feed(WINDOWS[:20]).wait(40)),
        ("no samples after 20 s", lambda bed: bed.feed(WINDOWS[:20]).feed(map(unreadable, WINDOWS[20:]))),
        ("messages of 10 s", lambda bed: [bed.wait(10).feed([w]) for w in messages(ecg(60), message_s=10.0)]),
        ("every second message", lambda bed: [bed.feed([w]).wait(1) for w in WINDOWS[::2]]),
    ],
)
def test_a_monitored_bed_has_vitals_every_second(what: str, feed: Callable[[BedUnderTest], object]) -> None:
    bed = BedUnderTest()
    bed.wait(1)
    feed(bed)
    assert vitals_gaps(bed.written, bed.clock.now_ns()) == [], what


def test_the_time_of_the_newest_verdict_is_in_them() -> None:
    bed = BedUnderTest().feed(WINDOWS)
    assert [v.judged_at for v in bed.vitals[:3]] == [None] * 3
    last = bed.vitals[-1]
    assert last.judged_at is not None and (last.at - last.judged_at).total_seconds() <= 1.0


def test_signal_makes_one_a_second_with_a_trace_and_the_clock_adds_none() -> None:
    bed = BedUnderTest().feed(WINDOWS)
    assert len(after(bed, 1)) == pytest.approx(59, abs=1)
    assert all(v.wave is not None for v in after(bed, 1))


def test_without_signal_there_is_no_trace_and_after_ten_seconds_no_number_of_the_rhythm() -> None:
    bed = BedUnderTest().feed(WINDOWS[:20]).wait(30)
    silent = after(bed, 21)
    assert all(v.wave is None for v in silent)
    recent = [v for v in silent if ns_of_time(v.at) <= T0_NS + 29 * S]
    assert {v.rhythm for v in recent} == {"regular rhythm"} and all(v.hr for v in recent)
    old = after(bed, 31)
    assert old and {(v.rhythm, v.hr, v.pvc_per_min) for v in old} == {(None, None, None)}
    assert {v.judged_at for v in old} == {recent[-1].judged_at}


def test_late_signal_without_a_new_verdict_has_a_trace_and_no_number_of_the_rhythm() -> None:
    fast = messages(ecg(60, 140.0))
    bed = BedUnderTest().feed(fast[:24])
    assert bed.vitals[-1].rhythm == "tachycardia"
    bed.wait(12)
    for k in (28, 29, 30):  # after a gap three seconds, late: too few for a verdict, and the tachycardia is held
        bed.keep(bed.monitor.apply_window(fast[k], k, bed.clock.now_ns()))
        bed.wait(2 if k == 28 else 0)
    late = bed.vitals[-1]
    assert (
        late.wave is not None
        and late.judged_at is not None
        and bed.clock.now_ns() - ns_of_time(late.judged_at) > 11 * S
    )
    assert (late.rhythm, late.hr, late.pvc_per_min, late.st) == (None, None, None, {})


def test_the_end_of_the_alarm_that_said_why_comes_with_the_verdict_that_ended_it() -> None:
    first, second, *_ = messages(ecg(60), message_s=10.0)
    bed = BedUnderTest().feed([first])
    bed.clock.advance_s(0.3)  # so that nothing else is due when the message comes
    bed.wait(22)
    assert bed.of("SILENT_FEED")
    bed.clock.advance_s(0.1)
    bed.keep(bed.monitor.apply_window(second, 1, bed.clock.now_ns()))
    assert bed.of("SILENT_FEED")[-1].state is State.OFF
    newest = bed.vitals[-1]
    assert newest.at == bed.clock_time and newest.judged_at is not None
    assert ns_of_time(newest.judged_at) == pytest.approx(T0_NS + 20 * S, abs=S)


def test_a_verdict_after_none_is_told_at_once_whatever_message_brings_it() -> None:
    bed = BedUnderTest()
    for k, window in enumerate(messages(ecg(60), message_s=2.0)[:14]):  # of a gateway whose clock is 14 s slow
        arrival_s = 2.05 * (k + 1) if k < 12 else 36.9  # the last two come late, together
        while bed.clock.now_ns() + S // 2 < T0_NS + arrival_s * S:
            bed.clock.advance_s(0.5)
            bed.keep(bed.monitor.tick(caught_up=True))
        bed.clock.set_ns(T0_NS + round(arrival_s * S))
        slow = replace(window, gateway_time_ns=window.gateway_time_ns - 14 * S)
        bed.keep(bed.monitor.apply_window(slow, k, bed.clock.now_ns()))
        if k == 12:
            assert bed.of("SILENT_FEED")[-1].state is State.OFF
    newest = bed.vitals[-1]
    assert newest.judged_at is not None and ns_of_time(newest.judged_at) > bed.clock.now_ns() - 10 * S


def test_a_bed_in_standby_and_the_bed_of_the_workers_have_none() -> None:
    bed = BedUnderTest().feed(WINDOWS[:10])
    standby = Action(id="s1", action="standby", bed_stream="icu-3/07", by="rn-12", at=bed.clock_time)
    bed.keep(bed.monitor.apply_action(standby, 0)[0])
    bed.feed(WINDOWS[10:]).wait(10)
    assert after(bed, 11) == []
    assert BedUnderTest(system_bed(T0_NS)).wait(20).vitals == []


def test_old_signal_makes_no_vitals_of_its_own_time() -> None:
    bed = BedUnderTest()
    bed.clock.set_ns(T0_NS + 300 * S)
    for k, window in enumerate(WINDOWS[:30]):  # five minutes old, all at once
        bed.keep(bed.monitor.apply_window(window, k, T0_NS + 300 * S))
    bed.wait(1)
    assert [ns_of_time(vitals.at) - T0_NS for vitals in bed.vitals] == [300 * S, 301 * S]
    assert all(vitals.wave is None and vitals.rhythm is None for vitals in bed.vitals)

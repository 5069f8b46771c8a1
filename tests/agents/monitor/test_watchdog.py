"""The watchdog: CANNOT_ANALYZE where a bed has no verdict and no other technical alarm says why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from agents.monitor.bed import new_bed
from agents.monitor.watchdog import watch
from streams.alert import Alert, Provenance, State
from streams.bed import SYSTEM, Action, Bed, Status
from streams.document import ns_of_time, time_of_ns
from streams.wire import EcgWindow
from tests.agents.bedside import Bedside, condition, ns
from tests.agents.law import violations
from tests.agents.signals import T0_NS, S, ecg, messages
from tests.agents.ward import BedUnderTest

CODE = "CANNOT_ANALYZE"


def watched(bed: Bed, judged_at: float | None, now: float, limit_s: float = 10.0) -> tuple[float, float | None] | None:
    """Onset and end of the report, seconds; None without one."""
    report = watch(bed, None if judged_at is None else ns(judged_at), limit_s, ns(now), Provenance(monitor="0"))
    if report is None:
        return None
    return (report.onset_ns - ns(0)) / S, None if report.end_ns is None else (report.end_ns - ns(0)) / S


def on(code: str, at: float = 20, **more: str) -> Bed:
    bedside = Bedside()
    bedside.at(at, condition(code, at - 9, at, **more))  # type: ignore[arg-type]
    return bedside.bed


@pytest.mark.parametrize(("age_s", "begins"), [(0, False), (9.4, False), (9.5, True), (10, True), (3600, True)])
def test_it_speaks_by_the_time_the_limit_has_passed_since_the_newest_verdict(age_s: float, begins: bool) -> None:
    assert watched(Bedside().bed, 100, 100 + age_s) == ((100, None) if begins else None)


def test_without_a_verdict_the_time_counts_from_the_beds_since() -> None:
    assert watched(Bedside().bed, None, 9.4) is None
    assert watched(Bedside().bed, None, 9.5) == (0, None)


def test_the_limit_of_the_bed_is_used() -> None:
    assert watched(Bedside().bed, 100, 104.6, limit_s=5) == (100, None)
    assert watched(Bedside().bed, 100, 120, limit_s=30) is None


@pytest.mark.parametrize("status", [Status.STANDBY, Status.DISCHARGED])
def test_a_bed_that_is_not_monitored_is_not_watched(status: Status) -> None:
    assert watched(Bedside(status=status).bed, None, 100) is None


def test_the_bed_of_the_workers_themselves_is_not_watched() -> None:
    assert watched(new_bed(SYSTEM, SYSTEM, SYSTEM, ns(0)), None, 100) is None


def test_a_bed_that_comes_back_from_standby_is_watched_from_then_on() -> None:
    resumed = Bedside(since=time_of_ns(ns(50)), by="rn-12").bed
    assert watched(resumed, 10, 59) is None
    assert watched(resumed, 10, 60) == (50, None)


@pytest.mark.parametrize("code", ["SILENT_FEED", "NOISY_SIGNAL"])
def test_it_does_not_speak_beside_an_alarm_that_explains_it(code: str) -> None:
    assert watched(on(code), 0, 20) is None


def test_leads_off_explains_it_where_all_of_them_are_off() -> None:
    assert watched(on("LEADS_OFF", priority="PM"), 0, 20) is None
    assert watched(on("LEADS_OFF"), 0, 20) == (0, None)


@pytest.mark.parametrize("code", ["ASYSTOLE", "CLOCK_JUMP", "DUPLICATE_SOURCE", "PATIENT_MISMATCH"])
def test_no_other_alarm_explains_it(code: str) -> None:
    assert watched(on(code), 0, 20) == (0, None)


def test_it_ends_with_the_next_verdict_and_where_another_alarm_explains_it() -> None:
    bedside = Bedside()
    bedside.at(20, condition(CODE, 10, 20))
    assert watched(bedside.bed, 10, 21) == (10, None), "it goes on as the same alert"
    assert watched(bedside.bed, 21, 22) == (10, 21)
    bedside.at(21, condition("SILENT_FEED", 12, 21))
    assert watched(bedside.bed, 10, 22) == (10, 22)


def test_it_begins_anew_at_once_where_the_explanation_ends_without_a_verdict() -> None:
    bedside = Bedside()
    bedside.at(20, condition(CODE, 10, 20))
    bedside.at(21, condition(CODE, 10, 21, end=21))
    onset, end = watched(bedside.bed, 10, 22) or (0, 0)
    assert end is None and 21 < onset < 21.001
    bedside.at(22, condition(CODE, onset, 22))
    assert [a.state for a in bedside.alerts(CODE)] == [State.OFF, State.ON]


# ---- on a bed, from its messages to its alerts ----------------------------------------------------------------------


def cannot_analyze(bed: BedUnderTest) -> list[tuple[float, str | None, Alert]]:
    """Onset (s), reason and newest version of each alert."""
    newest: dict[str, Alert] = {a.id: a for a in bed.of(CODE)}
    return [((ns_of_time(a.onset) - T0_NS) / S, a.citations[0].reason, a) for a in newest.values()]


def lawful(bed: BedUnderTest) -> bool:
    return violations(bed.written, bed.clock.now_ns()) == []


def without_samples(windows: Sequence[EcgWindow]) -> list[EcgWindow]:
    return [replace(w, samples=np.full_like(w.samples, -32768)) for w in windows]


def test_messages_without_a_single_sample_are_named() -> None:
    windows = messages(ecg(60))
    bed = BedUnderTest().feed(windows[:20]).feed(without_samples(windows[20:]))
    ((onset, reason, alert),) = cannot_analyze(bed)
    assert onset == pytest.approx(20, abs=0.1) and reason == "no samples"
    assert (alert.priority, alert.kind, alert.title, alert.state) == ("PM", "technical", "Cannot analyze ECG", "on")
    assert (alert.detected - alert.onset).total_seconds() <= 10.1
    citation = alert.citations[0]
    assert (citation.measure, citation.unit) == ("SILENCE", "s") and citation.value >= 9.5
    assert citation.criterion is not None and citation.criterion.limit == 10
    assert lawful(bed)


def test_every_second_message_without_samples_is_named() -> None:
    windows = messages(ecg(60))
    bed = BedUnderTest().feed(w if k % 2 else without_samples([w])[0] for k, w in enumerate(windows))
    ((onset, reason, alert),) = cannot_analyze(bed)
    assert onset == 0 and reason == "no uninterrupted usable signal"
    assert alert.citations[0].measure == "QUALITY"
    assert lawful(bed)


def test_an_epoch_that_begins_with_every_message_is_named() -> None:
    """Each epoch begins a new analysis, so that none has the 4 s of signal that a verdict needs."""
    windows = messages(ecg(60))
    bed = BedUnderTest().feed(windows[:20]).feed(replace(w, epoch=2 + k) for k, w in enumerate(windows[20:]))
    ((onset, _, alert),) = cannot_analyze(bed)
    assert 19 <= onset <= 20.1 and alert.state is State.ON
    assert (alert.detected - alert.onset).total_seconds() <= 10.1
    assert bed.vitals[-1].rhythm is None and bed.vitals[-1].hr is None
    assert lawful(bed)


def test_it_ends_with_the_first_verdict() -> None:
    windows = messages(ecg(60))
    bed = BedUnderTest().feed(windows[:10]).feed(without_samples(windows[10:30])).feed(windows[30:])
    ((_, _, alert),) = cannot_analyze(bed)
    assert alert.state is State.OFF and alert.end is not None
    verdicts = {v.judged_at for v in bed.vitals if v.judged_at and v.judged_at > alert.detected}
    assert alert.end == min(verdicts) and 34 <= (ns_of_time(alert.end) - T0_NS) / S <= 38
    assert lawful(bed)


def test_a_silent_feed_is_not_named_twice_and_what_follows_it_is_lawful() -> None:
    windows = messages(ecg(60))
    bed = BedUnderTest().feed(windows[:20]).wait(12)
    assert bed.of("SILENT_FEED") and cannot_analyze(bed) == []
    bed.feed(windows[33:])
    assert bed.of("SILENT_FEED")[-1].state is State.OFF
    ((_, _, alert),) = cannot_analyze(bed)  # until the first verdict after the outage
    assert alert.state is State.OFF and lawful(bed)


def test_a_bed_in_standby_is_not_watched() -> None:
    windows = messages(ecg(60))
    bed = BedUnderTest().feed(windows[:10])
    standby = Action(id="s1", action="standby", bed_stream="icu-3/07", by="rn-12", at=bed.clock_time)
    bed.keep(bed.monitor.apply_action(standby, 0)[0])
    bed.feed(without_samples(windows[10:]))
    assert cannot_analyze(bed) == [] and lawful(bed)


def test_a_worker_that_took_over_goes_on_with_the_alert() -> None:
    windows = messages(ecg(60))
    dark = without_samples(windows[10:])
    before = BedUnderTest().feed(windows[:10]).feed(dark[:20])
    after = BedUnderTest(before.monitor.bed, generation=2)
    after.feed(windows[:10], replay=True).feed(dark[:20], replay=True).feed(dark[20:30]).feed(windows[40:])
    assert {a.id for a in after.of(CODE)} == {a.id for a in before.of(CODE)}
    assert after.of(CODE)[-1].state is State.OFF


def test_a_bed_that_nothing_reaches_after_a_takeover_is_named_at_once() -> None:
    before = BedUnderTest().feed(messages(ecg(20)))
    after = BedUnderTest(before.monitor.bed, generation=2)
    after.clock.set_ns(T0_NS + 40 * S)
    after.wait(1)
    assert {a.code for a in after.alerts} == {"SILENT_FEED"}


def test_a_gateway_clock_that_runs_ahead_does_not_hide_a_missing_verdict() -> None:
    windows = [replace(w, gateway_time_ns=w.gateway_time_ns + 3600 * S) for w in messages(ecg(20))]
    bed = BedUnderTest()
    for k, window in enumerate([*windows, *without_samples(messages(ecg(40)))[20:]]):
        bed.clock.set_ns(T0_NS + (k + 1) * S)
        bed.keep(bed.monitor.apply_window(window, k, bed.clock.now_ns()))
        bed.keep(bed.monitor.tick(caught_up=True))
    assert bed.of(CODE)


@pytest.mark.parametrize("message_s", [2.0, 5.0, 10.0])
def test_long_messages_are_judged_when_they_end(message_s: float) -> None:
    bed = BedUnderTest()
    for window in messages(ecg(80), message_s=message_s):
        bed.wait((window.gateway_time_ns - bed.clock.now_ns()) / S).feed([window])
    assert cannot_analyze(bed) == []

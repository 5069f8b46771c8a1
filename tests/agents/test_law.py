"""The oracle of the law: it finds each span in which nothing says why a bed has no verdict, and no other."""

from __future__ import annotations

import pytest

from streams.bed import Bed, Status, Vitals
from streams.document import time_of_ns
from tests.agents.bedside import Bedside, condition, ns
from tests.agents.law import Written, violations, vitals_gaps

BED = Bedside().bed


def vitals(at: float, judged_at: float | None) -> tuple[int, Written]:
    judged = None if judged_at is None else time_of_ns(ns(judged_at))
    return ns(at), Vitals(bed_stream=BED.bed_stream, at=time_of_ns(ns(at)), judged_at=judged)


def with_alarm(code: str, onset: float, at: float, **more: str) -> tuple[int, Bed]:
    bedside = Bedside()
    bedside.at(at, condition(code, onset, at, **more))  # type: ignore[arg-type]
    return ns(at), bedside.bed


def spans(written: list[tuple[int, Written]], stop: float) -> list[tuple[float, float]]:
    return [((v.start_ns - ns(0)) / 1e9, (v.stop_ns - ns(0)) / 1e9) for v in violations(written, ns(stop))]


def test_a_bed_that_is_judged_every_second_keeps_the_law() -> None:
    assert spans([(ns(0), BED), *(vitals(k + 0.5, k) for k in range(4, 60))], 60) == []


def test_a_bed_without_a_verdict_and_without_an_alarm_breaks_it_after_eleven_seconds() -> None:
    assert spans([(ns(0), BED)], 30) == [(11, 30)]
    assert spans([(ns(0), BED), vitals(20, 20), vitals(21, 20), vitals(40, 20)], 45) == [(11, 20), (31, 45)]


@pytest.mark.parametrize("code", ["SILENT_FEED", "NOISY_SIGNAL"])
def test_a_technical_alarm_that_explains_it_keeps_the_law(code: str) -> None:
    assert spans([(ns(0), BED), with_alarm(code, 2, 10)], 100) == []


def test_leads_off_explains_it_only_where_all_are_off() -> None:
    assert spans([(ns(0), BED), with_alarm("LEADS_OFF", 2, 10, priority="PM")], 30) == []
    assert spans([(ns(0), BED), with_alarm("LEADS_OFF", 2, 10)], 30) == [(11, 30)]


@pytest.mark.parametrize("code", ["ASYSTOLE", "CLOCK_JUMP", "DUPLICATE_SOURCE"])
def test_no_other_alarm_explains_it(code: str) -> None:
    assert spans([(ns(0), BED), with_alarm(code, 2, 10)], 30) == [(11, 30)]


def test_a_bed_in_standby_need_not_be_judged() -> None:
    standby = BED.changed(status=Status.STANDBY)
    assert spans([(ns(0), BED), (ns(8), standby)], 100) == []
    resumed = BED.changed(since=time_of_ns(ns(50)), by="rn-12")
    assert spans([(ns(0), BED), (ns(8), standby), (ns(50), resumed)], 70) == [(61, 70)]


def test_vitals_are_missing_where_two_seconds_pass_without_them() -> None:
    written: list[tuple[int, Written]] = [(ns(0), BED), *(vitals(k, None) for k in (1, 2, 3, 7, 8))]
    assert vitals_gaps(written, ns(9)) == [(ns(3), ns(7))]

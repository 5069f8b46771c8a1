"""The states of an alert: on, acknowledged, latched, off; its id, its versions, and which episode it stands for."""

from __future__ import annotations

import hashlib

import pytest

from streams.alert import Phase, Segment, State
from streams.document import ns_of_time, time_of_ns
from tests.agents.bedside import Bedside, condition, ns


def test_the_id_is_made_of_bed_code_and_onset_as_it_is_recorded() -> None:
    bed = Bedside()
    bed.at(14, condition("ASYSTOLE", 10.123456, 14))
    alert = bed.only("ASYSTOLE")
    onset_ns = ns_of_time(alert.onset)
    assert onset_ns == ns(10.123456)
    assert alert.id == hashlib.sha256(f"icu-3/07|ASYSTOLE|{onset_ns}".encode()).hexdigest()[:32]


def test_an_onset_between_microseconds_gives_the_id_of_the_onset_in_the_document() -> None:
    bed = Bedside()
    report = condition("ASYSTOLE", 10, 14)
    bed.at(14, type(report)("ASYSTOLE", ns(10) + 371, ns(14), ns(14)))
    alert = bed.only("ASYSTOLE")
    assert alert.id == hashlib.sha256(f"icu-3/07|ASYSTOLE|{ns_of_time(alert.onset)}".encode()).hexdigest()[:32]
    bed.at(15, type(report)("ASYSTOLE", ns(10) + 371, ns(14), ns(15)))
    assert len(bed.record) == 1, "the same onset is the same alert"


def test_a_condition_that_goes_on_makes_no_new_versions() -> None:
    bed = Bedside()
    for second in range(14, 60):
        bed.at(second, condition("EXTREME_TACHY", 7, second, detected=14))
    assert [(a.version, a.phase, a.state) for a in bed.record] == [(1, Phase.START, State.ON)]


def test_a_lethal_alarm_latches_when_its_condition_ends_and_sounds_until_somebody_acknowledges_it() -> None:
    bed = Bedside()
    bed.at(14, condition("ASYSTOLE", 10, 14))
    bed.at(22, condition("ASYSTOLE", 10, 17, end=17))
    alert = bed.only("ASYSTOLE")
    assert (alert.state, alert.phase, alert.sounding) == (State.LATCHED, Phase.UPDATE, True)
    assert ns_of_time(alert.end) == ns(17), "the end is where the condition last held"
    bed.wait(60)
    assert bed.only("ASYSTOLE").sounding
    assert bed.do(61, "acknowledge", alert).applied
    alert = bed.only("ASYSTOLE")
    assert (alert.state, alert.phase, alert.sounding) == (State.OFF, Phase.END, False)
    assert alert.acknowledged is not None
    assert alert.acknowledged.by == "rn-12"
    assert ns_of_time(alert.acknowledged.at) == ns(61)


def test_an_acknowledged_lethal_alarm_is_silent_and_off_with_its_condition() -> None:
    bed = Bedside()
    bed.at(14, condition("VFIB", 10, 14))
    bed.do(16, "acknowledge", bed.only("VFIB"))
    alert = bed.only("VFIB")
    assert (alert.state, alert.phase, alert.sounding, alert.sounded) == (State.ACKNOWLEDGED, Phase.UPDATE, False, True)
    bed.at(30, condition("VFIB", 10, 24, end=24))
    assert (bed.only("VFIB").state, bed.only("VFIB").phase) == (State.OFF, Phase.END)
    assert [a.version for a in bed.record] == [1, 2, 3]


@pytest.mark.parametrize("code", ["BRADY", "AFIB", "QT_LONG", "LEADS_OFF", "SILENT_FEED"])
def test_any_other_alarm_is_off_with_its_condition(code: str) -> None:
    bed = Bedside()
    bed.at(70, condition(code, 10, 70))
    assert bed.only(code).sounding
    bed.at(80, condition(code, 10, 75, end=75))
    alert = bed.only(code)
    assert (alert.state, alert.phase, alert.sounding) == (State.OFF, Phase.END, False)


def test_the_first_acknowledgement_stands() -> None:
    bed = Bedside()
    bed.at(14, condition("VFIB", 10, 14))
    bed.do(16, "acknowledge", bed.only("VFIB"), by="rn-12")
    outcome = bed.do(20, "acknowledge", bed.only("VFIB"), by="md-3")
    assert not outcome.applied
    assert "rn-12" in outcome.reason
    alert = bed.only("VFIB")
    assert alert.acknowledged is not None
    assert alert.acknowledged.by == "rn-12"
    assert alert.version == 2


def test_what_comes_back_later_than_five_seconds_is_a_new_alert_that_sounds_though_the_old_one_is_latched() -> None:
    bed = Bedside()
    bed.at(14, condition("ASYSTOLE", 10, 14))
    bed.at(22, condition("ASYSTOLE", 10, 16, end=16))
    bed.at(34, condition("ASYSTOLE", 30, 34))
    first, second = bed.alerts("ASYSTOLE")
    assert (first.state, first.sounding, first.superseded_by) == (State.LATCHED, False, second.id)
    assert (second.state, second.sounding, second.version) == (State.ON, True, 1)


def test_what_comes_back_while_the_old_one_is_acknowledged_sounds() -> None:
    bed = Bedside()
    bed.at(14, condition("ASYSTOLE", 10, 14))
    bed.do(15, "acknowledge", bed.only("ASYSTOLE"))
    bed.at(34, condition("ASYSTOLE", 10, 16, end=16), condition("ASYSTOLE", 30, 34))
    first, second = bed.alerts("ASYSTOLE")
    assert first.state is State.OFF
    assert second.sounding


def test_what_is_back_within_five_seconds_is_the_same_latched_alert_on_again() -> None:
    bed = Bedside()
    bed.at(14, condition("VTACH", 10, 14))
    bed.at(20, condition("VTACH", 10, 15, end=15))
    bed.at(22, condition("VTACH", 18, 22))
    alert = bed.only("VTACH")
    assert (alert.state, alert.sounding, alert.end) == (State.ON, True, None)


def test_a_condition_without_a_report_goes_on() -> None:
    bed = Bedside()
    bed.at(14, condition("BRADY", 2, 14))
    for second in range(15, 40):
        bed.at(second)
    assert bed.only("BRADY").state is State.ON


def test_a_worker_that_finds_the_beginning_elsewhere_goes_on_with_the_same_alert() -> None:
    bed = Bedside()
    bed.at(24, condition("EXTREME_TACHY", 10, 24))
    bed.do(25, "acknowledge", bed.only("EXTREME_TACHY"))
    bed.at(60, condition("EXTREME_TACHY", 31, 60))
    assert len(bed.alerts()) == 1
    assert bed.sounding() == []


def test_a_report_that_arrives_after_the_end_changes_nothing() -> None:
    bed = Bedside()
    bed.at(14, condition("BRADY", 2, 14))
    bed.at(21, condition("BRADY", 2, 15, end=15))
    known = len(bed.record)
    bed.at(22, condition("BRADY", 2, 13))
    bed.at(23, condition("BRADY", 2, 15, end=15))
    assert len(bed.record) == known


def test_instants_never_merge_and_stay_on_for_twenty_seconds() -> None:
    bed = Bedside()
    bed.at(11, condition("VPAIR", 10, 11, detected=11))
    bed.at(14, condition("VPAIR", 10, 11, detected=11), condition("VPAIR", 13, 14, detected=14))
    assert len(bed.alerts("VPAIR")) == 2
    bed.wait(30.9)
    assert [a.state for a in bed.alerts("VPAIR")] == [State.ON, State.ON]
    bed.wait(31)
    assert [a.state for a in bed.alerts("VPAIR")] == [State.OFF, State.ON]
    bed.wait(34)
    assert [a.state for a in bed.alerts("VPAIR")] == [State.OFF, State.OFF]


def test_an_instant_found_a_few_milliseconds_away_after_a_restart_is_the_same() -> None:
    bed = Bedside()
    bed.at(11, condition("R_ON_T", 10.000, 10.5))
    bed.at(12, condition("R_ON_T", 10.008, 10.5))
    assert len(bed.alerts()) == 1


def test_a_condition_over_for_more_than_thirty_seconds_before_it_was_seen_is_recorded_and_never_sounds() -> None:
    bed = Bedside()
    bed.at(100, condition("ASYSTOLE", 40, 60, end=60, live=False), condition("TACHY", 20, 39, end=39, live=False))
    asystole, tachy = bed.only("ASYSTOLE"), bed.only("TACHY")
    assert (asystole.late, asystole.sounded, asystole.state) == (True, False, State.LATCHED)
    assert (tachy.late, tachy.sounded) == (True, False)
    bed.wait(500)
    assert not any(version.sounding for version in bed.record)
    assert bed.only("TACHY").state is State.OFF
    assert bed.only("ASYSTOLE").state is State.LATCHED, "it is shown until somebody has seen it"
    assert bed.only("ASYSTOLE").reminders == 0


def test_a_lethal_condition_over_for_less_than_thirty_seconds_sounds() -> None:
    bed = Bedside()
    bed.at(80, condition("ASYSTOLE", 40, 51, end=51, live=False))
    assert (bed.only("ASYSTOLE").late, bed.only("ASYSTOLE").sounding) == (False, True)


def test_a_condition_that_still_holds_in_the_newest_signal_is_never_late() -> None:
    bed = Bedside()
    bed.at(4000, condition("VFIB", 10, 400))
    assert (bed.only("VFIB").late, bed.only("VFIB").sounding) == (False, True)


def test_a_condition_on_in_old_signal_waits_until_its_end_is_known() -> None:
    bed = Bedside()
    bed.at(500, condition("VTACH", 10, 20, live=False))
    assert bed.record == []
    bed.at(501, condition("VTACH", 10, 25, end=25, live=False))
    assert bed.only("VTACH").late


def test_all_leads_off_after_one_was_acknowledged_is_a_new_alarm() -> None:
    bed = Bedside()
    bed.at(5, condition("LEADS_OFF", 3, 5))
    bed.do(6, "acknowledge", bed.only("LEADS_OFF"))
    bed.at(200, condition("LEADS_OFF", 3, 200, priority="PM"))
    bed.at(201, condition("LEADS_OFF", 3, 201, priority="PM"))
    one, every = bed.alerts("LEADS_OFF")
    assert (one.state, one.priority) == (State.OFF, "PL")
    assert (every.state, every.priority, every.sounding) == (State.ON, "PM", True)


def test_an_alert_stays_in_the_bed_for_ten_minutes_after_it_is_off() -> None:
    bed = Bedside()
    bed.at(14, condition("BRADY", 2, 14))
    bed.at(20, condition("BRADY", 2, 15, end=15))
    bed.wait(619)
    assert len(bed.bed.alerts) == 1
    bed.wait(620)
    assert bed.bed.alerts == []


def test_a_bed_full_of_single_beats_keeps_its_document_small_and_its_memory_of_what_sounded() -> None:
    bed = Bedside()
    for k in range(300):
        bed.at(10 + 2 * k, condition("R_ON_T", 10 + 2 * k, 10.5 + 2 * k))
    bed.wait(612)
    assert len(bed.bed.alerts) <= 64 + 10, "64 that are off, and those that are on for 20 s"
    assert [a.sounded for a in bed.bed.alerts].count(True) == 1, "the first sounded, 600 s hold the others quiet"


def test_the_strip_of_an_alert_is_named_by_its_id() -> None:
    bed = Bedside()
    segment = Segment(start=time_of_ns(ns(4)), duration_s=10.0, sampling_rate=250.0, strip="")
    bed.at(14, condition("ASYSTOLE", 10, 14, segment=segment))
    alert = bed.only("ASYSTOLE")
    assert alert.segment is not None
    assert alert.segment.strip == f"ecg:{{main}}:strip:{alert.id}"

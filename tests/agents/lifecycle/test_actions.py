"""What people do: each action once, with who and when; what cannot be done says why and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from agents.lifecycle.rules import Rules
from agents.lifecycle.state_machine import identify
from models.arrhythmia.limits import Limits
from streams.alert import State
from streams.bed import Baseline, Status
from streams.document import ns_of_time
from tests.agents.bedside import Bedside, condition, ns


def sick() -> Bedside:
    """A bed with an asystole and a long QT, both sounding, 20 s into the test."""
    bed = Bedside()
    bed.at(14, condition("ASYSTOLE", 10, 14), condition("QT_LONG", 2, 14))
    bed.wait(20)
    return bed


def test_every_action_leaves_who_and_when() -> None:
    bed = sick()
    bed.do(21, "silence", by="rn-12", seconds=60)
    bed.do(30, "limits", by="md-3", BRADY={"rate": 45})
    assert [(c.what, c.by, ns_of_time(c.at)) for c in bed.bed.changes] == [
        ("audio paused 60 s", "rn-12", ns(21)),
        ("limits BRADY rate=45", "md-3", ns(30)),
    ]


def test_an_action_that_arrives_twice_is_applied_once() -> None:
    bed = sick()
    assert bed.do(21, "acknowledge", bed.only("ASYSTOLE"), action_id="a").applied
    before = bed.bed
    outcome = bed.do(22, "acknowledge", bed.only("QT_LONG"), action_id="a")
    assert (outcome.applied, outcome.reason) == (False, "action a was applied before")
    assert bed.bed == before


def test_the_bed_remembers_the_last_256_ids() -> None:
    bed = Bedside()
    for k in range(300):
        bed.do(10, "silence", seconds=0, action_id=f"a{k}")
    assert bed.bed.applied_ids == [f"a{k}" for k in range(44, 300)]
    assert len(bed.bed.changes) == 100


@pytest.mark.parametrize(
    ("action", "args", "why"),
    [
        ("silence", {}, "0 (ends it) to 180 s"),
        ("silence", {"seconds": 181}, "0 (ends it) to 180 s"),
        ("silence", {"seconds": "60"}, "0 (ends it) to 180 s"),
        ("admit", {}, "no pseudonym"),
        ("admit", {"patient": "Jane Doe"}, "no pseudonym"),
        ("resume", {}, "not in standby"),
        ("limits", {}, "args is empty"),
        ("limits", {"ASYSTOLE": {"on": False}}, "cannot be switched off"),
        ("limits", {"BRADY": {"rate": 200}}, "30…60"),
        ("limits", {"BRADY": {"rate": 38}}, "limits cross"),
        ("limits", {"NONSENSE": {"rate": 50}}, "no alarm with limits"),
        ("limits", {"NONSENSE": None}, "no alarm with limits"),
        ("limits", {"BRADY": 45}, "expected parts"),
        ("limits", {"BRADY": {"rate": 45}, "TACHY": {"rate": 500}}, "100…200"),
    ],
)
def test_a_rejected_action_adds_an_audit_line_with_the_reason_and_changes_nothing_else(
    action: str, args: dict[str, Any], why: str
) -> None:
    bed = sick()
    before, published = bed.bed, len(bed.record)
    outcome = bed.do(21, action, **args)
    assert not outcome.applied
    assert why in outcome.reason
    assert bed.bed.changes[-1].what == f"{action} rejected: {outcome.reason}"
    assert bed.bed.changed(changes=before.changes, applied_ids=before.applied_ids) == before
    assert len(bed.record) == published


def test_acknowledging_an_alert_that_is_not_there_is_rejected() -> None:
    bed = sick()
    unknown = bed.only("ASYSTOLE").changed(id="0" * 32)
    outcome = bed.do(21, "acknowledge", unknown)
    assert outcome.reason == f"no alert {'0' * 32} on bed icu-3/07"
    assert len(bed.sounding()) == 2


def test_acknowledging_an_alert_that_is_off_is_rejected() -> None:
    bed = sick()
    bed.at(30, condition("QT_LONG", 2, 24, end=24))
    assert "is off" in bed.do(31, "acknowledge", bed.only("QT_LONG")).reason
    assert bed.only("QT_LONG").acknowledged is None


def test_acknowledging_one_alarm_leaves_the_others_sounding() -> None:
    bed = sick()
    bed.do(21, "acknowledge", bed.only("QT_LONG"))
    assert bed.sounding() == ["ASYSTOLE"]


def test_a_pause_that_was_held_up_ends_when_it_would_have() -> None:
    bed = sick()
    assert bed.do(60, "silence", seconds=60, asked_at=30).applied
    assert (ns_of_time(bed.bed.audio_paused_since), ns_of_time(bed.bed.audio_paused_until)) == (ns(30), ns(90))
    assert "over already" in bed.do(200, "silence", seconds=60, asked_at=100).reason


def test_a_pause_asked_for_by_a_clock_that_is_fast_is_no_longer_than_any_other() -> None:
    bed = sick()
    bed.do(21, "silence", seconds=180, asked_at=3600)
    assert ns_of_time(bed.bed.audio_paused_until) == ns(201)


def test_a_pause_of_no_seconds_ends_the_pause() -> None:
    bed = sick()
    bed.do(21, "silence", seconds=180)
    bed.do(30, "silence", seconds=0)
    assert bed.bed.audio_paused_since is None and bed.bed.audio_paused_until is None
    assert sorted(bed.sounding()) == ["ASYSTOLE", "QT_LONG"]


@pytest.mark.parametrize("action", ["standby", "discharge"])
def test_standby_and_discharge_end_what_is_open_and_raise_nothing(action: str) -> None:
    bed = sick()
    assert bed.do(21, action).applied
    assert {(a.state, a.phase.value) for a in bed.alerts()} == {(State.OFF, "end")}
    bed.at(30, condition("VFIB", 26, 30), condition("SILENT_FEED", 22, 30))
    assert len(bed.alerts()) == 2


def test_after_resume_a_condition_that_still_holds_is_a_new_alert_that_sounds() -> None:
    bed = sick()
    bed.do(21, "standby")
    assert bed.do(60, "resume", by="rn-9").applied
    bed.at(61, condition("ASYSTOLE", 10, 61))
    first, second = bed.alerts("ASYSTOLE")
    assert first.id != second.id
    assert (second.sounding, ns_of_time(second.onset)) == (True, ns(60))
    bed.at(62, condition("ASYSTOLE", 10, 62))
    assert len(bed.alerts("ASYSTOLE")) == 2


def test_what_began_and_ended_in_standby_is_never_raised() -> None:
    bed = Bedside()
    bed.do(5, "standby")
    bed.do(60, "resume")
    bed.at(61, condition("ASYSTOLE", 10, 40, end=40))
    assert bed.record == []


def test_discharge_clears_limits_and_baseline_and_admit_begins_anew() -> None:
    bed = Bedside(baseline=Baseline(qrs_ms=92.0))
    bed.do(10, "limits", BRADY={"rate": 45})
    bed.do(20, "discharge")
    assert (bed.bed.status, bed.bed.limits, bed.bed.baseline) == (Status.DISCHARGED, {}, None)
    assert "discharged already" in bed.do(21, "discharge").reason
    assert "admit a patient" in bed.do(22, "resume").reason
    assert bed.do(30, "admit", patient="p-0002").applied
    assert (bed.bed.status, bed.bed.patient, bed.bed.by) == (Status.MONITORED, "p-0002", "rn-12")
    assert ns_of_time(bed.bed.since) == ns(30)


def test_admitting_another_patient_ends_the_alerts_of_the_one_before() -> None:
    bed = sick()
    bed.do(15, "limits", BRADY={"rate": 45})
    bed.do(21, "admit", patient="p-0002")
    assert bed.sounding() == []
    assert bed.bed.limits == {}
    bed.at(22, condition("ASYSTOLE", 10, 22))
    assert (bed.last("ASYSTOLE").patient, bed.last("ASYSTOLE").sounding) == ("p-0002", True)


def test_what_the_patient_before_was_alarmed_for_keeps_nothing_of_the_new_one_quiet() -> None:
    bed = Bedside()
    bed.at(20, condition("TACHY", 5, 20))
    bed.do(30, "admit", patient="p-0002")
    bed.at(60, condition("TACHY", 45, 60))
    assert bed.last("TACHY").sounding


def test_admitting_the_patient_who_is_there_ends_nothing_and_takes_a_new_baseline() -> None:
    bed = sick()
    bed.bed = bed.bed.changed(baseline=Baseline(qrs_ms=92.0))
    bed.do(21, "admit", patient="p-81f3")
    assert len(bed.sounding()) == 2
    assert bed.bed.baseline is None


def test_a_new_pseudonym_ends_a_discharge_and_the_old_one_does_not() -> None:
    bed = sick()
    bed.do(21, "discharge")
    same, _ = identify(bed.bed, "p-81f3", ns(30))
    assert same.status is Status.DISCHARGED
    other, _ = identify(bed.bed, "p-0002", ns(30))
    assert (other.status, other.patient, other.changes[-1].by) == (Status.MONITORED, "p-0002", "telemetry")


def test_a_bed_whose_patient_was_unknown_takes_the_pseudonym_and_keeps_its_alerts() -> None:
    bed = Bedside(patient="")
    bed.at(14, condition("ASYSTOLE", 10, 14))
    after, alerts = identify(bed.bed, "p-81f3", ns(20))
    assert after.patient == "p-81f3"
    assert alerts == []
    assert after.alerts[0].state is State.ON
    nobody, _ = identify(after, "", ns(21))
    assert nobody is after


def test_a_pseudonym_that_becomes_known_does_not_end_a_standby_and_another_patients_does() -> None:
    bed = Bedside(patient="")
    bed.do(10, "standby")
    known, _ = identify(bed.bed, "p-81f3", ns(20))
    assert (known.status, known.patient) == (Status.STANDBY, "p-81f3")
    other, _ = identify(known, "p-0002", ns(30))
    assert (other.status, other.patient) == (Status.MONITORED, "p-0002")


def test_an_alarm_switched_off_ends_and_is_not_raised_until_it_is_reset() -> None:
    bed = Bedside()
    bed.at(20, condition("PVC_RATE", 10, 20))
    assert bed.do(30, "limits", PVC_RATE={"on": False}).applied
    assert bed.only("PVC_RATE").state is State.OFF
    bed.at(700, condition("PVC_RATE", 690, 700))
    assert len(bed.alerts()) == 1
    bed.do(710, "limits", PVC_RATE=None)
    assert bed.bed.limits == {}
    bed.at(711, condition("PVC_RATE", 690, 711))
    assert bed.sounding() == ["PVC_RATE"]


def test_limits_are_kept_part_by_part() -> None:
    bed = Bedside()
    bed.do(1, "limits", TACHY={"rate": 130}, ST_ELEVATION={"mv": 0.2})
    bed.do(2, "limits", TACHY={"on": False})
    assert bed.bed.limits == {"TACHY": {"rate": 130, "on": False}, "ST_ELEVATION": {"mv": 0.2}}
    bed.do(3, "limits", TACHY={"rate": None}, ST_ELEVATION=None)
    assert bed.bed.limits == {"TACHY": {"on": False}}


def test_limits_may_not_cross_those_of_the_site() -> None:
    site = Limits().with_changes({"EXTREME_BRADY": {"rate": 48}})
    bed = Bedside(Rules(site_limits=site))
    assert "limits cross" in bed.do(1, "limits", BRADY={"rate": 45}).reason


def test_a_lethal_alarm_sounds_whatever_a_document_says_of_it() -> None:
    bed = Bedside(limits={"VFIB": {"on": False}})
    bed.at(14, condition("VFIB", 10, 14))
    assert bed.sounding() == ["VFIB"]


def test_an_alarm_that_the_site_switched_off_can_be_switched_on_at_the_bed() -> None:
    bed = Bedside(Rules(site_limits=Limits().with_changes({"MISSED_BEAT": {"on": False}})))
    bed.at(10, condition("MISSED_BEAT", 10, 10))
    assert bed.record == []
    bed.do(11, "limits", MISSED_BEAT={"on": True})
    bed.at(12, condition("MISSED_BEAT", 12, 12))
    assert bed.sounding() == ["MISSED_BEAT"]


def test_a_new_baseline_is_taken_on_request() -> None:
    bed = Bedside(baseline=Baseline(qrs_ms=92.0))
    bed.do(5, "baseline")
    assert bed.bed.baseline is None
    assert bed.bed.changes[-1].what == "baseline"


DAY_S = 86_400.0
YEAR_9999_S = (253_402_300_799 * 10**9 - ns(0)) // 10**9


@pytest.mark.parametrize("asked_at", [YEAR_9999_S, -DAY_S - 10, DAY_S + 100], ids=["year 9999", "days ago", "ahead"])
@pytest.mark.parametrize("action", ["silence", "acknowledge", "standby", "admit", "limits", "baseline"])
def test_an_action_more_than_a_day_off_has_the_time_of_its_arrival_and_the_audit_says_so(
    action: str, asked_at: float
) -> None:
    bed = sick()
    args: dict[str, Any] = {
        "silence": {"seconds": 60},
        "admit": {"patient": "p-1234"},
        "limits": {"BRADY": {"rate": 45}},
    }.get(action, {})
    assert bed.do(30, action, bed.only("ASYSTOLE"), asked_at=asked_at, **args).applied
    line = bed.bed.changes[-1]
    assert ns_of_time(line.at) == ns(30)
    assert "time of arrival" in line.what and "more than a day off" in line.what
    if action == "silence":
        assert bed.bed.audio_paused_until is not None
        assert ns_of_time(bed.bed.audio_paused_until) == ns(90)


def test_an_action_of_hours_ago_keeps_its_own_time() -> None:
    bed = sick()
    bed.do(30, "limits", asked_at=-DAY_S + 100, BRADY={"rate": 45})
    assert (bed.bed.changes[-1].what, ns_of_time(bed.bed.changes[-1].at)) == ("limits BRADY rate=45", ns(-DAY_S + 100))


def test_audit_lines_of_large_args_are_cut() -> None:
    bed = sick()
    outcome = bed.do(30, "silence", seconds="9" * 4000)
    assert not outcome.applied
    assert len(bed.bed.changes[-1].what) == 600

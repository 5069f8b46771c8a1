"""The states of alerts in the words of FHIR R6 and IHE PCD-04, along the lives that alerts really lead."""

from __future__ import annotations

from streams.alert_states import fhir_states, pcd04_phase, pcd04_states
from tests.agents.bedside import Bedside, condition


def lethal() -> Bedside:
    bed = Bedside()
    bed.at(14, condition("ASYSTOLE", 10, 14, detected=14))
    return bed


def phases(bed: Bedside) -> list[str]:
    versions = bed.versions(bed.alerts()[0])
    return [pcd04_phase(b, a) for a, b in zip([None, *versions], versions, strict=False)]


def test_an_alarm_that_is_on() -> None:
    alert = lethal().only("ASYSTOLE")
    fhir = fhir_states(alert)
    assert (fhir.status, fhir.present, fhir.acknowledged) == ("in-progress", True, False)
    assert (fhir.signal, fhir.activation) == ("on", "on")
    pcd = pcd04_states(alert, None)
    assert (pcd.phase, pcd.state, pcd.inactivation, pcd.flags) == ("start", "active", "enabled", ("PH", "SP"))


def test_a_latched_alarm_is_still_in_progress_and_its_condition_is_gone() -> None:
    bed = lethal()
    bed.at(22, condition("ASYSTOLE", 10, 16, end=16))
    alert = bed.only("ASYSTOLE")
    fhir = fhir_states(alert)
    assert (fhir.status, fhir.present, fhir.signal, fhir.activation) == ("in-progress", False, "latched", "on")
    assert pcd04_states(alert, bed.record[0]).state == "latched"


def test_an_acknowledged_alarm() -> None:
    bed = lethal()
    bed.do(15, "acknowledge", bed.only("ASYSTOLE"))
    fhir = fhir_states(bed.only("ASYSTOLE"))
    assert (fhir.signal, fhir.acknowledged, fhir.activation) == ("ack", True, "off")
    pcd = pcd04_states(*reversed(bed.record))
    assert (pcd.phase, pcd.state, pcd.inactivation) == ("update", "active", "alert-acknowledged")


def test_a_paused_alarm_and_one_that_sounds_through_the_pause() -> None:
    bed = lethal()
    bed.do(15, "silence", seconds=60)
    alert = bed.only("ASYSTOLE")
    assert fhir_states(alert, audio_paused=True).activation == "paused"
    assert pcd04_states(alert, bed.record[0], audio_paused=True).inactivation == "audio-paused"
    bed.at(30, condition("ASYSTOLE", 10, 30), condition("VFIB", 26, 30, detected=30))
    assert fhir_states(bed.only("VFIB"), audio_paused=True).activation == "on"
    assert pcd04_states(bed.only("VFIB"), None, audio_paused=True).inactivation == "enabled"


def test_an_alarm_that_is_off_is_completed() -> None:
    bed = lethal()
    bed.at(22, condition("ASYSTOLE", 10, 16, end=16))
    bed.do(25, "acknowledge", bed.only("ASYSTOLE"))
    alert = bed.only("ASYSTOLE")
    fhir = fhir_states(alert)
    assert (fhir.status, fhir.present, fhir.signal, fhir.activation) == ("completed", False, "off", "off")
    assert pcd04_states(alert, bed.record[-2]).state == "inactive"
    assert phases(bed) == ["start", "update", "end"]


def test_a_reminder_is_a_continue_and_the_escalation_mark_an_update() -> None:
    bed = lethal()
    bed.wait(194)
    assert phases(bed) == ["start", "continue", "update"]


def test_a_rise_in_priority_is_an_escalation() -> None:
    bed = Bedside()
    bed.at(5, condition("LEADS_OFF", 3, 5))
    bed.at(9, condition("LEADS_OFF", 3, 9, priority="PM"))
    bed.at(12, condition("LEADS_OFF", 3, 12, priority="PL"))
    assert phases(bed) == ["start", "escalate", "de-escalate"]
    assert pcd04_states(bed.record[0], None).flags == ("PL", "ST")


def test_advice_is_neither_physiological_nor_technical() -> None:
    bed = Bedside()
    bed.at(10, condition("INTERPRETATION", 0, 10))
    assert pcd04_states(bed.record[0], None).flags == ("PN",)

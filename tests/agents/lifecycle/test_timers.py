"""What time alone does: reminders and the mark on which consumers call more people."""

from __future__ import annotations

from agents.lifecycle.alert_book import AlertBook
from agents.lifecycle.rules import DEFAULT_RULES
from agents.lifecycle.state_machine import finalize, step, tick
from streams.alert import Phase, State
from streams.document import ns_of_time
from tests.agents.bedside import Bedside, condition, ns


def test_nobody_acknowledges_a_lethal_alarm_it_is_called_to_mind_every_two_minutes_and_escalates_after_three() -> None:
    bed = Bedside()
    bed.at(14, condition("ASYSTOLE", 10, 14, detected=14))
    bed.wait(133)
    assert (bed.only("ASYSTOLE").reminders, bed.only("ASYSTOLE").version) == (0, 1)
    bed.wait(134)
    assert (bed.only("ASYSTOLE").reminders, bed.only("ASYSTOLE").escalated) == (1, None)
    bed.wait(194)
    escalated = bed.only("ASYSTOLE").escalated
    assert escalated is not None
    assert ns_of_time(escalated) == ns(194)
    bed.wait(254)
    alert = bed.only("ASYSTOLE")
    assert (alert.reminders, ns_of_time(alert.escalated), alert.phase) == (2, ns(194), Phase.UPDATE)
    assert alert.version == 4


def test_a_latched_alarm_is_called_to_mind_too() -> None:
    bed = Bedside()
    bed.at(14, condition("VFIB", 10, 14, detected=14))
    bed.at(24, condition("VFIB", 10, 18, end=18))
    bed.wait(134)
    assert (bed.only("VFIB").state, bed.only("VFIB").reminders) == (State.LATCHED, 1)


def test_an_acknowledged_alarm_is_not() -> None:
    bed = Bedside()
    bed.at(14, condition("VFIB", 10, 14, detected=14))
    bed.do(20, "acknowledge", bed.only("VFIB"))
    bed.wait(400)
    assert (bed.only("VFIB").reminders, bed.only("VFIB").escalated) == (0, None)


def test_an_audio_pause_does_not_stop_reminders() -> None:
    bed = Bedside()
    bed.at(14, condition("VFIB", 10, 14, detected=14))
    bed.do(20, "silence", seconds=180)
    bed.wait(194)
    assert bed.only("VFIB").reminders == 1
    assert bed.only("VFIB").escalated is not None
    assert not bed.only("VFIB").sounding


def test_only_the_alarm_that_speaks_for_its_chain_reminds() -> None:
    bed = Bedside()
    bed.at(14, condition("ASYSTOLE", 6, 14), condition("EXTREME_BRADY", 6, 14))
    bed.wait(200)
    assert bed.only("ASYSTOLE").reminders == 1
    assert bed.only("EXTREME_BRADY").reminders == 0


def test_lesser_alarms_have_no_reminders() -> None:
    bed = Bedside()
    bed.at(14, condition("AFIB", 2, 14))
    bed.wait(1000)
    assert (bed.only("AFIB").reminders, bed.only("AFIB").escalated) == (0, None)
    assert bed.only("AFIB").version == 1


def test_time_that_changes_nothing_leaves_the_bed_as_it_is() -> None:
    bed = Bedside()
    bed.at(14, condition("AFIB", 2, 14))
    after, alerts = tick(bed.bed, ns(15))
    assert after is bed.bed
    assert alerts == []


def test_time_changes_nothing_of_a_bed_without_alerts_and_audio_pause() -> None:
    """It is left out there: a whole transition would find the same."""
    bed = Bedside()
    assert finalize(AlertBook(bed.bed, ns(20)), DEFAULT_RULES) == (bed.bed, [])
    assert tick(bed.bed, ns(20)) == step(bed.bed, ns(20), []) == (bed.bed, [])
    bed.do(21, "silence", seconds=30)
    assert bed.bed.audio_paused_until is not None
    for after, alerts in (tick(bed.bed, ns(60)), step(bed.bed, ns(60), [])):
        assert (after.audio_paused_until, alerts) == (None, [])

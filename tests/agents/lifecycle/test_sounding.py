"""What sounds: chains, re-alarm times, audio pause."""

from __future__ import annotations

import pytest

from models.arrhythmia.codes import ALARM_GROUPS, CODES
from streams.alert import State
from tests.agents.bedside import Bedside, condition


@pytest.mark.parametrize("chain", ALARM_GROUPS, ids=lambda chain: chain[-1])
def test_only_the_worst_of_a_chain_sounds(chain: tuple[str, ...]) -> None:
    bed = Bedside()
    bed.at(14, *(condition(code, 10, 14, detected=14) for code in reversed(chain)))
    assert bed.sounding() == ["VFIB"]
    worst = bed.only("VFIB").id
    assert {a.superseded_by for a in bed.alerts() if a.code != "VFIB"} == {worst}
    assert [a.code for a in bed.alerts() if a.sounded] == ["VFIB"]


def test_alarms_of_different_chains_sound_side_by_side() -> None:
    bed = Bedside()
    bed.at(70, condition("BRADY", 10, 70), condition("QT_LONG", 10, 70), condition("LEADS_OFF", 60, 70))
    assert sorted(bed.sounding()) == ["BRADY", "LEADS_OFF", "QT_LONG"]


def test_a_worse_one_that_begins_takes_the_sound_over() -> None:
    bed = Bedside()
    bed.at(20, condition("TACHY", 5, 20))
    bed.at(30, condition("TACHY", 5, 30), condition("EXTREME_TACHY", 22, 30, detected=30))
    assert bed.sounding() == ["EXTREME_TACHY"]
    assert bed.only("TACHY").superseded_by == bed.only("EXTREME_TACHY").id


def test_a_lethal_alarm_that_outlives_the_one_above_it_sounds_itself() -> None:
    bed = Bedside()
    bed.at(14, condition("VFIB", 10, 14))
    bed.at(18, condition("VFIB", 10, 18), condition("ASYSTOLE", 14, 18))
    assert bed.sounding() == ["VFIB"]
    bed.at(24, condition("VFIB", 10, 18, end=18), condition("ASYSTOLE", 14, 24))
    assert bed.sounding() == ["ASYSTOLE"]
    assert bed.only("ASYSTOLE").superseded_by is None


def test_it_sounds_also_when_the_one_above_it_was_acknowledged() -> None:
    bed = Bedside()
    bed.at(14, condition("VFIB", 10, 14))
    bed.do(15, "acknowledge", bed.only("VFIB"))
    bed.at(18, condition("VFIB", 10, 18), condition("ASYSTOLE", 14, 18))
    assert bed.sounding() == [], "the one acknowledged speaks for what it contains"
    bed.at(24, condition("VFIB", 10, 18, end=18), condition("ASYSTOLE", 14, 24))
    assert bed.sounding() == ["ASYSTOLE"]


def test_a_new_lethal_alarm_gets_through_an_acknowledgement() -> None:
    bed = Bedside()
    bed.at(14, condition("EXTREME_TACHY", 7, 14))
    bed.do(15, "acknowledge", bed.only("EXTREME_TACHY"))
    bed.at(20, condition("EXTREME_TACHY", 7, 20), condition("VTACH", 17, 20))
    assert bed.sounding() == ["VTACH"]
    bed.at(30, condition("EXTREME_TACHY", 7, 30), condition("VTACH", 17, 30), condition("EXTREME_BRADY", 22, 30))
    assert bed.sounding() == ["VTACH"]


def test_a_latched_alarm_gives_way_to_a_lethal_one_that_is_present_and_goes_on_beside_a_lesser_one() -> None:
    bed = Bedside()
    bed.at(14, condition("VFIB", 10, 14))
    bed.at(24, condition("VFIB", 10, 18, end=18))
    bed.at(300, condition("TACHY", 290, 300))
    assert bed.sounding() == ["VFIB", "TACHY"], "what is present is not hidden by what is over"
    bed.at(310, condition("TACHY", 290, 310), condition("VTACH", 305, 310))
    assert bed.sounding() == ["VTACH"]


def test_what_was_latched_unheard_under_a_worse_one_stays_quiet_when_that_is_acknowledged() -> None:
    bed = Bedside()
    bed.at(14, condition("ASYSTOLE", 10, 14))
    bed.at(18, condition("ASYSTOLE", 10, 18), condition("EXTREME_BRADY", 10, 18, detected=18))
    bed.at(30, condition("EXTREME_BRADY", 10, 20, end=20), condition("ASYSTOLE", 10, 20, end=20))
    assert bed.sounding() == ["ASYSTOLE"]
    bed.do(31, "acknowledge", bed.only("ASYSTOLE"))
    bed.wait(40)
    assert bed.sounding() == []
    assert bed.only("EXTREME_BRADY").state is State.LATCHED


@pytest.mark.parametrize(("code", "quiet_s"), [("TACHY", 180), ("AFIB", 180), ("PVC_RATE", 600), ("LEADS_OFF", 600)])
def test_the_same_code_does_not_sound_again_for_its_re_alarm_time(code: str, quiet_s: int) -> None:
    bed = Bedside()
    bed.at(20, condition(code, 10, 20, detected=20))
    bed.at(40, condition(code, 10, 30, end=30))
    bed.at(60, condition(code, 50, 60, detected=60))
    assert bed.sounding() == []
    bed.at(70, condition(code, 50, 62, end=62))
    assert not bed.last(code).sounded
    bed.at(20 + quiet_s, condition(code, quiet_s, 20 + quiet_s, detected=20 + quiet_s))
    assert bed.sounding() == [code]


def test_a_condition_that_still_holds_when_the_re_alarm_time_is_over_sounds() -> None:
    bed = Bedside()
    bed.at(20, condition("TACHY", 10, 20, detected=20))
    bed.at(40, condition("TACHY", 10, 30, end=30))
    bed.at(60, condition("TACHY", 50, 60, detected=60))
    bed.wait(199)
    assert bed.sounding() == []
    bed.wait(200)
    assert bed.sounding() == ["TACHY"]


def test_an_instant_is_judged_when_it_is_detected() -> None:
    bed = Bedside()
    bed.at(10, condition("VPAIR", 10, 10))
    bed.at(605, condition("VPAIR", 605, 605))
    bed.wait(620)
    assert not bed.last("VPAIR").sounded, "at 610 s its time has come and gone: it was detected at 605 s"


def test_a_lesser_one_of_the_chain_is_quiet_after_a_worse_one_was_heard() -> None:
    bed = Bedside()
    bed.at(10, condition("VRUN", 9, 10, detected=10))
    bed.wait(31)
    bed.at(100, condition("VPAIR", 100, 100))
    bed.at(300, condition("VPAIR", 300, 300))
    assert [a.sounded for a in bed.alerts("VPAIR")] == [False, False]
    bed.at(611, condition("VPAIR", 611, 611))
    assert bed.last("VPAIR").sounded


def test_a_worse_one_sounds_though_a_lesser_one_was_heard() -> None:
    bed = Bedside()
    bed.at(10, condition("VPAIR", 10, 10))
    bed.at(12, condition("VRUN", 12, 12))
    assert bed.sounding() == ["VRUN"]


@pytest.mark.parametrize("code", [code for code, alarm in CODES.items() if alarm.lethal])
def test_a_lethal_alarm_always_sounds_again(code: str) -> None:
    bed = Bedside()
    for k in range(5):
        start = 10 + 20 * k
        bed.at(start + 8, condition(code, start, start + 8))
        assert bed.last(code).sounding
        bed.at(start + 15, condition(code, start, start + 9, end=start + 9))
        assert len(bed.alerts(code)) == k + 1


def test_what_was_heard_late_keeps_nothing_quiet() -> None:
    bed = Bedside()
    bed.at(100, condition("TACHY", 20, 60, end=60, live=False))
    bed.at(110, condition("TACHY", 95, 110))
    assert bed.sounding() == ["TACHY"]


def test_advice_never_sounds_and_stays_for_ten_minutes() -> None:
    bed = Bedside()
    bed.at(10, condition("INTERPRETATION", 0, 10, detected=10, end=10))
    bed.wait(609)
    alert = bed.only("INTERPRETATION")
    assert (alert.priority, alert.kind, alert.sounded, alert.state) == ("PN", "advisory", False, State.ON)
    bed.wait(610)
    assert (bed.only("INTERPRETATION").state, bed.only("INTERPRETATION").sounded) == (State.OFF, False)


def test_advice_that_is_acknowledged_is_off() -> None:
    bed = Bedside()
    bed.at(10, condition("INTERPRETATION", 0, 10, detected=10, end=10))
    bed.do(40, "acknowledge", bed.only("INTERPRETATION"))
    assert bed.only("INTERPRETATION").state is State.OFF


def test_an_audio_pause_quiets_the_bed_and_afterwards_what_is_unacknowledged_sounds_again() -> None:
    bed = Bedside()
    bed.at(14, condition("ASYSTOLE", 10, 14), condition("QT_LONG", 2, 14))
    assert bed.do(20, "silence", seconds=60).applied
    assert bed.sounding() == []
    bed.at(25, condition("TACHY", 15, 25))
    bed.wait(79)
    assert bed.sounding() == []
    bed.wait(80)
    assert sorted(bed.sounding()) == ["ASYSTOLE", "QT_LONG"]
    assert bed.bed.audio_paused_until is None


def test_a_latched_alarm_sounds_again_after_the_pause() -> None:
    bed = Bedside()
    bed.at(14, condition("ASYSTOLE", 10, 14))
    bed.do(15, "silence", seconds=30)
    bed.at(22, condition("ASYSTOLE", 10, 16, end=16))
    assert bed.sounding() == []
    bed.wait(45)
    assert bed.sounding() == ["ASYSTOLE"]


def test_what_was_acknowledged_during_the_pause_stays_quiet_after_it() -> None:
    bed = Bedside()
    bed.at(14, condition("ASYSTOLE", 10, 14))
    bed.do(15, "silence", seconds=30)
    bed.do(20, "acknowledge", bed.only("ASYSTOLE"))
    bed.wait(60)
    assert bed.sounding() == []


def test_a_lethal_alarm_that_begins_during_the_pause_sounds_and_others_do_not() -> None:
    bed = Bedside()
    bed.at(12, condition("EXTREME_TACHY", 5, 12))
    bed.do(15, "silence", seconds=120)
    bed.at(30, condition("EXTREME_TACHY", 5, 30), condition("VFIB", 26, 30, detected=30), condition("AFIB", 20, 30))
    assert bed.sounding() == ["VFIB"]
    bed.wait(100)
    assert bed.sounding() == ["VFIB"]


def test_a_pause_that_was_rejected_moves_nothing() -> None:
    bed = Bedside()
    bed.do(10, "silence", seconds=120)
    bed.at(30, condition("VFIB", 26, 30, detected=30))
    bed.do(40, "silence", seconds=900)
    bed.at(50, condition("VFIB", 26, 50), condition("QT_LONG", 2, 50))
    assert bed.sounding() == ["VFIB"]


def test_a_condition_that_ends_during_the_pause_ends() -> None:
    bed = Bedside()
    bed.at(14, condition("BRADY", 2, 14))
    bed.do(15, "silence", seconds=60)
    bed.at(30, condition("BRADY", 2, 24, end=24))
    bed.wait(90)
    assert bed.only("BRADY").state is State.OFF
    assert bed.sounding() == []


def test_a_second_pause_quiets_what_began_during_the_first() -> None:
    bed = Bedside()
    bed.do(10, "silence", seconds=100)
    bed.at(30, condition("VFIB", 26, 30, detected=30))
    assert bed.sounding() == ["VFIB"]
    bed.do(40, "silence", seconds=100)
    assert bed.sounding() == []
    bed.wait(139)
    assert bed.sounding() == []
    bed.wait(140)
    assert bed.sounding() == ["VFIB"]

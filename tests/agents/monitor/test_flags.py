"""What GEM reads: which alerts, why, and how one noisy bed is kept from taking the interpreter from the others."""

from __future__ import annotations

from typing import Any

import pytest

from agents.monitor.encoder_flags import (
    NOT_NEWS,
    RESULTS_IN_A_ROW,
    EncoderHistory,
    EncoderResult,
    Raised,
    decide_flag,
    supports,
)
from agents.monitor.flags import BED_MOST, Budget, Flag, choose, flag
from models.finding_names import FINDINGS, TITLES
from streams.alert import Alert, Citation, CriterionDoc, Segment
from streams.document import time_of_ns
from tests.agents.bedside import Bedside, condition, ns

SEGMENT = Segment(start=time_of_ns(ns(4)), duration_s=10.0, sampling_rate=250.0, strip="")
PAUSE_OF_462 = Citation(
    n=1,
    measure="RR",
    value=4.62,
    unit="s",
    leads=["II"],
    start=time_of_ns(ns(7)),
    end=time_of_ns(ns(11.62)),
    start_s=3.0,
    end_s=7.62,
    start_sample=750,
    end_sample=1905,
    criterion=CriterionDoc(rule="no beat for 4.0 s or longer", limit=4.0, source="Philips DFM100; CinC 2015"),
    confidence=0.98,
    method="beats 1",
)


def started(code: str, onset: float = 10, bed: str = "icu-3/07", **fields: Any) -> Alert:
    """The start version of an alert with a segment."""
    bedside = Bedside(bed_stream=bed)
    bedside.at(onset + 4, condition(code, onset, onset + 4, segment=SEGMENT, citations=(PAUSE_OF_462,)))
    return bedside.only(code).changed(**fields)


def flagged(*alerts: Alert) -> list[Flag]:
    return [found for alert in alerts if (found := flag(alert)) is not None]


def codes(flags: tuple[Flag, ...]) -> list[str]:
    return [f.alert.code for f in flags]


# ---- which alerts, and why ----------------------------------------------------------------------------------------


def test_the_reason_names_the_alarm_its_rule_and_the_measurement() -> None:
    found = flag(started("ASYSTOLE"))
    assert found is not None
    assert found.reason == "Asystole (PH): no beat for 4.0 s or longer; RR 4.62 s in II"
    assert [c.n for c in found.citations] == [1]


def test_only_the_start_of_an_alert_with_a_segment_is_read() -> None:
    bed = Bedside()
    bed.at(14, condition("BRADY", 2, 14))
    assert flag(bed.record[0]) is None, "no segment"
    bed = Bedside()
    bed.at(14, condition("BRADY", 2, 14, segment=SEGMENT))
    bed.at(20, condition("BRADY", 2, 15, end=15))
    assert [flag(version) is not None for version in bed.record] == [True, False]


def test_a_technical_alarm_is_nothing_to_interpret() -> None:
    assert flag(started("LEADS_OFF")) is None


def test_findings_of_the_encoder_that_say_the_same_are_named_in_the_reason() -> None:
    found = flag(started("QT_LONG", citations=[]), supported_by=["QT_LONG"])
    assert found is not None
    assert found.reason == "Long QT (PM); the encoder agrees: prolonged QT interval"


# ---- budgets -----------------------------------------------------------------------------------------------------


def test_the_most_urgent_is_read_first_and_the_newest_among_equals() -> None:
    alerts = [
        started("VPAIR", 30),
        started("BRADY", 10, "a"),
        started("ASYSTOLE", 12, "b"),
        started("TACHY", 40, "c"),
        started("VFIB", 20, "d"),
    ]
    _, choice = choose(Budget(), flagged(*alerts), ns(60))
    assert codes(choice.taken) == ["VFIB", "ASYSTOLE", "TACHY", "BRADY", "VPAIR"]


def test_a_noisy_bed_is_read_a_few_times_a_minute_and_a_lethal_alarm_still_finds_room() -> None:
    budget = Budget()
    taken: list[str] = []
    for k, code in enumerate(["BRADY", "TACHY", "PAUSE", "AFIB", "QT_LONG", "SVT", "VRUN", "VPAIR", "R_ON_T"]):
        budget, choice = choose(budget, flagged(started(code, 10 + k)), ns(20 + k))
        taken += codes(choice.taken)
    assert taken == ["BRADY", "TACHY", "PAUSE", "AFIB"]
    budget, choice = choose(budget, flagged(started("VFIB", 30), started("BRADY", 30, "icu-3/08")), ns(34))
    assert codes(choice.taken) == ["VFIB", "BRADY"], "the lethal one, and the other bed's"


def test_even_lethal_alarms_of_one_bed_have_an_end() -> None:
    budget = Budget()
    taken = 0
    for k in range(30):
        budget, choice = choose(budget, flagged(started("VTACH", 10 + k)), ns(14 + k))
        taken += len(choice.taken)
    assert taken == BED_MOST["PH"]
    budget, choice = choose(budget, flagged(started("VTACH", 90)), ns(94))
    assert len(choice.taken) == 1, "a minute later there is room again"


def test_what_is_left_out_says_why() -> None:
    budget, _ = choose(Budget(), flagged(started("TACHY", 10)), ns(20))
    _, choice = choose(budget, flagged(started("TACHY", 80)), ns(90))
    assert [reason for _, reason in choice.left_out] == ["TACHY of this bed was read less than 120 s ago"]
    _, choice = choose(Budget(bed_most=dict.fromkeys(BED_MOST, 0)), flagged(started("TACHY", 80)), ns(90))
    assert choice.left_out[0][1] == "the bed was read 0 times in the last minute, PM may use 0"


def test_a_ward_in_uproar_leaves_room_for_the_lethal() -> None:
    noise = [started(code, 10, f"bed-{k}") for k in range(50) for code in ("AFIB", "PVC_RATE")]
    budget, choice = choose(Budget(), flagged(*noise), ns(70))
    assert len(choice.taken) == 45
    _, choice = choose(budget, flagged(*(started("VFIB", 60, f"other-{k}") for k in range(20))), ns(71))
    assert len(choice.taken) == 15
    assert "segments were read in the last minute" in choice.left_out[0][1]


def test_history_is_read_last_and_out_of_the_least_urgent_part() -> None:
    late = [started("VFIB", 10 + k, f"bed-{k % 10}", late=True) for k in range(40)]
    _, choice = choose(Budget(), [*flagged(*late), *flagged(started("VPAIR", 500))], ns(510))
    assert choice.taken[0].alert.code == "VPAIR"
    assert len(choice.taken) == 15


# ---- the encoder's flags -----------------------------------------------------------------------------------------


def results(
    bed: Bedside,
    findings: dict[str, float],
    n: int,
    start: float = 100,
    history: EncoderHistory | None = None,
    **more: Any,
) -> tuple[EncoderHistory, list[Raised]]:
    """``n`` encoder results, one every 2 s."""
    history = history or EncoderHistory()
    out = []
    for k in range(n):
        now = start + 2 * k
        history, raised = decide_flag(bed.bed, EncoderResult(findings, ns(now - 10), ns(now), **more), history, ns(now))
        if raised is not None:
            out.append(raised)
    return history, out


def test_an_encoder_that_was_never_trained_raises_nothing() -> None:
    _, raised = results(Bedside(), {"MI": 0.99}, 100, trained=False)
    assert raised == []


def test_a_finding_is_raised_when_five_looks_in_a_row_agree_and_then_not_again() -> None:
    _, raised = results(Bedside(), {"LBBB": 0.91, "CD": 0.95, "NORM": 0.6}, 60)
    assert len(raised) == 1
    assert raised[0].findings == ("CD", "LBBB")
    assert raised[0].reason == "encoder, without an alarm: conduction disturbance 0.95, left bundle branch block 0.91"
    assert (raised[0].start_ns, raised[0].stop_ns) == (ns(98), ns(108))


def test_a_look_that_disagrees_begins_the_count_anew() -> None:
    bed = Bedside()
    history, raised = results(bed, {"MI": 0.9}, RESULTS_IN_A_ROW - 1)
    history, none = results(bed, {}, 1, 108, history)
    history, more = results(bed, {"MI": 0.9}, RESULTS_IN_A_ROW - 1, 110, history)
    assert raised + none + more == []


def test_what_an_alarm_says_already_is_not_raised_beside_it() -> None:
    bed = Bedside()
    bed.at(90, condition("AFIB", 20, 90))
    history, raised = results(bed, {"AFIB": 0.97}, 20)
    assert raised == []
    assert supports(history, "AFIB") == ("AFIB",)
    assert supports(history, "QT_LONG") == ()


@pytest.mark.parametrize("code", ["VFIB", "NOISY_SIGNAL", "LEADS_OFF"])
def test_nothing_is_raised_beside_a_lethal_alarm_or_on_signal_that_cannot_be_read(code: str) -> None:
    bed = Bedside()
    bed.at(90, condition(code, 80, 90))
    assert results(bed, {"MI": 0.97}, 20)[1] == []


def test_nothing_is_raised_of_a_bed_in_standby() -> None:
    bed = Bedside()
    bed.do(50, "standby")
    assert results(bed, {"MI": 0.97}, 20)[1] == []


def test_new_findings_are_raised_a_minute_later_at_the_earliest() -> None:
    bed = Bedside()
    history, _ = results(bed, {"LBBB": 0.9}, 10)
    history, soon = results(bed, {"LBBB": 0.9, "MI": 0.8}, 20, 120, history)
    assert soon == []
    _, later = results(bed, {"LBBB": 0.9, "MI": 0.8}, 10, 170, history)
    assert [r.findings for r in later] == [("LBBB", "MI")]


def test_a_new_worker_reads_from_the_alerts_when_the_bed_was_told_last() -> None:
    bed = Bedside()
    bed.at(100, condition("INTERPRETATION", 90, 100, detected=100, end=100))
    bed.wait(103)
    assert results(bed, {"MI": 0.97}, 20, 110)[1] == []
    assert len(results(bed, {"MI": 0.97}, 20, 700)[1]) == 1


def test_every_finding_that_the_encoder_learns_is_news_in_words_or_no_news() -> None:
    assert set(FINDINGS) == TITLES.keys() and set(FINDINGS) > NOT_NEWS
    for finding in set(FINDINGS) - NOT_NEWS:
        (raised,) = results(Bedside(), {finding: 0.97}, 20, 110)[1]
        assert TITLES[finding] in raised.reason

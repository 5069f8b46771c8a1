"""Interpretations come later, as updates of the same alert; citations keep their numbers."""

from __future__ import annotations

from streams.alert import Citation, Interpretation, InterpretationMessage, Phase, State
from streams.document import time_of_ns
from tests.agents.bedside import Bedside, condition, ns


def citation(n: int, measure: str = "RR", value: float = 4.62) -> Citation:
    return Citation(
        n=n,
        measure=measure,
        value=value,
        unit="s",
        leads=["II"],
        start=time_of_ns(ns(10)),
        end=time_of_ns(ns(14)),
        start_s=6.0,
        end_s=10.0,
        start_sample=1500,
        end_sample=2500,
        confidence=0.98,
        method="beats 1",
    )


def message(alert_id: str, *citations: Citation, source: str = "gem", name: str = "i-1") -> InterpretationMessage:
    interpretation = Interpretation(source=source, at=time_of_ns(ns(20)), text="The rhythm stops [1].", seconds=1.8)
    return InterpretationMessage(
        id=name, alert_id=alert_id, bed_stream="icu-3/07", interpretation=interpretation, citations=list(citations)
    )


def asystole() -> Bedside:
    """An asystole that cites two measurements."""
    bed = Bedside()
    bed.at(14, condition("ASYSTOLE", 10, 14, citations=(citation(1), citation(2, "HR"))))
    return bed


def test_an_interpretation_is_an_update_and_its_citations_go_on_from_the_alerts() -> None:
    bed = asystole()
    assert bed.read(22, message(bed.only("ASYSTOLE").id, citation(3), citation(4))).applied
    alert = bed.only("ASYSTOLE")
    assert (alert.version, alert.phase, alert.state, alert.sounding) == (2, Phase.UPDATE, State.ON, True)
    assert [c.n for c in alert.citations] == [1, 2, 3, 4]
    assert alert.interpretation is not None
    assert alert.interpretation.text == "The rhythm stops [1]."


def test_it_is_applied_once() -> None:
    bed = asystole()
    interpretation = message(bed.only("ASYSTOLE").id, citation(3))
    bed.read(22, interpretation)
    assert not bed.read(23, interpretation).applied
    assert bed.only("ASYSTOLE").version == 2


def test_an_alert_that_is_off_gets_it_too_and_stays_off() -> None:
    bed = Bedside()
    bed.at(14, condition("BRADY", 2, 14, citations=(citation(1),)))
    bed.at(20, condition("BRADY", 2, 15, end=15))
    assert bed.read(30, message(bed.only("BRADY").id, citation(2))).applied
    alert = bed.only("BRADY")
    assert (alert.version, alert.phase, alert.state) == (3, Phase.UPDATE, State.OFF)


def test_a_second_reading_replaces_the_first_with_its_citations() -> None:
    bed = asystole()
    identity = bed.only("ASYSTOLE").id
    bed.read(22, message(identity, citation(3), citation(4), source="measured"))
    bed.read(24, message(identity, citation(3, "HR"), name="i-2"))
    alert = bed.only("ASYSTOLE")
    assert [(c.n, c.measure) for c in alert.citations] == [(1, "RR"), (2, "HR"), (3, "HR")]
    assert alert.interpretation is not None
    assert alert.interpretation.source == "gem"


def test_what_is_worded_from_the_measurements_does_not_replace_gem() -> None:
    bed = asystole()
    identity = bed.only("ASYSTOLE").id
    bed.read(22, message(identity, citation(3)))
    outcome = bed.read(24, message(identity, citation(3), source="measured", name="i-2"))
    assert "GEM's" in outcome.reason
    assert bed.only("ASYSTOLE").version == 2


def test_a_reading_whose_citations_do_not_go_on_from_the_alerts_is_rejected() -> None:
    bed = asystole()
    identity = bed.only("ASYSTOLE").id
    assert "begin at 2" in bed.read(22, message(identity, citation(2), name="a")).reason
    assert "begin at 4" in bed.read(22, message(identity, citation(4), name="b")).reason
    assert "without a gap" in bed.read(22, message(identity, citation(3), citation(5), name="c")).reason
    assert bed.only("ASYSTOLE").version == 1
    assert bed.bed.applied_ids == ["a", "b", "c"]


def test_a_reading_of_an_alert_that_is_gone_is_rejected() -> None:
    bed = asystole()
    assert "no alert" in bed.read(22, message("0" * 32)).reason

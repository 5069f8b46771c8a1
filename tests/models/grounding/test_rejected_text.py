"""A text that is empty, not English, contradicts the signal, or invents an interval (the pure part of fault 40).

The published text is either the rule-based report with the reason, or GEM's text without its contradicted claims. The
alarm's own citations are present in every case.
"""

from __future__ import annotations

import numpy as np
import pytest

from models.ecg import Ecg
from models.evidence import Criterion, Evidence
from models.grounding.ground import ground
from models.training.simulate import simulate

NORMAL = {"conduction": "normal", "repolarisation": "normal"}


@pytest.fixture(scope="module")
def segment() -> Ecg:
    return simulate(np.random.default_rng(1), rhythm="sinus", rate=84.0, **NORMAL).ecg


GIVEN = [Evidence("HR", 84.0, ("II",), 200, 4700, criterion=Criterion("mean of 8 beats over 80", 80.0, "unit setting"))]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "GEM gave no text"),
        ("\n\n \t", "GEM gave no text"),
        ("</s></s>", "GEM did not answer in English"),
        ("El ritmo es sinusal con frecuencia normal y sin cambios del segmento.", "GEM did not answer in English"),
        ("窦性心律，未见异常。", "GEM did not answer in English"),
        (
            "As an AI assistant, I am not able to interpret this image for you.",
            "GEM made no claim that can be checked",
        ),
    ],
)
def test_a_rejected_text_is_replaced_by_the_rule_based_report(segment: Ecg, text: str, reason: str) -> None:
    interpretation = ground(text, segment, GIVEN, first_citation=2)
    assert (interpretation.source, interpretation.reason) == ("measured", reason)
    assert interpretation.text.startswith("The alarm rests on") and "[1]" in interpretation.text
    assert interpretation.counts["contradicted"] == 0 and interpretation.counts["supported"] >= 3


def test_a_contradicting_text_is_replaced_and_its_claims_are_counted(segment: Ecg) -> None:
    interpretation = ground(
        "Atrial fibrillation with no P waves and a heart rate of 140 bpm.", segment, GIVEN, first_citation=2
    )
    assert interpretation.source == "measured" and "no statement" in (interpretation.reason or "")
    assert interpretation.counts["contradicted"] == 3 and "ibrillation" not in interpretation.text
    wrong = [c for c in interpretation.claims if c.verdict == "contradicted"]
    assert all((c.start, c.end, c.citation) == (None, None, None) for c in wrong)


def test_an_invented_interval_is_never_supported() -> None:
    fibrillating = simulate(np.random.default_rng(6), rhythm="afib", **NORMAL).ecg
    single = fibrillating.select(["II"])
    for text in ("The PR interval is 164 ms.", "PR 164 ms in V1.", "ST elevation of 0.2 mV in V3."):
        for ecg in (fibrillating, single):
            interpretation = ground(text, ecg)
            own = [c for c in interpretation.claims if c.start is None]
            assert own and all(c.verdict != "supported" for c in own)
            assert "164" not in interpretation.text and "0.2 mV" not in interpretation.text


def test_a_text_of_400_equal_sentences_is_grounded_and_published_once(segment: Ecg) -> None:
    interpretation = ground("The rate is 84 bpm. " * 400, segment, GIVEN, first_citation=2)
    assert interpretation.text.count("The rate is 84 bpm") == 1
    assert interpretation.counts["supported"] == 2 and len(interpretation.evidence) <= 1

"""A text that is empty, not English, contradicts the signal, or invents an interval (the pure part of fault 40).

What reaches a bed is either the measured reading with the reason, or GEM's text with what the signal contradicts
struck. The alarm's own citations are there in every case.
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
def test_a_text_of_no_use_is_replaced_by_the_measurements(segment: Ecg, text: str, reason: str) -> None:
    reading = ground(text, segment, GIVEN, first_citation=2)
    assert (reading.source, reading.reason) == ("measured", reason)
    assert reading.text.startswith("The alarm rests on") and "[1]" in reading.text
    assert reading.counts["contradicted"] == 0 and reading.counts["supported"] >= 3


def test_a_contradicting_text_is_struck_and_cites_nothing(segment: Ecg) -> None:
    reading = ground(
        "Atrial fibrillation with no P waves and a heart rate of 140 bpm.", segment, GIVEN, first_citation=2
    )
    assert reading.source == "gem" and reading.counts == {"supported": 0, "contradicted": 3, "unsupported": 0}
    assert reading.text.count("~~") == 6 and "[" not in reading.text
    assert reading.evidence == () and all(c.citation is None for c in reading.claims)


def test_an_invented_interval_is_never_supported() -> None:
    fibrillating = simulate(np.random.default_rng(6), rhythm="afib", **NORMAL).ecg
    single = fibrillating.select(["II"])
    for text in ("The PR interval is 164 ms.", "PR 164 ms in V1.", "ST elevation of 0.2 mV in V3."):
        for ecg in (fibrillating, single):
            assert ground(text, ecg).counts["supported"] == 0


def test_a_text_that_never_ends_is_read_all_the_same(segment: Ecg) -> None:
    reading = ground("The rate is 84 bpm. " * 400, segment, GIVEN, first_citation=2)
    assert reading.counts["supported"] == 400 and len(reading.evidence) <= 1

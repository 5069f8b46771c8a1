"""Knowledge-guided text: every sentence true of the measurement and the label, and marked with what it rests on."""
from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("torch")

from models.evidence import Evidence
from models.grounding.claims import read_claims
from models.grounding.evidence import gather
from models.grounding.ground import ground
from models.grounding.stated import stated
from models.training.narrate import (
    Story,
    consistent_labels,
    dialogue,
    grounding_record,
    invented_story,
    measured_story,
    narrate,
)
from models.training.simulate import simulate

KINDS = ["sinus", "sinus", "afib", "avb1", "sinus_arrhythmia", "junctional"]


@pytest.fixture(scope="module")
def told() -> list[tuple[Story, object]]:
    made = [simulate(np.random.default_rng([5, k]), rhythm=rhythm) for k, rhythm in enumerate(KINDS)]
    facts = [gather(m.ecg) for m in made]
    return [(measured_story(stated(f), m.findings), f) for f, m in zip(facts, made, strict=True)]


def _evidence(**values: float) -> list[Evidence]:
    return [Evidence(name, value, (), 0, 1) for name, value in values.items()]


def test_nothing_that_is_told_is_contradicted_by_the_signal(told: list) -> None:
    supported = 0
    for story, facts in told:
        for seed in range(3):
            sentences = narrate(story, np.random.default_rng(seed))
            text = " ".join(s.text for s in sentences if "label" not in str(s.rests_on))
            reading = ground(text, facts.ecg, facts=facts)
            assert reading.counts["contradicted"] == 0, [c for c in reading.claims if c.verdict == "contradicted"]
            supported += reading.counts["supported"]
    assert supported > 5 * 3 * len(told) / 2


def test_every_number_told_is_one_that_the_prompt_states() -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        question, answer = dialogue(invented_story(rng), rng)
        stated_numbers = set(re.findall(r"\d+(?:\.\d+)?", question.split("Measured:")[1]))
        assert set(re.findall(r"(?<![V\d.])\d+(?:\.\d+)?", answer)) <= stated_numbers


def test_every_sentence_is_marked_and_wording_varies(told: list) -> None:
    story = told[0][0]
    sentences = narrate(story, np.random.default_rng(0))
    assert all(s.rests_on for s in sentences)
    assert len({" ".join(s.text for s in narrate(story, np.random.default_rng(k))) for k in range(12)}) >= 4


def test_a_label_that_the_signal_contradicts_is_not_told() -> None:
    evidence = _evidence(HR=72.0, REGULARITY=0.02, ABSENT_P=0.0, PR=150.0, QRS=88.0)
    labels = {"AFIB": True, "AVB1": True, "LBBB": True, "SINUS": True, "MI": True}
    assert consistent_labels(measured_story(evidence, labels)) == ["SINUS", "MI"]


def test_order_is_a_clinicians() -> None:
    rng = np.random.default_rng(3)
    evidence = _evidence(HR=52.0, REGULARITY=0.02, ABSENT_P=0.0, PR=220.0, QRS=88.0)
    evidence.append(Evidence("ST", 0.21, ("V3",), 0, 1))
    text = " ".join(s.text for s in narrate(measured_story(evidence, {"SINUS": True, "AVB1": True}), rng))
    places = [text.index(w) for w in ("P waves", "52 bpm", "220 ms", "0.21 mV in V3", "sinus bradycardia")]
    assert places == sorted(places)
    assert {c.subject for c in read_claims(text)} >= {"HR", "PR", "QRS", "ST", "PR_LONG", "AVB1"}


def test_the_record_has_the_layout_of_ecg_grounding(told: list) -> None:
    record = grounding_record("sim/1", "sim/1", told[0][0], np.random.default_rng(0), report="sinus rhythm")
    assert set(record) >= {"id", "ecg", "image", "conversations", "machine_measurements", "report"}
    assert [turn["from"] for turn in record["conversations"]] == ["human", "gpt"]
    assert record["conversations"][0]["value"].startswith("<image>\n")
    assert " ".join(g["text"] for g in record["grounding"]) == record["conversations"][1]["value"]

"""Knowledge-guided text: every sentence true of the measurement and the label, and marked with what it rests on."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("torch")

from models.evaluation.code_judge import diagnoses_of
from models.evidence import Evidence
from models.grounding.claim_extraction import extract_claims
from models.grounding.ground import ground
from models.grounding.prompt_measurements import prompt_descriptors, prompt_measurements
from models.grounding.segment_measurements import measure_segment
from models.training.report_text import (
    Story,
    consistent_labels,
    dialogue,
    grounding_record,
    invented_story,
    narrate,
)
from models.training.simulate import simulate

KINDS = ["sinus", "sinus", "afib", "avb1", "sinus_arrhythmia", "junctional"]


@pytest.fixture(scope="module")
def told() -> list[tuple[Story, object]]:
    made = [simulate(np.random.default_rng([5, k]), rhythm=rhythm) for k, rhythm in enumerate(KINDS)]
    measured = [measure_segment(m.ecg) for m in made]
    return [
        (Story(tuple(prompt_measurements(f)), prompt_descriptors(f), m.findings), f)
        for f, m in zip(measured, made, strict=True)
    ]


def _evidence(**values: float) -> tuple[Evidence, ...]:
    return tuple(Evidence(name, value, (), 0, 1) for name, value in values.items())


def test_nothing_that_is_told_is_contradicted_by_the_signal(told: list) -> None:
    supported = 0
    for story, measured in told:
        for seed in range(3):
            sentences = narrate(story, np.random.default_rng(seed))
            text = " ".join(s.text for s in sentences if "label" not in str(s.rests_on))
            reading = ground(text, measured.ecg, measured=measured)
            assert reading.counts["contradicted"] == 0, [c for c in reading.claims if c.verdict == "contradicted"]
            supported += reading.counts["supported"]
    assert supported > 5 * 3 * len(told)


def test_every_number_told_is_one_that_the_prompt_states() -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        question, answer = dialogue(invented_story(rng), rng)
        stated_numbers = set(re.findall(r"\d+(?:\.\d+)?", question.split("Measured:")[1]))
        assert set(re.findall(r"(?<![V\d.])\d+(?:\.\d+)?", answer)) <= stated_numbers


def test_the_claim_reader_finds_every_value_and_every_finding_that_is_told() -> None:
    for seed in range(60):
        story = invented_story(np.random.default_rng(seed))
        claims = extract_claims(" ".join(s.text for s in narrate(story, np.random.default_rng(seed))))
        numbers = {(c.subject, c.value, c.leads) for c in claims if c.kind == "number"}
        assert {(e.measure, e.value, e.leads) for e in story.evidence} <= numbers
        assert set(consistent_labels(story)) <= diagnoses_of(claims)


def test_every_sentence_is_marked_and_wording_varies(told: list) -> None:
    story = told[0][0]
    sentences = narrate(story, np.random.default_rng(0))
    assert all(s.rests_on for s in sentences)
    assert len({" ".join(s.text for s in narrate(story, np.random.default_rng(k))) for k in range(12)}) >= 4


def test_a_label_that_the_signal_contradicts_is_not_told() -> None:
    evidence = _evidence(HR=72.0, PR=150.0, QRS=88.0)
    labels = {"AFIB": True, "AVB1": True, "LBBB": True, "SINUS": True, "MI": True}
    assert consistent_labels(Story(evidence, ("P waves", "regular"), labels)) == ["MI", "SINUS"]


def test_order_is_a_clinicians() -> None:
    evidence = (*_evidence(HR=52.0, PR=220.0, QRS=88.0), Evidence("ST", 0.21, ("V3",), 0, 1))
    story = Story(evidence, ("P waves", "regular", "slow rate", "long PR"), {"SINUS": True, "AVB1": True})
    text = " ".join(s.text for s in narrate(story, np.random.default_rng(3)))
    places = [text.index(w) for w in ("P waves", "52 bpm", "220 ms", "0.21 mV in V3", "sinus rhythm")]
    assert places == sorted(places)
    assert {c.subject for c in extract_claims(text)} >= {"HR", "PR", "QRS", "ST", "PR_LONG", "AVB1"}


def test_a_word_is_told_where_its_number_lies_beyond_the_limit() -> None:
    normal = {"rhythm": "sinus", "conduction": "normal", "repolarisation": "normal", "noise": 0.0}
    words = {
        rate: prompt_descriptors(measure_segment(simulate(np.random.default_rng(2), rate=rate, **normal).ecg))
        for rate in (50.0, 60.6, 120.0)
    }
    assert [("slow rate" in w, "normal rate" in w, "fast rate" in w) for w in words.values()] == [
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]


def test_findings_are_told_in_the_prompt_or_left_to_the_ecg() -> None:
    story = Story(_evidence(HR=72.0, QRS=88.0), ("P waves",), {"SINUS": True, "MI": True})
    with_findings, _ = dialogue(story, np.random.default_rng(0), told=True)
    without, answer = dialogue(story, np.random.default_rng(1), told=False)
    assert with_findings.endswith("Found: myocardial infarction; sinus rhythm.") and "Found" not in without
    assert dialogue(Story(story.evidence, (), {}), np.random.default_rng(0), told=True)[0].endswith("Found: nothing.")
    assert "myocardial infarction" in answer


def test_the_record_has_the_layout_of_ecg_grounding(told: list) -> None:
    record = grounding_record("sim/1", "sim/1", told[0][0], np.random.default_rng(0), report="sinus rhythm")
    assert set(record) >= {"id", "ecg", "image", "conversations", "machine_measurements", "report"}
    assert [turn["from"] for turn in record["conversations"]] == ["human", "gpt"]
    assert record["conversations"][0]["value"].startswith("<image>\n")
    assert " ".join(g["text"] for g in record["grounding"]) == record["conversations"][1]["value"]

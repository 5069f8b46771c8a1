"""Report text: every sentence agrees with the measurements and the label, and lists the measures that it rests on."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("torch")

from models.evaluation.code_judge import diagnoses_of
from models.evidence import Evidence
from models.gem.report_sentences import ReportContext, consistent_labels, report_sentences
from models.grounding.claim_extraction import extract_claims
from models.grounding.ground import ground
from models.grounding.prompt_measurements import prompt_descriptors, prompt_measurements
from models.grounding.segment_measurements import measure_segment
from models.training.report_text import grounding_example, report_conversation, synthetic_context
from models.training.simulate import simulate

KINDS = ["sinus", "sinus", "afib", "avb1", "sinus_arrhythmia", "junctional"]


@pytest.fixture(scope="module")
def contexts() -> list[tuple[ReportContext, object]]:
    made = [simulate(np.random.default_rng([5, k]), rhythm=rhythm) for k, rhythm in enumerate(KINDS)]
    measured = [measure_segment(m.ecg) for m in made]
    return [
        (ReportContext(tuple(prompt_measurements(f)), prompt_descriptors(f), m.findings), f)
        for f, m in zip(measured, made, strict=True)
    ]


def _evidence(**values: float) -> tuple[Evidence, ...]:
    return tuple(Evidence(name, value, (), 0, 1) for name, value in values.items())


def test_no_sentence_is_contradicted_by_the_signal(contexts: list) -> None:
    supported = 0
    for context, measured in contexts:
        for seed in range(3):
            sentences = report_sentences(context, np.random.default_rng(seed))
            text = " ".join(s.text for s in sentences if "label" not in str(s.rests_on))
            interpretation = ground(text, measured.ecg, measured=measured)
            assert interpretation.counts["contradicted"] == 0, [
                c for c in interpretation.claims if c.verdict == "contradicted"
            ]
            supported += interpretation.counts["supported"]
    assert supported > 5 * 3 * len(contexts)


def test_every_number_of_the_answer_is_in_the_prompt() -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        question, answer = report_conversation(synthetic_context(rng), rng)
        prompt_numbers = set(re.findall(r"\d+(?:\.\d+)?", question.split("Measured:")[1]))
        assert set(re.findall(r"(?<![V\d.])\d+(?:\.\d+)?", answer)) <= prompt_numbers


def test_claim_extraction_finds_every_value_and_every_finding() -> None:
    for seed in range(60):
        context = synthetic_context(np.random.default_rng(seed))
        claims = extract_claims(" ".join(s.text for s in report_sentences(context, np.random.default_rng(seed))))
        numbers = {(c.subject, c.value, c.leads) for c in claims if c.kind == "number"}
        assert {(e.measure, e.value, e.leads) for e in context.measurements} <= numbers
        assert set(consistent_labels(context)) <= diagnoses_of(claims)


def test_every_sentence_names_what_it_rests_on_and_wording_varies(contexts: list) -> None:
    context = contexts[0][0]
    sentences = report_sentences(context, np.random.default_rng(0))
    assert all(s.rests_on for s in sentences)
    assert len({" ".join(s.text for s in report_sentences(context, np.random.default_rng(k))) for k in range(12)}) >= 4


def test_a_label_that_the_signal_contradicts_is_left_out() -> None:
    evidence = _evidence(HR=72.0, PR=150.0, QRS=88.0)
    labels = {"AFIB": True, "AVB1": True, "LBBB": True, "SINUS": True, "MI": True}
    assert consistent_labels(ReportContext(evidence, ("P waves", "regular"), labels)) == ["MI", "SINUS"]


def test_order_is_a_clinicians() -> None:
    evidence = (*_evidence(HR=52.0, PR=220.0, QRS=88.0), Evidence("ST", 0.21, ("V3",), 0, 1))
    context = ReportContext(evidence, ("P waves", "regular", "slow rate", "long PR"), {"SINUS": True, "AVB1": True})
    text = " ".join(s.text for s in report_sentences(context, np.random.default_rng(3)))
    places = [text.index(w) for w in ("P waves", "52 bpm", "220 ms", "0.21 mV in V3", "sinus rhythm")]
    assert places == sorted(places)
    assert {c.subject for c in extract_claims(text)} >= {"HR", "PR", "QRS", "ST", "PR_LONG", "AVB1"}


def test_a_descriptor_is_given_where_its_number_lies_beyond_the_limit() -> None:
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


def test_findings_are_in_the_prompt_or_left_to_the_ecg() -> None:
    context = ReportContext(_evidence(HR=72.0, QRS=88.0), ("P waves",), {"SINUS": True, "MI": True})
    with_findings, _ = report_conversation(context, np.random.default_rng(0), with_findings=True)
    without, answer = report_conversation(context, np.random.default_rng(1), with_findings=False)
    assert with_findings.endswith("Found: myocardial infarction; sinus rhythm.") and "Found" not in without
    assert report_conversation(
        ReportContext(context.measurements, (), {}), np.random.default_rng(0), with_findings=True
    )[0].endswith("Found: nothing.")
    assert "myocardial infarction" in answer


def test_the_record_has_the_layout_of_ecg_grounding(contexts: list) -> None:
    record = grounding_example("sim/1", "sim/1", contexts[0][0], np.random.default_rng(0), report="sinus rhythm")
    assert set(record) >= {"id", "ecg", "image", "conversations", "machine_measurements", "report"}
    assert [turn["from"] for turn in record["conversations"]] == ["human", "gpt"]
    assert record["conversations"][0]["value"].startswith("<image>\n")
    assert " ".join(g["text"] for g in record["grounding"]) == record["conversations"][1]["value"]

"""Claim extraction on hand-labelled sentences: recall of numbers and findings, and precision."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from models.grounding.claim_extraction import extract_claims
from models.grounding.claims import ExtractedClaim

SENTENCES = [json.loads(line) for line in (Path(__file__).parent / "sentences.jsonl").read_text().splitlines()]


def _same(read: ExtractedClaim, label: dict[str, Any]) -> bool:
    """Subject, leads and polarity for a finding; for a number also value, range, relation and wave."""
    if (read.kind, read.subject, set(read.leads)) != (label["kind"], label["subject"], set(label.get("leads", ()))):
        return False
    if read.kind == "finding":
        return read.present == label["present"]
    assert read.value is not None
    return (
        abs(read.value - label["value"]) < 1e-6
        and (read.high or 0.0) == label.get("high", 0.0)
        and read.wave == label.get("wave")
        and read.relation == label.get("relation", "=")
    )


def test_there_are_150_sentences_in_several_styles() -> None:
    assert len(SENTENCES) >= 150
    assert len({s["style"] for s in SENTENCES}) >= 5
    assert sum(not s["claims"] for s in SENTENCES) >= 10  # and some that claim nothing


def test_recall_and_precision_on_the_labelled_sentences() -> None:
    found, labelled, read_in_all, right = Counter[str](), Counter[str](), 0, 0
    for sentence in SENTENCES:
        left = extract_claims(sentence["text"])
        read_in_all += len(left)
        for label in sentence["claims"]:
            labelled[label["kind"]] += 1
            hit = next((c for c in left if _same(c, label)), None)
            if hit is not None:
                left.remove(hit)
                found[label["kind"]] += 1
                right += 1
    assert found["number"] / labelled["number"] >= 0.95
    assert found["finding"] / labelled["finding"] >= 0.90
    assert right / read_in_all >= 0.95


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda s: s["text"][:40])
def test_positions_are_code_points_of_the_claims_own_words(sentence: dict[str, Any]) -> None:
    text = "♥ " + sentence["text"]
    assert all(text[c.start : c.end] == c.text and c.text for c in extract_claims(text))


def test_positions_run_on_over_sentences() -> None:
    text = "Sinus rhythm, 72 bpm.\nThe PR interval is 0.16 s. QRS 88 ms."
    read = [(c.subject, c.value) for c in extract_claims(text)]
    assert read == [("SINUS", None), ("HR", 72.0), ("PR", 160.0), ("QRS", 88.0)]
    assert all(text[c.start : c.end] == c.text for c in extract_claims(text))


@pytest.mark.parametrize(
    ("text", "present"),
    [
        ("There is ST elevation in V2.", True),
        ("No ST elevation in V2.", False),
        ("ST elevation is absent in V2.", False),
        ("V2 shows neither Q waves nor ST elevation.", False),
        ("ST elevation in V2 cannot be excluded.", True),
    ],
)
def test_a_negation_turns_the_finding_round(text: str, present: bool) -> None:
    claim = next(c for c in extract_claims(text) if c.subject == "ST_ELEVATED")
    assert (claim.present, claim.leads) == (present, ("V2",))


@pytest.mark.parametrize(
    "text", ["", "   ", "心房細動です。", "Sinusrhythmus, Normaltyp.", "[1] [2] ~~", "1 2 3 4 5", "V1 V2 V3"]
)
def test_text_without_claims_gives_none(text: str) -> None:
    assert extract_claims(text) == []

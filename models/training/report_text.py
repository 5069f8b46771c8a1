"""Report text for training: measured values and reference labels to a grounded interpretation in a clinician's order.

In: a `ReportContext` (`models.gem.report_sentences`). Out: conversations about it, and records of ECG-Grounding's JSON
layout (id, ecg, image, conversations, machine_measurements, report, and ``grounding`` with the sentences).

Deviation from GEM's data generation (arXiv 2503.06073, A.1), which trusts the report where report and measurements
disagree: here a label that the measurements contradict is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.evidence import Evidence
from models.finding_names import FINDINGS
from models.gem.conversation import GROUNDED_QUESTION, question_with_context
from models.gem.report_sentences import ReportContext, report_sentences
from models.gem.special_tokens import IMAGE_MARK
from models.grounding.prompt_measurements import DESCRIPTORS, NO_ST
from models.leads import STANDARD_12


def report_conversation(
    context: ReportContext, rng: np.random.Generator, *, with_findings: bool | None = None
) -> tuple[str, str]:
    """Question with its prompt context, and answer; a share of them are short questions about one topic.

    Parameters
    ----------
    with_findings : bool, optional
        The prompt names the findings, as it will where the encoder has heads. Drawn at random by default, so that the
        model copies findings from the prompt where they are there, and predicts them from the ECG where not.
    """
    sentences = report_sentences(context, rng)
    question, answer = GROUNDED_QUESTION, " ".join(s.text for s in sentences)
    if rng.random() < SHORT_QUESTIONS:
        asked = [
            (q, " ".join(s.text for s in sentences if any(r.split(" ")[0] in wanted for r in s.rests_on)))
            for q, wanted in _SHORT.items()
        ]
        asked = [(q, a) for q, a in asked if a]
        if asked:
            question, answer = asked[int(rng.integers(len(asked)))]
    if with_findings is None:
        with_findings = bool(rng.random() < FINDINGS_SHARE)
    return question_with_context(
        question, context.measurements, context.descriptors, context.titles if with_findings else None
    ), answer


DRILL = "Repeat what is stated."


_KEYS = ("HR", "PR", "QRS", "QT", "QTcF", "ST", *STANDARD_12)


def drill(numbers: Sequence[str], rng: np.random.Generator, *, shuffled: float = 0.5) -> tuple[str, str]:
    """Copy exercise: lead and measure names with random numbers, and the same list as the answer.

    In the same order it trains copying; shuffled (a share of ``shuffled``) it trains look-up by name.
    """
    pairs = [f"{key} {rng.choice(numbers)}" for key in rng.permutation(_KEYS)]
    again = list(pairs)
    if rng.random() < shuffled:
        rng.shuffle(again)
    return f"{DRILL}\n{' '.join(pairs)}", " ".join(again)


SHORT_QUESTIONS = 0.15  # share of conversations
FINDINGS_SHARE = 0.7  # of conversations name the findings in the prompt
_SHORT = {
    "What is the rhythm?": ("REGULARITY", "HR"),
    "What are the intervals?": ("PR", "QRS", "QT", "QTcF"),
    "Is there ST deviation?": ("ST",),
    "What is the diagnosis?": ("label",),
}
QUESTIONS = (GROUNDED_QUESTION, *_SHORT, DRILL)
"""All questions of the compact GEM's training."""


def grounding_example(
    key: str,
    ecg: str,
    context: ReportContext,
    rng: np.random.Generator,
    *,
    report: str = "",
    measurements: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One record of ECG-Grounding's layout; ``grounding`` lists each sentence with the measures that it rests on."""
    sentences = report_sentences(context, rng)
    question = question_with_context(GROUNDED_QUESTION, context.measurements, context.descriptors, context.titles)
    return {
        "id": key,
        "ecg": ecg,
        "image": f"{ecg}.png",
        "conversations": [
            {"from": "human", "value": f"{IMAGE_MARK}\n{question}"},
            {"from": "gpt", "value": " ".join(s.text for s in sentences)},
        ],
        "machine_measurements": dict(measurements or {e.measure: round(e.value, 3) for e in context.measurements}),
        "report": report,
        "grounding": [{"text": s.text, "rests_on": list(s.rests_on)} for s in sentences],
    }


_RANGES = {"HR": (20, 260), "PR": (60, 420), "QRS": (40, 260), "QT": (160, 720), "QTcF": (220, 720)}


def synthetic_context(rng: np.random.Generator) -> ReportContext:
    """Random values, descriptors and findings, often physiologically implausible, without an ECG.

    They train the language model to copy its prompt context, whatever the values, before it sees an ECG.
    """
    names = [n for n in _RANGES if n == "HR" or rng.random() < (0.75 if n == "PR" else 0.95)]
    evidence = [Evidence(n, float(rng.integers(*_RANGES[n])), (), 0, 1) for n in names]
    if rng.random() < 0.35:
        leads = rng.permutation(["I", "II", "III", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"])
        n = int(rng.integers(1, 5))
        size = rng.uniform(0.1, 0.6 if rng.random() < 0.8 else 1.9, n) * np.where(rng.random(n) < 0.5, 1, -1)
        for lead, mv in zip(leads, sorted(size, reverse=True), strict=False):
            evidence.append(Evidence("ST", round(float(mv), 2), (str(lead),), 0, 1))
    if rng.random() < 0.3:
        for lead in ("I", "II", "V3", "V4", "V5", "V6"):
            if rng.random() < 0.4:
                height = -rng.uniform(0.05, 0.5 if rng.random() < 0.8 else 1.5)
                evidence.append(Evidence("AMPLITUDE", round(float(height), 2), (lead,), 0, 1, wave="T"))
    descriptors = [str(rng.choice([words for words, _, _ in group])) for group in DESCRIPTORS if rng.random() < 0.8]
    if any(e.measure == "ST" for e in evidence):
        descriptors = [words for words in descriptors if words != NO_ST]
    if "PR" not in names:
        descriptors = [words for words in descriptors if not words.endswith("PR")]
    count = int(rng.integers(9))
    labels = {str(f): True for f in rng.choice(FINDINGS, count, replace=False)}
    return ReportContext(tuple(evidence), tuple(descriptors), labels)

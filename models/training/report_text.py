"""Report text for training: measured values and reference labels to a grounded interpretation in a clinician's order.

In: a `ReportContext`: the prompt measurements and descriptors of a record, and its findings. Out: `Sentence`s, each
consistent with the measurements and the labels, with the measures that it rests on; and records of ECG-Grounding's JSON
layout (id, ecg, image, conversations, machine_measurements, report, and ``grounding`` with the sentences).

Wordings vary with the random generator; a number always follows the name of its measure, so that a small model can copy
it from the prompt. Deviation from GEM's data generation (arXiv 2503.06073, A.1), which trusts the report where report
and measurements disagree: here a label that the measurements contradict is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.corpus.finding_labels import FindingLabels
from models.evidence import Evidence
from models.finding_names import FINDINGS, TITLES
from models.gem.conversation import GROUNDED_QUESTION, question_with_context
from models.gem.special_tokens import IMAGE_MARK
from models.grounding.prompt_measurements import DESCRIPTORS, NO_ST, consistent_findings
from models.leads import STANDARD_12


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, and the measures (``PR``, ``ST V2``) or findings (``label LBBB``) that it rests on."""

    text: str
    rests_on: tuple[str, ...]


@dataclass(frozen=True)
class ReportContext:
    """Prompt context and labels of one record.

    Attributes
    ----------
    measurements : tuple of Evidence
        Measured values of the prompt.
    descriptors : tuple of str
        Descriptors of the measurements, from `models.grounding.prompt_measurements.DESCRIPTORS`.
    labels : dict
        Findings by name: of the reference label, or of the encoder's heads.
    """

    measurements: tuple[Evidence, ...]
    descriptors: tuple[str, ...]
    labels: FindingLabels

    @property
    def titles(self) -> tuple[str, ...]:
        """Titles of the findings that the conclusion names."""
        return tuple(TITLES[f] for f in consistent_labels(self))


def report_sentences(context: ReportContext, rng: np.random.Generator) -> list[Sentence]:
    """Interpretation of a record, sentence by sentence; empty without measurements."""
    if not context.measurements:
        return []
    parts = (_rhythm, _axis, _intervals, _st, _t, _conclusion)
    return [sentence for part in parts for sentence in part(context, rng)]


def _pick(rng: np.random.Generator, *wordings: str) -> str:
    return wordings[int(rng.integers(len(wordings)))]


def _value_phrase(e: Evidence) -> str:
    """One value as the prompt contains it."""
    digits = 2 if e.unit == "mV" else 0
    name = f"{e.wave} wave" if e.wave else e.measure
    return f"{name} {e.value:.{digits}f} {e.unit}" + (f" in {e.leads[0]}" if e.unit == "mV" else "")


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


_RATES = {"slow rate": "slow", "fast rate": "fast", "normal rate": "normal"}


def _rhythm(context: ReportContext, rng: np.random.Generator) -> list[Sentence]:
    p = True if "P waves" in context.descriptors else False if "no P waves" in context.descriptors else None
    regular = True if "regular" in context.descriptors else False if "irregular" in context.descriptors else None
    words = {
        (True, True): (
            "The rhythm is regular with P waves before the QRS complexes.",
            "P waves precede the QRS complexes and the rhythm is regular.",
        ),
        (True, False): (
            "The rhythm is irregular, with P waves before the QRS complexes.",
            "P waves precede the QRS complexes, but the rhythm is irregular.",
        ),
        (True, None): ("P waves precede the QRS complexes.",),
        (False, True): ("The rhythm is regular without P waves.", "There are no P waves and the rhythm is regular."),
        (False, False): (
            "The rhythm is irregular without P waves.",
            "There are no P waves and the rhythm is irregular.",
        ),
        (False, None): ("There are no P waves.",),
        (None, True): ("The rhythm is regular.",),
        (None, False): ("The rhythm is irregular.",),
        (None, None): (),
    }[p, regular]
    rests = (*(("REGULARITY",) if regular is not None else ()), *(("ABSENT_P",) if p is not None else ()))
    out = [Sentence(_pick(rng, *words), rests)] if words else []
    rate = next((e for e in context.measurements if e.measure == "HR"), None)
    if rate is not None:
        kind = next((word for descriptor, word in _RATES.items() if descriptor in context.descriptors), None)
        value = _value_phrase(rate)
        if kind is None:
            out.append(Sentence(_pick(rng, f"Rate: {value}.", f"Heart rate: {value}."), ("HR",)))
        else:
            text = _pick(rng, f"The heart rate is {kind}: {value}.", f"The rate is {kind}, {value}.")
            out.append(Sentence(text, ("HR",)))
    return out


def _axis(context: ReportContext, rng: np.random.Generator) -> list[Sentence]:
    side = next((s for s in ("left", "right", "normal") if f"{s} axis" in context.descriptors), None)
    if side is None:
        return []
    wordings = (
        ("The QRS axis is normal.", "Normal axis.")
        if side == "normal"
        else (f"There is {side} axis deviation.", f"The axis is {side}ward.")
    )
    return [Sentence(_pick(rng, *wordings), ("AXIS",))]


def _intervals(context: ReportContext, rng: np.random.Generator) -> list[Sentence]:
    values = [e for e in context.measurements if e.measure in ("PR", "QRS", "QT", "QTcF")]
    if not values:
        return []
    listed = _joined([_value_phrase(e) for e in values])
    words = _pick(rng, f"Intervals: {listed}.", f"{listed}.", f"Measured: {listed}.")
    out = [Sentence(words, tuple(e.measure for e in values))]
    for descriptor, measure, *wordings in (
        ("long PR", "PR", "The PR interval is prolonged.", "PR prolongation."),
        ("normal PR", "PR", "The PR interval is normal."),
        ("wide QRS", "QRS", "The QRS is wide.", "Wide QRS complexes."),
        ("narrow QRS", "QRS", "The QRS is narrow.", "Narrow QRS complexes."),
        ("long QTcF", "QTcF", "The QTcF is prolonged.", "Prolonged QTcF."),
    ):
        if descriptor in context.descriptors:
            out.append(Sentence(_pick(rng, *wordings), (measure,)))
    return out


def _st(context: ReportContext, rng: np.random.Generator) -> list[Sentence]:
    found = [e for e in context.measurements if e.measure == "ST"]
    if not found:
        words = _pick(rng, "There is no ST deviation.", "No ST elevation or depression is seen.")
        return [Sentence(words, ("ST",))] if NO_ST in context.descriptors else []
    out = []
    for sign, word in ((1, "elevation"), (-1, "depression")):
        leads = [e for e in found if sign * e.value > 0]
        if leads:
            listed = _joined([_value_phrase(e) for e in leads])
            words = _pick(rng, f"There is ST {word}: {listed}.", f"ST {word}: {listed}.")
            out.append(Sentence(words, tuple(f"ST {e.leads[0]}" for e in leads)))
    return out


def _t(context: ReportContext, rng: np.random.Generator) -> list[Sentence]:
    waves = [e for e in context.measurements if e.measure == "AMPLITUDE" and e.wave == "T"]
    if not waves:
        return []
    listed = _joined([_value_phrase(e) for e in waves])
    return [
        Sentence(
            _pick(rng, f"T waves are inverted: {listed}.", f"There is T wave inversion: {listed}."),
            tuple(f"T {e.leads[0]}" for e in waves),
        )
    ]


def consistent_labels(context: ReportContext) -> list[str]:
    """Findings of the label that the measurements do not contradict, in the order of the conclusion."""
    return consistent_findings(
        [f for f, there in context.labels.items() if there], context.measurements, context.descriptors
    )


def _conclusion(context: ReportContext, rng: np.random.Generator) -> list[Sentence]:
    findings = consistent_labels(context)
    if not findings:
        return []
    start = _pick(rng, "Conclusion", "Impression", "Diagnosis")
    return [Sentence(f"{start}: {', '.join(context.titles)}.", tuple(f"label {f}" for f in findings))]


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

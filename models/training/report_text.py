"""Knowledge-guided text: measured values and a reference label to a grounded interpretation in a clinician's order.

In: a `Story`: what was measured of a record (`stated` values and what they show in words) and its findings. Out:
`Sentence`s, each true of the measurement and of the label, and marked with the measures that it rests on; and the
record of ECG-Grounding's JSON layout (id, ecg, image, conversations, machine_measurements, report), marks beside it.
Wording varies with the generator; a number always follows its measure's name, so that a small model can carry it over.

GEM's own data let a large model write from a report and measurements, and trust the report where they disagree
(arXiv 2503.06073, A.1). Here it is the other way round: a label that the signal contradicts is not said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.corpus.finding_labels import Labels
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
class Story:
    """What may be told of one record.

    Attributes
    ----------
    evidence : tuple of Evidence
        Values that the prompt states.
    shown : tuple of str
        What they show, in the words of `models.grounding.prompt_measurements.DESCRIPTORS`.
    labels : dict
        Findings of the reference, or what the encoder's heads found.
    """

    evidence: tuple[Evidence, ...]
    shown: tuple[str, ...]
    labels: Labels

    def value(self, measure: str) -> float | None:
        return next((e.value for e in self.evidence if e.measure == measure), None)

    @property
    def found(self) -> tuple[str, ...]:
        """The findings that are concluded, in words."""
        return tuple(TITLES[f] for f in consistent_labels(self))


def narrate(story: Story, rng: np.random.Generator) -> list[Sentence]:
    """The interpretation of a record, sentence by sentence; empty where no beat could be read."""
    if not story.evidence:
        return []
    parts = (_rhythm, _axis, _intervals, _st, _t, _conclusion)
    return [sentence for part in parts for sentence in part(story, rng)]


def _pick(rng: np.random.Generator, *wordings: str) -> str:
    return wordings[int(rng.integers(len(wordings)))]


def _told(e: Evidence) -> str:
    """A value as the prompt states it."""
    digits = 2 if e.unit == "mV" else 0
    name = f"{e.wave} wave" if e.wave else e.measure
    return f"{name} {e.value:.{digits}f} {e.unit}" + (f" in {e.leads[0]}" if e.unit == "mV" else "")


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


_RATES = {"slow rate": "slow", "fast rate": "fast", "normal rate": "normal"}


def _rhythm(story: Story, rng: np.random.Generator) -> list[Sentence]:
    p = True if "P waves" in story.shown else False if "no P waves" in story.shown else None
    regular = True if "regular" in story.shown else False if "irregular" in story.shown else None
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
    rate = next((e for e in story.evidence if e.measure == "HR"), None)
    if rate is not None:
        kind = next((word for shown, word in _RATES.items() if shown in story.shown), None)
        told = _told(rate)
        if kind is None:
            out.append(Sentence(_pick(rng, f"Rate: {told}.", f"Heart rate: {told}."), ("HR",)))
        else:
            said = _pick(rng, f"The heart rate is {kind}: {told}.", f"The rate is {kind}, {told}.")
            out.append(Sentence(said, ("HR",)))
    return out


def _axis(story: Story, rng: np.random.Generator) -> list[Sentence]:
    side = next((s for s in ("left", "right", "normal") if f"{s} axis" in story.shown), None)
    if side is None:
        return []
    wordings = (
        ("The QRS axis is normal.", "Normal axis.")
        if side == "normal"
        else (f"There is {side} axis deviation.", f"The axis is {side}ward.")
    )
    return [Sentence(_pick(rng, *wordings), ("AXIS",))]


def _intervals(story: Story, rng: np.random.Generator) -> list[Sentence]:
    values = [e for e in story.evidence if e.measure in ("PR", "QRS", "QT", "QTcF")]
    if not values:
        return []
    told = _joined([_told(e) for e in values])
    words = _pick(rng, f"Intervals: {told}.", f"{told}.", f"Measured: {told}.")
    out = [Sentence(words, tuple(e.measure for e in values))]
    for shown, measure, *wordings in (
        ("long PR", "PR", "The PR interval is prolonged.", "PR prolongation."),
        ("normal PR", "PR", "The PR interval is normal."),
        ("wide QRS", "QRS", "The QRS is wide.", "Wide QRS complexes."),
        ("narrow QRS", "QRS", "The QRS is narrow.", "Narrow QRS complexes."),
        ("long QTcF", "QTcF", "The QTcF is prolonged.", "Prolonged QTcF."),
    ):
        if shown in story.shown:
            out.append(Sentence(_pick(rng, *wordings), (measure,)))
    return out


def _st(story: Story, rng: np.random.Generator) -> list[Sentence]:
    found = [e for e in story.evidence if e.measure == "ST"]
    if not found:
        words = _pick(rng, "There is no ST deviation.", "No ST elevation or depression is seen.")
        return [Sentence(words, ("ST",))] if NO_ST in story.shown else []
    out = []
    for sign, word in ((1, "elevation"), (-1, "depression")):
        leads = [e for e in found if sign * e.value > 0]
        if leads:
            told = _joined([_told(e) for e in leads])
            words = _pick(rng, f"There is ST {word}: {told}.", f"ST {word}: {told}.")
            out.append(Sentence(words, tuple(f"ST {e.leads[0]}" for e in leads)))
    return out


def _t(story: Story, rng: np.random.Generator) -> list[Sentence]:
    waves = [e for e in story.evidence if e.measure == "AMPLITUDE" and e.wave == "T"]
    if not waves:
        return []
    told = _joined([_told(e) for e in waves])
    return [
        Sentence(
            _pick(rng, f"T waves are inverted: {told}.", f"There is T wave inversion: {told}."),
            tuple(f"T {e.leads[0]}" for e in waves),
        )
    ]


def consistent_labels(story: Story) -> list[str]:
    """The findings of the label that the measurement does not contradict, in the order in which they are told."""
    return consistent_findings([f for f, there in story.labels.items() if there], story.evidence, story.shown)


def _conclusion(story: Story, rng: np.random.Generator) -> list[Sentence]:
    told = consistent_labels(story)
    if not told:
        return []
    start = _pick(rng, "Conclusion", "Impression", "Diagnosis")
    return [Sentence(f"{start}: {', '.join(story.found)}.", tuple(f"label {f}" for f in told))]


def dialogue(story: Story, rng: np.random.Generator, *, told: bool | None = None) -> tuple[str, str]:
    """Question (with what is known behind it) and answer; sometimes a short question about one thing.

    Parameters
    ----------
    told : bool, optional
        The prompt names the findings, as the encoder's heads will; drawn where not given, so that the model follows
        them where they are told and reads them off the ECG where they are not.
    """
    sentences = narrate(story, rng)
    question, answer = GROUNDED_QUESTION, " ".join(s.text for s in sentences)
    if rng.random() < SHORT_QUESTIONS:
        asked = [
            (q, " ".join(s.text for s in sentences if any(r.split(" ")[0] in wanted for r in s.rests_on)))
            for q, wanted in _SHORT.items()
        ]
        asked = [(q, a) for q, a in asked if a]
        if asked:
            question, answer = asked[int(rng.integers(len(asked)))]
    if told is None:
        told = bool(rng.random() < TOLD_SHARE)
    return question_with_context(question, story.evidence, story.shown, story.found if told else None), answer


DRILL = "Repeat what is stated."


_KEYS = ("HR", "PR", "QRS", "QT", "QTcF", "ST", *STANDARD_12)


def drill(numbers: Sequence[str], rng: np.random.Generator, *, shuffled: float = 0.5) -> tuple[str, str]:
    """Names with any numbers behind them, to be said again: in the same order that teaches to carry over; in another
    (that share of them) to look up.
    """
    pairs = [f"{key} {rng.choice(numbers)}" for key in rng.permutation(_KEYS)]
    again = list(pairs)
    if rng.random() < shuffled:
        rng.shuffle(again)
    return f"{DRILL}\n{' '.join(pairs)}", " ".join(again)


SHORT_QUESTIONS = 0.15  # share of dialogues
TOLD_SHARE = 0.7  # of dialogues name the findings in the prompt
_SHORT = {
    "What is the rhythm?": ("REGULARITY", "HR"),
    "What are the intervals?": ("PR", "QRS", "QT", "QTcF"),
    "Is there ST deviation?": ("ST",),
    "What is the diagnosis?": ("label",),
}
QUESTIONS = (GROUNDED_QUESTION, *_SHORT, DRILL)
"""Every question that the compact GEM is trained on."""


def grounding_record(
    key: str,
    ecg: str,
    story: Story,
    rng: np.random.Generator,
    *,
    report: str = "",
    measurements: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One record of ECG-Grounding's layout; ``grounding`` lists each sentence with what it rests on."""
    sentences = narrate(story, rng)
    question = question_with_context(GROUNDED_QUESTION, story.evidence, story.shown, story.found)
    return {
        "id": key,
        "ecg": ecg,
        "image": f"{ecg}.png",
        "conversations": [
            {"from": "human", "value": f"{IMAGE_MARK}\n{question}"},
            {"from": "gpt", "value": " ".join(s.text for s in sentences)},
        ],
        "machine_measurements": dict(measurements or {e.measure: round(e.value, 3) for e in story.evidence}),
        "report": report,
        "grounding": [{"text": s.text, "rests_on": list(s.rests_on)} for s in sentences],
    }


_RANGES = {"HR": (20, 260), "PR": (60, 420), "QRS": (40, 260), "QT": (160, 720), "QTcF": (220, 720)}


def invented_story(rng: np.random.Generator) -> Story:
    """Values, words and findings that nobody measured, often unlike any heart's: they teach a language model to carry
    over what it is told, whatever it is, before it sees an ECG.
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
    shown = [str(rng.choice([words for words, _, _ in group])) for group in DESCRIPTORS if rng.random() < 0.8]
    if any(e.measure == "ST" for e in evidence):
        shown = [words for words in shown if words != NO_ST]
    if "PR" not in names:
        shown = [words for words in shown if not words.endswith("PR")]
    count = int(rng.integers(9))
    labels = {str(f): True for f in rng.choice(FINDINGS, count, replace=False)}
    return Story(tuple(evidence), tuple(shown), labels)

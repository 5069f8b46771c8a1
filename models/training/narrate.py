"""Knowledge-guided text: measured values and a reference label to a grounded interpretation in a clinician's order.

In: what was measured of a record (`stated` evidence) and its findings. Out: `Sentence`s, each true of the measurement
and of the label, and marked with the measures that it rests on; and the record of ECG-Grounding's JSON layout (id, ecg,
image, conversations, machine_measurements, report), with those marks beside it. Wording varies with the generator.

GEM's own data let a large model write from a report and measurements, and trust the report where they disagree
(arXiv 2503.06073, A.1). Here it is the other way round: a label that the signal contradicts is not said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.evidence import Evidence
from models.gem.conversation import GROUNDED_QUESTION
from models.gem.inputs import stated_evidence
from models.gem.marks import IMAGE_MARK
from models.grounding.evidence import IRREGULAR_RR, P_ABSENT_SHARE, P_PRESENT_SHARE, REGULAR_RR
from models.interpretation import FAST_BPM, LONG_PR_MS, SLOW_BPM, WIDE_QRS_MS, leads_words
from models.training.findings import TITLES, Labels

LONG_QTCF_MS = 460.0
BAND_MS = 10.0  # a label about an interval is said only where the interval agrees within this
DIAGNOSES = ("MI", "AFIB", "PACED", "PVC", "PAC", "AVB1", "LBBB", "RBBB", "IRBBB", "LAFB", "STTC")


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
        What the prompt states.
    labels : dict
        Findings of the reference.
    """

    evidence: tuple[Evidence, ...]
    labels: Labels

    def value(self, measure: str) -> float | None:
        return next((e.value for e in self.evidence if e.measure == measure), None)

    @property
    def p_waves(self) -> bool | None:
        absent = self.value("ABSENT_P")
        if absent is None:
            return None
        return True if 1 - absent >= P_PRESENT_SHARE else False if 1 - absent <= P_ABSENT_SHARE else None

    @property
    def regular(self) -> bool | None:
        scatter = self.value("REGULARITY")
        return (
            None if scatter is None else True if scatter <= REGULAR_RR else False if scatter >= IRREGULAR_RR else None
        )


def narrate(story: Story, rng: np.random.Generator) -> list[Sentence]:
    """The interpretation of a record, sentence by sentence."""
    if not story.evidence:
        return [Sentence("The signal cannot be read.", ())]
    silence = story.value("SILENCE")
    if silence is not None:
        return [Sentence(f"No beat is found for {silence:.1f} s.", ("SILENCE",))]
    return [*_rhythm(story, rng), *_intervals(story, rng), *_st(story, rng), *_t(story, rng), *_conclusion(story, rng)]


def _pick(rng: np.random.Generator, *wordings: str) -> str:
    return wordings[int(rng.integers(len(wordings)))]


def _rhythm(story: Story, rng: np.random.Generator) -> list[Sentence]:
    rests = tuple(m for m in ("REGULARITY", "ABSENT_P") if story.value(m) is not None)
    words = {
        (True, True): (
            "The rhythm is regular with P waves before the QRS complexes",
            "P waves precede the QRS complexes and the rhythm is regular",
        ),
        (True, False): (
            "The rhythm is irregular, with P waves before the QRS complexes",
            "P waves precede the QRS complexes, but the rhythm is irregular",
        ),
        (True, None): ("P waves precede the QRS complexes",),
        (False, True): ("The rhythm is regular without P waves", "There are no P waves and the rhythm is regular"),
        (False, False): ("The rhythm is irregular without P waves", "There are no P waves and the rhythm is irregular"),
        (False, None): ("There are no P waves",),
        (None, True): ("The rhythm is regular",),
        (None, False): ("The rhythm is irregular",),
        (None, None): (),
    }[story.p_waves, story.regular]
    rate = story.value("HR")
    told = [_pick(rng, *words)] if words else []
    if rate is None:
        return [Sentence(f"{told[0]}.", rests)] if told else []
    kind = " (slow)" if round(rate) < SLOW_BPM else " (fast)" if round(rate) > FAST_BPM else ""
    if told and rng.random() < 0.5:
        return [Sentence(f"{told[0]}, at a rate of {rate:.0f} bpm{kind}.", (*rests, "HR"))]
    out = [Sentence(f"{told[0]}.", rests)] if told else []
    return [
        *out,
        Sentence(_pick(rng, f"The heart rate is {rate:.0f} bpm{kind}.", f"The rate is {rate:.0f} bpm{kind}."), ("HR",)),
    ]


def _intervals(story: Story, rng: np.random.Generator) -> list[Sentence]:
    normal: list[tuple[str, str]] = []
    said: list[Sentence] = []
    for name, noun, limit, word in (
        ("PR", "PR interval", LONG_PR_MS, "prolonged"),
        ("QRS", "QRS duration", WIDE_QRS_MS - 1, "prolonged"),
        ("QT", "QT interval", float("inf"), ""),
        ("QTcF", "QTcF", LONG_QTCF_MS, "prolonged"),
    ):
        value = story.value(name)
        if value is None:
            continue
        if round(value) > limit:
            said.append(Sentence(f"The {noun} is {word} at {value:.0f} ms.", (name,)))
        else:
            normal.append((name, f"{noun} {'is ' if not normal else ''}{value:.0f} ms"))
    if normal:
        parts = [f"the {text}" for _, text in normal]
        joined = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
        said.insert(
            0 if rng.random() < 0.5 else len(said),
            Sentence(f"{joined[0].upper()}{joined[1:]}.", tuple(n for n, _ in normal)),
        )
    return said


def _st(story: Story, rng: np.random.Generator) -> list[Sentence]:
    found = [e for e in story.evidence if e.measure == "ST"]
    if not found:
        if story.value("QRS") is None:
            return []
        return [Sentence(_pick(rng, "There is no ST deviation.", "No ST elevation or depression is seen."), ("ST",))]
    out = []
    for sign, word in ((1, "elevation"), (-1, "depression")):
        leads = [e for e in found if sign * e.value > 0]
        if leads:
            parts = [f"{abs(e.value):.2f} mV in {e.leads[0]}" for e in leads]
            joined = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
            out.append(Sentence(f"There is ST {word} of {joined}.", tuple(f"ST {e.leads[0]}" for e in leads)))
    return out


def _t(story: Story, rng: np.random.Generator) -> list[Sentence]:
    leads = [e.leads[0] for e in story.evidence if e.measure == "AMPLITUDE" and e.wave == "T"]
    if not leads:
        return []
    where = leads_words(leads).removeprefix("leads ").removeprefix("lead ")
    return [
        Sentence(
            _pick(rng, f"T waves are inverted in {where}.", f"There is T wave inversion in {where}."),
            tuple(f"T {x}" for x in leads),
        )
    ]


def consistent_labels(story: Story) -> list[str]:
    """The findings of the label that the measurement does not contradict, in the order in which they are told."""
    pr, qrs, rate = story.value("PR"), story.value("QRS"), story.value("HR")
    wrong = {
        "AFIB": story.p_waves is True or story.regular is True,
        "SINUS": story.p_waves is not True,
        "AVB1": pr is None or pr < LONG_PR_MS - BAND_MS,
        "LBBB": qrs is None or qrs < WIDE_QRS_MS - BAND_MS,
        "RBBB": qrs is None or qrs < WIDE_QRS_MS - BAND_MS,
        "NORM": rate is None
        or qrs is None
        or qrs > WIDE_QRS_MS
        or story.p_waves is not True
        or bool(pr and pr > LONG_PR_MS + BAND_MS)
        or any(e.measure in ("ST", "AMPLITUDE") for e in story.evidence),
    }
    return [f for f in ("SINUS", *DIAGNOSES, "NORM") if story.labels.get(f) and not wrong.get(f, False)]


def _conclusion(story: Story, rng: np.random.Generator) -> list[Sentence]:
    told = consistent_labels(story)
    words = []
    rate = story.value("HR") or 70.0
    for finding in told:
        if finding == "SINUS":
            words.append(
                "sinus bradycardia"
                if round(rate) < SLOW_BPM
                else "sinus tachycardia"
                if round(rate) > FAST_BPM
                else "sinus rhythm"
            )
        else:
            words.append(TITLES[finding])
    if not words:
        return []
    start = _pick(rng, "Conclusion", "Impression", "Diagnosis")
    return [Sentence(f"{start}: {', '.join(words)}.", tuple(f"label {f}" for f in told))]


def dialogue(story: Story, rng: np.random.Generator) -> tuple[str, str]:
    """Question (with the measured values behind it) and answer; sometimes a short question about one thing."""
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
    return stated_evidence(question, story.evidence), answer


SHORT_QUESTIONS = 0.15  # share of dialogues
_SHORT = {
    "What is the rhythm?": ("REGULARITY", "HR"),
    "What are the intervals?": ("PR", "QRS", "QT", "QTcF"),
    "Is there ST deviation?": ("ST",),
    "What is the diagnosis?": ("label",),
}
QUESTIONS = (GROUNDED_QUESTION, *_SHORT)
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
    return {
        "id": key,
        "ecg": ecg,
        "image": f"{ecg}.png",
        "conversations": [
            {"from": "human", "value": f"{IMAGE_MARK}\n{stated_evidence(GROUNDED_QUESTION, story.evidence)}"},
            {"from": "gpt", "value": " ".join(s.text for s in sentences)},
        ],
        "machine_measurements": dict(measurements or {e.measure: round(e.value, 3) for e in story.evidence}),
        "report": report,
        "grounding": [{"text": s.text, "rests_on": list(s.rests_on)} for s in sentences],
    }


def invented_story(rng: np.random.Generator) -> Story:
    """Values that nobody measured: they teach the language model to repeat numbers before it sees an ECG."""
    labels: Labels = {}
    fibrillates = rng.random() < 0.18
    rate = float(rng.triangular(35, 75, 170))
    scatter = (
        float(rng.uniform(0.12, 0.35))
        if fibrillates
        else float(rng.choice([rng.uniform(0, 0.07), rng.uniform(0.08, 0.3)], p=[0.8, 0.2]))
    )
    absent = (
        float(rng.uniform(0.8, 1.0))
        if fibrillates
        else float(rng.choice([0.0, rng.uniform(0, 0.3), rng.uniform(0.3, 1.0)], p=[0.7, 0.15, 0.15]))
    )
    rr = 60 / rate
    qrs = float(rng.choice([rng.uniform(70, 112), rng.uniform(112, 175)], p=[0.75, 0.25]))
    qtcf = float(rng.choice([rng.uniform(370, 450), rng.uniform(450, 580), rng.uniform(320, 370)], p=[0.7, 0.22, 0.08]))
    values = {
        "HR": rate,
        "REGULARITY": round(scatter, 3),
        "ABSENT_P": round(absent, 3),
        "QRS": qrs,
        "QT": qtcf * rr ** (1 / 3),
        "QTcF": qtcf,
    }
    if 1 - absent >= P_PRESENT_SHARE:
        values["PR"] = float(rng.choice([rng.uniform(110, 200), rng.uniform(200, 340)], p=[0.75, 0.25]))
    evidence = [
        Evidence(name, values[name], (), 0, 1)
        for name in ("HR", "REGULARITY", "ABSENT_P", "PR", "QRS", "QT", "QTcF")
        if name in values
    ]
    if rng.random() < 0.35:
        order = rng.permutation(["I", "II", "III", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"])
        sizes = np.sort(rng.uniform(0.1, 0.5, int(rng.integers(1, 5))))[::-1] * (1 if rng.random() < 0.5 else -1)
        evidence += [
            Evidence("ST", round(float(mv), 3), (str(lead),), 0, 1) for lead, mv in zip(order, sizes, strict=False)
        ]
    if rng.random() < 0.25:
        leads = [x for x in ("I", "II", "V3", "V4", "V5", "V6") if rng.random() < 0.4]
        evidence += [
            Evidence("AMPLITUDE", -round(float(rng.uniform(0.05, 0.5)), 3), (x,), 0, 1, wave="T") for x in leads
        ]
    story = Story(tuple(evidence), labels)
    for finding in ("SINUS", "NORM", *DIAGNOSES):
        labels[finding] = bool(rng.random() < (0.9 if finding == "SINUS" else 0.4 if finding == "NORM" else 0.12))
    if any(labels[f] for f in DIAGNOSES):
        labels["NORM"] = False
    return story


def measured_story(evidence: Sequence[Evidence], labels: Labels) -> Story:
    """The story of a real or simulated record."""
    return Story(tuple(evidence), dict(labels))

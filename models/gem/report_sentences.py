"""Sentences of a report: measured values, descriptors and findings to an interpretation in a clinician's order.

In: a `ReportContext`: the prompt measurements and descriptors of a record, and its findings. Out: `Sentence`s, each
consistent with the measurements and the findings, with the measures that it rests on. A compact GEM is trained on these
sentences; `likely_texts` gives what it will probably say, for drafts that it verifies (`models.gem.drafting`).

Wordings vary with the chooser; a number always follows the name of its measure, so that a small model can copy it from
the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from models.corpus.finding_labels import FindingLabels
from models.evidence import Evidence
from models.finding_names import TITLES
from models.grounding.prompt_measurements import NO_ST, consistent_findings

WORDINGS = 3  # of a sentence, at most


class Chooser(Protocol):
    """Chooses among wordings: a random generator, or `Nth`."""

    def integers(self, low: int, /) -> int:
        """A number from 0 to ``low`` - 1."""


@dataclass(frozen=True, slots=True)
class Nth:
    """Always chooses the same wording."""

    place: int

    def integers(self, low: int, /) -> int:
        """The place, modulo the number of wordings."""
        return self.place % low


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


def report_sentences(context: ReportContext, rng: Chooser) -> list[Sentence]:
    """Interpretation of a record, sentence by sentence; empty without measurements."""
    if not context.measurements:
        return []
    parts = (_rhythm, _axis, _intervals, _st, _t, _conclusion)
    return [sentence for part in parts for sentence in part(context, rng)]


def _pick(rng: Chooser, *wordings: str) -> str:
    return wordings[int(rng.integers(len(wordings)))]


def _value_phrase(e: Evidence) -> str:
    """One value as the prompt contains it."""
    digits = 2 if e.unit == "mV" else 0
    name = f"{e.wave} wave" if e.wave else e.measure
    return f"{name} {e.value:.{digits}f} {e.unit}" + (f" in {e.leads[0]}" if e.unit == "mV" else "")


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


_RATES = {"slow rate": "slow", "fast rate": "fast", "normal rate": "normal"}


def _rhythm(context: ReportContext, rng: Chooser) -> list[Sentence]:
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


def _axis(context: ReportContext, rng: Chooser) -> list[Sentence]:
    side = next((s for s in ("left", "right", "normal") if f"{s} axis" in context.descriptors), None)
    if side is None:
        return []
    wordings = (
        ("The QRS axis is normal.", "Normal axis.")
        if side == "normal"
        else (f"There is {side} axis deviation.", f"The axis is {side}ward.")
    )
    return [Sentence(_pick(rng, *wordings), ("AXIS",))]


def _intervals(context: ReportContext, rng: Chooser) -> list[Sentence]:
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


def _st(context: ReportContext, rng: Chooser) -> list[Sentence]:
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


def _t(context: ReportContext, rng: Chooser) -> list[Sentence]:
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


def _conclusion(context: ReportContext, rng: Chooser) -> list[Sentence]:
    findings = consistent_labels(context)
    if not findings:
        return []
    start = _pick(rng, "Conclusion", "Impression", "Diagnosis")
    return [Sentence(f"{start}: {', '.join(context.titles)}.", tuple(f"label {f}" for f in findings))]


def likely_texts(
    measurements: Sequence[Evidence], descriptors: Sequence[str], findings: Sequence[str] | None
) -> list[str]:
    """Whole interpretations that together hold every wording.

    Parameters
    ----------
    findings : sequence of str or None
        In words, as the prompt has them.

    Examples
    --------
    >>> likely_texts([Evidence("HR", 72.0, (), 0, 1)], ("regular",), ["sinus rhythm"])[0]
    'The rhythm is regular. Rate: HR 72 bpm. Conclusion: sinus rhythm.'
    """
    keys = {title: key for key, title in TITLES.items()}
    labels = {keys[title]: True for title in findings or () if title in keys}
    context = ReportContext(tuple(measurements), tuple(descriptors), labels)
    return [" ".join(s.text for s in report_sentences(context, Nth(k))) for k in range(WORDINGS)]

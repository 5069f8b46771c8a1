"""Conversations about the tokens of the measuring tower, with and without evidence in the prompt.

In: random estimates, or labelled records. Out: `Example`s with ids, labels, and the tokens of signal and page. Cases:

* no evidence in the prompt: the answer states the estimates;
* evidence in the prompt: the answer states the evidence, whatever the estimates are, as long as there is an ECG;
* signal or page cannot be read: the answer says so and rests on the other one;
* neither can be read: the answer is `NOT_READABLE`.

The language model learns from estimates alone: no window has to pass through the tower, and every value is seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.finding_names import FINDINGS
from models.gem.conversation import question_with_context
from models.gem.estimates import NOT_READABLE, UNREADABLE, Estimates, with_limits
from models.gem.measuring_layout import LEARNT_DESCRIPTORS
from models.gem.processing import GemProcessor
from models.grounding.prompt_measurements import DESCRIPTORS, consistent_findings
from models.training.conversations import Example
from models.training.report_text import FINDINGS_SHARE, ReportContext, question_and_answer, synthetic_context

Floats = NDArray[np.float32]

SIGNAL_NOT_READABLE = "The signal cannot be read."
PAGE_NOT_READABLE = "The page cannot be read."
SINUS_SHARE = 0.4  # of random findings are those of a plain sinus rhythm
SWAPPED_SHARE = 0.15  # of readable pages show another ECG than the signal


@dataclass(frozen=True)
class Sources:
    """Estimates of the signal and of the page, and the sentence that names an unreadable one."""

    signal: Estimates
    page: Estimates

    @property
    def used(self) -> Estimates:
        """Estimates that an answer states: those of the signal where it can be read."""
        return self.signal if self.signal.readable else self.page

    @property
    def remark(self) -> str:
        """Sentence in front of the answer; empty where both can be read, or neither."""
        if self.signal.readable == self.page.readable:
            return ""
        return f"{PAGE_NOT_READABLE if self.signal.readable else SIGNAL_NOT_READABLE} "

    def tokens(self) -> Floats:
        """Tokens of signal and page, [2 * TOKENS, TOKEN_WIDTH]."""
        return np.concatenate([self.signal.tokens(), self.page.tokens()])


def random_sources(rng: np.random.Generator, signal: Estimates, *, neither: float = 0.1, one: float = 0.1) -> Sources:
    """Signal and page of one ECG with estimates ``signal``.

    Parameters
    ----------
    neither, one : float
        How often neither, and how often one of both, can be read.
    """
    case = rng.random()
    if case < neither:
        return Sources(UNREADABLE, UNREADABLE)
    page = synthetic_estimates(rng) if rng.random() < SWAPPED_SHARE else varied(rng, signal)
    if case < neither + one:
        return Sources(UNREADABLE, page) if rng.random() < 0.5 else Sources(signal, UNREADABLE)
    return Sources(signal, page)


def synthetic_estimates(rng: np.random.Generator) -> Estimates:
    """Random estimates, often physiologically implausible."""
    values = {"HR": int(rng.triangular(30, 70, 180) if rng.random() < 0.7 else rng.integers(25, 250))}
    learnt = _random_descriptors(rng)
    if "P waves" in learnt and rng.random() < 0.95:
        values["PR"] = int(rng.triangular(100, 160, 280) if rng.random() < 0.7 else rng.integers(70, 390))
    if rng.random() < 0.97:
        values["QRS"] = int(rng.triangular(70, 95, 190) if rng.random() < 0.7 else rng.integers(50, 240))
    if rng.random() < 0.95:
        values["QT"] = int(rng.triangular(300, 390, 500) if rng.random() < 0.7 else rng.integers(200, 640))
    if rng.random() < SINUS_SHARE:
        findings = ["SINUS", *(["NORM"] if rng.random() < 0.6 else [])]
    else:
        findings = [str(f) for f in rng.choice(FINDINGS, int(rng.integers(7)), replace=False)]
    return _estimates(values, learnt, findings)


def varied(rng: np.random.Generator, found: Estimates) -> Estimates:
    """Estimates of a second measurement of the same ECG: other values by a few bpm and ms, now and then a finding."""
    spread = {"HR": 1.0, "PR": 8.0, "QRS": 5.0, "QT": 10.0}
    values = {k: max(1, round(v + spread[k] * rng.standard_normal())) for k, v in found.values.items() if k in spread}
    if rng.random() < 0.1:
        values.pop("PR", None)
    findings = [f for f in found.findings if rng.random() < 0.9]
    if rng.random() < 0.2:
        findings.append(str(rng.choice(FINDINGS)))
    return _estimates(values, [d for d in found.descriptors if d in LEARNT_DESCRIPTORS], findings)


def estimates_like(rng: np.random.Generator, context: ReportContext) -> Estimates:
    """Estimates as the tower might have them for a record that was measured."""
    values = {e.measure: round(e.value) for e in context.measurements if not e.leads or e.unit in ("bpm", "ms")}
    learnt = tuple(d for d in context.descriptors if d in LEARNT_DESCRIPTORS)
    labels = tuple(f for f, there in context.labels.items() if there)
    return varied(rng, Estimates(True, values, learnt, labels))


def _random_descriptors(rng: np.random.Generator) -> list[str]:
    out = []
    for group in DESCRIPTORS:
        names = [words for words, _, _ in group if words in LEARNT_DESCRIPTORS]
        if names and rng.random() < 0.85:
            out.append(str(rng.choice(names)))
    return out


def _estimates(values: dict[str, int], learnt: list[str], findings: list[str]) -> Estimates:
    if "QT" in values:
        values["QTcF"] = round(values["QT"] / np.cbrt(60.0 / values["HR"]))
    descriptors = with_limits(values, learnt)
    plain = Estimates(True, values, descriptors)
    return replace(plain, findings=tuple(consistent_findings(findings, plain.evidence, descriptors)))


def context_of(estimates: Estimates) -> ReportContext:
    """Estimates as the context of a report."""
    return ReportContext(estimates.evidence, estimates.descriptors, dict.fromkeys(estimates.findings, True))


def example_without_evidence(processor: GemProcessor, sources: Sources, rng: np.random.Generator) -> Example:
    """Question alone, and the estimates as the answer."""
    used = sources.used if sources.used.readable else synthetic_estimates(rng)  # its question is asked, not answered
    question, answer = question_and_answer(context_of(used), rng)
    return _example(processor, sources, question, answer)


def example_with_evidence(
    processor: GemProcessor, sources: Sources, context: ReportContext, rng: np.random.Generator
) -> Example:
    """Question with the prompt context, and its content as the answer."""
    question, answer = question_and_answer(context, rng)
    titles = context.titles if rng.random() < FINDINGS_SHARE else None
    return _example(
        processor, sources, question_with_context(question, context.measurements, context.descriptors, titles), answer
    )


def random_example(
    processor: GemProcessor, records: list[ReportContext], rng: np.random.Generator, with_evidence: float
) -> Example:
    """One example.

    Parameters
    ----------
    records : list of ReportContext
        Of real and simulated records; half of the examples with evidence are theirs, the others are synthetic.
    with_evidence : float
        Share of the examples with evidence.
    """
    if rng.random() >= with_evidence:
        return example_without_evidence(processor, random_sources(rng, synthetic_estimates(rng)), rng)
    if records and rng.random() < 0.5:
        context = records[int(rng.integers(len(records)))]
        sources = random_sources(rng, estimates_like(rng, context), neither=0.05, one=0.05)
    else:
        context = synthetic_context(rng)
        sources = random_sources(rng, synthetic_estimates(rng), neither=0.05, one=0.05)
    return example_with_evidence(processor, sources, context, rng)


def _example(processor: GemProcessor, sources: Sources, question: str, answer: str) -> Example:
    whole = f"{sources.remark}{answer}" if sources.used.readable else NOT_READABLE
    return Example(*processor.training_example([(question, whole)]), sources.tokens())

"""Estimates of the measuring tower: rate, intervals, descriptors and findings of one window.

In: a row of the tower's outputs (`models.gem.measuring_layout`). Out: `Estimates`; of a signal and its page `Sources`,
which give the prompt context of a question that comes without evidence. A window that cannot be read has neither values
nor findings. NumPy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.evidence import Evidence
from models.finding_names import FINDINGS, TITLES
from models.gem.conversation import question_with_context
from models.gem.measuring_layout import (
    ATTRIBUTES,
    BINS,
    LEARNT_DESCRIPTORS,
    OUTPUTS,
    QUANTITIES,
    READABLE,
    VALUE_OUTPUTS,
    bin_values,
)
from models.grounding.prompt_measurements import DESCRIPTORS, NO_ST, consistent_findings, descriptors_with
from models.normal_limits import HR_HIGH_BPM, HR_LOW_BPM, PR_LONG_MS, QRS_WIDE_MS, is_qtc_long

Floats = NDArray[np.float32]

WORDS = tuple(words for group in DESCRIPTORS for words, _, _ in group if words != NO_ST)
"""Descriptors in the order of the prompt; the tower does not know voltages."""
MEASURES = (*QUANTITIES, "QTcF")
PLAIN = 0.5  # probability from which an attribute without a fitted threshold holds
AROUND = 5  # bins around the most probable one whose mean is the estimate


@dataclass(frozen=True)
class Estimates:
    """Estimates of one window.

    Attributes
    ----------
    readable : bool
        An ECG is there; without it the others are empty.
    values : dict
        HR (bpm), PR, QRS, QT, QTcF (ms); without those that cannot be measured.
    descriptors : tuple of str
        Of `WORDS`.
    findings : tuple of str
        Of `models.finding_names.FINDINGS`.
    """

    readable: bool
    values: Mapping[str, int] = field(default_factory=dict)
    descriptors: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Values in the order of a text; their place in the signal is not known."""
        return tuple(Evidence(name, float(self.values[name]), (), 0, 1) for name in MEASURES if name in self.values)


UNREADABLE = Estimates(False)


NOT_READABLE = "The ECG cannot be read."
"""Whole answer where neither signal nor page can be read."""
SIGNAL_NOT_READABLE = "The signal cannot be read."
PAGE_NOT_READABLE = "The page cannot be read."


@dataclass(frozen=True)
class Sources:
    """Estimates of the signal and of its page; both are the same where the page was not read.

    Attributes
    ----------
    signal, page : Estimates
    both : Estimates or None
        Of signal and page together, where both were read.
    """

    signal: Estimates
    page: Estimates
    both: Estimates | None = None

    @property
    def used(self) -> Estimates:
        """Estimates that an answer rests on: of both, else of the signal where it can be read, else the page's."""
        if self.both is not None and self.both.readable:
            return self.both
        return self.signal if self.signal.readable else self.page

    @property
    def remark(self) -> str:
        """Sentence in front of an answer: which of both cannot be read."""
        if self.signal.readable and self.page.readable:
            return ""
        return PAGE_NOT_READABLE if self.signal.readable else SIGNAL_NOT_READABLE

    @property
    def titles(self) -> tuple[str, ...]:
        """Findings of the used estimates, in words."""
        return tuple(TITLES[f] for f in self.used.findings)

    def question(self, question: str) -> str:
        """Question followed by the estimates as prompt context."""
        return question_with_context(question, self.used.evidence, self.used.descriptors, self.titles)


def with_limits(values: Mapping[str, int], learnt: Sequence[str], sex: str = "") -> tuple[str, ...]:
    """Descriptors: the learnt ones, and those that follow from the values, in the order of the prompt."""
    hr, pr, qrs, qtcf = (values.get(name) for name in ("HR", "PR", "QRS", "QTcF"))
    there = set(learnt)
    if hr is not None:
        there.add("slow rate" if hr < HR_LOW_BPM else "fast rate" if hr > HR_HIGH_BPM else "normal rate")
    if pr is not None:
        there.add("long PR" if pr > PR_LONG_MS else "normal PR")
    if qrs is not None:
        there.add("wide QRS" if qrs >= QRS_WIDE_MS else "narrow QRS")
    if qtcf is not None and is_qtc_long(float(qtcf), sex):
        there.add("long QTcF")
    return tuple(words for words in WORDS if words in there)


def estimates_of(logits: Floats, thresholds: Mapping[str, float] | None = None) -> Estimates:
    """Estimates of one window.

    Parameters
    ----------
    logits : float32 [OUTPUTS]
    thresholds : mapping, optional
        Attribute to the probability from which it holds; `PLAIN` for the others.
    """
    if logits.shape != (OUTPUTS,):
        raise ValueError(f"a window has {OUTPUTS} outputs, not {logits.shape}")
    limits = thresholds or {}
    attributes = dict(
        zip(ATTRIBUTES, _sigmoid(logits[VALUE_OUTPUTS : VALUE_OUTPUTS + len(ATTRIBUTES)]).tolist(), strict=True)
    )

    def holds(attribute: str) -> bool:
        return bool(attributes[attribute] >= limits.get(attribute, PLAIN))

    if not holds(READABLE):
        return UNREADABLE
    learnt = _decided(attributes, holds)
    measurable = _sigmoid(logits[VALUE_OUTPUTS - len(QUANTITIES) : VALUE_OUTPUTS])
    values = {}
    for k, name in enumerate(QUANTITIES):
        if name == "HR" or measurable[k] >= PLAIN:
            values[name] = round(expected_value(name, logits[k * BINS : (k + 1) * BINS]))
    if "regular" not in learnt and logits[-1] > 0:
        values["HR"] = round(float(logits[-1]))  # the correlation of the beats has no single peak
    if "P waves" not in learnt:
        values.pop("PR", None)
    if "QT" in values:
        values["QTcF"] = round(values["QT"] / np.cbrt(60.0 / values["HR"]))
    descriptors = with_limits(values, learnt)
    called = [f for f in FINDINGS if holds(f)]
    evidence = Estimates(True, values).evidence
    kept = tuple(consistent_findings(called, evidence, descriptors, attributes))
    return Estimates(True, values, descriptors_with(kept, evidence, descriptors), kept)


def expected_value(name: str, logits: Floats) -> float:
    """Mean over the bins around the most probable one."""
    p = np.exp(logits - logits.max())
    top = int(p.argmax())
    near = slice(max(0, top - AROUND), top + AROUND + 1)
    return float((p[near] * bin_values(name)[near]).sum() / p[near].sum())


def _decided(attributes: Mapping[str, float], holds: Callable[[str], bool]) -> list[str]:
    """Learnt descriptors: the most probable of each group, where it holds."""
    out = []
    for group in DESCRIPTORS:
        names = [words for words, _, _ in group if words in LEARNT_DESCRIPTORS]
        if names:
            best = max(names, key=lambda name: attributes[name])
            if holds(best):
                out.append(best)
    return out


def _sigmoid(x: Floats) -> Floats:
    out: Floats = (1.0 / (1.0 + np.exp(-np.clip(x, -50, 50)))).astype(np.float32)
    return out

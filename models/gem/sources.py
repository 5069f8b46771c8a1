"""What the measuring tower reads of a request: the signal, and a page where there is more to learn from one.

In: a `GemRequest` and the tower of a decoder. Out: `Sources`. No torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.gem.ecg_window import ecg_window
from models.gem.estimates import Estimates, Sources
from models.gem.page_signal import page_window
from models.gem.report_sentences import likely_texts
from models.gem.request import GemRequest


def read_sources(request: GemRequest, estimate: Callable[[NDArray[np.float32]], Estimates]) -> Sources:
    """Estimates of the signal and of its page.

    A page that would be drawn from the signal is read only where the signal cannot be: it shows nothing else, and
    drawing and reading it takes longer than the answer.

    Parameters
    ----------
    request : GemRequest
    estimate : callable
        Estimates of a window, float32 [12, 5000] mV.
    """
    signal = estimate(ecg_window(request.ecg))
    if signal.readable and request.page is None and not request.blank_page:
        return Sources(signal, signal)
    return Sources(signal, estimate(page_window(request.ecg, request.page, blank=request.blank_page)))


@dataclass(frozen=True, slots=True)
class Asked:
    """A request in words.

    Attributes
    ----------
    question : str
        With its prompt context.
    findings : tuple of str
        Those that the answer must name.
    likely : tuple of str
        Texts that the answer may follow, for drafts (`models.gem.drafting`).
    """

    question: str
    findings: tuple[str, ...] = ()
    likely: tuple[str, ...] = ()


def asked(request: GemRequest, sources: Sources | None, context: bool) -> Asked:
    """What a model is asked.

    Parameters
    ----------
    request : GemRequest
    sources : Sources or None
        Estimates that become the context of a request without measurements; None without a measuring tower.
    context : bool
        The model was trained on prompts with measured values.
    """
    if request.measurements:
        question = request.question_with_context if context else request.question
        findings = tuple(request.findings or ()) if context and request.asks_for_all else ()
        likely = likely_texts(request.measurements, request.descriptors, request.findings)
    elif sources is not None:
        question, findings = sources.question(request.question), sources.titles if request.asks_for_all else ()
        likely = likely_texts(sources.used.evidence, sources.used.descriptors, sources.titles)
    else:
        return Asked(request.question)
    return Asked(question, findings, tuple(likely))

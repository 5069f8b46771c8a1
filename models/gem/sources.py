"""What the towers read of a request: the signal, and its page.

In: a `GemRequest` and the towers of a decoder. Out: `Sources`, and what the model is asked. No torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.gem.ecg_window import ecg_window
from models.gem.estimates import Sources, estimates_of
from models.gem.page import REFERENCE_SIZE, as_image, reference_page
from models.gem.page_layout import small_page
from models.gem.page_signal import signal_of_image
from models.gem.report_sentences import likely_texts
from models.gem.request import GemRequest

Floats = NDArray[np.float32]
Limits = Mapping[str, float]  # attribute to the probability from which it holds


@dataclass(frozen=True)
class TowerLimits:
    """How the outputs of the towers become estimates, from a ``config.json``.

    Attributes
    ----------
    signal, page, both : mapping
        Limits of the measuring tower, of the page tower, and of their weighted mean.
    share : float
        Weight of the page tower's outputs in the mean; 0: the mean is not used.
    reads_pages : bool
        There is a page tower.
    """

    signal: Limits = field(default_factory=dict)
    page: Limits = field(default_factory=dict)
    both: Limits = field(default_factory=dict)
    share: float = 0.0
    reads_pages: bool = False

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """From ``measuring_config`` and ``page_config``, where they are there."""
        signal = (document.get("measuring_config") or {}).get("thresholds", {})
        page = document.get("page_config")
        if not page:
            return cls(signal)
        return cls(signal, page["thresholds"], page["thresholds_both"], float(page["share"]), reads_pages=True)


class Towers(Protocol):
    """The towers of a decoder."""

    limits: TowerLimits

    def measure(self, window: Floats) -> Floats:
        """Outputs of the measuring tower for a window [12, 5000] mV, [OUTPUTS]."""

    def read_page(self, page: NDArray[np.uint8]) -> Floats:
        """Outputs of the page tower for a small page, [OUTPUTS]."""


def read_sources(request: GemRequest, towers: Towers) -> Sources:
    """Estimates of the signal and of its page.

    With measurements in the prompt, a page that would be drawn from the signal is read only where the signal cannot
    be: it shows nothing else, and drawing and reading it takes longer than the answer. Without them the estimates are
    those of both, where both can be read.
    """
    limits = towers.limits
    of_signal = towers.measure(ecg_window(request.ecg))
    signal = estimates_of(of_signal, limits.signal)
    joins = limits.share > 0.0 and not request.measurements
    if signal.readable and request.page is None and not request.blank_page and not joins:
        return Sources(signal, signal)
    image = shown_page(request)
    if not limits.reads_pages:
        return Sources(signal, estimates_of(towers.measure(signal_of_image(image)), limits.signal))
    of_page = towers.read_page(small_page(image))
    page = estimates_of(of_page, limits.page)
    if not (joins and signal.readable and page.readable):
        return Sources(signal, page)
    mean = ((1.0 - limits.share) * of_signal + limits.share * of_page).astype(np.float32)
    mean[-1] = of_signal[-1] or of_page[-1]  # a rate, 0 where there are too few beats
    return Sources(signal, page, estimates_of(mean, limits.both))


def shown_page(request: GemRequest) -> Image.Image:
    """The page of a request: a blank one, the image that it brings, or drawn from its ECG."""
    if request.blank_page:
        return Image.new("RGB", REFERENCE_SIZE, "white")
    return as_image(reference_page(request.ecg)) if request.page is None else Image.open(request.page)


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

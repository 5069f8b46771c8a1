"""What the measuring tower reads of a request: the signal, and a page where there is more to learn from one.

In: a `GemRequest` and the tower of a decoder. Out: `Sources`. No torch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.gem.ecg_window import ecg_window
from models.gem.estimates import Estimates, Sources
from models.gem.page_signal import page_window
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


def question_of(request: GemRequest, sources: Sources | None, context: bool) -> tuple[str, tuple[str, ...]]:
    """Question with its prompt context, and the findings that the answer must name.

    Parameters
    ----------
    request : GemRequest
    sources : Sources or None
        Estimates that become the context of a request without measurements; None without a measuring tower.
    context : bool
        The model was trained on prompts with measured values.
    """
    if sources is not None and not request.measurements:
        return sources.question(request.question), sources.titles if request.asks_for_all else ()
    if not context:
        return request.question, ()
    findings = tuple(request.findings or ()) if request.measurements and request.asks_for_all else ()
    return request.question_with_context, findings

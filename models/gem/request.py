"""Request, answer and identity of a GEM service. No torch, so that every worker can import it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.ecg import Ecg
from models.evidence import Evidence
from models.gem.conversation import GROUNDED_QUESTION, question_with_context

DEADLINE_S = 20.0  # a later interpretation is of no use beside an alarm that sounds
MAX_NEW_TOKENS = 512  # the reference's answers are paragraphs of up to 300 words


@dataclass(frozen=True, eq=False)
class GemRequest:
    """One segment to interpret.

    Attributes
    ----------
    ecg : Ecg
        The segment, any sampling rate and lead order; the model reads its first 10 s.
    question : str
    measurements : sequence of Evidence
        Prompt context: measured values. Used by models that were trained so (``GemConfig.evidence_in_prompt``).
    descriptors : sequence of str
        Prompt context: descriptors of the measurements ("P waves", "wide QRS").
    findings : sequence of str or None
        Prompt context: findings of the encoder's heads; None where no heads were run.
    page : Path or None
        Image of the page, for models with a vision tower; None: it is drawn from the ECG.
    blank_page : bool
        Show such a model a white page (ablation).
    deadline_s : float
        From submission; waiting in the queue counts.
    max_new_tokens : int
    urgency : int
        Higher is answered first; among equals the newest request.
    on_text : callable or None
        Called in the engine's thread with each new piece of text.
    """

    ecg: Ecg
    question: str = GROUNDED_QUESTION
    measurements: Sequence[Evidence] = ()
    descriptors: Sequence[str] = ()
    findings: Sequence[str] | None = None
    page: Path | None = None
    blank_page: bool = False
    deadline_s: float = DEADLINE_S
    max_new_tokens: int = MAX_NEW_TOKENS
    urgency: int = 0
    on_text: Callable[[str], None] | None = None

    @property
    def asks_for_all(self) -> bool:
        """The question asks for a whole interpretation, not for one topic."""
        return self.question == GROUNDED_QUESTION

    @property
    def question_with_context(self) -> str:
        """Question followed by the prompt context."""
        return question_with_context(self.question, self.measurements, self.descriptors, self.findings)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A request as a decoder starts it.

    Attributes
    ----------
    prompt : object
        Input of the decoder's ``start``.
    remark : str
        Sentence in front of the answer; may be empty.
    answer : str
        The whole answer, where none is generated.
    findings : tuple of str
        Findings of the prompt, in words, all of which the answer must name (`models.gem.also_found`).
    """

    prompt: Any
    remark: str = ""
    answer: str = ""
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GemAnswer:
    """Answer of GEM.

    Attributes
    ----------
    text : str
    tokens : int
        New tokens without the end token.
    finish : str
        ``stop`` (the model ended the answer), ``length`` or ``deadline`` (the answer was cut there).
    seconds, first_token_s : float
        From submission to the last and to the first token.
    """

    text: str
    tokens: int
    finish: str
    seconds: float
    first_token_s: float


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Identity of a loaded model, for the provenance of an interpretation (``interpretation.model`` of an alert)."""

    name: str
    weights: str
    precision: str
    device: str
    trained: bool = field(default=True)

    def to_json(self) -> dict[str, str]:
        """Fields of ``interpretation.model``."""
        return {"name": self.name, "weights": self.weights, "precision": self.precision, "device": self.device}

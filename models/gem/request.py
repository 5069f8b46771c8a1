"""What is asked of GEM and what comes back. Needs no torch, so that every worker can speak of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from models.ecg import Ecg
from models.evidence import Evidence
from models.gem.conversation import GROUNDED_QUESTION, question_with_context

DEADLINE_S = 20.0  # an interpretation that comes later than that is of no use beside an alarm that sounds
MAX_NEW_TOKENS = 512  # the reference's answers are paragraphs of up to 300 words


@dataclass(frozen=True, eq=False)
class GemRequest:
    """One segment to interpret.

    Attributes
    ----------
    ecg : Ecg
        The segment, any rate and lead order; its first 10 s are read.
    question : str
    evidence : sequence of Evidence
        Stated in the prompt where the model was trained so (``GemConfig.evidence_in_prompt``).
    shown : sequence of str
    found : sequence of str or None
        What the measurements show and what the encoder's heads found, in words; stated in the same place.
    deadline_s : float
        From submission; waiting in the queue counts.
    max_new_tokens : int
    urgency : int
        Higher is answered first; among equals the newest.
    on_text : callable or None
        Gets each new piece of text, in the engine's thread.
    """

    ecg: Ecg
    question: str = GROUNDED_QUESTION
    evidence: Sequence[Evidence] = ()
    shown: Sequence[str] = ()
    found: Sequence[str] | None = None
    deadline_s: float = DEADLINE_S
    max_new_tokens: int = MAX_NEW_TOKENS
    urgency: int = 0
    on_text: Callable[[str], None] | None = None

    @property
    def stated(self) -> str:
        """The question with all that is known behind it."""
        return question_with_context(self.question, self.evidence, self.shown, self.found)


@dataclass(frozen=True, slots=True)
class GemAnswer:
    """What GEM said.

    Attributes
    ----------
    text : str
    tokens : int
        New tokens, the end mark not counted.
    finish : str
        ``stop`` (it ended by itself), ``length`` or ``deadline`` (cut there; the text ends where it was).
    seconds : float
        From submission to the last token; ``first_token_s`` to the first.
    """

    text: str
    tokens: int
    finish: str
    seconds: float
    first_token_s: float


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Who answers, for the provenance of an interpretation (``interpretation.model`` of the alert)."""

    name: str
    weights: str
    precision: str
    device: str
    trained: bool = field(default=True)

    def to_json(self) -> dict[str, str]:
        return {"name": self.name, "weights": self.weights, "precision": self.precision, "device": self.device}

"""A reading of a segment: its text, the claims in it with their verdicts, and the evidence that they cite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from models.evidence import Evidence
from models.grounding.claims import Verdict


@dataclass(frozen=True, slots=True)
class CheckedClaim:
    """A statement of the text, its place (Unicode code points) and its verdict, with the rule that judged it."""

    text: str
    start: int
    end: int
    verdict: Verdict
    citation: int | None
    rule: str


@dataclass(frozen=True, slots=True)
class NumberedEvidence:
    """Evidence under its number."""

    n: int
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which weights wrote the text, and on what."""

    name: str
    weights: str
    precision: str
    device: str


@dataclass(frozen=True, slots=True)
class GroundedInterpretation:
    """An interpretation.

    Attributes
    ----------
    source : {"gem", "measured"}
    reason : str or None
        Why the measurements speak in GEM's place.
    text : str
        Prose with ``[n]``; what the signal contradicts is struck (~~so~~).
    claims : tuple of CheckedClaim
    evidence : tuple of NumberedEvidence
        New citations only, numbered on from those that were given.
    model : ModelIdentity or None
        None for ``measured``.
    seconds : float
        Time taken.
    """

    source: Literal["gem", "measured"]
    reason: str | None
    text: str
    claims: tuple[CheckedClaim, ...] = ()
    evidence: tuple[NumberedEvidence, ...] = ()
    model: ModelIdentity | None = None
    seconds: float = 0.0

    @property
    def counts(self) -> dict[str, int]:
        """How many claims have each verdict."""
        return {
            verdict: sum(c.verdict == verdict for c in self.claims)
            for verdict in ("supported", "contradicted", "unsupported")
        }


class CitationNumbers:
    """Numbers for citations: those of the alert first, new ones from there on, one number a measurement.

    Parameters
    ----------
    first : int
        Number of the first new citation.
    given : sequence of Evidence
        The alert's own, numbered 1…k.
    """

    def __init__(self, first: int = 1, given: Sequence[Evidence] = ()) -> None:
        self.given = tuple(given)
        self._next = max(first, len(self.given) + 1)
        self.cited: list[NumberedEvidence] = []

    def number(self, evidence: Evidence) -> int:
        """The number of evidence: that of the same measurement if it is cited already, else the next."""
        for n, known in [*enumerate(self.given, 1), *((c.n, c.evidence) for c in self.cited)]:
            same_place = (known.start, known.end, known.leads, known.wave) == (
                evidence.start,
                evidence.end,
                evidence.leads,
                evidence.wave,
            )
            if same_place and known.measure == evidence.measure:
                return n
        self.cited.append(NumberedEvidence(self._next, evidence))
        self._next += 1
        return self._next - 1

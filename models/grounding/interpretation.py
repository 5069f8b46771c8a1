"""Interpretation of a segment: its text, the claims in it with their verdicts, and the evidence that they cite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from models.evidence import Evidence
from models.grounding.claims import Verdict


@dataclass(frozen=True, slots=True)
class CheckedClaim:
    """A claim with verdict, citation number, rule and its position in the marked text (Unicode code points).

    ``start`` and ``end`` are None where the text does not have the claim: contradicted, or of a sentence left out.
    """

    text: str
    start: int | None
    end: int | None
    verdict: Verdict
    citation: int | None
    rule: str


@dataclass(frozen=True, slots=True)
class NumberedEvidence:
    """Evidence with its citation number."""

    n: int
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """The model that wrote a text: name, hash of the weights, precision and device."""

    name: str
    weights: str
    precision: str
    device: str


@dataclass(frozen=True, slots=True)
class GroundedInterpretation:
    """Text on a segment, grounded in its measurements.

    Attributes
    ----------
    source : {"gem", "measured"}
    reason : str or None
        Why the text is the rule-based report (source ``measured``) instead of GEM's.
    text : str
        Prose with ``[n]`` and "(not confirmed)"; contradicted claims are not in it.
    claims : tuple of CheckedClaim
    evidence : tuple of NumberedEvidence
        New citations only, numbered after those of the alert.
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
        """Number of claims with each verdict."""
        return {
            verdict: sum(c.verdict == verdict for c in self.claims)
            for verdict in ("supported", "contradicted", "unsupported")
        }


class CitationNumbers:
    """Citation numbers: those of the alert first, then new ones; one number a measurement.

    Parameters
    ----------
    first : int
        Number of the first new citation.
    given : sequence of Evidence
        The alert's own citations, numbered 1…k.
    """

    def __init__(self, first: int = 1, given: Sequence[Evidence] = ()) -> None:
        self.given = tuple(given)
        self._next = max(first, len(self.given) + 1)
        self.cited: list[NumberedEvidence] = []

    def number(self, evidence: Evidence) -> int:
        """The citation number of evidence: the existing one of the same measurement, else the next."""
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

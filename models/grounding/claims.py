"""Claims as extracted from prose, before any measurement, and the verdicts that they can get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

ClaimKind = Literal["number", "finding"]
Verdict = Literal["supported", "contradicted", "unsupported"]
"""Supported or contradicted by a measurement; unsupported where no measurement decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractedClaim:
    """One claim of a text.

    Attributes
    ----------
    text : str
        The words of the claim.
    start, end : int
        Unicode code points in the text.
    kind : {"number", "finding"}
    subject : str
        A measure (``HR``, ``PR``, ``QRS``, ``QT``, ``QTc``, ``QTcF``, ``RR``, ``P``, ``ST``, ``AXIS``, ``AMPLITUDE``,
        …) or a finding of `models.grounding.lexicon`.
    value, high : float or None
        The number in the measure's own unit (ms, bpm, mV, degrees; RR in s), and the upper end of a range.
    relation : {"=", "<", ">"}
    wave : str or None
        Wave of an amplitude or duration (``P``, ``Q``, ``R``, ``S``, ``T``).
    leads : tuple of str
        Canonical names; empty where none is named.
    beats : tuple of int
        Beats named, counted from 1.
    present : bool
        False: the text denies it.
    hedged : bool
        Stated as a possibility.
    """

    text: str
    start: int
    end: int
    kind: ClaimKind
    subject: str
    value: float | None = None
    high: float | None = None
    relation: Literal["=", "<", ">"] = "="
    wave: str | None = None
    leads: tuple[str, ...] = ()
    beats: tuple[int, ...] = ()
    present: bool = True
    hedged: bool = False

    @classmethod
    def finding(cls, subject: str, *, leads: tuple[str, ...] = (), present: bool = True) -> Self:
        """A finding without a text, for its rule alone."""
        return cls(text="", start=0, end=0, kind="finding", subject=subject, leads=leads, present=present)

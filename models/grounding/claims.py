"""A claim as it was read out of prose, before anything is held against the signal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["number", "finding"]
Verdict = Literal["supported", "contradicted", "unsupported"]


@dataclass(frozen=True, slots=True)
class ExtractedClaim:
    """One claim of a text.

    Attributes
    ----------
    text : str
        Its words.
    start, end : int
        Code points in the text.
    kind : {"number", "finding"}
    subject : str
        A measure (``HR``, ``PR``, ``QRS``, ``QT``, ``QTc``, ``QTcF``, ``RR``, ``P``, ``ST``, ``AXIS``, ``AMPLITUDE``,
        …) or a finding of `models.grounding.lexicon`.
    value, high : float or None
        The number in the measure's own unit (ms, bpm, mV, degrees; RR in s), and the upper end of a range.
    relation : {"=", "<", ">"}
    wave : str or None
        Of an amplitude or duration.
    leads : tuple of str
        Canonical; empty where none is named.
    beats : tuple of int
        Beats that are named, counted from 1.
    present : bool
        False: the text says that it is not there.
    hedged : bool
        Said as a possibility.
    """

    text: str
    start: int
    end: int
    kind: Kind
    subject: str
    value: float | None = None
    high: float | None = None
    relation: Literal["=", "<", ">"] = "="
    wave: str | None = None
    leads: tuple[str, ...] = ()
    beats: tuple[int, ...] = ()
    present: bool = True
    hedged: bool = False

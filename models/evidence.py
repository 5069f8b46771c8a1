"""Evidence: one measured value with the leads and the span where it can be measured again.

A citation of an alert is an `Evidence` with a number. Positions are samples of the measured signal, at its own sampling
rate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

MEASURES = {
    "RR": "s",
    "HR": "bpm",
    "P": "ms",
    "QRS": "ms",
    "PR": "ms",
    "QT": "ms",
    "QTc": "ms",
    "QTcF": "ms",
    "ST": "mV",
    "AMPLITUDE": "mV",
    "REGULARITY": "",
    "ABSENT_P": "",
    "QUALITY": "",
    "SILENCE": "s",
}
"""Every measure that can be cited, and its unit ("" is a plain number)."""
TOLERANCE = {
    "HR": 3.0,
    "PR": 10.0,
    "QRS": 10.0,
    "P": 10.0,
    "QT": 20.0,
    "QTc": 20.0,
    "QTcF": 20.0,
    "RR": 0.020,
    "ST": 0.05,
    "AMPLITUDE": 0.10,
}
"""Two values within this of each other are the same value, in the unit of the measure. Those of the intervals follow
the limits of IEC 60601-2-25 for global intervals."""
OF_A_WAVE = frozenset({"P", "QRS", "PR", "QT", "QTc", "QTcF", "ST"})
"""Measures between the boundaries of a beat's waves."""
OVER_MEDIAN: Literal["median"] = "median"


@dataclass(frozen=True, slots=True)
class BeatSpan:
    """One beat of a citation: R position, span and its own value (samples; unit of the measure)."""

    r: int
    start: int
    end: int
    value: float


@dataclass(frozen=True, slots=True)
class Criterion:
    """The rule that the evidence met: wording, limit, where the limit comes from, and the accuracy of detection.

    Attributes
    ----------
    rule : str
        In force for the bed; of a rule with several readings the one that applied.
    limit : float
        In force for the bed.
    source : str
        Where the limit comes from.
    accuracy : float
        Rate or time, in the unit of the measure, by which the cited value may lie on the other side of the limit.
    """

    rule: str
    limit: float
    source: str
    accuracy: float = 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """A measured value and its span.

    Attributes
    ----------
    measure : str
        One of ``MEASURES``.
    value : float
        In the measure's unit.
    leads : tuple of str
        Leads that show it: those it was measured on, or of a median those whose own value is within `TOLERANCE`.
    start, end : int
        Samples; re-measuring over this span gives ``value``.
    beats : tuple of BeatSpan
        The beats inside the span, where the measure is one of beats.
    criterion : Criterion or None
        The alarm rule that it met.
    over : str or None
        ``median`` where the value is the median over the leads that were measured.
    over_s : float or None
        For a rule over a longer time: that time, s; the span then holds one instance.
    wave : str or None
        For ``AMPLITUDE``: which wave.
    confidence : float
        0 to 1.
    method : str
        Name and version of the measurement method.
    """

    measure: str
    value: float
    leads: tuple[str, ...]
    start: int
    end: int
    beats: tuple[BeatSpan, ...] = ()
    criterion: Criterion | None = None
    over_s: float | None = None
    wave: str | None = None
    confidence: float = 1.0
    method: str = ""
    over: Literal["median"] | None = None

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise ValueError(f"measure {self.measure!r} is not one of {', '.join(MEASURES)}")
        if self.end < self.start:
            raise ValueError(f"{self.measure} ends at sample {self.end}, before its start at {self.start}")

    @property
    def unit(self) -> str:
        """Unit of the value; "" is a plain number."""
        return MEASURES[self.measure]

    def shifted(self, samples: int) -> Evidence:
        """The same evidence with every position moved by ``samples``."""
        beats = tuple(BeatSpan(b.r + samples, b.start + samples, b.end + samples, b.value) for b in self.beats)
        return replace(self, start=self.start + samples, end=self.end + samples, beats=beats)

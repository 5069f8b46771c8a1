"""The alert: one document a version, written by the monitor alone, read by every nurse station.

Field meanings are in docs/consume.md. ``version`` counts from 1 without a gap; readers act on ``state``.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Literal

from pydantic import Field

from streams.document import Document, Time

ALERT_SCHEMA = 1


class Phase(StrEnum):
    """IHE PCD-04 phase of a version; a reminder is PCD-04's ``continue`` and travels as an update."""

    START = "start"
    UPDATE = "update"
    END = "end"


class State(StrEnum):
    """``latched``: the condition is over, nobody has acknowledged."""

    ON = "on"
    LATCHED = "latched"
    ACKNOWLEDGED = "acknowledged"
    OFF = "off"


Kind = Literal["physiological", "technical", "advisory"]
Priority = Literal["PH", "PM", "PL", "PN"]
Verdict = Literal["supported", "contradicted", "unsupported"]


class Acknowledgement(Document):
    at: Time
    by: str


class BeatCitation(Document):
    """One beat of a citation; samples relative to the segment's start."""

    r_sample: int
    start_sample: int
    end_sample: int
    value: float


class CriterionDoc(Document):
    rule: str
    limit: float
    source: str


class Citation(Document):
    """A measured value and where to measure it again: ``leads``, ``start_sample`` to ``end_sample`` of the segment."""

    n: int = Field(ge=1)
    measure: str
    value: float
    unit: str
    leads: list[str]
    start: Time
    end: Time
    start_s: float
    end_s: float
    start_sample: int
    end_sample: int
    over_s: float | None = None
    wave: str | None = None
    beats: list[BeatCitation] = []
    criterion: CriterionDoc | None = None
    confidence: float = Field(ge=0, le=1)
    method: str


class Claim(Document):
    """A statement of the prose; ``start`` and ``end`` count Unicode code points of the text."""

    text: str
    start: int
    end: int
    verdict: Verdict
    citation: int | None = None
    rule: str


class ClaimCounts(Document):
    supported: int = 0
    contradicted: int = 0
    unsupported: int = 0


class ModelInfo(Document):
    name: str
    weights: str
    precision: str
    device: str


class Interpretation(Document):
    """The reading of a segment: by GEM, or worded from the measurements (``measured``, with the reason)."""

    source: Literal["gem", "measured"]
    reason: str | None = None
    at: Time
    text: str
    claims: list[Claim] = []
    counts: ClaimCounts = ClaimCounts()
    model: ModelInfo | None = None
    seconds: float


class Segment(Document):
    """The flagged stretch of signal; ``strip`` is the Redis key of its samples (CONTRACTS 5)."""

    start: Time
    duration_s: float
    sampling_rate: float
    strip: str


class EncoderInfo(Document):
    name: str
    weights: str
    provider: str


class WindowRange(Document):
    epoch: int
    first: int
    last: int


class Provenance(Document):
    monitor: str
    encoder: EncoderInfo | None = None
    windows: WindowRange | None = None


class Alert(Document):
    """One version of an alert."""

    schema_: int = Field(default=ALERT_SCHEMA, alias="schema")
    id: str
    version: int = Field(ge=1)
    generation: int = 0
    phase: Phase
    state: State
    kind: Kind
    code: str
    mdc: str | None = None
    priority: Priority
    title: str
    bed_stream: str
    patient: str
    unit: str
    bed: str
    onset: Time
    detected: Time
    end: Time | None = None
    published: Time
    sounded: bool
    sounding: bool
    superseded_by: str | None = None
    late: bool = False
    reminders: int = 0
    escalated: Time | None = None
    acknowledged: Acknowledgement | None = None
    leads: list[str] = []
    derived_leads: list[str] = []
    segment: Segment | None = None
    citations: list[Citation] = []
    interpretation: Interpretation | None = None
    provenance: Provenance


class InterpretationMessage(Document):
    """What the interpreter sends back on ``ecg.interpretations``; its ``id`` is applied once."""

    schema_: int = Field(default=1, alias="schema")
    id: str
    alert_id: str
    bed_stream: str
    interpretation: Interpretation
    citations: list[Citation] = []


def alert_id(bed_stream: str, code: str, onset_ns: int) -> str:
    """The first 32 hex digits of SHA-256 of ``<bed stream>|<code>|<onset in ns>``, onset as first recorded."""
    return hashlib.sha256(f"{bed_stream}|{code}|{onset_ns}".encode()).hexdigest()[:32]

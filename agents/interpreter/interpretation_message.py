"""From a reading to the document that carries it: the interpretation of an alert, and the message to the monitor."""

from __future__ import annotations

import hashlib

from agents.lifecycle.citation_documents import citation_of
from models.grounding.interpretation import GroundedInterpretation
from streams.alert import Claim, ClaimCounts, Interpretation, InterpretationMessage, ModelInfo
from streams.document import time_of_ns
from streams.wire import FlaggedSegment


def interpretation_of(reading: GroundedInterpretation, at_ns: int) -> Interpretation:
    """The reading as a document, made at ``at_ns``."""
    model = reading.model
    return Interpretation(
        source=reading.source,
        reason=reading.reason,
        at=time_of_ns(at_ns),
        text=reading.text,
        claims=[
            Claim(text=c.text, start=c.start, end=c.end, verdict=c.verdict, citation=c.citation, rule=c.rule)
            for c in reading.claims
        ],
        counts=ClaimCounts(**reading.counts),
        model=None
        if model is None
        else ModelInfo(name=model.name, weights=model.weights, precision=model.precision, device=model.device),
        seconds=round(reading.seconds, 3),
    )


def message_of(segment: FlaggedSegment, reading: GroundedInterpretation, now_ns: int) -> InterpretationMessage:
    """The reading of a segment as a message to the monitor; the same reading of the same segment has the same id."""
    return InterpretationMessage(
        id=hashlib.sha256(f"{segment.alert_id}|{reading.source}".encode()).hexdigest()[:32],
        alert_id=segment.alert_id,
        bed_stream=segment.window.bed_stream,
        interpretation=interpretation_of(reading, now_ns),
        citations=[citation_of(c.evidence, c.n, segment.start_ns, segment.window.fs_hz) for c in reading.evidence],
    )

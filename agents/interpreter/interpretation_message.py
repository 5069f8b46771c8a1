"""Converts a grounded interpretation to the document of an alert and to the message for the monitor."""

from __future__ import annotations

import hashlib

from agents.lifecycle.citation_documents import citation_of
from models.grounding.interpretation import GroundedInterpretation
from streams.alert import Claim, ClaimCounts, Interpretation, InterpretationMessage, ModelInfo
from streams.document import time_of_ns
from streams.wire import FlaggedSegment


def interpretation_of(grounded: GroundedInterpretation, at_ns: int) -> Interpretation:
    """The document of a grounded interpretation, made at ``at_ns``."""
    model = grounded.model
    return Interpretation(
        source=grounded.source,
        reason=grounded.reason,
        at=time_of_ns(at_ns),
        text=grounded.text,
        claims=[
            Claim(text=c.text, start=c.start, end=c.end, verdict=c.verdict, citation=c.citation, rule=c.rule)
            for c in grounded.claims
        ],
        counts=ClaimCounts(**grounded.counts),
        model=None
        if model is None
        else ModelInfo(name=model.name, weights=model.weights, precision=model.precision, device=model.device),
        seconds=round(grounded.seconds, 3),
    )


def message_of(segment: FlaggedSegment, grounded: GroundedInterpretation, now_ns: int) -> InterpretationMessage:
    """The message to the monitor; the same source for the same segment has the same id."""
    return InterpretationMessage(
        id=hashlib.sha256(f"{segment.alert_id}|{grounded.source}".encode()).hexdigest()[:32],
        alert_id=segment.alert_id,
        bed_stream=segment.window.bed_stream,
        interpretation=interpretation_of(grounded, now_ns),
        citations=[citation_of(c.evidence, c.n, segment.start_ns, segment.window.fs_hz) for c in grounded.evidence],
    )

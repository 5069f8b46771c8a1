"""Converts between `Evidence` (a measured value and its samples) and `Citation` (the same in a document).

Samples count from the first sample of the alert's segment, at the sampling rate of the recording; instants are UTC.
"""

from __future__ import annotations

from models.evidence import BeatSpan, Criterion, Evidence
from streams.alert import BeatCitation, Citation, CriterionDoc
from streams.document import time_of_ns

S = 1_000_000_000


def citation_of(e: Evidence, n: int, segment_start_ns: int, fs_hz: float) -> Citation:
    """The citation number ``n`` of evidence, whose samples count from the segment's first."""
    rule = e.criterion
    return Citation(
        n=n,
        measure=e.measure,
        value=e.value,
        unit=e.unit,
        leads=list(e.leads),
        start=time_of_ns(segment_start_ns + round(e.start / fs_hz * S)),
        end=time_of_ns(segment_start_ns + round(e.end / fs_hz * S)),
        start_s=round(e.start / fs_hz, 6),
        end_s=round(e.end / fs_hz, 6),
        start_sample=e.start,
        end_sample=e.end,
        over=e.over,
        over_s=e.over_s,
        wave=e.wave,
        beats=[BeatCitation(r_sample=b.r, start_sample=b.start, end_sample=b.end, value=b.value) for b in e.beats],
        criterion=None
        if rule is None
        else CriterionDoc(rule=rule.rule, limit=rule.limit, accuracy=rule.accuracy, source=rule.source),
        confidence=min(1.0, max(0.0, e.confidence)),
        method=e.method,
    )


def evidence_of(citation: Citation) -> Evidence:
    """The evidence of a citation, in samples of its segment."""
    rule = citation.criterion
    return Evidence(
        measure=citation.measure,
        value=citation.value,
        leads=tuple(citation.leads),
        start=citation.start_sample,
        end=citation.end_sample,
        beats=tuple(BeatSpan(b.r_sample, b.start_sample, b.end_sample, b.value) for b in citation.beats),
        criterion=None if rule is None else Criterion(rule.rule, rule.limit, rule.source, rule.accuracy),
        over=citation.over,
        over_s=citation.over_s,
        wave=citation.wave,
        confidence=citation.confidence,
        method=citation.method,
    )

"""Why a bed has no verdict, and the citation that says so in CANNOT_ANALYZE.

In: the analysis of the bed as it stands. Out: one of `REASONS`, and a `Citation` of SILENCE (time since the newest
verdict, s) or QUALITY (of the best lead, 0 to 1). An alert of CANNOT_ANALYZE has no segment: the positions of its
citation count from the newest verdict, in seconds.
"""

from __future__ import annotations

import numpy as np

from agents.monitor.analysis import Analysis
from models.arrhythmia.limits import criterion_of
from models.evidence import MEASURES
from streams.alert import Citation, CriterionDoc
from streams.document import time_of_ns

S = 1_000_000_000

NO_SAMPLES = "no samples"
NOT_PLAUSIBLE = "amplitude not plausible"
FAILED = "analysis failed"
NOT_USABLE = "no uninterrupted usable signal"
REASONS = (NO_SAMPLES, NOT_PLAUSIBLE, FAILED, NOT_USABLE)

METHOD = "watchdog 1"


def reason_of(analysis: Analysis, limit_s: float, now_ns: int, *, failed: bool) -> str:
    """Why there is no verdict; ``failed``: an exception ended the analysis since the newest one."""
    if failed:
        return FAILED
    if not _samples_since(analysis, now_ns - round(limit_s * S)):
        return NO_SAMPLES
    if analysis.last is not None and analysis.last.rhythm.implausible_leads:
        return NOT_PLAUSIBLE
    return NOT_USABLE


def _samples_since(analysis: Analysis, since_ns: int) -> bool:
    """A lead has a sample after this time."""
    buffer = analysis.buffer
    if analysis.last is None or buffer.end == 0 or buffer.instant_ns(buffer.end) <= since_ns:
        return False
    newest = buffer.span(max(buffer.begin, buffer.sample_at(since_ns)), buffer.end)
    return bool(np.isfinite(newest.mv).any())


def citation_of_no_verdict(analysis: Analysis, reason: str, since_ns: int, now_ns: int, limit_s: float) -> Citation:
    """The one citation of a CANNOT_ANALYZE that begins."""
    seconds = max(0.0, (now_ns - since_ns) / S)
    quality = {} if analysis.last is None else dict(analysis.last.rhythm.quality)
    of_quality = reason in (NOT_PLAUSIBLE, NOT_USABLE) and bool(quality)
    criterion = criterion_of("CANNOT_ANALYZE", f"no verdict for {limit_s:g} s or longer", limit_s)
    measure = "QUALITY" if of_quality else "SILENCE"
    best = max((score for score in quality.values() if np.isfinite(score)), default=0.0)
    return Citation(
        n=1,
        measure=measure,
        value=round(min(1.0, max(0.0, best)), 3) if of_quality else round(seconds, 3),
        unit=MEASURES[measure],
        leads=list(quality) if of_quality else [],
        start=time_of_ns(since_ns),
        end=time_of_ns(max(since_ns, now_ns)),
        start_s=0.0,
        end_s=round(seconds, 6),
        start_sample=0,
        end_sample=0,
        criterion=CriterionDoc(
            rule=criterion.rule, limit=criterion.limit, accuracy=criterion.accuracy, source=criterion.source
        ),
        confidence=1.0,
        method=METHOD,
        reason=reason,
    )

"""Selects the segment that shows a condition, and makes its citations.

Input: evidence in samples of a signal segment. Output: the span of the strip, `Segment` and `Citation`, with positions
relative to the strip's start at the original sampling rate (docs/consume.md). A citation never points outside its
strip: evidence over a longer time is cut to the beats that the strip has, and `over_s` is the whole time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agents.lifecycle.citation_documents import citation_of
from agents.monitor.signal_buffer import SignalBuffer
from models.evidence import Evidence
from streams.alert import Citation, Segment
from streams.document import time_of_ns

LEAD_IN_S = 0.5  # signal shown before the first cited beat, so that its P wave is on the strip


def choose_span(
    buffer: SignalBuffer, evidence: Sequence[Evidence], detected: int, fs_hz: float, strip_s: float
) -> tuple[int, int]:
    """Samples of the strip: ``strip_s`` up to the detection, or earlier where the evidence lies earlier."""
    length = round(strip_s * fs_hz)
    stop = min(detected, buffer.end)
    kept = [e for e in evidence if e.start >= buffer.begin and e.end <= buffer.end]
    if kept:
        first = min(e.start for e in kept) - round(LEAD_IN_S * fs_hz)
        last = max(e.end for e in kept)
        if first < stop - length:  # what was found latest is shown, where not all of it fits
            stop = min(stop, max(first + length, last))
    start = max(stop - length, buffer.begin)
    return start, min(max(stop, start + length), buffer.end)


def citations_of(
    evidence: Sequence[Evidence], start: int, stop: int, start_ns: int, fs_hz: float, first: int = 1
) -> list[Citation]:
    """The evidence that the segment from sample ``start`` to ``stop`` shows, numbered from ``first``."""
    inside = [cut for e in evidence if (cut := _cut(e, start, stop, fs_hz)) is not None]
    return [citation_of(e.shifted(-start), n, start_ns, fs_hz) for n, e in enumerate(inside, first)]


def segment_of(start_ns: int, n_samples: int, fs_hz: float) -> Segment:
    """The segment of a document; the strip's key is filled in where the alert's id is known."""
    return Segment(start=time_of_ns(start_ns), duration_s=round(n_samples / fs_hz, 6), sampling_rate=fs_hz, strip="")


def _cut(e: Evidence, start: int, stop: int, fs_hz: float) -> Evidence | None:
    """The evidence as far as the segment shows it; None where it shows nothing of it."""
    if start <= e.start and e.end <= stop:
        return e
    beats = tuple(b for b in e.beats if start <= b.start and b.end <= stop)
    if not beats or e.measure not in ("HR", "RR"):
        return None
    whole_s = e.over_s if e.over_s is not None else round((e.end - e.start) / fs_hz, 3)
    first, last = beats[0].start, beats[-1].end
    seconds = (last - first) / fs_hz / len(beats)
    value = round(60.0 / seconds, 1) if e.measure == "HR" else round(seconds, 4)
    return replace(e, start=first, end=last, beats=beats, value=value, over_s=whole_s)

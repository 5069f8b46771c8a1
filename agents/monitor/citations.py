"""Selects the segment that shows a condition, and makes its citations.

Input: evidence in samples of a signal segment. Output: the span of the strip, `Segment` and `Citation`, with positions
relative to the strip's start at the original sampling rate (docs/consume.md). A citation never points outside its
strip: evidence over a longer time is cut to the beats, or to the part of the pause, that the strip has, and `over_s` is
the whole time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from agents.lifecycle.citation_documents import citation_of
from agents.monitor.signal_buffer import SignalBuffer
from models.evidence import OF_A_WAVE, BeatSpan, Evidence
from models.measurement.intervals import clear_of_edges
from models.normal_limits import NAMED_RHYTHM_BEATS
from streams.alert import Citation, Segment
from streams.document import time_of_ns

MIN_SILENCE_S = 1.0  # a shorter part of a pause shows nothing
STEP_BACK_S = 5.0  # where the newest strip shows nothing of a condition over time, the one this much earlier is tried
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


def strips_back(buffer: SignalBuffer, since: int, newest: tuple[int, int], fs_hz: float) -> Iterator[tuple[int, int]]:
    """The spans of ``newest`` and of strips as long before it, `STEP_BACK_S` apart, down to the sample ``since``."""
    start, stop = newest
    step = round(STEP_BACK_S * fs_hz)
    while True:
        yield start, stop
        start, stop = start - step, stop - step
        if start < max(since, buffer.begin):
            return


def evidence_on_strip(evidence: Sequence[Evidence], start: int, stop: int, fs_hz: float) -> tuple[Evidence, ...]:
    """The evidence as far as the segment from sample ``start`` to ``stop`` shows it, in samples of the segment."""
    inside = [cut for e in evidence if (cut := _cut(e, start, stop, fs_hz)) is not None]
    return tuple(e.shifted(-start) for e in inside)


def citations_of(evidence: Sequence[Evidence], start_ns: int, fs_hz: float, first: int = 1) -> list[Citation]:
    """Citations numbered from ``first`` of evidence in samples of the segment, which begins at ``start_ns``."""
    return [citation_of(e, n, start_ns, fs_hz) for n, e in enumerate(evidence, first)]


def segment_of(start_ns: int, n_samples: int, fs_hz: float) -> Segment:
    """The segment of a document; the strip's key is filled in where the alert's id is known."""
    return Segment(start=time_of_ns(start_ns), duration_s=round(n_samples / fs_hz, 6), sampling_rate=fs_hz, strip="")


def _cut(e: Evidence, start: int, stop: int, fs_hz: float) -> Evidence | None:
    """The evidence as far as the segment shows it; None where it shows nothing of it."""
    if start <= e.start and e.end <= stop:
        whole = e.measure not in OF_A_WAVE or clear_of_edges(e.start - start, e.end - start, stop - start, fs_hz)
        return e if whole else None
    over_s = e.over_s if e.over_s is not None else round((e.end - e.start) / fs_hz, 3)
    if e.measure in ("RR", "SILENCE") and len(e.beats) < 2:  # a pause longer than the segment
        return _silence(e, max(e.start, start), min(e.end, stop), fs_hz, over_s)
    beats = tuple(b for b in e.beats if start <= b.start and b.end <= stop)
    if len(beats) < NAMED_RHYTHM_BEATS - 1 or e.measure not in ("HR", "RR"):
        return _longest_part(e, start, stop, fs_hz, over_s) if e.measure == "HR" else None
    first, last = beats[0].start, beats[-1].end
    seconds = (last - first) / fs_hz / len(beats)
    value = round(60.0 / seconds, 1) if e.measure == "HR" else round(seconds, 4)
    return replace(e, start=first, end=last, beats=beats, value=value, over_s=over_s)


def _longest_part(e: Evidence, start: int, stop: int, fs_hz: float, over_s: float) -> Evidence | None:
    """Of a slow rate whose beats the segment does not hold: the time without a beat that it shows."""
    parts = [(max(b.start, start), min(b.end, stop)) for b in e.beats]
    first, last = max(parts, key=lambda part: part[1] - part[0], default=(0, 0))
    slow = e.criterion is not None and (last - first) * e.criterion.limit > 60.0 * fs_hz
    return _silence(e, first, last, fs_hz, over_s) if slow else None


def _silence(e: Evidence, start: int, end: int, fs_hz: float, over_s: float) -> Evidence | None:
    """The part of a time without a beat that the segment shows."""
    if end - start < MIN_SILENCE_S * fs_hz:
        return None
    value = round((end - start) / fs_hz, 4)
    span = (BeatSpan(start, start, end, value),)
    return replace(e, measure="SILENCE", start=start, end=end, beats=span, value=value, over_s=over_s)

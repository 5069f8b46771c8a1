"""A bed's numbers of one second, with a piece of one lead for the station's live trace.

Each second of signal gives one `Vitals` with its trace. A monitored bed without signal gets one a second without a
trace, from the clock of the beds: readers see by ``judged_at`` how old the newest verdict is. Without a verdict on
signal of the last 10 s no number of the rhythm is in them, whatever signal has come.
"""

from __future__ import annotations

import math

import numpy as np

from agents.monitor.analysis import Analysis, Step
from models.arrhythmia.result import VERDICT_S
from models.ecg import Ecg
from streams.bed import Vitals, Wave
from streams.document import time_of_ns

WAVE_HZ = 125.0  # at most (docs/consume.md); a screen shows no more
S = 1_000_000_000
WITHOUT_SIGNAL_S = 1.0  # one a second
AFTER_SIGNAL_S = 1.5  # after one with a trace: the next message of a second may come a little late
WAVE_S = 2.0  # never more than this in one document: what was missed while nobody sent is not shown later
PREFERRED = ("II", "I", "V2", "V5")  # the leads that people watch, where their quality is as good as any


class VitalsMaker:
    """Makes one `Vitals` a second; remembers up to where the trace was sent."""

    def __init__(self, bed_stream: str) -> None:
        self._bed_stream = bed_stream
        self._buffer: object = None
        self._sent = 0
        self._due_ns = 0  # by the clock: one without signal is written then
        self._recent = False  # the last ones had a recent verdict
        self._says_why = False  # an alarm said why there is no verdict, when the last ones were due

    def of(self, analysis: Analysis, now_ns: int) -> Vitals | None:
        """The vitals of new signal; None where less than a second of it has come since the last ones."""
        if analysis.last is None:
            return None
        buffer, fs_hz = analysis.buffer, analysis.fs_hz
        if buffer is not self._buffer:
            self._buffer, self._sent = buffer, 0
        if buffer.end - self._sent < round(fs_hz) - 1:
            return None
        trace = buffer.span(max(self._sent, buffer.end - round(WAVE_S * fs_hz)), buffer.end)
        self._sent, self._due_ns = buffer.end, now_ns + round(AFTER_SIGNAL_S * S)
        wave = _wave(trace, _lead(trace, dict(analysis.last.rhythm.quality)))
        quality = _quality(analysis.last)
        return self._vitals(buffer.instant_ns(buffer.end), analysis, now_ns, quality=quality, wave=wave)

    def without_signal(self, analysis: Analysis, now_ns: int, *, says_why: bool) -> Vitals | None:
        """The vitals of a second in which no signal made any; None where they are not due.

        ``says_why``: an alarm says why there is no verdict. They are due at once when it ends, and when a recent
        verdict follows vitals without one: readers learn with the end of the alarm of the verdict that ended it.
        """
        ended, self._says_why = self._says_why and not says_why, says_why
        anew = not self._recent and _has_recent_verdict(analysis, now_ns)
        if now_ns < self._due_ns and not ended and not anew:
            return None
        self._due_ns = now_ns + round(WITHOUT_SIGNAL_S * S)
        return self._vitals(now_ns, analysis, now_ns)

    def _vitals(
        self,
        at_ns: int,
        analysis: Analysis,
        now_ns: int,
        *,
        quality: dict[str, float] | None = None,
        wave: Wave | None = None,
    ) -> Vitals:
        """Of the last analysis step; without a recent verdict only ``quality`` and ``wave`` are stated."""
        judged_at_ns, step = analysis.judged_at_ns, analysis.last
        at, judged_at = time_of_ns(at_ns), None if judged_at_ns is None else time_of_ns(judged_at_ns)
        self._recent = _has_recent_verdict(analysis, now_ns)
        if step is None or not self._recent:
            return Vitals(bed_stream=self._bed_stream, at=at, judged_at=judged_at, quality=quality or {}, wave=wave)
        rhythm = step.rhythm
        return Vitals(
            bed_stream=self._bed_stream,
            at=at,
            judged_at=judged_at,
            hr=_finite(rhythm.hr),
            rhythm=rhythm.rhythm,
            pvc_per_min=_finite(rhythm.pvc_per_min),
            st={lead: round(mv, 3) for lead, mv in rhythm.st.items() if math.isfinite(mv)},
            quality=_quality(step) if quality is None else quality,
            wave=wave,
        )


def _has_recent_verdict(analysis: Analysis, now_ns: int) -> bool:
    return analysis.judged_at_ns is not None and now_ns - analysis.judged_at_ns <= VERDICT_S * S


def _quality(step: Step) -> dict[str, float]:
    found = step.rhythm.quality
    return {lead: round(min(1.0, max(0.0, q)), 3) for lead, q in found.items() if math.isfinite(q)}


def _lead(ecg: Ecg, quality: dict[str, float]) -> str:
    best = max((quality.get(lead, 0.0) for lead in ecg.leads), default=0.0)
    good = [lead for lead in ecg.leads if quality.get(lead, 0.0) >= best - 0.1 and lead not in ecg.leads_off]
    return next((lead for lead in PREFERRED if lead in good), (good or list(ecg.leads))[0])


def _wave(ecg: Ecg, lead: str) -> Wave:
    step = max(1, math.ceil(ecg.fs_hz / WAVE_HZ))
    mv = ecg.lead(lead)
    n = mv.size // step * step
    means = mv[:n].reshape(-1, step).mean(axis=1)  # the mean of each step is what keeps noise from folding down
    values: list[float | None] = np.round(means.astype(np.float64), 4).tolist()
    if not np.isfinite(means).all():
        values = [None if value != value else value for value in values]  # NaN alone is not itself
    return Wave(lead=lead, sampling_rate=ecg.fs_hz / step, start=time_of_ns(ecg.start_ns), mv=values)


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)

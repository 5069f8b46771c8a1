"""A bed's numbers of one second, with a piece of one lead for the station's live trace."""

from __future__ import annotations

import math

import numpy as np

from agents.monitor.analysis import Analysis
from models.ecg import Ecg
from streams.bed import Vitals, Wave
from streams.document import time_of_ns

WAVE_HZ = 125.0  # at most (docs/consume.md); a screen shows no more
WAVE_S = 2.0  # never more than this in one document: what was missed while nobody sent is not shown later
PREFERRED = ("II", "I", "V2", "V5")  # the leads that people watch, where their quality is as good as any


class VitalsMaker:
    """Makes one `Vitals` a second of signal; remembers up to where the trace was sent."""

    def __init__(self, bed_stream: str) -> None:
        self._bed_stream = bed_stream
        self._buffer: object = None
        self._sent = 0

    def of(self, analysis: Analysis) -> Vitals | None:
        """The vitals as they are now; None where less than a second has passed since the last ones."""
        if analysis.last is None:
            return None
        buffer, fs_hz, rhythm = analysis.buffer, analysis.fs_hz, analysis.last.rhythm
        if buffer is not self._buffer:
            self._buffer, self._sent = buffer, 0
        if buffer.end - self._sent < round(fs_hz) - 1:
            return None
        trace = buffer.span(max(self._sent, buffer.end - round(WAVE_S * fs_hz)), buffer.end)
        self._sent = buffer.end
        return Vitals(
            bed_stream=self._bed_stream,
            at=time_of_ns(buffer.instant_ns(buffer.end)),
            judged_at=None if analysis.judged_at_ns is None else time_of_ns(analysis.judged_at_ns),
            hr=_finite(rhythm.hr),
            rhythm=rhythm.rhythm,
            pvc_per_min=_finite(rhythm.pvc_per_min),
            st={lead: round(mv, 3) for lead, mv in rhythm.st.items() if math.isfinite(mv)},
            quality={lead: round(min(1.0, max(0.0, q)), 3) for lead, q in rhythm.quality.items() if math.isfinite(q)},
            wave=_wave(trace, _lead(trace, dict(rhythm.quality))),
        )


def _lead(ecg: Ecg, quality: dict[str, float]) -> str:
    best = max((quality.get(lead, 0.0) for lead in ecg.leads), default=0.0)
    good = [lead for lead in ecg.leads if quality.get(lead, 0.0) >= best - 0.1 and lead not in ecg.leads_off]
    return next((lead for lead in PREFERRED if lead in good), (good or list(ecg.leads))[0])


def _wave(ecg: Ecg, lead: str) -> Wave:
    step = max(1, math.ceil(ecg.fs_hz / WAVE_HZ))
    mv = ecg.lead(lead)
    n = mv.size // step * step
    means = mv[:n].reshape(-1, step).mean(axis=1)  # the mean of each step is what keeps noise from folding down
    values = [None if math.isnan(x) else round(x, 4) for x in means.astype(np.float64).tolist()]
    return Wave(lead=lead, sampling_rate=ecg.fs_hz / step, start=time_of_ns(ecg.start_ns), mv=values)


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)

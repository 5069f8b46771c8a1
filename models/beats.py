"""Beats, causally: a stream of chunks in, heart beats out, with state that is carried on and forgets within 30 s.

`BeatStream` cuts the signal on a grid of whole seconds, whatever the chunks, so the same signal gives the same beats
whatever the message sizes. A beat is final when `FINAL_AFTER_S` of signal lie behind it; until then it shows in
`pending`. `find_beats` is the same code over a whole record.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sleepecg

from models.conditioning import fill_gaps, without_baseline
from models.ecg import Ecg, Millivolts
from models.quality import ABSENT, LeadQuality, lead_quality

HOP_S = 1.0            # the grid on which the signal is judged
CONTEXT_S = 8.0        # signal that one look sees
FINAL_AFTER_S = 0.4    # a beat this far behind the newest sample is final
MIN_AMPLITUDE_MV = 0.15  # IEC 60601-2-27: QRS of 0.15 mV and less are not counted
REFRACTORY_S = 0.2


@dataclass(frozen=True, slots=True)
class Beat:
    """One heart beat.

    Attributes
    ----------
    sample : int
        Position of the R peak (largest deflection), absolute sample of the stream.
    kind : str
        N, S (supraventricular premature), V (ventricular), P (paced) or ? (unknown).
    leads : tuple of str
        Leads that showed it.
    confidence : float
        0 to 1.
    qrs_ms : float
        Width of the QRS complex, NaN where it could not be measured.
    ventricular : float
        0 to 1: how likely the beat is ventricular.
    amplitude_mv : float
        Peak to peak of the QRS complex in its largest lead.
    """

    sample: int
    kind: str
    leads: tuple[str, ...]
    confidence: float = 1.0
    qrs_ms: float = float("nan")
    ventricular: float = 0.0
    amplitude_mv: float = float("nan")


class BeatStream:
    """Beats of one bed, second by second.

    Parameters
    ----------
    leads : sequence of str
        Names of the leads that every chunk will have.
    fs_hz : float
        Sampling rate of every chunk.
    paced : bool
        The patient has a pacemaker.
    start_sample : int
        Absolute number of the first sample pushed.
    """

    def __init__(self, leads: Sequence[str], fs_hz: float, paced: bool = False, start_sample: int = 0) -> None:
        self.leads = tuple(leads)
        self.fs_hz = float(fs_hz)
        self.paced = paced
        self.seen = start_sample      # samples before this one have been seen
        self.settled = start_sample   # beats before this sample are final
        self.pending: list[Beat] = []
        self.quality: dict[str, LeadQuality] = {lead: LeadQuality(0.0, ABSENT) for lead in self.leads}
        self._buffer = np.zeros((len(self.leads), 0), np.float32)
        self._leads_off: tuple[str, ...] = ()
        self._next_look: int | None = None
        self._last = -10**12

    @property
    def usable_leads(self) -> tuple[str, ...]:
        """Leads that may speak now; a flat attached lead may."""
        return tuple(lead for lead in self.leads if self.quality[lead].usable)

    def push(self, chunk: Ecg) -> list[Beat]:
        """Take the next samples; return the beats that became final, in order."""
        if chunk.leads != self.leads or chunk.fs_hz != self.fs_hz:
            raise ValueError(f"chunk has leads {chunk.leads} at {chunk.fs_hz:g} Hz, "
                             f"the stream {self.leads} at {self.fs_hz:g} Hz")
        hop = round(HOP_S * self.fs_hz)
        if self._next_look is None:
            past_second = round(chunk.start_ns % 1_000_000_000 * 1e-9 * self.fs_hz)
            self._next_look = self.seen + hop - past_second % hop
        out: list[Beat] = []
        at = 0
        while at < chunk.n_samples:
            take = min(chunk.n_samples - at, self._next_look - self.seen)
            keep = round(CONTEXT_S * self.fs_hz)
            self._buffer = np.concatenate([self._buffer, chunk.mv[:, at:at + take]], axis=1)[:, -keep:]
            self.seen += take
            at += take
            self._leads_off = chunk.leads_off
            if self.seen == self._next_look:
                self._next_look += hop
                out += self._look(final_before=self.seen - round(FINAL_AFTER_S * self.fs_hz))
        return out

    def gap(self, n_samples: int) -> list[Beat]:
        """Samples that never came: pushed as missing."""
        mv = np.full((len(self.leads), n_samples), np.nan, np.float32)
        return self.push(Ecg(self.leads, self.fs_hz, mv))

    def close(self) -> list[Beat]:
        """The signal has ended: every beat left is final."""
        return self._look(final_before=self.seen + 1)

    def _look(self, final_before: int) -> list[Beat]:
        """Judge the buffer; beats before ``final_before`` become final, the later ones pending."""
        start = self.seen - self._buffer.shape[1]
        marks = lead_quality(self._buffer, self.fs_hz, self.leads, self._leads_off)
        self.quality = dict(zip(self.leads, marks, strict=True))
        earliest = max(self.settled, self._last + round(REFRACTORY_S * self.fs_hz))
        beats = [b for b in self._find(start) if b.sample >= earliest]
        final = [b for b in beats if b.sample < final_before]
        self.pending = [b for b in beats if b.sample >= final_before]
        self.settled = max(self.settled, final_before)
        if final:
            self._last = final[-1].sample
        return final

    def _find(self, start: int) -> list[Beat]:
        """Beats of the buffer, whose first sample is ``start``, from its best lead."""
        rows = [k for k, lead in enumerate(self.leads) if self.quality[lead].usable]
        if not rows or self._buffer.shape[1] < 2 * self.fs_hz:
            return []
        filled, _ = fill_gaps(self._buffer[rows])
        x = without_baseline(filled, self.fs_hz)
        scores = [self.quality[self.leads[k]].score * min(1.0, float(np.ptp(r))) for k, r in zip(rows, x, strict=True)]
        best = int(np.argmax(scores))
        if np.ptp(x[best]) < MIN_AMPLITUDE_MV:
            return []
        found = sleepecg.detect_heartbeats(x[best].astype(np.float64), self.fs_hz)
        half = round(0.06 * self.fs_hz)
        out = []
        for r in found.tolist():
            size = float(np.max(np.ptp(x[:, max(0, r - half):r + half + 1], axis=1)))
            if size >= MIN_AMPLITUDE_MV:
                names = tuple(self.leads[k] for k in rows)
                out.append(Beat(start + int(r), "P" if self.paced else "N", names, amplitude_mv=size))
        return out


def find_beats(ecg: Ecg) -> list[Beat]:
    """Beats of a whole record: the stream, pushed at once."""
    stream = BeatStream(ecg.leads, ecg.fs_hz, paced=ecg.paced)
    return stream.push(ecg) + stream.close()


def window_of(mv: Millivolts, centre: int, before: int, after: int) -> Millivolts:
    """Samples around ``centre`` of [leads, samples], edge values where the signal ends."""
    at = np.clip(np.arange(centre - before, centre + after), 0, mv.shape[1] - 1)
    return mv[:, at]

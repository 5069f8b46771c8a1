"""Beats, causally: a stream of chunks in, heart beats out, with state that is carried on and forgets within 30 s.

`BeatStream` judges the last seconds of signal on a grid of whole seconds, whatever the chunks, so the same signal gives
the same beats whatever the message sizes. The caliper network looks at the best leads together; a beat is final when
half a second of signal lies behind it and shows in `pending` until then. `find_beats` is the same code over a record.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.beats.neighbours import TemplateCache, BeatMorphology, morphology_at
from models.ecg import Ecg, Millivolts
from models.networks.delineator import CELL_S, NET_FS_HZ, QRS, Caliper, scaled
from models.networks.segments import Runs, runs_of
from models.signal.conditioning import fill_gaps, resample, without_baseline
from models.signal.pacing_pulses import PacingPulses
from models.signal.quality import ABSENT, DETACHED, FLAT, LeadQuality, lead_quality
from models.signal.quantiles import median

UPDATE_INTERVAL_S = 1.0  # the grid on which a live signal is judged
SHORTEST_S = 0.5  # less signal than this is not judged
MIN_AMPLITUDE_MV = 0.15  # IEC 60601-2-27: QRS complexes of 0.15 mV and less are not counted
REFRACTORY_S = 0.2  # no two beats are nearer: 300 a minute
SLACK_S = 0.06  # a beat may move by this from one look to the next
R_AWAY_S = 0.1  # an R peak is this near to the middle of its beat's stretch
MIN_BEAT_S = 0.016  # a beat's probability stays above one half this long at least
MIN_QRS_S = 0.024  # a QRS complex lasts this long at least,
QRS_AWAY_S = 0.05  # reaches this near to the middle of its beat's stretch,
QRS_HALF_S = 0.124  # and is measured no farther from it: 248 ms at most
MAX_LEADS = 3  # leads that vote; more cost time and add little
LEAD_PREFERENCE = ("II", "V1", "V5", "I", "V2", "aVF", "V4", "V3", "V6", "III", "aVL", "aVR")
VENTRICULAR_AT = 0.25  # from which a beat is called ventricular: the network is unsure of strangers
PREMATURE = 0.82  # of the usual RR: a beat this early and not ventricular is supraventricular premature
SHOWN_BELOW = 0.5  # a beat less sure than this must show a QRS complex: two of three that do not are none
UNSURE_BELOW = 0.6  # confidence below which the kind is not told
PACED_WITHIN_S = 0.20  # a pacing mark this long before R makes the beat a paced one
PACED_SHARE = 0.25  # of the usual amplitude: a beat this small, where a pacemaker paces, is a P wave,
P_WAVE_MV = 0.35  # unless it is taller than P waves are
USUAL_BEATS, FEW_BEATS = 8, 3


@dataclass(frozen=True, slots=True)
class UpdateSchedule:
    """How a signal is looked at: every ``hop_s``, over ``context_s``; a beat ``final_after_s`` old does not move.

    The network hears the last ``heard_s`` of it.
    """

    hop_s: float
    context_s: float
    final_after_s: float
    heard_s: float


LIVE = UpdateSchedule(
    UPDATE_INTERVAL_S, 6.0, 0.5, 4.0
)  # heard: what is new, and 2 s before it as far as the network sees; final: most
RECORDED = UpdateSchedule(10.0, 13.0, 1.5, 13.0)  # of the T wave is there. What is over may be looked at in long pieces


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
    pace : UpdateSchedule
        `LIVE` at the bedside.

    Attributes
    ----------
    seen : int
        Samples before this one have been seen.
    settled : int
        Beats before this sample are final.
    pending : list of Beat
        Beats that are seen already and may still move.
    quality : dict of str to LeadQuality
        Of the last seconds, each lead.
    pulses : PacingPulses
        Those seen in the signal.
    """

    def __init__(
        self,
        leads: Sequence[str],
        fs_hz: float,
        paced: bool = False,
        start_sample: int = 0,
        pace: UpdateSchedule = LIVE,
    ) -> None:
        self.leads = tuple(leads)
        self.fs_hz = float(fs_hz)
        self.paced = paced
        self._pace = pace
        self.seen = start_sample
        self.settled = start_sample
        self.pending: list[Beat] = []
        self.quality: dict[str, LeadQuality] = {lead: LeadQuality(0.0, ABSENT) for lead in self.leads}
        self.pulses = PacingPulses(self.fs_hz)
        self._caliper = Caliper.load()
        self._buffer: Millivolts = np.zeros((len(self.leads), 0), np.float32)
        self._leads_off: tuple[str, ...] = ()
        self._marks: NDArray[np.int64] = np.zeros(0, np.int64)
        self._next_look: int | None = None
        self._looked_at = -1
        self._gallery = TemplateCache()
        self._shapes: dict[int, BeatMorphology] = {}
        self._recent: list[Beat] = []

    @property
    def usable_leads(self) -> tuple[str, ...]:
        """Leads that may speak now; a flat attached lead may."""
        return tuple(lead for lead in self.leads if self.quality[lead].usable)

    def push(self, chunk: Ecg) -> list[Beat]:
        """Take the next samples; return the beats that became final, in order."""
        if chunk.leads != self.leads or chunk.fs_hz != self.fs_hz:
            raise ValueError(
                f"chunk has leads {chunk.leads} at {chunk.fs_hz:g} Hz, the stream {self.leads} at {self.fs_hz:g} Hz"
            )
        hop = round(self._pace.hop_s * self.fs_hz)
        if self._next_look is None:
            past_second = round(chunk.start_ns % 1_000_000_000 * 1e-9 * self.fs_hz)
            self._next_look = self.seen + hop - past_second % hop
        if len(chunk.pacer_marks):
            self._marks = np.append(self._marks, chunk.pacer_marks + self.seen)[-100:]
        self._leads_off = chunk.leads_off
        out: list[Beat] = []
        keep, at = round(self._pace.context_s * self.fs_hz), 0
        while at < chunk.n_samples:
            take = min(chunk.n_samples - at, self._next_look - self.seen)
            self._buffer = np.concatenate([self._buffer, chunk.mv[:, at : at + take]], axis=1)[:, -keep:]
            self.seen += take
            at += take
            if self.seen == self._next_look:
                self._next_look += hop
                out += self._look(final_before=self.seen - round(self._pace.final_after_s * self.fs_hz))
        return out

    def gap(self, n_samples: int) -> list[Beat]:
        """Samples that never came: pushed as missing."""
        mv = np.full((len(self.leads), n_samples), np.nan, np.float32)
        return self.push(Ecg(self.leads, self.fs_hz, mv, leads_off=self._leads_off))

    def close(self) -> list[Beat]:
        """The signal has ended: every beat left is final."""
        if self._looked_at == self.seen:
            self.settled, final, self.pending = self.seen, self.pending, []
            return final
        return self._look(final_before=self.seen + 1)

    def _look(self, final_before: int) -> list[Beat]:
        """Judge the buffer; beats before ``final_before`` become final, the later ones pending."""
        self._looked_at = self.seen
        marks = lead_quality(self._buffer, self.fs_hz, self.leads, self._leads_off)
        self.quality = dict(zip(self.leads, marks, strict=True))
        earliest = self.settled - round(SLACK_S * self.fs_hz)
        if self._recent:
            earliest = max(earliest, self._recent[-1].sample + round(REFRACTORY_S * self.fs_hz))
        history = list(self._recent)
        smallest_mv = self._smallest()
        final: list[Beat] = []
        pending: list[Beat] = []
        for beat in self._find(earliest):
            if beat.sample >= earliest and beat.amplitude_mv >= smallest_mv:
                beat = self._kind(beat, history)
                history.append(beat)
                if beat.sample < final_before:
                    final.append(beat)
                    self._gallery.add(self._shapes[beat.sample])
                else:
                    pending.append(beat)
        self.pending = pending
        self.settled = max(self.settled, final_before)
        since = self.seen - round(10 * self.fs_hz)  # rhythm is known by the last ten seconds
        self._recent = [b for b in [*self._recent, *final] if b.sample >= since]
        return final

    def _smallest(self) -> float:
        """What a beat must show, mV: in a bed with pacing pulses more than a P wave or what is left of a pulse."""
        if not len(self.pulses.found) or len(self._recent) < FEW_BEATS:
            return 0.0
        usual_mv = statistics.median(b.amplitude_mv for b in self._recent[-USUAL_BEATS:])
        return min(P_WAVE_MV, PACED_SHARE * usual_mv)

    def _voters(self) -> list[int]:
        """Rows of the leads that the network hears: usable ones if there are any, the best of them."""

        def rank(k: int) -> tuple[float, int]:
            lead = self.leads[k]
            preference = LEAD_PREFERENCE.index(lead) if lead in LEAD_PREFERENCE else -1
            return -round(self.quality[lead].score * 4), preference

        there = [k for k, lead in enumerate(self.leads) if self.quality[lead].state not in (ABSENT, DETACHED, FLAT)]
        good = [k for k in there if self.quality[self.leads[k]].usable]
        return sorted(sorted(good or there, key=rank)[:MAX_LEADS])

    def _find(self, earliest: int) -> list[Beat]:
        """Beats of the buffer from about ``earliest`` on."""
        rows = self._voters()
        if not rows or self._buffer.shape[1] < SHORTEST_S * self.fs_hz:
            return []
        signal = self._buffer[rows]
        start = self.seen - signal.shape[1]
        self.pulses.look(signal, self.seen, self._pace.hop_s, self._marks)
        filled, missing = fill_gaps(self.pulses.without(signal, start))
        flat = without_baseline(resample(filled, self.fs_hz, NET_FS_HZ), NET_FS_HZ)
        x = scaled(flat)
        unheard = max(0, x.shape[1] - round(self._pace.heard_s * NET_FS_HZ))
        seen = self._caliper(x[:, unheard:])
        runs = _apart(runs_of(seen.beat[None], MIN_BEAT_S))
        complexes = runs_of(seen.waves[:, QRS], MIN_QRS_S)
        out: list[Beat] = []
        self._shapes = {}
        for a, b, mass in zip(runs.start, runs.end, runs.mass, strict=True):
            middle = unheard / NET_FS_HZ + (a + b) / 2
            if start + middle * self.fs_hz < earliest - R_AWAY_S * self.fs_hz:
                continue
            at = self._r_peak(filled, x, middle)
            if missing[:, at].all():
                continue
            lo, hi = max(0, at - round(0.06 * self.fs_hz)), at + round(0.06 * self.fs_hz) + 1
            size = float(np.max(np.ptp(filled[:, lo:hi], axis=1)))
            if size < MIN_AMPLITUDE_MV:
                continue
            cells = slice(max(0, int(np.ceil(a / CELL_S))), int(b / CELL_S) + 1)
            weight = seen.beat[cells]
            ventricular = float((seen.ventricular[cells] * weight).sum() / weight.sum())
            confidence = float(min(1.0, weight.max() * min(1.0, mass / 8)))
            qrs_ms = _qrs_ms(complexes, (a + b) / 2)
            if confidence < SHOWN_BELOW and np.isnan(qrs_ms):
                continue
            shown = seen.waves[:, QRS, cells].max(axis=1) > 0.5
            names = tuple(self.leads[k] for k, ok in zip(rows, shown, strict=True) if ok)
            where = (start + at) / self.fs_hz
            self._shapes[start + at] = morphology_at(flat, rows, round(at / self.fs_hz * NET_FS_HZ), where, ventricular)
            out.append(
                Beat(
                    start + at,
                    "N",
                    names or tuple(self.leads[k] for k in rows),
                    round(confidence, 3),
                    qrs_ms,
                    round(ventricular, 3),
                    round(size, 3),
                )
            )
        every = list(self._shapes.values())
        return [replace(b, ventricular=round(self._gallery.probability(self._shapes[b.sample], every), 3)) for b in out]

    def _r_peak(self, filled: Millivolts, x: Millivolts, at_s: float) -> int:
        """Sample of the largest deflection, all leads together, near ``at_s``: at 250 Hz, then at the signal's rate."""
        centre, near = round(at_s * NET_FS_HZ), round(0.048 * NET_FS_HZ)
        lo = max(0, min(centre - near, x.shape[1] - 1))
        coarse = (lo + int(np.argmax(np.abs(x[:, lo : centre + near + 1]).sum(axis=0)))) / NET_FS_HZ
        fine, step = round(coarse * self.fs_hz), max(1, round(self.fs_hz / NET_FS_HZ))
        lo, hi = max(0, fine - step), min(filled.shape[1], fine + step + 1)
        if lo >= hi:
            return int(min(fine, filled.shape[1] - 1))
        wide = filled[:, max(0, fine - round(0.15 * self.fs_hz)) : fine + round(0.15 * self.fs_hz) + 1]
        level = median(wide)[:, None]
        return int(lo + np.argmax(np.abs(filled[:, lo:hi] - level).sum(axis=0)))

    def _kind(self, beat: Beat, before: Sequence[Beat]) -> Beat:
        """The beat with its kind, by its looks and by how early it comes."""
        wide = beat.ventricular >= VENTRICULAR_AT
        unmarked = wide and not len(self._marks)  # a narrow beat behind an unmarked pulse: that was an atrial one
        if self._follows(self._marks, beat) or (unmarked and (self.paced or self._follows(self.pulses.found, beat))):
            return replace(beat, kind="P")
        if wide:
            return replace(beat, kind="V")
        if beat.confidence < UNSURE_BELOW:
            return replace(beat, kind="?")
        r = [b.sample for b in before[-8:]]
        if len(r) >= 4:
            rr = [later - earlier for earlier, later in pairwise(r)]
            usual = statistics.median(rr)
            regular = statistics.median([abs(x - usual) for x in rr]) < 0.08 * usual
            if regular and beat.sample - r[-1] < PREMATURE * usual:
                return replace(beat, kind="S")
        return beat

    def _follows(self, pulses: NDArray[np.int64], beat: Beat) -> bool:
        since = beat.sample - PACED_WITHIN_S * self.fs_hz
        return bool(((pulses <= beat.sample) & (pulses > since)).any())


def _apart(runs: Runs) -> Runs:
    """The runs without those that lie within the refractory time of a weightier one."""
    keep = np.ones(len(runs.mass), bool)
    middle = runs.middle
    for k in np.argsort(-runs.mass, kind="stable"):
        if keep[k]:
            near = np.abs(middle - middle[k]) < REFRACTORY_S
            near[k] = False
            keep &= ~near
    return Runs(runs.row[keep], runs.start[keep], runs.end[keep], runs.mass[keep])


def _qrs_ms(complexes: Runs, at_s: float) -> float:
    """Median width of the QRS stretches under a beat, as far as they lie about it; NaN where no lead has one."""
    holds = (complexes.start - QRS_AWAY_S <= at_s) & (complexes.end + QRS_AWAY_S >= at_s)
    start, end = complexes.start[holds], complexes.end[holds]
    widths = np.minimum(end, at_s + QRS_HALF_S) - np.maximum(start, at_s - QRS_HALF_S)
    return round(statistics.median(widths.tolist()) * 1000.0, 1) if len(widths) else float("nan")


def find_beats(ecg: Ecg, pace: UpdateSchedule = LIVE) -> list[Beat]:
    """Beats of a whole record: the stream, pushed at once; causal at the pace `LIVE`."""
    stream = BeatStream(ecg.leads, ecg.fs_hz, paced=ecg.paced, pace=pace)
    return stream.push(ecg) + stream.close()

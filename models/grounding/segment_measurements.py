"""Measurements of one segment, made once: the basis of the rule-based report and of every verdict on a claim.

Input: an `Ecg` of a few seconds, any leads, mV. Output: `SegmentMeasurements`: evidence with lead and span for each
interval, the wave heights in each usable lead, and the qualitative decisions (P waves, regularity, axis) that claims
are judged by. A value that could not be measured is None or missing, never filled in. No torch.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from models.arrhythmia.criteria.fibrillation import CERTAIN, waves_like_fibrillation
from models.arrhythmia.fibrillation_features import WINDOW_S, fibrillation_features, may_fibrillate
from models.ecg import Ecg
from models.evidence import BeatSpan, Evidence
from models.grounding.conduction import Degree, block_degree, blocked_p_waves, paced_beats
from models.measurement.axis import qrs_axis_deg
from models.measurement.delineation import Fiducials, MeasuredBeat
from models.measurement.intervals import T_BOW_MV, clear_of_edges, deflection, share_without_p, wave_height, wave_level
from models.measurement.measure import Measurement, measure
from models.measurement.rhythm_beats import rhythm_beats
from models.measurement.window_evidence import interval_evidence
from models.networks.atrial import AtrialNetwork
from models.normal_limits import IRREGULAR_RR, Q_WAVE_MV, Q_WAVE_SHARE, T_INVERTED_MV
from models.signal.mains import ecg_without_mains
from models.signal.quality import NOISY
from models.signal.span_quality import SpanQuality

METHOD = "segment 1"  # name and version of these measurements, as cited
P_PRESENT_SHARE = 0.7  # of the conducted beats: from this share on P waves are present
P_ABSENT_SHARE = 0.2  # down to this share they are absent; between the two neither
REGULAR_RR = 0.08  # sd/mean of RR up to which a rhythm is regular (sinus arrhythmia starts near 0.1)
EVEN_RR = 0.03  # median change between successive RR / mean RR; below it the variability is a change of rate
RHYTHM_BEATS = 4  # fewer do not decide regularity
WAVE_MV = {"P": 0.02, "Q": 0.05, "R": 0.05, "S": 0.05, "T": 0.05}  # smaller waves are not reported
AXIS_SHOWN_DEG = 10.0  # between the axis of all conducted beats and that of the QRS complex cited for it
AF_BEATS = 7  # fewer do not show the irregularity of atrial fibrillation
AF_LEADS = ("II", "I", "V1", "V2")  # that the atrial network is asked about, the first two that are usable
SAME_RATE_BPM = 10.0  # between the alarm's rate and the segment's, up to which QT is reported beside the alarm's
FIBRILLATING_LEADS = 0.75  # share of the usable leads


@dataclass(frozen=True, slots=True)
class WaveHeight:
    """Height (mV) of one wave in one lead: that of the beat nearest to the median, with its span in samples.

    ``bow_mv``: how far it is from the line between its ends, the sign being that of its own deflection.
    """

    mv: float
    start: int
    end: int
    bow_mv: float = 0.0


@dataclass(frozen=True, eq=False, kw_only=True)
class SegmentMeasurements:
    """The measurements of one segment.

    Attributes
    ----------
    ecg : Ecg
        The signal.
    evidence : mapping
        Measure (``HR``, ``RR``, ``P``, ``PR``, ``QRS``, ``QT``, ``QTc``, ``QTcF``, ``REGULARITY``, ``ABSENT_P``) to
        its evidence.
    st : mapping
        Lead to its ST evidence.
    waves : mapping
        Lead and wave (``P``, ``Q``, ``R``, ``S``, ``T``) to its height.
    usable : tuple of str
        Leads of sufficient quality.
    states : mapping
        Lead to its quality state (usable, flat, saturated, noisy, detached, absent).
    quality : mapping
        Lead to 0…1.
    beats : int
        Number of beats of the longest run on usable signal; the beats of the other attributes are these.
    kinds : mapping
        Beat kind to count.
    kind_sequence : str
        Kinds of the beats in order, one letter each.
    r : tuple of int
        R peaks of the beats in order, samples.
    af_odds : float or None
        Log odds of atrial fibrillation by the atrial network; None with P waves, with a regular rhythm or with too few
        beats.
    beats_with_p, beats_examined : int
        Conducted beats with a P wave, and conducted beats examined.
    axis_deg : float or None
        Frontal QRS axis, degrees.
    longest_rr : Evidence or None
        The longest time without a beat: RR between two beats, SILENCE where an edge of the segment ends it.
    fibrillation : Evidence or None
        Four seconds with a pattern consistent with ventricular fibrillation in most usable leads. No other measurement
        is present then: there are no QRS complexes to measure.
    rr_change : float or None
        Median change from one RR to the next, as a share of the mean RR.
    blocked : tuple of Evidence
        P waves that no QRS complex follows.
    block : {"second", "third"} or None
        Degree of the AV block that they show.
    """

    ecg: Ecg
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    st: Mapping[str, Evidence] = field(default_factory=dict)
    waves: Mapping[tuple[str, str], WaveHeight] = field(default_factory=dict)
    usable: tuple[str, ...] = ()
    states: Mapping[str, str] = field(default_factory=dict)
    quality: Mapping[str, float] = field(default_factory=dict)
    beats: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    kind_sequence: str = ""
    r: tuple[int, ...] = ()
    af_odds: float | None = None
    beats_with_p: int = 0
    beats_examined: int = 0
    axis_deg: float | None = None
    longest_rr: Evidence | None = None
    fibrillation: Evidence | None = None
    rr_change: float | None = None
    blocked: tuple[Evidence, ...] = ()
    block: Degree | None = None

    def value(self, measure_name: str) -> float | None:
        """The segment's value of a measure, None where it was not measured."""
        found = self.evidence.get(measure_name)
        return None if found is None else found.value

    @property
    def readable(self) -> bool:
        """Whether any lead is usable."""
        return bool(self.usable)

    @property
    def p_waves(self) -> bool | None:
        """True: before most beats; False: before almost none; None: not decided."""
        if not self.beats_examined:
            return None
        share = self.beats_with_p / self.beats_examined
        return True if share >= P_PRESENT_SHARE else False if share <= P_ABSENT_SHARE else None

    @property
    def regular(self) -> bool | None:
        """True or False by the variability of RR; None in between, or with fewer than `RHYTHM_BEATS` beats.

        Large variability with even successive RR means a change of rate or single early beats: None as well.
        """
        variability = self.value("REGULARITY")
        if variability is None or self.beats < RHYTHM_BEATS:
            return None
        if variability >= IRREGULAR_RR and self.rr_change is not None and self.rr_change < EVEN_RR:
            return None
        return True if variability <= REGULAR_RR else False if variability >= IRREGULAR_RR else None

    def at_rate_of(self, given: Sequence[Evidence]) -> bool:
        """Whether the alarm's evidence has no rate, or about that of the segment: QT belongs to the rate beside it."""
        rates, hr = [e.value for e in given if e.measure == "HR"], self.value("HR")
        return not rates or (hr is not None and abs(hr - rates[0]) <= SAME_RATE_BPM)

    def wave_evidence(self, lead: str, wave: str) -> Evidence | None:
        """Height of a wave as evidence; None where the lead has no such wave."""
        height = self.waves.get((lead, wave))
        if height is None or abs(height.mv) < WAVE_MV[wave]:
            return None
        return Evidence("AMPLITUDE", round(height.mv, 3), (lead,), height.start, height.end, wave=wave, method=METHOD)

    def t_inverted(self, lead: str) -> bool | None:
        """Whether the T wave of a lead is inverted by `T_INVERTED_MV` or more, or upright by as much.

        None in between, and where its height and its own deflection differ in sign: an upright T wave on a depressed ST
        segment lies below the PR segment and is not inverted.
        """
        height = self.waves.get((lead, "T"))
        if height is None or abs(height.mv) < -T_INVERTED_MV:
            return None
        differs = abs(height.bow_mv) >= T_BOW_MV and height.bow_mv * height.mv < 0
        return None if differs else height.mv < 0

    def q_wave(self, lead: str) -> bool:
        """Whether the lead has a pathological Q wave, by its depth and the R wave of the same lead."""
        q, r = self.waves.get((lead, "Q")), self.waves.get((lead, "R"))
        if q is None or -q.mv < Q_WAVE_MV:
            return False
        return r is None or -q.mv >= Q_WAVE_SHARE * r.mv


def measure_segment(ecg: Ecg, *, fold: str | None = None) -> SegmentMeasurements:
    """Measure a segment.

    Parameters
    ----------
    ecg : Ecg
        A few seconds, any leads, mV.
    fold : str, optional
        Measure with network weights trained without this fold (evaluation).

    Examples
    --------
    >>> flat = Ecg(("II",), 250.0, np.zeros((1, 2500), np.float32))
    >>> measured = measure_segment(flat)
    >>> measured.beats, measured.longest_rr.measure, measured.longest_rr.value
    (0, 'SILENCE', 10.0)
    """
    if ecg.n_samples == 0 or not ecg.leads:
        return SegmentMeasurements(ecg=ecg)
    ecg = ecg_without_mains(ecg)
    measurement = measure(ecg, fold=fold)
    usable = tuple(x for x in ecg.leads if measurement.quality[x].usable)
    states = {x: q.state for x, q in measurement.quality.items()}
    scores = {x: q.score for x, q in measurement.quality.items()}
    fibrillation = _fibrillation(ecg, usable)
    if not usable or fibrillation is not None:  # beats found in noise or fibrillation are arbitrary
        return SegmentMeasurements(ecg=ecg, usable=usable, states=states, quality=scores, fibrillation=fibrillation)
    measurement = _with_paced_beats(ecg, measurement, usable)
    quality = SpanQuality(ecg)
    rhythm = rhythm_beats(ecg, measurement, quality, usable)
    low = [r for r in measurement.r_peaks if not quality.leads(usable, r, r)]
    if (low or rhythm.low) and not rhythm.beats:  # beats found on signal of low quality are arbitrary as well
        states |= dict.fromkeys(usable, NOISY)
        return SegmentMeasurements(ecg=ecg, states=states, quality=scores)
    evidence: dict[str, Evidence] = {}
    st: dict[str, Evidence] = {}
    for found in interval_evidence(ecg, measurement, rhythm, quality):
        if found.measure == "ST":
            st.setdefault(found.leads[0], found)
        elif found.measure != "AMPLITUDE":
            evidence.setdefault(found.measure, found)
    conducted = [m for m in rhythm.conducted if m.overall.qrs_on is not None]
    if conducted and "ABSENT_P" not in evidence:
        first, last = conducted[0].beat.sample, conducted[-1].beat.sample
        absent = share_without_p(conducted)
        evidence["ABSENT_P"] = Evidence("ABSENT_P", absent, rhythm.leads, first, last, method=METHOD)
    r_peaks = rhythm.r
    sequence = "".join(m.beat.kind for m in rhythm.beats)
    blocked = () if "P" in sequence else blocked_p_waves(ecg, rhythm.beats, usable)
    longest_rr = _longest_rr(ecg, np.array(measurement.r_peaks, np.int64), usable, quality)
    axis = _axis_visible(ecg, conducted, usable, evidence.get("QRS"))
    return SegmentMeasurements(
        ecg=ecg,
        evidence=evidence,
        st=st,
        waves=_waves(ecg, conducted, usable, quality),
        usable=usable,
        states=states,
        quality=scores,
        beats=len(rhythm.beats),
        kinds=Counter(sequence),
        kind_sequence=sequence,
        r=tuple(r_peaks.tolist()),
        af_odds=_af_odds(ecg, rhythm.leads, evidence, len(rhythm.beats), fold),
        beats_with_p=sum(m.overall.p_on is not None for m in conducted),
        beats_examined=len(conducted),
        axis_deg=None if axis is None else round(axis),
        longest_rr=longest_rr,
        rr_change=_rr_change(r_peaks),
        blocked=blocked,
        block=block_degree(rhythm.beats, blocked, ecg.fs_hz),
    )


def _with_paced_beats(ecg: Ecg, measurement: Measurement, usable: tuple[str, ...]) -> Measurement:
    """The measurement with the kind P for beats that follow a pacing pulse."""
    paced = paced_beats(ecg, measurement.beats, usable)
    beats = (replace(m, beat=replace(m.beat, kind="P")) if k in paced else m for k, m in enumerate(measurement.beats))
    return replace(measurement, beats=tuple(beats)) if paced else measurement


def _axis_visible(
    ecg: Ecg, conducted: Sequence[MeasuredBeat], usable: tuple[str, ...], qrs: Evidence | None
) -> float | None:
    """Frontal axis of the conducted beats, where the QRS complex that is cited for it shows the same."""
    axis = qrs_axis_deg(ecg, conducted, usable)
    cited = [m for m in conducted if qrs is not None and m.overall.qrs_on == qrs.start]
    own = qrs_axis_deg(ecg, cited, usable) if cited else None
    if axis is None or own is None or abs((axis - own + 180.0) % 360.0 - 180.0) > AXIS_SHOWN_DEG:
        return None
    return axis


def _rr_change(r: NDArray[np.int64]) -> float | None:
    rr = np.diff(r).astype(np.float64)
    return float(np.median(np.abs(np.diff(rr))) / rr.mean()) if len(rr) > 1 else None


def _af_odds(
    ecg: Ecg, usable: tuple[str, ...], evidence: Mapping[str, Evidence], beats: int, fold: str | None
) -> float | None:
    """Log odds of atrial fibrillation, where RR vary and almost no beat has a P wave."""
    variability, absent = evidence.get("REGULARITY"), evidence.get("ABSENT_P")
    if beats < AF_BEATS or variability is None or absent is None:
        return None
    if variability.value < REGULAR_RR or absent.value < 1.0 - P_ABSENT_SHARE:
        return None
    leads = [x for x in AF_LEADS if x in usable] or list(usable)
    return AtrialNetwork.load(fold)(ecg.mv, ecg.fs_hz, [ecg.leads.index(x) for x in leads])


def _fibrillation(ecg: Ecg, usable: tuple[str, ...]) -> Evidence | None:
    """The first four seconds of fibrillation pattern, by the alarm's most specific limits, in most usable leads."""
    mv = ecg.select(usable).mv if usable else ecg.mv[:0]
    n = round(WINDOW_S * ecg.fs_hz)
    if not usable or ecg.n_samples < n or not may_fibrillate(mv, ecg.fs_hz):
        return None
    for start in range(0, ecg.n_samples - n + 1, n // 2):
        like = waves_like_fibrillation(fibrillation_features(mv[:, start : start + n], ecg.fs_hz), CERTAIN)
        if like.mean() >= FIBRILLATING_LEADS:
            lead = int(np.argmax(like))
            height = wave_height(mv[lead], "fibrillation", start, start + n, 0.0)
            return Evidence("AMPLITUDE", height, (usable[lead],), start, start + n, wave="fibrillation", method=METHOD)
    return None


def _longest_rr(ecg: Ecg, r: NDArray[np.int64], usable: tuple[str, ...], quality: SpanQuality) -> Evidence | None:
    """The longest time without a beat on usable signal; one that an edge of the segment cuts is at least that long."""
    edges = np.concatenate([[0], r, [ecg.n_samples]])
    for k in np.argsort(-np.diff(edges), kind="stable"):
        start, end = int(edges[k]), int(edges[k + 1])
        leads = quality.leads(usable, start, end)
        if leads:
            seconds = (end - start) / ecg.fs_hz
            name, beats = ("RR" if 0 < k < len(r) else "SILENCE"), (BeatSpan(start, start, end, seconds),)
            return Evidence(name, seconds, leads, start, end, beats, method=METHOD)
    return None


def _waves(
    ecg: Ecg, beats: Sequence[MeasuredBeat], usable: tuple[str, ...], quality: SpanQuality
) -> dict[tuple[str, str], WaveHeight]:
    """Wave heights per lead: of the beat nearest to the median over the beats; only waves of half the beats or more."""
    found: dict[tuple[str, str], list[WaveHeight]] = {}
    for beat in beats:
        on, off = beat.overall.qrs_on, beat.overall.qrs_off
        if on is None or off is None or off <= on:
            continue
        for lead in usable:
            mv = ecg.lead(lead)
            level = wave_level(mv, "R", on, on, ecg.fs_hz)
            if not math.isfinite(level):
                continue
            for wave, height, start, end in _beat_waves(mv, level, on, off, beat.overall):
                inside = clear_of_edges(start, end, ecg.n_samples, ecg.fs_hz)
                if math.isfinite(height) and inside and quality.usable(lead, start, end):
                    found.setdefault((lead, wave), []).append(
                        WaveHeight(height, start, end, deflection(mv, start, end))
                    )
    out = {}
    for key, heights in found.items():
        if 2 * len(heights) < len(beats):
            continue
        median = float(np.median([h.mv for h in heights]))
        nearest = heights[int(np.argmin([abs(h.mv - median) for h in heights]))]
        out[key] = nearest
    return out


def _beat_waves(
    mv: NDArray[np.float32], level: float, on: int, off: int, marks: Fiducials
) -> list[tuple[str, float, int, int]]:
    top = on + int(np.argmax(mv[on : off + 1]))
    if mv[top] - level >= WAVE_MV["R"]:
        spans: list[tuple[str, int | None, int | None]] = [("R", on, off), ("Q", on, top), ("S", top, off)]
    else:  # entirely negative: QS, reported as Q as in the universal definition
        spans = [("Q", on, off)]
    spans += [("P", marks.p_on, marks.p_off), ("T", marks.t_on, marks.t_off)]
    out = []
    for wave, first, last in spans:
        if first is not None and last is not None and (last > first or wave == "Q"):
            base = float(mv[first]) if wave == "P" else level
            out.append((wave, wave_height(mv, wave, first, last, base), first, last))
    return out

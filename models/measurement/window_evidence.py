"""Evidence of a window: its rate and intervals, each with the place where it can be measured again.

Evidence is sound: no wave within `EDGE_S` of the window's edges, no value outside `POSSIBLE`, none from a span of low
quality (`models.signal.span_quality`), none from beats of another class than the rhythm's (an ectopic beat's QRS is not
the QRS of a sinus rhythm). The leads of a median are those that show the value within `TOLERANCE`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from models.ecg import Ecg
from models.evidence import OVER_MEDIAN, TOLERANCE, BeatSpan, Evidence
from models.measurement.delineation import MeasuredBeat
from models.measurement.intervals import (
    BEAT_SPANS,
    METHOD,
    ST_AFTER_J_S,
    clear_of_edges,
    is_possible,
    share_without_p,
    st_level,
)
from models.measurement.measure import Measurement, measure, qt_bazett, qt_fridericia
from models.measurement.rhythm_beats import CONDUCTED, RhythmBeats, rhythm_beats
from models.normal_limits import IRREGULAR_RR
from models.signal.mains import ecg_without_mains
from models.signal.span_quality import SpanQuality

SAME_BEAT_S = 0.1  # between R peaks of two analyses of the same beat
OF_CONDUCTED = ("P", "PR", "QT")  # measures that a ventricular or paced beat does not have


def interval_evidence(
    ecg: Ecg, measurement: Measurement, rhythm: RhythmBeats | None = None, quality: SpanQuality | None = None
) -> list[Evidence]:
    """All evidence of a window.

    Parameters
    ----------
    ecg : Ecg
        The window; positions in the evidence are its samples.
    measurement : Measurement
        Of that window.
    rhythm : RhythmBeats, optional
        Of that window, where they are known already.
    quality : SpanQuality, optional
        Of that window, where it is known already.

    Returns
    -------
    list of Evidence
        HR and REGULARITY over the beats, three at least; RR; P, PR, QRS, QT of the beat that is nearest to the median;
        QTc and QTcF by the mean RR, where the rhythm is not irregular; ST in each lead; ABSENT_P where most beats show
        no P wave. Nothing where no lead is usable.
    """
    ecg = ecg_without_mains(ecg)
    usable = tuple(lead for lead in ecg.leads if measurement.quality[lead].usable)
    quality = quality or SpanQuality(ecg)
    rhythm = rhythm or rhythm_beats(ecg, measurement, quality, usable)
    if not rhythm.beats:
        return []
    waves = _Waves(ecg, quality, usable)
    out = _of_rhythm(rhythm)
    for name in BEAT_SPANS:
        found = waves.interval(name, rhythm.named)
        if found is None:
            continue
        out.append(found)
        if name == "QT":
            out += _corrected(found, rhythm)
    if rhythm.named[0].beat.kind in CONDUCTED:
        out += [e for lead in usable if (e := waves.st(lead, rhythm.named)) is not None]
    absent = share_without_p(rhythm.beats)
    if absent >= 0.5:
        r = [m.beat.sample for m in rhythm.conducted]
        out.append(_evidence("ABSENT_P", absent, rhythm.leads, r[0], r[-1]))
    return out


def qrs_evidence(ecg: Ecg, r: int, *, fold: str | None = None) -> Evidence | None:
    """The QRS duration of the beat at sample ``r``, between its boundaries; None where it cannot be cited.

    Parameters
    ----------
    ecg : Ecg
        A window of some seconds.
    r : int
        R peak, sample of ``ecg``.
    fold : str, optional
        Measure with network weights trained without this fold (evaluation).
    """
    ecg = ecg_without_mains(ecg)
    measurement = measure(ecg, fold=fold)
    usable = tuple(lead for lead in ecg.leads if measurement.quality[lead].usable)
    near = [m for m in measurement.beats if abs(m.beat.sample - r) <= SAME_BEAT_S * ecg.fs_hz]
    return _Waves(ecg, SpanQuality(ecg), usable).interval("QRS", near[:1])


def _of_rhythm(rhythm: RhythmBeats) -> list[Evidence]:
    """HR, RR and REGULARITY."""
    r, rr = rhythm.r, rhythm.rr_s
    out = []
    if len(rr):
        k = int(np.argmin(np.abs(rr - np.median(rr))))
        out.append(_evidence("RR", float(rr[k]), rhythm.leads, int(r[k]), int(r[k + 1])))
    if rhythm.has_rate:
        rate = 60.0 / float(np.mean(rr))
        if is_possible("HR", rate):
            out.append(_evidence("HR", rate, rhythm.leads, int(r[0]), int(r[-1])))
        if len(rr) > 2:
            out.append(_evidence("REGULARITY", float(np.std(rr) / np.mean(rr)), rhythm.leads, int(r[0]), int(r[-1])))
    return out


def _corrected(qt: Evidence, rhythm: RhythmBeats) -> list[Evidence]:
    """QTc and QTcF of the cited QT, by the mean RR that the rate is cited from."""
    rr = rhythm.rr_s
    if not rhythm.has_rate or np.std(rr) > IRREGULAR_RR * np.mean(rr):
        return []
    values = (("QTc", qt_bazett(qt.value, float(np.mean(rr)))), ("QTcF", qt_fridericia(qt.value, float(np.mean(rr)))))
    return [
        _evidence(name, value, qt.leads, qt.start, qt.end, qt.beats[0].r, qt.over)
        for name, value in values
        if is_possible(name, value)
    ]


class _Waves:
    """Evidence of single beats of a window."""

    def __init__(self, ecg: Ecg, quality: SpanQuality, usable: Sequence[str]) -> None:
        self._ecg, self._quality, self._usable = ecg, quality, usable

    def interval(self, name: str, beats: Sequence[MeasuredBeat]) -> Evidence | None:
        """An interval of the beat nearest to the median; of equal ones that which most leads show."""
        if name in OF_CONDUCTED:
            beats = [m for m in beats if m.beat.kind in CONDUCTED]
        found = []
        for m in beats:
            value = m.overall.span_ms(*BEAT_SPANS[name], self._ecg.fs_hz)
            if value is None or not is_possible(name, value):
                continue
            start, end = (getattr(m.overall, mark) for mark in BEAT_SPANS[name])
            leads = self.showing(name, m, value, start, end)
            if leads and clear_of_edges(start, end, self._ecg.n_samples, self._ecg.fs_hz):
                found.append((value, leads, m))
        if not found:
            return None
        middle = float(np.median([value for value, _, _ in found]))
        value, leads, m = min(found, key=lambda x: (abs(x[0] - middle), -len(x[1])))
        start, end = (getattr(m.overall, mark) for mark in BEAT_SPANS[name])
        over = OVER_MEDIAN if len(m.leads) > 1 else None
        return _evidence(name, value, leads, start, end, m.beat.sample, over)

    def showing(self, name: str, m: MeasuredBeat, value: float, start: int, end: int) -> tuple[str, ...]:
        """Leads in which the beat's own interval is the value within its tolerance, on usable signal."""
        own = {
            lead: m.leads[lead].span_ms(*BEAT_SPANS[name], self._ecg.fs_hz) for lead in self._usable if lead in m.leads
        }
        near = [lead for lead, v in own.items() if v is not None and abs(v - value) <= TOLERANCE[name]]
        return self._quality.leads(near, start, end)

    def st(self, lead: str, beats: Sequence[MeasuredBeat]) -> Evidence | None:
        """ST in one lead, of the beat nearest to the median."""
        after, found = round(ST_AFTER_J_S * self._ecg.fs_hz), []
        for m in beats:
            level, on, off = st_level(self._ecg, lead, m.overall), m.overall.qrs_on, m.overall.qrs_off
            if level is None or on is None or off is None or not is_possible("ST", level):
                continue
            inside = clear_of_edges(on, off + after, self._ecg.n_samples, self._ecg.fs_hz)
            if inside and self._quality.usable(lead, on, off + after):
                found.append((level, on, off + after, m.beat.sample))
        if not found:
            return None
        middle = float(np.median([level for level, *_ in found]))
        level, start, end, r = min(found, key=lambda x: abs(x[0] - middle))
        return _evidence("ST", level, (lead,), start, end, r)


def _evidence(
    name: str,
    value: float,
    leads: tuple[str, ...],
    start: int,
    end: int,
    r: int | None = None,
    over: Literal["median"] | None = None,
) -> Evidence:
    beats = () if r is None else (BeatSpan(r, start, end, value),)
    return Evidence(name, value, leads, start, end, beats=beats, method=METHOD, over=over)

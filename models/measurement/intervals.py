"""Values of single beats and of spans: `remeasure` measures a citation again at its span.

`models.measurement.window_evidence` makes the citations of a window.
Measures: RR s; HR bpm over the beats of the span; P, QRS ms onset to offset; PR ms P onset to
QRS onset; QT ms QRS onset to T offset, QTc after Bazett, QTcF after Fridericia; ST mV at QRS offset + 60 ms against the
PR segment; AMPLITUDE mV of the named wave; REGULARITY sd over mean of RR; ABSENT_P share of the beats without a P wave;
QUALITY 0 to 1; SILENCE s without a beat. HR of regular waves (`models.beats.regular_waves`) is that of their crests.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

import numpy as np

from models.beats import regular_waves
from models.ecg import Ecg, Millivolts
from models.evidence import Evidence
from models.measurement.delineation import Fiducials, MeasuredBeat
from models.measurement.isoelectric import isoelectric_levels, isoelectric_mv
from models.measurement.measure import Measurement, measure, qt_bazett, qt_fridericia
from models.measurement.rhythm_beats import rhythm_beats
from models.normal_limits import EDGE_S, POSSIBLE
from models.signal.mains import ecg_without_mains
from models.signal.quality import lead_quality
from models.signal.span_quality import SpanQuality

METHOD = "delineation 1"
FIBRILLATION = "fibrillation"  # wave whose AMPLITUDE is peak to peak over its span, without a beat
T_BOW_MV = 0.1  # of a T wave from the line between its ends, from which on it has a polarity: lower ones are flat
ST_AFTER_J_S = 0.060  # J + 60 ms
WAVE_MARGIN_S = 0.3  # signal on either side of regular waves that are counted again

BEAT_SPANS = {
    "P": ("p_on", "p_off"),
    "PR": ("p_on", "qrs_on"),
    "QRS": ("qrs_on", "qrs_off"),
    "QT": ("qrs_on", "t_off"),
}


def st_level(ecg: Ecg, lead: str, marks: Fiducials) -> float | None:
    """ST of one beat in one lead, mV: the signal 60 ms after the QRS offset against the end of the PR segment."""
    if marks.qrs_on is None or marks.qrs_off is None:
        return None
    row = ecg.lead(lead)
    at = marks.qrs_off + round(ST_AFTER_J_S * ecg.fs_hz)
    half = max(1, round(0.004 * ecg.fs_hz))
    around = row[at - half : at + half + 1]
    isoelectric = isoelectric_mv(row, marks.qrs_on, ecg.fs_hz)
    if at >= len(row) or isoelectric is None or not len(around):
        return None
    level = statistics.fmean(around.tolist()) - isoelectric
    return level if math.isfinite(level) else None


def st_levels(ecg: Ecg, marks: Fiducials, start: int = 0) -> list[float | None]:
    """`st_level` of one beat in each lead; ``marks`` are counted from ``start``, the number of the first sample."""
    if marks.qrs_on is None or marks.qrs_off is None:
        return [None] * len(ecg.leads)
    at, half = marks.qrs_off - start + round(ST_AFTER_J_S * ecg.fs_hz), max(1, round(0.004 * ecg.fs_hz))
    around = ecg.mv[:, at - half : at + half + 1].astype(np.float64)
    levels = isoelectric_levels(ecg.mv, marks.qrs_on - start, ecg.fs_hz)
    if at >= ecg.n_samples or levels is None or not around.size:
        return [None] * len(ecg.leads)
    st = around.sum(axis=1) / around.shape[1] - levels
    return [level if math.isfinite(level) else None for level in st.tolist()]


def is_possible(name: str, value: float) -> bool:
    """Whether a value of this measure is physiologically possible (`POSSIBLE`).

    >>> is_possible("QRS", 38.0), is_possible("QRS", 96.0)
    (False, True)
    """
    low, high = POSSIBLE.get(name, (-math.inf, math.inf))
    return low <= value <= high


def clear_of_edges(start: int, end: int, n_samples: int, fs_hz: float) -> bool:
    """Whether a span keeps `EDGE_S` from both edges of its window; samples."""
    edge = math.ceil(EDGE_S * fs_hz)
    return start >= edge and end <= n_samples - edge


def remeasure(
    ecg: Ecg, evidence: Evidence, measurement: Measurement | None = None, *, fold: str | None = None
) -> float:
    """Measure evidence again at its span; NaN where nothing is measured there.

    Parameters
    ----------
    ecg : Ecg
        The signal that the positions refer to.
    evidence : Evidence
        Value and span to measure again.
    measurement : Measurement, optional
        Of ``ecg``, where it has been made already.
    fold : str, optional
        Use network weights trained without this fold (evaluation).
    """
    ecg = ecg_without_mains(ecg)
    fs, start, end = ecg.fs_hz, evidence.start, evidence.end
    if evidence.measure == "AMPLITUDE" and evidence.wave == FIBRILLATION:
        return float(np.ptp(ecg.lead(evidence.leads[0])[start:end]))
    if evidence.method == regular_waves.METHOD:
        margin = round(WAVE_MARGIN_S * fs)
        part = ecg.select(evidence.leads[:1]).slice(max(0, start - margin), min(ecg.n_samples, end + margin))
        waves = regular_waves.regular_waves(part.leads, part.mv, fs, part.n_samples)
        return float("nan") if waves is None else waves.rate(fs)
    measured = measurement or measure(ecg, fold=fold)
    if evidence.measure == "AMPLITUDE":
        return _height(ecg, evidence, measured)
    near = round(0.08 * fs)
    inside = [m for m in measured.beats if start - near <= m.beat.sample <= end + near]
    r = np.array([m.beat.sample for m in inside])
    over_beats: dict[str, Callable[[], float]] = {
        "HR": lambda: 60.0 * fs / float(np.mean(np.diff(r))) if len(r) > 1 else float("nan"),
        "RR": lambda: float(np.max(np.diff(r))) / fs if len(r) > 1 else float("nan"),
        "REGULARITY": lambda: float(np.std(np.diff(r)) / np.mean(np.diff(r))) if len(r) > 2 else float("nan"),
        "ABSENT_P": lambda: share_without_p(inside),
        "QUALITY": lambda: _mean_quality(ecg.select(evidence.leads).slice(start, end)),
        "SILENCE": lambda: (end - start) / fs,
    }
    if evidence.measure in over_beats:
        return over_beats[evidence.measure]()
    rr_s = _mean_rr_s(ecg, measured) if evidence.measure in ("QTc", "QTcF") else float("nan")
    values = [_of_beat(ecg, evidence, m, rr_s) for m in measured.beats if _touches(m, start, end, near)]
    measured_values = [v for v in values if v is not None]
    return float(np.median(measured_values)) if measured_values else float("nan")


def _mean_quality(ecg: Ecg) -> float:
    return float(np.mean([q.score for q in lead_quality(ecg.mv, ecg.fs_hz, ecg.leads, ecg.leads_off)]))


def wave_height(row: Millivolts, wave: str, start: int, end: int, level: float) -> float:
    """Height of a wave over its span, mV: R the highest point, Q and S the lowest below, P and T the farthest off.

    Fibrillation waves: the highest less the lowest.
    """
    part = row[start : end + 1] - level
    if wave == "fibrillation":
        return float(np.nanmax(part) - np.nanmin(part))
    if wave == "R":
        return float(part.max())
    if wave in ("Q", "S"):
        return float(min(0.0, part.min()))
    return float(part[int(np.argmax(np.abs(part)))])


def deflection(row: Millivolts, start: int, end: int) -> float:
    """How far a wave is from the line between its ends where it is farthest, mV: its own polarity."""
    part = row[start : end + 1]
    bow = part - np.linspace(part[0], part[-1], len(part))
    return float(bow[int(np.argmax(np.abs(bow)))])


def wave_level(row: Millivolts, wave: str, start: int, qrs_on: int, fs: float) -> float:
    """The level that heights are measured from, mV: the isoelectric level; for P the signal at its own onset."""
    if wave == "P":
        return float(row[start])
    level = isoelectric_mv(row, qrs_on, fs)
    return float("nan") if level is None else level


def _height(ecg: Ecg, evidence: Evidence, measured: Measurement) -> float:
    row = ecg.lead(evidence.leads[0])
    if evidence.wave == "fibrillation":
        return wave_height(row, evidence.wave, evidence.start, evidence.end, 0.0)
    onsets = [m.overall.qrs_on for m in measured.beats if m.overall.qrs_on is not None]
    near = round(0.08 * ecg.fs_hz)
    own = [on for on in onsets if on <= evidence.start + near] if evidence.wave != "P" else onsets
    if not own or evidence.wave is None:
        return float("nan")
    level = wave_level(row, evidence.wave, evidence.start, own[-1], ecg.fs_hz)
    return wave_height(row, evidence.wave, evidence.start, evidence.end, level)


def share_without_p(beats: Sequence[MeasuredBeat]) -> float:
    """Share of the conducted beats with a QRS complex that have no P wave; NaN without such a beat."""
    with_qrs = [m for m in beats if m.overall.qrs_on is not None and m.beat.kind not in ("V", "P")]
    return float(np.mean([m.overall.p_on is None for m in with_qrs])) if with_qrs else float("nan")


def _touches(m: MeasuredBeat, start: int, end: int, near: int) -> bool:
    """The beat's own QRS lies in the span, or the span (a P wave) ends just before it."""
    on = m.overall.qrs_on if m.overall.qrs_on is not None else m.beat.sample
    p_on = m.overall.p_on if m.overall.p_on is not None else on
    return start - near <= on <= end + near or start - near <= p_on <= end


def _of_beat(ecg: Ecg, evidence: Evidence, m: MeasuredBeat, rr_s: float) -> float | None:
    fs = ecg.fs_hz
    if evidence.measure in BEAT_SPANS:
        return m.overall.span_ms(*BEAT_SPANS[evidence.measure], fs)
    if evidence.measure == "ST":
        return st_level(ecg, evidence.leads[0], m.overall)
    qt = m.overall.span_ms("qrs_on", "t_off", fs)
    if evidence.measure in ("QTc", "QTcF") and qt is not None and rr_s > 0:
        return (qt_bazett if evidence.measure == "QTc" else qt_fridericia)(qt, rr_s)
    return None


def _mean_rr_s(ecg: Ecg, measured: Measurement) -> float:
    """Mean RR of the beats that the rate is cited from; NaN with fewer than two."""
    usable = [lead for lead in ecg.leads if measured.quality[lead].usable]
    rr_s = rhythm_beats(ecg, measured, SpanQuality(ecg), usable).rr_s
    return float(np.mean(rr_s)) if len(rr_s) else float("nan")

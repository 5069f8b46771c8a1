"""Features of each beat and lead as GEM's texts use them, each with its span; ST form and RR statistics.

The fourteen sequences of a lead (GEM, arXiv 2503.06073; MEETI, arXiv 2507.15255): heart rate, RR before and after, P,
QRS and T amplitude and duration, PR, ST duration, ST form, QT and QTc. Times in ms, amplitudes in mV against the PR
segment, rates in bpm; QTc is Bazett's with the RR before the beat. An absent wave has no value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.ecg import Ecg, Millivolts
from models.measurement.delineation import Fiducials, MeasuredBeat
from models.measurement.intervals import ST_AFTER_J_S, st_level
from models.measurement.isoelectric import isoelectric_mv
from models.measurement.measure import Measurement, qt_bazett

NUMBERS = (
    "HR",
    "RR1",
    "RR2",
    "P_amplitude",
    "P_duration",
    "PR",
    "QRS_amplitude",
    "QRS_duration",
    "T_amplitude",
    "T_duration",
    "ST_duration",
    "ST_level",
    "QT",
    "QTc",
)
"""Names of the features that are numbers; the ST form is a word."""

_TIMES = (
    ("P_duration", "p_on", "p_off"),
    ("PR", "p_on", "qrs_on"),
    ("QRS_duration", "qrs_on", "qrs_off"),
    ("T_duration", "t_on", "t_off"),
    ("ST_duration", "qrs_off", "t_on"),
    ("QT", "qrs_on", "t_off"),
)
ST_FORM_MV = 0.05  # a change over the ST segment below this is none: half a millimetre on paper
UNITS = {"HR": "bpm", "P_amplitude": "mV", "QRS_amplitude": "mV", "T_amplitude": "mV", "ST_level": "mV"}
"""Units; the others are milliseconds."""


@dataclass(frozen=True, slots=True)
class Spanned:
    """A value and the samples that it was measured over."""

    value: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class BeatFeatures:
    """Features of one beat in one lead.

    Attributes
    ----------
    r : int
        R peak, sample.
    numbers : dict
        Feature of `NUMBERS` to value and span; only what could be measured.
    st_form : str or None
        ``horizontal``, ``upsloping``, ``downsloping``, ``convex`` or ``concave``; None without an ST segment.
    """

    r: int
    numbers: dict[str, Spanned]
    st_form: str | None


@dataclass(frozen=True, slots=True)
class RrStatistics:
    """RR intervals of a recording: ms, and share of neighbours that differ by more than 50 ms."""

    mean_ms: float
    sd_ms: float
    rmssd_ms: float
    pnn50: float


def beat_features(ecg: Ecg, measurement: Measurement) -> dict[str, list[BeatFeatures]]:
    """Features of every beat in every lead.

    Parameters
    ----------
    ecg : Ecg
        The signal that was measured.
    measurement : Measurement
        Of it.

    Returns
    -------
    dict
        Lead to one `BeatFeatures` a beat, in order of time.
    """
    beats = measurement.beats
    r = [m.beat.sample for m in beats]
    neighbours = list(zip([None, *r[:-1]], [*r[1:], None], strict=True))
    each = list(zip(beats, neighbours, strict=True))
    return {lead: [_features(ecg, lead, m, *around) for m, around in each if lead in m.leads] for lead in ecg.leads}


def _features(ecg: Ecg, lead: str, m: MeasuredBeat, before: int | None, after: int | None) -> BeatFeatures:
    row, fs, r, marks = ecg.lead(lead), ecg.fs_hz, m.beat.sample, m.leads[lead]
    out: dict[str, Spanned] = {}
    if before is not None and r > before:
        rr = (r - before) / fs
        out["RR1"], out["HR"] = Spanned(rr * 1000.0, before, r), Spanned(60.0 / rr, before, r)
    if after is not None:
        out["RR2"] = Spanned((after - r) * 1000.0 / fs, r, after)
    for name, first, last in _TIMES:
        span = marks.span_ms(first, last, fs)
        if span is not None and span > 0:
            out[name] = Spanned(span, getattr(marks, first), getattr(marks, last))
    if "QT" in out and "RR1" in out:
        qt = out["QT"]
        out["QTc"] = Spanned(qt_bazett(qt.value, out["RR1"].value / 1000.0), qt.start, qt.end)
    if marks.qrs_on is not None:
        level = isoelectric_mv(row, marks.qrs_on, fs)
        for name, first, last in (
            ("P_amplitude", "p_on", "p_off"),
            ("QRS_amplitude", "qrs_on", "qrs_off"),
            ("T_amplitude", "t_on", "t_off"),
        ):
            a, b = getattr(marks, first), getattr(marks, last)
            if a is not None and b is not None and level is not None:
                height = _height(row[a : b + 1], level, peak_to_peak=name == "QRS_amplitude")
                if height is not None:
                    out[name] = Spanned(height, a, b)
    st = st_level(ecg, lead, marks)
    if st is not None and marks.qrs_off is not None:
        out["ST_level"] = Spanned(st, marks.qrs_off, marks.qrs_off + round(ST_AFTER_J_S * fs))
    return BeatFeatures(r, out, st_form(row, marks, fs))


def _height(piece: Millivolts, level: float, peak_to_peak: bool) -> float | None:
    if not len(piece) or not np.isfinite(piece).all():
        return None
    if peak_to_peak:
        return float(np.ptp(piece))
    away = piece - level
    return float(away[np.argmax(np.abs(away))])


def st_form(row: Millivolts, marks: Fiducials, fs_hz: float) -> str | None:
    """Form of the ST segment, from the QRS offset to the T onset.

    Convex and concave: its middle lies off the straight line between its ends.
    """
    if marks.qrs_off is None or marks.t_on is None or marks.t_on - marks.qrs_off < 0.03 * fs_hz:
        return None
    piece = row[marks.qrs_off : marks.t_on + 1]
    if not np.isfinite(piece).all():
        return None
    edge = max(1, len(piece) // 6)
    first, last = float(np.mean(piece[:edge])), float(np.mean(piece[-edge:]))
    third = len(piece) // 3
    bulge = float(np.mean(piece[third : len(piece) - third])) - (first + last) / 2
    if abs(bulge) > ST_FORM_MV:
        return "convex" if bulge > 0 else "concave"
    if abs(last - first) <= ST_FORM_MV:
        return "horizontal"
    return "upsloping" if last > first else "downsloping"


def rr_statistics(measurement: Measurement) -> RrStatistics | None:
    """Of all beats; None with fewer than three."""
    rr = np.diff(np.array(measurement.r_peaks)) * 1000.0 / measurement.fs_hz
    if len(rr) < 2:
        return None
    steps = np.diff(rr)
    return RrStatistics(
        float(rr.mean()), float(rr.std()), float(np.sqrt(np.mean(steps**2))), float(np.mean(np.abs(steps) > 50.0))
    )

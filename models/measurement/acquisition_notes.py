"""Notes on how a record was acquired: exchanged arm electrodes, a wrong sampling rate.

In: a piece of ECG, float32 [leads, samples] in mV, and its measured beats. Out: notes for a person, possibly none.
With the arm electrodes exchanged lead I is inverted: its P wave, QRS complex and T wave are all negative, and the P
wave or the QRS complex of aVR is positive (Kligfield et al. 2007, AHA/ACCF/HRS recommendations, part I). This notes
half of the exchanges of LUDB and the PhysioNet/CinC 2021 samples, and no record as it is. At a wrong sampling rate all
intervals are scaled alike: heart rate, QRS, PR and QT are together too short or too long. Neither is proof, so nothing
is changed by it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.ecg import Ecg, Millivolts
from models.measurement.delineation import Fiducials, MeasuredBeat
from models.measurement.isoelectric import isoelectric_mv

EXCHANGED = "lead I is inverted (P, QRS and T negative) and aVR upright: the arm electrodes may be exchanged"
TOO_SHORT = "heart rate and all intervals are those of a record played too fast: the sampling rate may be too high"
TOO_LONG = "heart rate and all intervals are those of a record played too slowly: the sampling rate may be too low"

MIN_BEATS = 3
MIN_WAVE_MV = 0.01  # a wave smaller than this, in the median of the beats, has no direction
# Twice and half the intervals of a normal ECG (HR 60 to 100, QRS 80 to 110 ms, QTcF 370 to 450 ms) are beyond them all.
SHORT = {"HR": 110.0, "QRS": 56.0, "QTcF": 310.0}
LONG = {"HR": 60.0, "QRS": 125.0, "QTcF": 530.0}


def acquisition_notes(
    ecg: Ecg, beats: Sequence[MeasuredBeat], first: int, intervals: dict[str, float | None]
) -> tuple[str, ...]:
    """Notes on a measured record.

    Parameters
    ----------
    ecg : Ecg
        Some seconds of the record.
    beats : sequence of MeasuredBeat
        Beats of the record; those within ``ecg`` are used.
    first : int
        Position of the first sample of ``ecg``, counted like the beats.
    intervals : dict
        Intervals of the record: HR in bpm, the others in ms.
    """
    notes = []
    if arms_exchanged(ecg, beats, first):
        notes.append(EXCHANGED)
    hr, qrs, qt = (intervals[name] for name in ("HR", "QRS", "QTcF"))
    if hr is not None and qrs is not None and qt is not None:
        if hr > SHORT["HR"] and qrs < SHORT["QRS"] and qt < SHORT["QTcF"]:
            notes.append(TOO_SHORT)
        elif hr < LONG["HR"] and qrs > LONG["QRS"] and qt > LONG["QTcF"]:
            notes.append(TOO_LONG)
    return tuple(notes)


def arms_exchanged(ecg: Ecg, beats: Sequence[MeasuredBeat], first: int) -> bool:
    """Whether P, QRS and T are negative in lead I and P or QRS positive in aVR, where both were recorded."""
    if not {"I", "aVR"} <= set(ecg.leads):
        return False
    inverted, upright = (_sizes(ecg, lead, beats, first) for lead in ("I", "aVR"))
    if min(len(inverted), len(upright)) < MIN_BEATS:
        return False
    inverted, upright = np.median(inverted, axis=0), np.median(upright, axis=0)
    return bool((inverted <= -MIN_WAVE_MV).all() and (upright[:2] >= MIN_WAVE_MV).any())


def _sizes(ecg: Ecg, lead: str, beats: Sequence[MeasuredBeat], first: int) -> NDArray[np.float64]:
    """Size of P, QRS (highest plus lowest point) and T of each beat that shows all three in the lead, mV [beats, 3]."""
    row, out = ecg.lead(lead), []
    for m in beats:
        marks = m.leads.get(lead)
        if marks is not None and (sizes := _beat_sizes(row, marks, first, ecg.fs_hz)) is not None:
            out.append(sizes)
    return np.array(out, np.float64).reshape(-1, 3)


def _beat_sizes(row: Millivolts, marks: Fiducials, first: int, fs_hz: float) -> tuple[float, float, float] | None:
    marked = [x - first for x in (marks.p_peak, marks.qrs_on, marks.qrs_off, marks.t_peak) if x is not None]
    if len(marked) < 4:
        return None
    p, on, off, t = marked
    level = None if p < 0 or max(t, off) >= len(row) or off <= on else isoelectric_mv(row, on, fs_hz)
    if level is None:
        return None
    qrs = row[on : off + 1] - level
    return float(row[p] - level), float(np.max(qrs) + np.min(qrs)), float(row[t] - level)

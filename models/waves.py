"""Delineation: onset, peak and offset of P, QRS and T, for each beat in each lead and over the leads.

The global fiducials are medians over the leads that show the wave, so that one bad lead cannot move them. A wave that
is not seen is None, never a guess: no P waves in atrial fibrillation.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from models.beats import Beat
from models.conditioning import fill_gaps, without_baseline
from models.ecg import Ecg, Millivolts


@dataclass(frozen=True, slots=True)
class Fiducials:
    """Positions of one beat's waves, samples of the signal as given; None where a wave is absent."""

    p_on: int | None = None
    p_peak: int | None = None
    p_off: int | None = None
    qrs_on: int | None = None
    qrs_off: int | None = None
    t_on: int | None = None
    t_peak: int | None = None
    t_off: int | None = None

    def as_dict(self) -> dict[str, int | None]:
        return {name: getattr(self, name) for name in MARKS}

    def span_ms(self, first: str, last: str, fs_hz: float) -> float | None:
        """Milliseconds from one mark to another; None where either is absent."""
        a, b = getattr(self, first), getattr(self, last)
        return None if a is None or b is None else (b - a) * 1000.0 / fs_hz


MARKS = tuple(f.name for f in fields(Fiducials))


@dataclass(frozen=True, slots=True)
class MeasuredBeat:
    """A beat with its fiducials: global (median over the leads that show the wave) and lead by lead."""

    beat: Beat
    overall: Fiducials
    leads: Mapping[str, Fiducials]


def median_fiducials(per_lead: Sequence[Fiducials]) -> Fiducials:
    """Each mark's median over the leads that have it, absent where most leads show none."""
    if not per_lead:
        return Fiducials()
    marks: dict[str, int | None] = {}
    for name in MARKS:
        values = [v for f in per_lead if (v := getattr(f, name)) is not None]
        marks[name] = round(float(np.median(values))) if 2 * len(values) >= len(per_lead) else None
    return Fiducials(**marks)


def delineate(ecg: Ecg, beats: Sequence[Beat]) -> list[MeasuredBeat]:
    """Measure the waves of the given beats.

    Parameters
    ----------
    ecg : Ecg
        The stretch that holds them, best with 1 s on either side.
    beats : sequence of Beat
        Positions are samples of ``ecg``, ascending.

    Returns
    -------
    list of MeasuredBeat
        One a beat, in order.
    """
    filled, _ = fill_gaps(ecg.mv)
    x = without_baseline(filled, ecg.fs_hz)
    out = []
    for k, beat in enumerate(beats):
        before = beats[k - 1].sample if k else None
        after = beats[k + 1].sample if k + 1 < len(beats) else None
        leads = {lead: _simple(row, beat.sample, before, after, ecg.fs_hz)
                 for lead, row in zip(ecg.leads, x, strict=True) if lead not in ecg.leads_off}
        out.append(MeasuredBeat(beat, median_fiducials(list(leads.values())), leads))
    return out


def _simple(row: Millivolts, r: int, before: int | None, after: int | None, fs: float) -> Fiducials:
    """Fiducials of one beat in one lead by slope and level."""
    def clip(s: float) -> int:
        return int(np.clip(round(s), 0, len(row) - 1))

    slope = np.abs(np.gradient(row))
    lo, hi = clip(r - 0.12 * fs), clip(r + 0.14 * fs)
    if hi - lo < 5 or not slope[lo:hi].any():
        return Fiducials()
    steep = np.flatnonzero(slope[lo:hi] > 0.12 * slope[lo:hi].max())
    on, off = lo + int(steep[0]), lo + int(steep[-1])
    rr = (after - r) if after is not None else (r - before if before is not None else fs)
    t0, t1 = clip(off + 0.06 * fs), clip(min(r + 0.62 * rr, r + 0.55 * fs))
    marks: dict[str, int | None] = {"qrs_on": on, "qrs_off": off}
    level = float(np.median(row[clip(on - 0.04 * fs):on + 1]))
    if t1 - t0 > 0.1 * fs:
        t = t0 + int(np.argmax(np.abs(row[t0:t1] - level)))
        height = abs(row[t] - level)
        if height > 0.05:
            small = np.flatnonzero(np.abs(row[t:clip(t + 0.16 * fs)] - level) < 0.15 * height)
            end = t + int(small[0]) if len(small) else clip(t + 0.12 * fs)
            marks |= {"t_peak": t, "t_off": end, "t_on": clip(t - 0.1 * fs)}
    p0, p1 = clip(on - min(0.28 * fs, 0.5 * rr)), clip(on - 0.03 * fs)
    if p1 - p0 > 0.08 * fs:
        p = p0 + int(np.argmax(row[p0:p1]))
        height = float(row[p] - np.median(row[p0:p1]))
        if height > 0.05 and p0 < p < p1 - 1:
            marks |= {"p_on": clip(p - 0.05 * fs), "p_peak": p, "p_off": min(clip(p + 0.05 * fs), on)}
    return Fiducials(**marks)

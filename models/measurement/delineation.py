"""Delineation: onset, peak and offset of P, QRS and T, for each beat in each lead and over the leads.

In: an `Ecg` [leads, samples] in mV and its beats. Out: `MeasuredBeat`, fiducials as samples of the signal.
The delineation network gives a wave probability for each lead and 8 ms; a fiducial is where it crosses one half. Each
segment of one wave is assigned to a beat: a QRS complex to the nearest beat, a T wave to the beat before it, a P wave
to the beat after it. An absent wave is None, for instance P waves in atrial fibrillation.
Global fiducials are medians over the leads that show the wave, so that one bad lead cannot move them, refined by the
steepness of the signal (`models.measurement.boundary_refiner`). CSE takes the earliest onset and the latest offset
instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.beats.detector import Beat
from models.ecg import MORPHOLOGY_FS_HZ, Ecg, Millivolts
from models.measurement.boundary_refiner import BeatMarks, refined
from models.measurement.fiducials import COLUMNS, MARKS, Fiducials, FiducialTable
from models.networks.delineator import NET_FS_HZ, QRS, DelineationNetwork, P, T
from models.networks.scaling import net_input
from models.networks.segments import Segments, merged, rows_of, segments_of
from models.signal.conditioning import fill_gaps, resample, without_baseline
from models.signal.mains import without_mains

PIECE_S, OVERLAP_S = 10.0, 1.5  # long records are analysed in pieces with this overlap on either side
MIN_WAVE_S = {P: 0.032, QRS: 0.016, T: 0.040}  # shorter segments are no waves
QRS_GAP_S = 0.045  # parts of a QRS complex, or a pacing spike and its complex, are this near
AROUND_S = 1.0  # signal that is analysed before the first beat and after the last
QRS_NEAR_S = 0.12  # a QRS segment this near to the R peak belongs to the beat
P_BEFORE_S = 0.45  # longest time from P to R that counts as conduction
T_AFTER_S = 0.75  # longest time from R to the middle of T
MIN_LEAD_SHARE = 0.5  # of the leads that show the QRS: those that must show P or T for a global one

__all__ = ["MARKS", "Fiducials", "MeasuredBeat", "beat_marks", "delineate", "delineate_stretch", "over_leads"]


@dataclass(frozen=True, slots=True)
class MeasuredBeat:
    """A beat with its fiducials: ``overall`` (refined median over the leads that show the wave) and lead by lead."""

    beat: Beat
    overall: Fiducials
    leads: Mapping[str, Fiducials]


def wave_probabilities(mv: Millivolts, fs_hz: float, *, fold: str | None = None) -> NDArray[np.float32]:
    """Probability of none, P, QRS and T in each lead of a signal of any length.

    Parameters
    ----------
    mv : float32 [leads, samples]
        Millivolts; gaps are bridged.

    Returns
    -------
    float32 [leads, 4, cells]
        Cell ``k`` is centred ``k * CELL_S`` after the first sample.
    """
    network = DelineationNetwork.load(fold)
    x = resample(fill_gaps(mv)[0], fs_hz, NET_FS_HZ)
    n = x.shape[1]
    piece, overlap = round(PIECE_S * NET_FS_HZ), round(OVERLAP_S * NET_FS_HZ)
    if n <= piece + 2 * overlap:
        return network(net_input(x, NET_FS_HZ)[0]).waves
    out = np.zeros((len(x), 4, (n + 1) // 2), np.float32)
    for at in range(0, n, piece):
        lo, hi = max(0, at - overlap) // 2 * 2, min(n, at + piece + overlap)
        waves = network(net_input(x[:, lo:hi], NET_FS_HZ)[0]).waves
        first, last = at // 2, min(n, at + piece + 1) // 2
        out[:, :, first:last] = waves[:, :, first - lo // 2 : last - lo // 2]
    return out


def delineate(
    ecg: Ecg,
    beats: Sequence[Beat],
    *,
    start: int = 0,
    wanted: Sequence[int] | None = None,
    fold: str | None = None,
) -> list[MeasuredBeat]:
    """Measure the waves of the given beats.

    Parameters
    ----------
    ecg : Ecg
        The signal that holds them, best with 1 s on either side.
    beats : sequence of Beat
        Positions are samples of ``ecg``, ascending.
    start : int
        Number of the first sample of ``ecg``: positions are counted from it.
    wanted : sequence of int, optional
        Which of ``beats``, by number, are measured; the others only tell whose a wave is. All by default.
    fold : str, optional
        Use network weights trained without this fold (evaluation).

    Returns
    -------
    list of MeasuredBeat
        One a wanted beat, in order. Below 100 Hz nothing is delineated.
    """
    wanted = range(len(beats)) if wanted is None else wanted
    leads = [
        lead
        for lead, row in zip(ecg.leads, ecg.mv, strict=True)
        if lead not in ecg.leads_off and np.isfinite(row).any()
    ]
    if not beats or not leads or ecg.fs_hz < MORPHOLOGY_FS_HZ:
        return [MeasuredBeat(beats[k], Fiducials(), {lead: Fiducials() for lead in leads}) for k in wanted]
    around = round(AROUND_S * ecg.fs_hz)
    first, last = max(0, beats[0].sample - start - around), beats[-1].sample - start + around
    return delineate_stretch(ecg.select(leads).slice(first, last), start + first, beats, wanted=wanted, fold=fold)


def delineate_stretch(
    stretch: Ecg,
    first: int,
    beats: Sequence[Beat],
    *,
    wanted: Sequence[int] | None = None,
    fold: str | None = None,
) -> list[MeasuredBeat]:
    """Measure the waves of the given beats in a stretch that is delineated as a whole.

    Parameters
    ----------
    stretch : Ecg
        All leads are delineated; its pieces of `PIECE_S` are counted from its first sample.
    first : int
        Position of the stretch's first sample.
    beats : sequence of Beat
        Those inside the stretch, ascending; positions are counted like ``first``.
    wanted : sequence of int, optional
        As in `delineate`.
    fold : str, optional
        Use network weights trained without this fold (evaluation).

    Returns
    -------
    list of MeasuredBeat
        One a wanted beat, in order.
    """
    wanted = range(len(beats)) if wanted is None else wanted
    marks, x = beat_marks(stretch, [b.sample - first for b in beats], wanted=wanted, fold=fold)
    overall = refined(marks, x, stretch.fs_hz, fold=fold) + first
    samples = marks.leads + first
    return [
        MeasuredBeat(beats[k], Fiducials.of_samples(overall[at]), FiducialTable(stretch.leads, samples[at].copy()))
        for at, k in enumerate(wanted)
    ]


def beat_marks(
    stretch: Ecg, r: Sequence[int], *, wanted: Sequence[int] | None = None, fold: str | None = None
) -> tuple[BeatMarks, Millivolts]:
    """Fiducials as the network gives them, before refinement, and the signal without mains, gaps and baseline.

    Parameters
    ----------
    stretch : Ecg
        Delineated as a whole.
    r : sequence of int
        R peaks, samples of ``stretch``, ascending.
    wanted : sequence of int, optional
        Which of them, by number, have their fiducials in the result. All by default.
    fold : str, optional
        Use network weights trained without this fold (evaluation).
    """
    mv = without_mains(stretch.mv, stretch.fs_hz)
    probabilities = wave_probabilities(mv, stretch.fs_hz, fold=fold)
    x = without_baseline(fill_gaps(mv)[0], stretch.fs_hz)
    marks = _marks(probabilities, np.array(r) / stretch.fs_hz)
    samples = _in_samples(marks if wanted is None else marks[list(wanted)], x, stretch.fs_hz)
    return BeatMarks(overall=over_leads(samples), leads=samples, columns=COLUMNS), x


def _marks(probabilities: NDArray[np.float32], r: NDArray[np.float64]) -> NDArray[np.float64]:
    """Segments assigned to beats: seconds, [beats, leads, marks], NaN where absent. Peaks are left NaN."""
    leads = len(probabilities)
    out = np.full((len(r), leads, len(MARKS)), np.nan)
    each = segments_of(
        np.concatenate([probabilities[:, wave] for wave in MIN_WAVE_S]), np.repeat([*MIN_WAVE_S.values()], leads)
    )
    p, qrs, t = (rows_of(each, k * leads, (k + 1) * leads) for k in range(len(MIN_WAVE_S)))
    qrs = merged(qrs, QRS_GAP_S)
    beat = _nearest(r, qrs.middle)
    outside = np.maximum(qrs.start - r[beat], r[beat] - qrs.end)
    _assign(out, qrs, beat, outside < QRS_NEAR_S, "qrs_on", "qrs_off")
    middle = t.middle
    beat = np.clip(np.searchsorted(r, middle) - 1, 0, len(r) - 1)
    _assign(out, t, beat, (middle > r[beat]) & (middle < r[beat] + T_AFTER_S), "t_on", "t_off")
    middle = p.middle
    beat = np.clip(np.searchsorted(r, middle), 0, len(r) - 1)
    _assign(out, p, beat, (middle < r[beat]) & (middle > r[beat] - P_BEFORE_S), "p_on", "p_off")
    return out


def _nearest(r: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.int64]:
    right = np.clip(np.searchsorted(r, at), 0, len(r) - 1)
    left = np.maximum(right - 1, 0)
    return np.where(np.abs(at - r[left]) < np.abs(at - r[right]), left, right)


def _assign(
    out: NDArray[np.float64],
    segments: Segments,
    beat: NDArray[np.int64],
    fits: NDArray[np.bool_],
    onset: str,
    offset: str,
) -> None:
    """Write the segment of largest mass of each beat and lead."""
    order = np.argsort(segments.mass, kind="stable")  # the last one written has the largest mass
    order = order[fits[order]]
    out[beat[order], segments.row[order], COLUMNS[onset]] = segments.start[
        order
    ]  # the last one written has the largest mass
    out[beat[order], segments.row[order], COLUMNS[offset]] = segments.end[order]


def _in_samples(marks: NDArray[np.float64], x: Millivolts, fs_hz: float) -> NDArray[np.float64]:
    """Seconds to samples, and the peaks of P and T: where the lead is farthest from the level of the wave's ends."""
    out = np.clip(np.round(marks * fs_hz), 0, x.shape[1] - 1)
    for onset, peak, offset in (("p_on", "p_peak", "p_off"), ("t_on", "t_peak", "t_off")):
        on, off = out[:, :, COLUMNS[onset]], out[:, :, COLUMNS[offset]]
        beat, lead = np.nonzero(on <= off)  # neither is NaN
        if len(beat):
            first, last = on[beat, lead].astype(int), off[beat, lead].astype(int)
            at = np.minimum(first[:, None] + np.arange((last - first).max() + 1), last[:, None])
            level = 0.5 * (x[lead, first] + x[lead, last])
            away = np.abs(x[lead[:, None], at] - level[:, None])
            out[beat, lead, COLUMNS[peak]] = first + np.argmax(away, axis=1)
    return out


def over_leads(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of each mark over the leads, [beats, marks]; NaN where fewer than half of the leads with a QRS show it."""
    there = np.isfinite(samples)
    with_qrs = np.maximum(there[:, :, COLUMNS["qrs_on"]].sum(axis=1), 1)
    enough = there.sum(axis=1) >= np.maximum(1, MIN_LEAD_SHARE * with_qrs)[:, None]
    ordered = np.sort(np.where(there, samples, np.inf), axis=1)
    count = there.sum(axis=1)
    low = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0)[:, None, :], axis=1)[:, 0]
    high = np.take_along_axis(ordered, np.minimum(count // 2, samples.shape[1] - 1)[:, None, :], axis=1)[:, 0]
    return np.where(enough, np.floor((low + high) / 2), np.nan)

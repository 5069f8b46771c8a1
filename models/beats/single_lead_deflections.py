"""Deflections in one lead that are no beats, because another lead that shows beats has nothing there.

In: the signal of the analysis leads, float32 [leads, samples] in mV, a deflection in it, and the bed's newest beats.
Out: whether the deflection is an artefact: a pacing pulse that a monitor's filter has made small, or the motion of one
electrode. Two rules:

* narrower than QRS complexes, and absent in a lead of large amplitude (`narrow_in_one_lead`);
* absent, from before the QRS complex to the T wave, in a lead in which beats of one morphology are established, and
  unlike the bed's beats in its own lead (`absent_in_a_live_lead`).

A lead that shows nothing while beats of the established morphology go on in another one has lost its electrode. It
testifies to nothing until it shows a beat again.
Source: own rules; the limits were chosen on simulated pulses and motion, and checked on MIT-BIH and CinC 2015.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.beats.neighbours import ZERO_LAG, BeatMorphology
from models.ecg import Millivolts
from models.networks.delineator import NET_FS_HZ

NEAR_S = 0.06  # the deflection lies within this of its sample
NARROW_S = (
    0.024  # width at half height of the narrowest QRS complex; a pulse filtered at 40 Hz has 0.015 s, at 30 0.020
)
NARROW_SHARE = 0.4  # of the lead's peak to peak: a taller deflection is a beat whatever its width
OTHER_LEAD_MV = 0.3  # peak to peak of a lead that shows beats,
NOTHING_SHARE, NOTHING_MV = 0.1, 0.1  # and a deflection smaller than both of these is no part of one

BEFORE_S, AFTER_S = (
    0.12,
    0.32,
)  # about R: an ectopic beat that is small in a lead shows there by its ST segment or T wave
QUIET_SHARE, QUIET_MV = 0.15, 0.15  # of the lead's usual beat, and at most; a P wave of a standstill may be there
MAX_USUAL_MV = 4.0  # larger "beats" are an amplifier that goes to its rail and back
ESTABLISHED_BEATS = 5  # of one morphology in a lead,
ESTABLISHED_CORRELATION = 0.9  # each with the one in their middle
OWN_CORRELATION = 0.75  # with the median of the established beats in its own lead: the deflection is such a beat
CLASS_CORRELATION, CLASS_BEATS = 0.9, 3  # with so many of all beats: it is one of their class
LOST_BEATS = 2  # established beats that a lead does not show: its electrode is off


def narrow_in_one_lead(
    mv: Millivolts, fs_hz: float, lead_mv: NDArray[np.float32], sizes: NDArray[np.float32], at: int
) -> bool:
    """Whether the deflection at a sample is narrower than QRS complexes, and absent in another lead with beats.

    Parameters
    ----------
    mv : float32 [leads, samples]
        Signal of the analysis leads, mV.
    fs_hz : float
        Sampling rate, Hz.
    lead_mv : float32 [leads]
        Peak to peak of each lead over the whole signal, mV.
    sizes : float32 [leads]
        Peak to peak of each lead near the deflection, mV.
    at : int
        Sample of the deflection.
    """
    k = int(sizes.argmax())
    absent = (lead_mv >= OTHER_LEAD_MV) & (sizes < np.minimum(NOTHING_MV, NOTHING_SHARE * lead_mv))
    if not absent.any() or sizes[k] >= NARROW_SHARE * lead_mv[k]:
        return False
    near = round(NEAR_S * fs_hz)
    part = mv[k, max(0, at - near) : at + near + 1]
    away = np.abs(part - np.median(part))
    return bool((away > 0.5 * away.max()).sum() < NARROW_S * fs_hz)


def quiet_leads(
    flat: Millivolts, mv: Millivolts, fs_hz: float, rows: Sequence[int], still: Collection[int], at_s: float
) -> dict[int, float]:
    """Leads with hardly any activity from before a QRS complex to its T wave, and their peak to peak, mV.

    Parameters
    ----------
    flat : float32 [rows, samples]
        Analysis leads at `NET_FS_HZ` without baseline, mV.
    mv : float32 [leads, samples]
        All leads, mV, NaN where there is no sample: a lead with one of them is not quiet.
    fs_hz : float
        Sampling rate of ``mv``, Hz.
    rows : sequence of int
        The analysis leads, as rows of ``mv``.
    still : collection of int
        Attached leads that have been flat for seconds, as rows of ``mv``.
    at_s : float
        R peak, s from the first sample.
    """
    size = np.ptp(flat[:, _about(at_s, NET_FS_HZ)], axis=1)
    quiet = {row: float(each) for row, each in zip(rows, size, strict=True) if each < QUIET_MV}
    quiet |= dict.fromkeys(still, 0.0)
    return {row: size for row, size in quiet.items() if np.isfinite(mv[row, _about(at_s, fs_hz)]).all()}


def absent_in_a_live_lead(
    deflection: BeatMorphology, bed: Sequence[BeatMorphology], quiet: Mapping[int, float]
) -> bool:
    """Whether a lead with established beats shows nothing of a deflection, which is not like them in its own lead.

    Parameters
    ----------
    deflection : BeatMorphology
        The deflection in the analysis leads.
    bed : sequence of BeatMorphology
        The bed's newest beats, the oldest first.
    quiet : mapping of int to float
        Leads that are quiet there, as rows of the stream, with their peak to peak, mV.
    """
    return any(_absent(deflection, bed, row, size_mv) for row, size_mv in quiet.items())


def _absent(deflection: BeatMorphology, bed: Sequence[BeatMorphology], row: int, size_mv: float) -> bool:
    established = _established(bed, row)
    if not len(established):
        return False
    usual_mv = float(np.median([_size_mv(bed[k], row) for k in established]))
    nothing_mv = min(QUIET_MV, QUIET_SHARE * usual_mv)
    if not OTHER_LEAD_MV <= usual_mv <= MAX_USUAL_MV or size_mv >= nothing_mv:
        return False
    known = [bed[k] for k in established]
    if _like(deflection, bed, known, row):
        return False
    lost = [
        beat
        for beat in bed[established[-1] + 1 :]
        if (row not in beat.rows or _size_mv(beat, row) < nothing_mv) and _like(beat, bed, known, row)
    ]
    return len(lost) < LOST_BEATS


def _about(at_s: float, fs_hz: float) -> slice:
    return slice(max(0, round((at_s - BEFORE_S) * fs_hz)), round((at_s + AFTER_S) * fs_hz) + 1)


def _established(bed: Sequence[BeatMorphology], row: int) -> NDArray[np.int64]:
    """Numbers of the bed's beats that have the most common morphology of a lead; none where there are too few."""
    there = np.array([k for k, beat in enumerate(bed) if row in beat.rows], np.int64)
    if len(there) < ESTABLISHED_BEATS:
        return there[:0]
    each = _units(np.stack([_of_lead(bed[k], row) for k in there]))  # [beats, lags, samples]
    similar = _correlation(each[:, ZERO_LAG], each) >= ESTABLISHED_CORRELATION
    most = similar[int(similar.sum(axis=1).argmax())]
    return there[most] if most.sum() >= ESTABLISHED_BEATS else there[:0]


def _like(beat: BeatMorphology, bed: Sequence[BeatMorphology], known: Sequence[BeatMorphology], but: int) -> bool:
    """Whether a beat has a morphology of the bed in its largest lead other than ``but``.

    It has where it is like the median of the ``known`` beats, or like a few of all the bed's beats: those of another
    class may be established too.
    """
    others = [row for row in beat.rows if row != but and any(row in b.rows for b in known)]
    if not others:
        return True  # nothing to compare with
    largest = max(others, key=lambda other: _size_mv(beat, other))
    templates = [_of_lead(b, largest)[ZERO_LAG] for b in bed if largest in b.rows and b is not beat]
    middle = np.median([_of_lead(b, largest)[ZERO_LAG] for b in known if largest in b.rows], axis=0)
    correlation = _correlation(_units(np.stack([middle, *templates])), _units(_of_lead(beat, largest)[None]))[:, 0]
    return bool(correlation[0] >= OWN_CORRELATION or (correlation[1:] >= CLASS_CORRELATION).sum() >= CLASS_BEATS)


def _of_lead(beat: BeatMorphology, row: int) -> NDArray[np.float32]:
    """Signal of one lead about R, mV [lags, samples]."""
    each = beat.shifted.reshape(beat.shifted.shape[0], len(beat.rows), -1)
    return np.asarray(each[:, beat.rows.index(row)] * beat.norm_mv, np.float32)


def _size_mv(beat: BeatMorphology, row: int) -> float:
    """Peak to peak of one lead about R, mV."""
    return float(np.ptp(_of_lead(beat, row)[ZERO_LAG]))


def _units(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The last axis divided by its norm; its mean is zero already."""
    return np.asarray(x / np.maximum(np.sqrt(np.square(x).sum(axis=-1, keepdims=True)), 1e-6), np.float32)


def _correlation(templates: NDArray[np.float32], beats: NDArray[np.float32]) -> NDArray[np.float32]:
    """Largest correlation over the lags, [templates, beats], of [templates, samples] with [beats, lags, samples]."""
    each = np.einsum("ts,bls->tbl", templates, beats)
    return np.asarray(each.max(axis=2), np.float32)

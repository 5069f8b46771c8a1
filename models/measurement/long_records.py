"""Measurement of records of any length in bounded memory: blocks for the beat stream, segments for delineation.

A record of up to `WHOLE_VALUES` samples (leads times samples) is delineated in one segment. A longer one is cut at
multiples of the 10-s pieces that the delineation network takes. A segment is delineated with the piece before and the
piece after it, which hold P and T waves of its outer beats, and with the signal that those two pieces overlap: each
piece is then the same as in one segment, up to the rounding of float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from models.beats.detector import Beat
from models.ecg import MORPHOLOGY_FS_HZ, Ecg, EcgSource, Millivolts
from models.leads import LIMB
from models.measurement.delineation import (
    AROUND_S,
    OVERLAP_S,
    PIECE_S,
    Fiducials,
    MeasuredBeat,
    delineate,
    delineate_stretch,
)
from models.signal.conditioning import fill_gaps, without_baseline
from models.signal.mains import without_mains
from models.signal.quality import ENOUGH_HZ, LeadQuality, lead_quality, with_einthoven

WHOLE_VALUES = 1 << 21  # leads times samples of a record that is processed at once: 8 MB; half an hour of two leads
SEGMENT_VALUES = 1 << 19  # of a segment of a longer record: 2 MB; a minute and a half of twelve leads at 500 Hz
BLOCK_S = 30.0  # of signal for the beat stream at a time


def blocks(ecg: EcgSource, start: int = 0, stop: int | None = None) -> Iterator[Ecg]:
    """The signal from ``start`` to ``stop`` in pieces of `BLOCK_S`."""
    step = max(1, round(BLOCK_S * ecg.fs_hz))
    stop = ecg.n_samples if stop is None else min(stop, ecg.n_samples)
    for at in range(start, stop, step):
        yield ecg.slice(at, min(at + step, stop))


def record_quality(ecg: EcgSource, first: int, last: int) -> list[LeadQuality]:
    """Quality of each lead over the samples ``first`` to ``last``; long stretches one lead at a time."""
    if len(ecg.leads) * (last - first) <= WHOLE_VALUES:
        mv = without_mains(ecg.slice(first, last).mv, ecg.fs_hz)
        return lead_quality(mv, ecg.fs_hz, ecg.leads, ecg.leads_off)
    step = max(1, int(ecg.fs_hz / ENOUGH_HZ))  # as `lead_quality` thins the signal
    fs_hz = ecg.fs_hz / step
    marks: list[LeadQuality] = []
    limb: dict[str, Millivolts] = {}
    for k, lead in enumerate(ecg.leads):
        row = _thinned(ecg, k, first, last, step)
        marks += lead_quality(row, fs_hz, (lead,), ecg.leads_off)
        if lead in LIMB[:3]:
            limb[lead] = without_baseline(fill_gaps(row)[0], fs_hz)
    return with_einthoven(marks, [limb[lead] for lead in LIMB[:3] if lead in limb], ecg.leads)


def _thinned(ecg: EcgSource, row: int, first: int, last: int, step: int) -> Millivolts:
    """Every ``step``-th sample of one lead, [1, samples] mV."""
    out = np.empty((1, -(-(last - first) // step)), np.float32)
    at, skip = 0, 0
    for block in blocks(ecg, first, last):
        part = without_mains(block.mv[row : row + 1], ecg.fs_hz)[:, skip::step]
        out[:, at : at + part.shape[1]] = part
        at += part.shape[1]
        skip = (skip - block.n_samples) % step
    return out


def delineate_record(
    ecg: EcgSource, beats: Sequence[Beat], first: int, last: int, *, fold: str | None = None
) -> list[MeasuredBeat]:
    """Measure the waves of the beats, as `delineate` does of a whole record.

    Parameters
    ----------
    ecg : EcgSource
        The record.
    beats : sequence of Beat
        All of its beats, ascending.
    first, last : int
        Segments that hold no sample of this range may be left out.
    fold : str, optional
        Use network weights trained without this fold (evaluation).

    Returns
    -------
    list of MeasuredBeat
        At least those of the beats from ``first`` to ``last``, in order.
    """
    if len(ecg.leads) * ecg.n_samples <= WHOLE_VALUES:
        return delineate(ecg.slice(0, ecg.n_samples), beats, fold=fold)
    leads = _recorded_leads(ecg)
    if not beats or ecg.fs_hz < MORPHOLOGY_FS_HZ:
        return [MeasuredBeat(b, Fiducials(), {lead: Fiducials() for lead in leads}) for b in beats]
    around, piece = round(AROUND_S * ecg.fs_hz), PIECE_S * ecg.fs_hz
    begin, end = max(0, beats[0].sample - around), min(ecg.n_samples, beats[-1].sample + around)
    pieces = max(1, int(SEGMENT_VALUES / len(ecg.leads) / piece))  # of a segment
    segments = max(1, int((end - begin) / piece) // pieces)
    samples = np.array([b.sample for b in beats])
    out: list[MeasuredBeat] = []
    for k in range(segments):
        lo = begin + round(k * pieces * piece) if k else 0
        hi = begin + round((k + 1) * pieces * piece) if k < segments - 1 else ecg.n_samples
        if hi <= first or lo >= last:
            continue
        start = begin + round(max(0, k * pieces - 2) * piece)
        stop = min(end, hi + round(piece + OVERLAP_S * ecg.fs_hz))
        near = beats[int(np.searchsorted(samples, start)) : int(np.searchsorted(samples, stop))]
        if near:
            stretch = ecg.slice(start, stop).select(leads)
            out += [m for m in delineate_stretch(stretch, start, near, fold=fold) if lo <= m.beat.sample < hi]
    return out


def _recorded_leads(ecg: EcgSource) -> list[str]:
    """Leads with a sample anywhere, without those that are off."""
    recorded = np.zeros(len(ecg.leads), bool)
    for block in blocks(ecg):
        recorded |= np.isfinite(block.mv).any(axis=1)
        if recorded.all():
            break
    return [lead for lead, there in zip(ecg.leads, recorded, strict=True) if there and lead not in ecg.leads_off]

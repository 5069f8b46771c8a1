"""Gain that is too small: the line that looks flat is an ECG at a fraction of its amplitude.

In: the newest seconds, float32 [leads, samples] in mV. Out: which leads are such an ECG.
Microvolts declared as millivolts give QRS complexes of 1 µV, which look like a flat line, and so like asystole.
Enlarged to the size of an ECG, such a line has beats of one morphology; the noise of an amplifier has none. In a bed
that had beats before, its beats must have their morphology too: the P waves of a standstill do not.
Gain that is too large is told by amplitude alone (`models.signal.quality`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from models.beats.neighbours import BeatMorphology, morphology_at, morphology_correlation
from models.ecg import Millivolts
from models.networks.delineator import NET_FS_HZ, QRS, DelineationNetwork
from models.networks.scaling import scaled
from models.networks.segments import segments_of
from models.signal.conditioning import fill_gaps, resample, without_baseline
from models.signal.quality import lead_quality
from models.signal.quantiles import quantile

SMALL_MV = 0.06  # peak to peak of all leads; IEC 60601-2-27: QRS complexes of 0.15 mV are not counted
SHORTEST_S = 1.8  # of the small signal: pauses are detected from 2.5 s after the last beat on
SMOOTH_S = 0.024  # moving mean that removes single steps of the converter
MIN_SHARE_OF_LEADS = 0.3  # of the largest lead: smaller ones are left out
SIZE_QUANTILE = 0.98  # of the absolute signal: about the QRS amplitude
MAX_LEADS = 3
MIN_BEATS, MIN_BEATS_NEW_BED = 2, 3
MIN_MASS = 4.0  # of a beat segment, network cells: a confidence of one half
QRS_NEAR_S = 0.05  # largest distance of the QRS segment from the beat
MIN_CORRELATION, MIN_SHARE = 0.8, 0.5  # share of the beats that have this morphology correlation with another one
MIN_BED_CORRELATION, MIN_BED_SHARE = 0.9, 0.3  # the same with the bed's beats; QRS complex and P wave have up to 0.85
MIN_BEAT_S, MIN_QRS_S = 0.016, 0.024


def small_signal(mv: Millivolts, fs_hz: float) -> Millivolts:
    """The newest part in which no lead reaches `SMALL_MV` peak to peak, [leads, samples]; may have no samples."""
    shortest = round(SHORTEST_S * fs_hz)
    newest = mv[:, -shortest:]
    if newest.shape[1] < shortest or not len(mv) or not np.isfinite(newest).any():
        return mv[:, :0]
    if np.fmax.reduce(newest - np.fmin.reduce(newest, axis=1, keepdims=True), axis=None) >= SMALL_MV:
        return mv[:, :0]
    backwards = mv[:, ::-1]
    span = np.fmax.accumulate(backwards, axis=1) - np.fmin.accumulate(backwards, axis=1)
    large = (span >= SMALL_MV).any(axis=0)
    n = int(np.argmax(large)) if large.any() else mv.shape[1]
    part: Millivolts = mv[:, mv.shape[1] - n :]
    return part


def is_small_ecg(
    mv: Millivolts,
    fs_hz: float,
    network: DelineationNetwork,
    rows: Sequence[int] = (),
    bed: Sequence[BeatMorphology] = (),
) -> bool:
    """Whether a signal that looks flat is an ECG.

    Parameters
    ----------
    mv : float32 [leads, samples]
        Result of `small_signal`.
    fs_hz : float
        Sampling rate, Hz.
    network : DelineationNetwork
        Finds the beats of the enlarged signal.
    rows : sequence of int
        Rows of the stream that ``mv`` holds.
    bed : sequence of BeatMorphology
        The bed's newest beats of plausible amplitude, if any.
    """
    if not mv.shape[1]:
        return False
    as_it_is = without_baseline(resample(fill_gaps(mv)[0], fs_hz, NET_FS_HZ), NET_FS_HZ)
    flat = uniform_filter1d(as_it_is, round(SMOOTH_S * NET_FS_HZ), axis=1)
    size = quantile(np.abs(flat), SIZE_QUANTILE)
    largest = np.argsort(-size)[:MAX_LEADS]
    used = np.sort(largest[size[largest] > max(1e-7, MIN_SHARE_OF_LEADS * float(size.max()))])
    if bed:  # the leads of the bed's beats, to compare with
        known = [k for k, row in enumerate(rows) if row in bed[-1].rows and size[k] > 0.0]
        used = np.array(known) if len(known) == len(bed[-1].rows) else used
    if not len(used):
        return False
    x = (flat[used] / size[used, None]).astype(np.float32)
    if not any(q.usable for q in lead_quality(x, NET_FS_HZ)):
        return False
    at = _beats(x, network)
    if len(at) < (MIN_BEATS if bed else MIN_BEATS_NEW_BED):
        return False
    names = [rows[k] for k in used] if len(rows) else used.tolist()
    enlarged = (as_it_is if bed else flat)[used] / size.max()
    beats = [morphology_at(enlarged, names, round(r * NET_FS_HZ), float(r), 0.5) for r in at]
    if not bed:
        partner = [
            float(np.sort(morphology_correlation(b, beats))[-2]) for b in beats
        ]  # the largest is the beat itself
        return sum(c >= MIN_CORRELATION for c in partner) >= max(MIN_BEATS_NEW_BED, MIN_SHARE * len(beats))
    comparable = [b for b in bed if b.rows == tuple(names)]
    if not comparable:
        return False
    own = [float(morphology_correlation(b, comparable).max()) for b in beats]
    return sum(c >= MIN_BED_CORRELATION for c in own) >= max(MIN_BEATS, MIN_BED_SHARE * len(beats))


def _beats(x: Millivolts, network: DelineationNetwork) -> NDArray[np.float64]:
    """R peaks of a signal in units of its QRS size, s."""
    found = network(scaled(x, NET_FS_HZ)[0])
    beats = segments_of(found.beat[None], MIN_BEAT_S)
    complexes = segments_of(found.waves[:, QRS], MIN_QRS_S)
    near = round(0.06 * NET_FS_HZ)
    out = []
    for middle, mass in zip(beats.middle, beats.mass, strict=True):
        with_qrs = (complexes.start <= middle + QRS_NEAR_S) & (complexes.end >= middle - QRS_NEAR_S)
        if mass >= MIN_MASS and with_qrs.any():
            lo = max(0, round(middle * NET_FS_HZ) - near)
            part = np.abs(x[:, lo : lo + 2 * near + 1]).sum(axis=0)
            out.append((lo + int(np.argmax(part))) / NET_FS_HZ)
    return np.array(out, np.float64)

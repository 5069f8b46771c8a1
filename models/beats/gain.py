"""Gain that is too small: the line that looks flat is an ECG at a fraction of its amplitude.

In: the newest seconds, float32 [leads, samples] in mV. Out: which leads are such an ECG.
Microvolts declared as millivolts give QRS complexes of 1 µV, which look like a flat line, and so like asystole.
Enlarged to the size of an ECG, such a line has beats of one morphology; the noise of an amplifier has none. In a bed
that had beats before, its beats must have their morphology too: the P waves of a standstill do not.
Fibrillation and flutter have no beats. At a thousandth of their amplitude they are told by what they lack: the noise of
an electrode.
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
from models.signal.quality import MAX_TYPICAL_MV, lead_quality, quiet_noise_mv
from models.signal.quantiles import quantile

SMALL_MV = 0.06  # peak to peak of all leads; IEC 60601-2-27: QRS complexes of 0.15 mV are not counted
SHORTEST_S = 1.8  # of the small signal: pauses are detected from 2.5 s after the last beat on
SMOOTH_S = 0.024  # moving mean that removes single steps of the converter
MIN_SHARE_OF_LEADS = 0.3  # of the largest lead: smaller ones are left out
SIZE_QUANTILE = 0.98  # of the absolute signal: about the QRS amplitude
MAX_LEADS = 3
MIN_BEATS, MIN_BEATS_NEW_BED = 2, 3
PAIR_CORRELATION = 0.95  # two beats of a new bed are enough with this one: four seconds of bigeminy have no more
MIN_MASS = 4.0  # of a beat segment, network cells: a confidence of one half
QRS_NEAR_S = 0.05  # largest distance of the QRS segment from the beat
MIN_CORRELATION, MIN_SHARE = 0.8, 0.5  # share of the beats that have this morphology correlation with another one
MIN_BED_CORRELATION, MIN_BED_SHARE = 0.9, 0.3  # the same with the bed's beats; QRS complex and P wave have up to 0.85
MIN_BEAT_S, MIN_QRS_S = 0.016, 0.024
TINY_MV = 0.001 * MAX_TYPICAL_MV  # peak to peak of an ECG in microvolts that is declared as millivolts
ELECTRODE_NOISE_MV = 5e-5  # rms, 15-40 Hz: thermal noise of 6 kilohms; skin and electrode have more (5-100 kilohms)
MIN_CHANGES = 0.5  # share of the samples that differ from the one before
WANDER_S = 0.4  # moving mean that leaves the waves of an ECG, and of a drift next to nothing
MIN_WAVES_MV = 1e-4  # rms of these waves: a thousandth of 0.1 mV
MIN_STRUCTURE = 6.0  # rms of the waves over the noise of 15-40 Hz; white noise of any amplitude has 2 to 3


def small_signal(signal: Millivolts, fs_hz: float, rows: Sequence[int]) -> Millivolts:
    """The newest part of these rows in which none reaches `SMALL_MV` peak to peak, [rows, samples]; perhaps empty."""
    mv = signal if len(rows) == len(signal) else signal[list(rows)]
    shortest = round(SHORTEST_S * fs_hz)
    newest = mv[:, -shortest:]
    if newest.shape[1] < shortest or not len(mv) or not np.isfinite(newest).any():
        return mv[:, :0]
    if (newest.max(axis=1) - newest.min(axis=1)).max() >= SMALL_MV:  # False where a sample is missing
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
    if _is_in_no_steps(mv) and is_below_electrode_noise(as_it_is, NET_FS_HZ):
        return True
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
        alike, pairs = (sum(c >= least for c in partner) for least in (MIN_CORRELATION, PAIR_CORRELATION))
        enough = alike >= MIN_BEATS_NEW_BED or pairs >= MIN_BEATS
        return enough and alike >= MIN_SHARE * len(beats)
    comparable = [b for b in bed if b.rows == tuple(names)]
    if not comparable:
        return False
    own = [float(morphology_correlation(b, comparable).max()) for b in beats]
    return sum(c >= MIN_BED_CORRELATION for c in own) >= max(MIN_BEATS, MIN_BED_SHARE * len(beats))


def _is_in_no_steps(mv: Millivolts) -> bool:
    """Whether the samples of a lead mostly differ: a flat line that drifts over a converter's steps hides its noise."""
    return float((np.diff(mv, axis=1) != 0.0).mean(axis=1).max()) >= MIN_CHANGES


def is_below_electrode_noise(x: Millivolts, fs_hz: float) -> bool:
    """Whether a line of a few microvolts has a shape, and less noise than any electrode.

    Parameters
    ----------
    x : float32 [leads, samples]
        Without baseline, mV.
    fs_hz : float
        Sampling rate, Hz.
    """
    if not np.isfinite(x).all() or float(np.ptp(x, axis=1).max()) >= TINY_MV:
        return False
    wander, noise = round(WANDER_S * fs_hz), quiet_noise_mv(x, fs_hz)
    waves = (x - uniform_filter1d(x, wander, axis=1))[:, wander:-wander]
    size = np.sqrt(np.mean(np.square(waves), axis=1))
    shaped = (size >= MIN_WAVES_MV) & (size >= MIN_STRUCTURE * noise)
    return bool(shaped.any() and (noise < ELECTRODE_NOISE_MV).all())


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

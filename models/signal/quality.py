"""Signal quality of each lead: a score from 0 to 1 and a state.

In: float32 [leads, samples] in mV, 2 to 30 s. Out: one `LeadQuality` a lead. An attached flat lead is usable, because
asystole is flat; a detached, saturated or noisy one is not.
Noise is the 15-40 Hz activity in the quieter blocks of the signal, relative to its overall amplitude: muscle and motion
artefacts are continuous, QRS complexes fill a fifth of the time, and fibrillation is slower than 15 Hz.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from models.ecg import Millivolts
from models.signal.conditioning import fill_gaps, without_baseline
from models.signal.quantiles import median, quantile
from models.signal.windows import count_in_windows

USABLE, FLAT, INCONSISTENT = "usable", "flat", "inconsistent"
SATURATED, NOISY, DETACHED, ABSENT = "saturated", "noisy", "detached", "absent"
IMPLAUSIBLE = "implausible"  # the amplitude is not that of an ECG: the gain is wrong

FLAT_MV = 0.03  # peak to peak of a line without electrical activity; IEC 60601-2-27 noise limit is 30 µV
SATURATED_SHARE = 0.08  # of samples on a rail
RAIL_RUN_S = 0.04  # equal samples at an extreme for this long are a rail
RAIL_SHARE = 1e-3  # of the lead's extent: samples that differ by less are equal
RAIL_MV, CLIPPED_MV = 0.5, 0.4  # least distance from the lead's median, of a saturated lead and of a clipped span
RINGING = 0.12  # of the lead's extent: overshoot of a filter where a rail begins (9 % for a step), with a margin
MAX_TYPICAL_MV = 6.0  # typical QRS amplitude against the baseline; IEC 60601-2-27: QRS complexes of 0.5 to 5 mV
TYPICAL_QUANTILE = 0.97  # of the samples of a second: QRS complexes are longer than 30 ms, pacing pulses are not
MAX_ECG_MV = 12.0  # larger: wrong gain or an amplifier at its rail (IEC 60601-2-27 input: ±5 mV)
ENOUGH_HZ = 200.0  # smallest rate that quality is computed at
MIN_PRESENT = 0.5  # share of samples that must be there
MAX_CONFLICT = 0.25  # rms of III - (II - I) over that of the three leads; recorded leads stay below 0.05
NOISE_HALF = 0.25  # noise ratio at which the score is 0.5: the limit of "noisy"


@dataclass(frozen=True, slots=True)
class LeadQuality:
    """Quality of one lead over some seconds.

    Attributes
    ----------
    score : float
        0 (unusable) to 1 (clean).
    state : str
        usable, flat, inconsistent (limb leads that break Einthoven's law: fine for rhythm, not for what a lead's name
        means), saturated, noisy, detached or absent.
    """

    score: float
    state: str

    @property
    def usable(self) -> bool:
        """Usable for beat detection; a flat attached lead is."""
        return self.state in (USABLE, FLAT, INCONSISTENT)


@lru_cache(maxsize=64)
def quiet_band(fs: float) -> NDArray[np.float64] | None:
    """The band in which an ECG is quiet between its QRS complexes, 15-40 Hz; None where ``fs`` does not hold it."""
    if fs < 80.0:  # nothing above 35 Hz to judge by
        return None
    sos: NDArray[np.float64] = signal.butter(2, [15.0, min(40.0, 0.45 * fs)], "bandpass", fs=fs, output="sos")
    return sos


def lead_quality(
    mv: Millivolts, fs: float, leads: Sequence[str] = (), leads_off: Sequence[str] = ()
) -> list[LeadQuality]:
    """Quality of each lead over 2 to 30 s.

    Parameters
    ----------
    mv : [leads, samples]
        Millivolts, NaN where there is no sample.
    fs : float
        Sampling rate, Hz.
    leads, leads_off : sequences of str
        Names of the rows, and those reported detached.

    Returns
    -------
    list of LeadQuality
        One a row.
    """
    n_leads, n = mv.shape
    if n == 0:
        return [LeadQuality(0.0, ABSENT)] * n_leads
    step = max(1, int(fs / ENOUGH_HZ))  # every second sample of 500 Hz is as informative
    enough = np.ascontiguousarray(mv[:, ::step])
    filled, missing = fill_gaps(enough)
    fs = fs / step
    present = np.ones(n_leads) if filled is enough else 1.0 - missing.mean(axis=1)
    x = without_baseline(filled, fs)
    peak_to_peak = filled.max(axis=1) - filled.min(axis=1)
    largest = np.abs(x).max(axis=1)
    typical = _typical_mv(x, fs) if largest.max() > MAX_TYPICAL_MV else largest
    rails = _rail_share(filled, fs)
    clean = [1.0 / (1.0 + (ratio / NOISE_HALF) ** 2) for ratio in _noise_ratio(x, fs).tolist()]
    score = np.round(present * np.array(clean), 3).tolist()  # missing samples are no noise
    absent, flat = (present < MIN_PRESENT).tolist(), (peak_to_peak < FLAT_MV).tolist()
    implausible = (typical > MAX_TYPICAL_MV).tolist()
    saturated = ((largest > MAX_ECG_MV) | (rails > SATURATED_SHARE)).tolist()
    out = []
    for k in range(n_leads):
        if leads and leads[k] in leads_off:
            out.append(LeadQuality(0.0, DETACHED))
        elif absent[k]:
            out.append(LeadQuality(0.0, ABSENT))
        elif flat[k]:
            out.append(LeadQuality(1.0, FLAT))
        elif implausible[k]:
            out.append(LeadQuality(0.0, IMPLAUSIBLE))
        elif saturated[k]:
            out.append(LeadQuality(0.1, SATURATED))
        else:
            out.append(LeadQuality(score[k], USABLE if clean[k] >= 0.5 else NOISY))
    limb = [x[leads.index(lead)] for lead in ("I", "II", "III") if lead in leads]
    return with_einthoven(out, limb, leads)


def with_einthoven(marks: list[LeadQuality], limb: Sequence[Millivolts], leads: Sequence[str]) -> list[LeadQuality]:
    """I, II and III halved in score where all three look usable and III is not II - I.

    Parameters
    ----------
    marks : list of LeadQuality
        One a lead.
    limb : sequence of float32 array, [samples] or [1, samples]
        I, II and III without baseline, where ``leads`` has all three.
    leads : sequence of str
        Names of all leads.
    """
    if not {"I", "II", "III"} <= set(leads):
        return marks
    rows = [leads.index(lead) for lead in ("I", "II", "III")]
    if any(marks[k].state != USABLE for k in rows):
        return marks
    one, two, three = limb
    conflict, *each = (float(np.vdot(x, x)) for x in (three - (two - one), one, two, three))
    if conflict <= MAX_CONFLICT**2 * sum(each) / len(each):
        return marks
    return [LeadQuality(m.score / 2, INCONSISTENT) if k in rows else m for k, m in enumerate(marks)]


def _typical_mv(x: Millivolts, fs: float) -> NDArray[np.float32]:
    """Typical QRS amplitude against the baseline, mV [leads]: the median over the seconds of a high quantile."""
    second = min(x.shape[1], round(fs))
    seconds = x.shape[1] // second
    each = np.abs(x[:, x.shape[1] - seconds * second :]).reshape(len(x), seconds, second)
    typical: NDArray[np.float32] = median(quantile(each, TYPICAL_QUANTILE))
    return typical


def _rail_runs(filled: Millivolts, fs: float) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_], int]]:
    """Rows with long equal runs at an extreme away from the median, where windows of one begin, and their length."""
    run = max(3, round(RAIL_RUN_S * fs))
    top, bottom = filled.max(axis=1, keepdims=True), filled.min(axis=1, keepdims=True)
    tolerance = RAIL_SHARE * np.maximum(top - bottom, 1e-6)
    for extreme, at_rail in ((top, filled >= top - tolerance), (bottom, filled <= bottom + tolerance)):
        rows = np.array([k for k, row in enumerate(at_rail) if np.count_nonzero(row) >= run], np.int64)
        if not len(rows):
            continue
        rows = rows[np.abs(extreme[rows, 0] - median(filled[rows])) > RAIL_MV]
        if len(rows):
            yield rows, count_in_windows(at_rail[rows], run) == run, run


def _rail_share(filled: Millivolts, fs: float) -> NDArray[np.float64]:
    """Share of samples that sit in long equal runs at the lead's extremes, away from its median."""
    share = np.zeros(len(filled))
    for rows, begins, run in _rail_runs(filled, fs):
        together = begins.sum(axis=1)
        share[rows] += (together + (run - 1) * (together > 0)) / filled.shape[1]
    return share


class Rails:
    """Samples on a rail: in long equal runs near the lead's extremes, away from its median.

    A filter behind the amplifier rings where a rail begins, so that the rail is not the extreme itself.

    Parameters
    ----------
    filled : float32 [leads, samples]
        Millivolts, without missing samples.
    fs : float
        Sampling rate, Hz.
    """

    def __init__(self, filled: Millivolts, fs: float) -> None:
        self._filled = filled
        self._run = max(3, round(RAIL_RUN_S * fs))

    @cached_property
    def _extremes(self) -> tuple[Millivolts, Millivolts]:
        """The highest and the lowest sample of each lead, each [leads, 1]."""
        return self._filled.max(axis=1, keepdims=True), self._filled.min(axis=1, keepdims=True)

    def samples(self, rows: list[int], start: int, stop: int, *, beyond_mv: float = CLIPPED_MV) -> NDArray[np.bool_]:
        """Which samples from ``start`` to ``stop`` are on a rail beyond ``beyond_mv`` from the median, [rows, samples].

        What costs much is done for the leads alone that come near their extremes there.
        """
        n, run = self._filled.shape[1], self._run
        part = self._filled[rows, start:stop]
        if n < run or not part.size:
            return np.zeros(part.shape, bool)
        top, bottom = (extreme[rows] for extreme in self._extremes)
        extent = np.maximum(top - bottom, 1e-6)
        found: NDArray[np.bool_] = (part > top - RINGING * extent) | (part < bottom + RINGING * extent)
        found &= extent > max(CLIPPED_MV, beyond_mv)  # else no sample is as far from the median
        near = np.flatnonzero(found.any(axis=1))
        if not len(near):
            return found
        first, last = max(0, start - run + 1), min(n, stop + run - 1)
        steps = np.abs(np.diff(self._filled[np.asarray(rows)[near], first:last], axis=1)) <= RAIL_SHARE * extent[near]
        equal = np.pad(count_in_windows(steps, run - 1) == run - 1, ((0, 0), (run - 1, run - 1)))
        found[near] &= (count_in_windows(equal, run) > 0)[:, start - first : stop - first]
        near = np.flatnonzero(found.any(axis=1))
        middle = median(self._filled[np.asarray(rows)[near]])[:, None]
        found[near] &= np.abs(part[near] - middle) > max(CLIPPED_MV, beyond_mv)
        return found


def on_rail(filled: Millivolts, fs: float) -> NDArray[np.bool_]:
    """Samples on a rail (`Rails`), [leads, samples]."""
    return Rails(filled, fs).samples(list(range(len(filled))), 0, filled.shape[1])


def _noise_ratio(x: Millivolts, fs: float) -> NDArray[np.float64]:
    """Activity of 15-40 Hz in the quieter blocks of 0.1 s, over the rms of the whole signal."""
    whole = np.sqrt(quantile(np.square(x), 0.98))  # about the QRS amplitude, deaf to single spikes
    ratio: NDArray[np.float64] = 2.0 * quiet_noise_mv(x, fs) / np.maximum(whole, 0.05)
    return ratio


def quiet_noise_mv(x: Millivolts, fs: float) -> NDArray[np.float64]:
    """Rms of 15-40 Hz in the quieter blocks of 0.1 s, mV [leads]; 0 where rate or length do not allow it.

    Parameters
    ----------
    x : float32 [leads, samples]
        Without baseline, mV.
    fs : float
        Sampling rate, Hz.
    """
    band = quiet_band(fs)
    if band is None:
        return np.zeros(len(x))
    fast = signal.sosfilt(band, x, axis=1)
    block = max(1, round(0.1 * fs))
    blocks = fast.shape[1] // block
    if blocks < 5:
        return np.zeros(len(x))
    pieces = fast[:, : blocks * block].reshape(len(x), blocks, block)
    power = np.einsum("ijk,ijk->ij", pieces, pieces) / block
    quiet: NDArray[np.float64] = np.sqrt(quantile(power, 0.4))
    return quiet

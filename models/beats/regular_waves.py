"""Regular waves of a ventricular tachycardia whose beats fuse, so that no single QRS complex is detected.

In: the newest seconds of signal, mV [leads, samples]. Out: the crests of regular waves up to now, of the lead that
shows most of them. In a wide and fast tachycardia QRS complex and T wave are one wave: it never rests, and repeats
itself at the rate of the tachycardia. Fibrillation does not repeat itself, flutter is faster.
Source: own method, by the autocorrelation as in AHA 1997 (rate and organisation of shockable rhythms).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import find_peaks

from models.ecg import Millivolts
from models.evidence import BeatSpan, Criterion, Evidence
from models.signal.conditioning import fill_gaps, resample, without_baseline
from models.signal.quantiles import quantile

METHOD = "waves 1"  # name and version, as cited
FS_HZ = 125.0  # everything below 40 Hz is kept
MIN_WAVES = 3
SMOOTH_S = 0.08  # a moving mean of this length leaves one crest a wave
PERIOD_S = (0.2, 0.67)  # 300 to 90 a minute
MIN_CORRELATION = 0.5  # of the signal with itself one period later
AS_HIGH = 0.85  # the shortest period whose correlation is this share of the highest: waves may alternate
MIN_SHARE = 0.45  # height of a crest above the valleys beside it, of the usual height (95th percentile)
APART = 0.6  # crests are at least this share of a period apart
SCATTER = 0.25  # and their distances differ from the median by no more than this share of it
MIN_MV = 0.15  # IEC 60601-2-27: smaller deflections are no QRS
LEAST_MV = MIN_MV / 2.5  # peak to peak of a signal whose waves may be as high: no filter here makes it 2.1 times larger
FRESH_S = 1.2  # waves that ended longer ago are over
RESTING = 0.15  # a slope below this share of the steep slopes (95th percentile) is rest
RESTS_TOO_MUCH = 0.55  # share of the time at rest from which a lead shows single beats, or an amplifier at its rails
NO_CRESTS = np.zeros(0, np.int64)
SAME_RATE = 0.1  # relative difference of the rates that two leads show


@dataclass(frozen=True, eq=False)
class RegularWaves:
    """Regular waves of one lead.

    Attributes
    ----------
    lead : str
        The lead.
    crests : int64 [waves]
        Absolute samples, ascending.
    height_mv : float
        Usual height, of a smoothed wave.
    """

    lead: str
    crests: NDArray[np.int64]
    height_mv: float

    def rate(self, fs_hz: float) -> float:
        """Waves a minute."""
        return 60.0 * (len(self.crests) - 1) * fs_hz / float(self.crests[-1] - self.crests[0])


def regular_waves(
    leads: Sequence[str], mv: Millivolts, fs_hz: float, now: int, *, resting_first: Sequence[int] | None = None
) -> RegularWaves | None:
    """The longest row of regular waves that goes on at the end of a signal, of the lead that shows it.

    Most leads show three waves or more at this rate: those of one lead alone are its artefact. None where none are.

    Parameters
    ----------
    leads : sequence of str
        Usable leads.
    mv : float32 [leads, samples]
        Their signal, mV; NaN where a sample is missing.
    fs_hz : float
        Samples a second.
    now : int
        Absolute sample number after the last sample of ``mv``.
    resting_first : sequence of int, optional
        All rows of ``mv``, those first that probably rest most. The result does not depend on it: where the first half
        of the leads rest or show no waves as high as `MIN_MV`, no majority is left, and the others are not looked at.
    """
    if not len(mv) or mv.shape[1] < 2 * fs_hz or not np.isfinite(mv).any(axis=1).all():
        return None
    if 2 * np.count_nonzero(mv.max(axis=1) - mv.min(axis=1) < LEAST_MV) >= len(mv):  # False where a sample is missing
        return None
    filled = fill_gaps(mv)[0]
    order = np.arange(len(mv)) if resting_first is None else np.asarray(resting_first)
    smooth = np.empty((len(mv), round(mv.shape[1] * FS_HZ / fs_hz)), np.float64)
    height_mv, may_show = np.zeros(len(mv)), np.zeros(len(mv), bool)
    half = -(-len(mv) // 2)
    for rows in (order[:half], order[half:]):
        if len(rows):
            x = without_baseline(resample(filled[rows], fs_hz, FS_HZ), FS_HZ).astype(np.float64)
            awake = ~_rest(x)
            active = rows[awake]
            if len(active):
                smooth[active], height_mv[active] = _smoothed(x[awake])
                may_show[active] = height_mv[active] >= MIN_MV
        if not may_show[order[:half]].any():
            return None
    candidates = np.flatnonzero(may_show)
    if 2 * len(candidates) <= len(leads):
        return None
    each = []
    for k, period in zip(candidates.tolist(), _periods(smooth[candidates]), strict=True):
        found = [_crests(sign * smooth[k], period, height_mv[k]) for sign in (1.0, -1.0)]
        crests = max(found, key=len)
        if len(crests) >= MIN_WAVES:
            at = np.minimum(np.round(crests * (fs_hz / FS_HZ)).astype(np.int64), mv.shape[1] - 1)
            each.append(RegularWaves(leads[k], now - mv.shape[1] + at, float(height_mv[k])))
    if not each:
        return None
    best = max(each, key=lambda waves: len(waves.crests))
    same = [w for w in each if abs(w.rate(fs_hz) / best.rate(fs_hz) - 1.0) <= SAME_RATE]
    return best if 2 * len(same) > len(leads) else None


def _smoothed(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The leads with one crest a wave, [leads, samples], and the usual height of their waves, mV [leads]."""
    smooth = uniform_filter1d(x, round(SMOOTH_S * FS_HZ), axis=1)
    smooth -= smooth.mean(axis=1, keepdims=True)
    return smooth, np.asarray(quantile(smooth, 0.95) - quantile(smooth, 0.05), np.float64)


def _rest(x: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of [leads, samples] rest too much for waves that follow each other."""
    slope = np.abs(np.diff(x, axis=1))
    small = slope < RESTING * quantile(slope, 0.95)[:, None]
    return np.asarray(np.count_nonzero(small, axis=1) / slope.shape[1] > RESTS_TOO_MUCH)


def evidence(waves: RegularWaves, fs_hz: float, criterion: Criterion) -> Evidence:
    """HR over the waves, per minute; each crest is cited with the time from the one before it."""
    spans = [BeatSpan(b, a, b, round((b - a) / fs_hz, 4)) for a, b in pairwise(waves.crests.tolist())]
    return Evidence(
        "HR",
        round(waves.rate(fs_hz), 1),
        (waves.lead,),
        int(waves.crests[0]),
        int(waves.crests[-1]),
        tuple(spans),
        criterion,
        method=METHOD,
    )


def _periods(rows: NDArray[np.float64]) -> list[int | None]:
    """Samples after which each of [leads, samples] repeats itself; None where it does not."""
    n = rows.shape[1]
    spectrum = np.abs(np.fft.rfft(rows, 2 * n, axis=1)) ** 2
    correlation = np.fft.irfft(spectrum, axis=1)[:, :n] * n / np.maximum(1, n - np.arange(n))
    correlation /= np.maximum(correlation[:, :1], 1e-12)
    low, high = round(PERIOD_S[0] * FS_HZ), min(round(PERIOD_S[1] * FS_HZ), n - 2)
    return [_period(row, low) for row in correlation[:, low - 1 : high + 2]]


def _period(correlation: NDArray[np.float64], low: int) -> int | None:
    """The shortest lag of a high peak; ``correlation`` at the lags from ``low`` - 1 on."""
    peaks = find_peaks(correlation)[0]
    highest = float(correlation[peaks].max()) if len(peaks) else 0.0
    if highest < MIN_CORRELATION:
        return None
    return low - 1 + int(peaks[correlation[peaks] >= max(MIN_CORRELATION, AS_HIGH * highest)][0])


def _crests(row: NDArray[np.float64], period: int | None, usual: float) -> NDArray[np.int64]:
    """Crests of the regular waves of a ``usual`` height at the end of a lead that repeats itself."""
    if period is None:
        return NO_CRESTS
    crests = find_peaks(row, distance=max(1, round(APART * period)), prominence=MIN_SHARE * usual)[0]
    if len(crests) < MIN_WAVES or (len(row) - crests[-1]) / FS_HZ > FRESH_S:
        return NO_CRESTS
    rr = np.diff(crests)
    middle = float(np.median(rr[-4:]))
    regular = np.abs(rr - middle) <= SCATTER * middle
    run = len(rr) if regular.all() else len(rr) - 1 - int(np.flatnonzero(~regular)[-1])
    return np.asarray(crests[len(crests) - run - 1 :], np.int64)

"""Criterion of AV block: P waves without a QRS complex, found by the patient's own P wave as a template.

In, once an update: the newest signal, mV [leads, samples], and the measured beats. Out: P waves without a QRS complex,
and the AV_BLOCK finding of two in 30 s.
The template of a lead is the mean P wave of the conducted beats. It is searched between the T wave of one conducted
beat and the P wave (or QRS) of the next. A match needs the correlation and size in most leads, and a place in the
rhythm of the P waves. Intervals with a ventricular beat at either end are left out: a P wave after such a beat is
blocked by its refractory period.
Source: own method; condition by AHA practice standards 2017.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.arrhythmia.criteria.waves import WaveBeat
from models.arrhythmia.episode_tracker import Finding
from models.arrhythmia.limits import EventCountLimit, criterion_of
from models.ecg import Ecg, Millivolts
from models.evidence import BeatSpan, Evidence
from models.measurement.fiducials import mark_of
from models.signal.windows import windows

HALF_S = 0.07  # half a template, which is 140 ms long (P waves last 80 to 120 ms)
MIN_BEATS = 4  # least number of conducted beats with a P wave for a template
MIN_P_MV = 0.06  # a smaller P wave in a lead does not stand out from noise
MIN_RR_S = 0.8  # a shorter RR has no room for a P wave of its own
MIN_P_CORRELATION = 0.88  # with the template
ROUNDING = 1e-6  # of a correlation that is computed from sums
P_SIZE = (0.5, 1.8)  # of the template's size
AFTER_T_S = 0.04  # clear of the T wave's end
BEFORE_P_S = 0.20  # clear of the next beat's own P wave
PP_TOLERANCE = 0.22  # relative distance of a P wave from the middle, or of its PP interval from the usual one
METHOD = "P template 1"


class AvBlockDetector:
    """P waves without a QRS, of one bed."""

    def __init__(self, fs_hz: float) -> None:
        self._fs = fs_hz
        self._searched_to = -1
        self._found: list[tuple[int, tuple[str, ...]]] = []

    def update(self, window: Ecg, start: int, beats: Sequence[WaveBeat], usable: Sequence[str]) -> None:
        """Search after each beat whose successor has been measured since the last update.

        Parameters
        ----------
        window : Ecg
            The newest signal.
        start : int
            Absolute sample of its first one.
        beats : sequence of WaveBeat
            Measured beats, absolute samples.
        usable : sequence of str
            Leads to search.
        """
        first = bisect_right(beats, self._searched_to, key=lambda beat: beat.sample)
        new = range(max(0, first - 1), len(beats) - 1)
        if not new or not usable:
            return
        self._searched_to = beats[-1].sample
        wanted = [
            k
            for k in new
            if (beats[k + 1].sample - beats[k].sample) / self._fs >= MIN_RR_S
            and beats[k].sample >= start
            and beats[k].conducted
            and beats[k + 1].conducted
        ]
        if not wanted:
            return
        part = window.select(usable)
        templates = _templates(part, start, beats, self._fs)
        for k in wanted:
            self._found += _between(templates, start, beats, k, self._fs)

    def finding(self, now: int, limit: EventCountLimit) -> Finding | None:
        """AV_BLOCK where ``limit.beats`` such P waves are in the last ``limit.seconds``. Onset: the first of them."""
        self._found = [f for f in self._found if f[0] > now - limit.seconds * self._fs]
        if len(self._found) < limit.beats:
            return None
        rule = f"P waves that lead no QRS, {limit.beats} in {limit.seconds:g} s"
        criterion = criterion_of("AV_BLOCK", rule, limit.beats)
        half = round(HALF_S * self._fs)
        cited = []
        for at, leads in self._found[-limit.beats :]:
            span, width = (at - half, at + half), round(2000.0 * half / self._fs, 1)
            cited.append(
                Evidence(
                    "P",
                    width,
                    leads,
                    *span,
                    (BeatSpan(at, *span, width),),
                    criterion,
                    over_s=limit.seconds,
                    wave="p",
                    method=METHOD,
                )
            )
        return Finding("AV_BLOCK", self._found[0][0], now, tuple(cited), self._found[-1][1])


@dataclass(frozen=True, eq=False)
class _Templates:
    """Mean P wave of each lead that has one.

    Attributes
    ----------
    leads : tuple of str
    rows : float32 [leads, samples]
        Their signal, mV.
    waves : float64 [leads, 2 half + 1]
        Detrended, mV.
    """

    leads: tuple[str, ...]
    rows: Millivolts
    waves: NDArray[np.float64]


def _templates(part: Ecg, start: int, beats: Sequence[WaveBeat], fs: float) -> _Templates:
    half = round(HALF_S * fs)
    about = np.arange(-half, half + 1)
    inside = [b for b in beats if b.conducted and b.sample > start]  # a P wave is before its R peak
    peaks = np.array([mark_of(b.beat.leads, "p_peak", part.leads) for b in inside]).reshape(-1, len(part.leads)) - start
    there = (peaks >= half) & (peaks < part.n_samples - half)  # NaN is neither
    found = np.flatnonzero(there.sum(axis=0) >= MIN_BEATS)
    means = [part.mv[k, peaks[there[:, k], k].astype(np.int64)[:, None] + about].mean(axis=0) for k in found]
    waves = _detrended(np.array(means, np.float64).reshape(len(found), len(about)))
    high = np.ptp(waves, axis=1) >= MIN_P_MV
    found = found[high]
    return _Templates(tuple(part.leads[k] for k in found), part.mv[found], waves[high])


def _between(
    templates: _Templates, start: int, beats: Sequence[WaveBeat], k: int, fs: float
) -> list[tuple[int, tuple[str, ...]]]:
    """P waves between beat ``k`` and the next one: absolute sample, and the leads with a match."""
    here, after = beats[k].beat.overall, beats[k + 1].beat.overall
    if here.t_off is None or not templates.leads:
        return []
    own = after.p_peak if after.p_peak is not None else after.qrs_on
    if own is None:
        return []
    first, last = here.t_off + round(AFTER_T_S * fs) - start, own - round(BEFORE_P_S * fs) - start
    if last - first < 3:
        return []
    matches = _matches(templates, first, last)
    agreed = matches.sum(axis=0) * 2 > len(templates.leads)
    if not agreed.any():
        return []
    runs = np.split(np.flatnonzero(agreed), np.flatnonzero(np.diff(np.flatnonzero(agreed)) > 1) + 1)
    out = []
    before = here.p_peak if here.p_peak is not None else here.qrs_on
    for run in runs:
        at = start + first + int(run[len(run) // 2])
        if before is not None and _in_rhythm(before, at, own, beats, fs):
            leads = tuple(lead for lead, row in zip(templates.leads, matches, strict=True) if row[run].any())
            out.append((at, leads))
    return out


def _matches(of: _Templates, first: int, last: int) -> NDArray[np.bool_]:
    """Where most leads match their templates, which do so, [leads, last - first]."""
    templates = of.waves
    width = templates.shape[1]
    low, high = first - width // 2, last + width // 2
    out = np.zeros((len(templates), last - first), bool)
    if low < 0 or high > of.rows.shape[1]:
        return out
    rows = of.rows[:, low:high].astype(np.float64)
    pieces = windows(rows, width)[:, : last - first]
    similar = _correlations(rows, templates)[:, : last - first] >= MIN_P_CORRELATION - ROUNDING
    at = np.flatnonzero(2 * similar.sum(axis=0) > len(rows))
    if not len(at):
        return out
    flat = pieces[:, at] - np.linspace(0, 1, width) * (pieces[:, at, -1:] - pieces[:, at, :1]) - pieces[:, at, :1]
    flat -= flat.mean(axis=2, keepdims=True)
    norm = np.linalg.norm(flat, axis=2) * np.linalg.norm(templates, axis=1)[:, None] + 1e-9
    correlation = (flat @ templates[:, :, None])[:, :, 0] / norm
    size = np.ptp(flat, axis=2) / np.maximum(np.ptp(templates, axis=1), 1e-9)[:, None]
    out[:, at] = (correlation >= MIN_P_CORRELATION) & (size >= P_SIZE[0]) & (size <= P_SIZE[1])
    return out


def _correlations(rows: NDArray[np.float64], templates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation of each piece, detrended, with the lead's template, to `ROUNDING`, [leads, pieces]."""
    n, width = rows.shape[1], templates.shape[1]
    rows = rows - rows.mean(axis=1, keepdims=True)
    rise = np.linspace(0, 1, width) - 0.5
    place = np.arange(n)
    sums = np.zeros((3, len(rows), n + 1))
    for sum_to, values in zip(sums, (rows, np.square(rows), rows * place), strict=True):
        np.cumsum(values, axis=1, out=sum_to[:, 1:])
    total, squares, by_place = sums[:, :, width:] - sums[:, :, :-width]
    step = rows[:, width - 1 :] - rows[:, : n - width + 1]  # of the straight line through a piece's ends
    with_template = np.stack([np.correlate(row, template) for row, template in zip(rows, templates, strict=True)])
    with_rise = (by_place - place[: n - width + 1] * total) / (width - 1) - total / 2
    norm = squares - total**2 / width - 2.0 * step * with_rise + step**2 * (rise @ rise)
    dot = with_template - step * (templates @ rise)[:, None] - total / width * templates.sum(axis=1, keepdims=True)
    size = np.sqrt(np.maximum(norm, 0.0)) * np.linalg.norm(templates, axis=1)[:, None] + 1e-9
    return np.asarray(dot / size, np.float64)


def _detrended(waves: NDArray[np.float64]) -> NDArray[np.float64]:
    """[waves, samples] without the straight line through their ends, and without their mean."""
    n = waves.shape[1]
    line = np.arange(n) * ((waves[:, -1:] - waves[:, :1]) / (n - 1)) + waves[:, :1]
    line[:, -1] = waves[:, -1]
    flat = waves - line
    return np.asarray(flat - flat.mean(axis=1, keepdims=True), np.float64)


def _in_rhythm(before: int, at: int, after: int, beats: Sequence[WaveBeat], fs: float) -> bool:
    """Whether the P wave is midway between its neighbours, or a usual PP interval after the one before."""
    one, two = (at - before) / fs, (after - at) / fs
    if min(one, two) < 0.25:
        return False
    peaks = [b.beat.overall.p_peak for b in beats]
    intervals = [(q - p) / fs for p, q in pairwise(peaks) if p is not None and q is not None]
    usual = float(np.percentile(intervals, 25)) if intervals else float("nan")
    midway = abs(one - two) < PP_TOLERANCE * (one + two) / 2.0
    return midway or abs(one - usual) < PP_TOLERANCE * usual

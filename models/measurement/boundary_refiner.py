"""Refinement of a beat's global P onset, QRS onset and offset, and T offset by the steepness of the signal beside them.

In: the fiducials of each beat in each lead and over the leads, samples, and the signal [leads, samples] in mV without
baseline. Out: the same global fiducials, moved by up to `MAX_SHIFT_S`.
The network's boundaries of a recording are all early or all late by some milliseconds, by the shape of its waves. A
ridge regression with a robust loss predicts the distance to the marks of the cardiologists from the spread of the
leads' boundaries, the QRS duration, and the steepness over the leads (root mean square and median) at fixed distances
from the boundary. It needs six leads that show the boundary and is trained on medians over twelve.
Trained by ``python -m models.training.boundary_ridge``; accuracy: ``benchmarks/single_beat.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.ecg import Millivolts
from models.networks.loading import SmallNetwork
from models.signal.quantiles import quantile

MIN_LEADS = 6  # that show the boundary
MAX_SHIFT_S = 0.015
MAX_DEVIATION = 3.0  # features are clipped at this many standard deviations
MIN_QRS_S = 0.060  # a QRS complex of an adult is rarely narrower: refinement does not make it so
MAX_SPREAD_S = 0.040  # distances of the leads' boundaries are clipped here
SPREAD = (0.1, 0.25, 0.5, 0.75, 0.9)  # quantiles of the leads' boundaries
USUAL_QRS_S = 0.090
TOP_POINTS = 16  # at which the steepest point of the wave is looked for
FLOOR_SHARE = 0.01  # of the steepest point, added before the logarithm
UNIT_QUANTILE, MIN_UNIT_MV = 0.99, 0.05  # a lead's unit: this quantile of its deflections

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """A boundary that is refined: its mark and the wave's other one, and how steepness is sampled beside it."""

    mark: str
    other: str
    smooth_s: float
    around_s: float
    step_s: float

    @property
    def distances_s(self) -> Floats:
        """Where steepness is sampled, seconds from the boundary."""
        return np.arange(-self.around_s, self.around_s + self.step_s / 2, self.step_s)


BOUNDARIES = (
    Boundary(mark="p_on", other="p_off", smooth_s=0.020, around_s=0.030, step_s=0.005),
    Boundary(mark="qrs_on", other="qrs_off", smooth_s=0.012, around_s=0.030, step_s=0.004),
    Boundary(mark="qrs_off", other="qrs_on", smooth_s=0.016, around_s=0.040, step_s=0.005),
    Boundary(mark="t_off", other="t_peak", smooth_s=0.040, around_s=0.080, step_s=0.010),
)


class BoundaryRidge(SmallNetwork):
    """The regression of each boundary, read from an ``.npz``: ``<mark>`` holds rows of mean, scale and weight."""

    name = "boundaries"
    made_by = "models.training.boundary_ridge"
    suffix = "npz"

    def __init__(self, path: Path) -> None:
        with np.load(path) as stored:
            self._rows = {b.mark: stored[b.mark] for b in BOUNDARIES}
            self._offset = {b.mark: float(stored[f"{b.mark}_offset"]) for b in BOUNDARIES}

    def shift_s(self, mark: str, features: Floats) -> Floats:
        """Seconds by which each beat's boundary is to be moved, [beats]; ``features`` [beats, features]."""
        mean, scale, weight = self._rows[mark]
        z = np.clip((features - mean) / scale, -MAX_DEVIATION, MAX_DEVIATION)
        shift: Floats = np.clip(z @ weight + self._offset[mark], -MAX_SHIFT_S, MAX_SHIFT_S)
        return shift


@dataclass(frozen=True, eq=False, kw_only=True)
class BeatMarks:
    """Fiducials of some beats; samples, NaN where absent.

    Attributes
    ----------
    overall : float64 [beats, marks]
    leads : float64 [beats, leads, marks]
    columns : dict
        Mark to its column.
    """

    overall: Floats
    leads: Floats
    columns: dict[str, int]

    def of(self, mark: str) -> Floats:
        """A mark over the leads, [beats]."""
        column: Floats = self.overall[:, self.columns[mark]]
        return column


def boundary_features(
    marks: BeatMarks, slopes: Slopes, fs_hz: float, boundaries: Sequence[Boundary] = BOUNDARIES
) -> list[tuple[NDArray[np.int64], Floats]]:
    """Features of each boundary in the beats that have it in `MIN_LEADS` leads.

    Parameters
    ----------
    marks : BeatMarks
        Samples of the signal.
    slopes : Slopes
        Of the signal.
    fs_hz : float
        Sampling rate.
    boundaries : sequence of Boundary

    Returns
    -------
    list
        For each boundary the beats, int64 [found], and their features, float64 [found, features].
    """
    width = (marks.of("qrs_off") - marks.of("qrs_on")) / fs_hz
    places = [_places(marks, width, fs_hz, boundary) for boundary in boundaries]
    points = np.concatenate([place.points.ravel() for place in places])
    smooth = np.repeat([b.smooth_s for b in boundaries], [place.points.size for place in places])
    quantiles, mean = spread_features(np.concatenate([place.spread for place in places]))
    steepness = slopes.steepness(points, smooth)
    out, beat, point = [], 0, 0
    for place in places:
        n, size = len(place.beats), place.points.size
        steep = steepness[:, point : point + size].reshape(2, *place.points.shape)
        top = np.maximum(steep[:, :, :TOP_POINTS].max(axis=2, keepdims=True), 1e-3)
        profile = np.log(steep[:, :, TOP_POINTS:] / top + FLOOR_SHARE)
        own = slice(beat, beat + n)
        parts = [quantiles[own], mean[own, None], width[place.beats, None] - USUAL_QRS_S, *profile]
        out.append((place.beats, np.concatenate(parts, axis=1)))
        beat, point = beat + n, point + size
    return out


@dataclass(frozen=True, eq=False, kw_only=True)
class _Places:
    """Where the features of a boundary are measured.

    Attributes
    ----------
    beats : int64 [found]
        Beats that have the boundary.
    spread : float64 [found, leads]
        Distance of the leads' boundaries from the global one, s.
    points : float64 [found, points]
        Where steepness is sampled: `TOP_POINTS` along the wave, and beside the boundary; samples.
    """

    beats: NDArray[np.int64]
    spread: Floats
    points: Floats


def _places(marks: BeatMarks, width: Floats, fs_hz: float, boundary: Boundary) -> _Places:
    at, other = marks.of(boundary.mark), marks.of(boundary.other)
    own = marks.leads[:, :, marks.columns[boundary.mark]]
    beats = np.flatnonzero(np.isfinite(at + other + width))
    beats = beats[np.isfinite(own[beats]).sum(axis=1) >= MIN_LEADS]
    at, other = at[beats], other[beats]
    spread = np.clip((own[beats] - at[:, None]) / fs_hz, -MAX_SPREAD_S, MAX_SPREAD_S)
    along = evenly(at, other)
    beside = at[:, None] + boundary.distances_s * fs_hz
    return _Places(beats=beats, spread=spread, points=np.concatenate([along, beside], axis=1))


def evenly(first: Floats, last: Floats) -> Floats:
    """`TOP_POINTS` from each first to each last, [found, points]: NumPy's ``linspace`` in a quarter of its time."""
    step = (last - first) / (TOP_POINTS - 1)
    if not step.all():  # NumPy computes these in another order
        return np.linspace(first, last, TOP_POINTS, axis=1)
    out: Floats = step[:, None] * np.arange(TOP_POINTS) + first[:, None]
    out[:, -1] = last
    return out


class Slopes:
    """Steepness of a signal, each lead in units of its own deflections.

    Parameters
    ----------
    x : float32 [leads, samples]
        Millivolts without gaps and baseline.
    fs_hz : float
        Sampling rate.
    """

    def __init__(self, x: Millivolts, fs_hz: float) -> None:
        unit = np.maximum(quantile(np.abs(x), UNIT_QUANTILE), MIN_UNIT_MV)[:, None]
        self._fs = fs_hz
        self._total = np.zeros((len(x), x.shape[1] + 1), np.float64)  # sum of all samples before each
        np.cumsum(x / unit, axis=1, dtype=np.float64, out=self._total[:, 1:])

    def steepness(self, at: Floats, smooth_s: Floats) -> Floats:
        """Root mean square and median over the leads of the smoothed slope, units a second, [2, points].

        ``at`` [points]: samples. ``smooth_s`` [points]: length of the moving mean at each, s.
        """
        half, n = np.maximum(0, np.round(smooth_s * self._fs / 2)).astype(np.int64), self._total.shape[1] - 1
        middle = np.clip(np.round(at).astype(np.int64), half + 1, np.maximum(half + 1, n - half - 2))
        ends = (middle + half + 2, middle + 1 - half, middle + half, middle - half - 1)
        a, b, c, d = (self._total[:, np.minimum(end, n)] for end in ends)
        slope = np.abs((a - b) - (c - d)) / (2 * half + 1) / 2 * self._fs  # of means round the next and last sample
        rows, low = len(slope), (len(slope) - 1) // 2
        ordered = np.partition(slope, (low, rows // 2), axis=0)
        return np.stack([np.sqrt(np.mean(slope**2, axis=0)), (ordered[low] + ordered[rows // 2]) / 2])


def spread_features(spread: Floats) -> tuple[Floats, Floats]:
    """The `SPREAD` quantiles, [beats, quantiles], and the mean, [beats], of [beats, leads] without the NaN.

    >>> spread_features(np.array([[0.01, np.nan, 0.03]]))[0].round(4).tolist()
    [[0.012, 0.015, 0.02, 0.025, 0.028]]
    """
    ordered = np.sort(spread, axis=1)  # NaN last
    count = np.isfinite(spread).sum(axis=1)
    at = (count - 1)[:, None] * np.array(SPREAD)
    low = np.floor(at).astype(np.int64)
    below = np.take_along_axis(ordered, low, axis=1)
    above = np.take_along_axis(ordered, np.minimum(low + 1, count[:, None] - 1), axis=1)
    share, between = at - low, above - below
    quantiles = np.where(share >= 0.5, above - between * (1.0 - share), below + between * share)  # as NumPy does
    return quantiles, np.nansum(spread, axis=1) / count


def refined(marks: BeatMarks, x: Millivolts, fs_hz: float, *, fold: str | None = None) -> Floats:
    """The global fiducials with refined boundaries, [beats, marks].

    Parameters
    ----------
    marks : BeatMarks
        Samples of ``x``.
    x : float32 [leads, samples]
        Millivolts without gaps and baseline.
    fs_hz : float
        Sampling rate.
    fold : str, optional
        Use weights trained without this fold (evaluation).
    """
    out = marks.overall.copy()
    if marks.leads.shape[1] < MIN_LEADS:
        return out
    ridge, slopes = BoundaryRidge.load(fold), Slopes(x, fs_hz)
    for boundary, (beats, features) in zip(BOUNDARIES, boundary_features(marks, slopes, fs_hz), strict=True):
        if len(beats):
            shift = np.round(ridge.shift_s(boundary.mark, features) * fs_hz)
            out[beats, marks.columns[boundary.mark]] += shift
    out = np.clip(out, 0, x.shape[1] - 1)  # NaN stays NaN
    width, before = (y[:, marks.columns["qrs_off"]] - y[:, marks.columns["qrs_on"]] for y in (out, marks.overall))
    kept = _in_order(out, marks.columns) & ~((width < MIN_QRS_S * fs_hz) & (width < before))
    return np.where(kept[:, None], out, marks.overall)


def _in_order(overall: Floats, columns: dict[str, int]) -> NDArray[np.bool_]:
    """Beats whose boundaries come one after the other."""
    pairs = (("p_on", "p_off"), ("p_on", "qrs_on"), ("qrs_on", "qrs_off"), ("qrs_off", "t_off"), ("t_peak", "t_off"))
    out = np.ones(len(overall), bool)
    for a, b in pairs:
        out &= ~(overall[:, columns[a]] >= overall[:, columns[b]])
    return out

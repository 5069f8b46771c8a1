"""Segments in which a network's probability is above one half, with their ends interpolated between the cells.

In: float32 [rows, cells], one cell for each 8 ms of the delineation network. Out: `Segments`, one entry a segment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.networks.delineator import CELL_S

DECISION_LEVEL = 0.5  # a wave or beat is present where its probability is above this


@dataclass(frozen=True, eq=False)
class Segments:
    """Segments of several rows; all arrays are [segments].

    Attributes
    ----------
    row : int array
        Row (lead) of each.
    start, end : float arrays
        Seconds after the first cell, where the probability crosses one half.
    mass : float array
        Sum of the probability over its cells.
    """

    row: NDArray[np.int64]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    mass: NDArray[np.float64]

    @property
    def middle(self) -> NDArray[np.float64]:
        """Seconds after the first cell, [segments]."""
        return (self.start + self.end) / 2


def rows_of(segments: Segments, first: int, stop: int) -> Segments:
    """The segments of the rows ``first`` to ``stop`` (exclusive), which are numbered from 0."""
    a, b = np.searchsorted(segments.row, (first, stop)).tolist()
    return Segments(segments.row[a:b] - first, segments.start[a:b], segments.end[a:b], segments.mass[a:b])


def merged(segments: Segments, gap_s: float) -> Segments:
    """Segments of a row that are less than ``gap_s`` apart, as one."""
    if not len(segments.row):
        return segments
    apart = (np.diff(segments.row) != 0) | (segments.start[1:] - segments.end[:-1] >= gap_s)
    first = np.concatenate([[0], np.flatnonzero(apart) + 1])
    last = np.concatenate([first[1:] - 1, [len(segments.row) - 1]])
    mass = np.add.reduceat(segments.mass, first)
    return Segments(segments.row[first], segments.start[first], segments.end[last], mass)


def apart(segments: Segments, distance_s: float) -> Segments:
    """The segments of one row without those whose middle is nearer than this to one with a larger mass."""
    keep = np.ones(len(segments.mass), bool)
    middle = segments.middle
    if len(middle) < 2 or np.diff(middle).min() >= distance_s:
        return segments
    for k in np.argsort(-segments.mass, kind="stable"):
        if keep[k]:
            near = np.abs(middle - middle[k]) < distance_s
            near[k] = False
            keep &= ~near
    return Segments(segments.row[keep], segments.start[keep], segments.end[keep], segments.mass[keep])


def segments_of(probability: NDArray[np.float32], shortest_s: float | NDArray[np.float64]) -> Segments:
    """Segments of [rows, cells] that last ``shortest_s`` at least, row by row; [rows] where it differs.

    >>> found = segments_of(np.array([[0, 0, 1, 1, 1, 1, 0.5, 0, 0]], np.float32), 0.02)
    >>> found.start / CELL_S, found.end / CELL_S
    (array([1.5]), array([6.]))
    """
    rows, n = probability.shape
    padded = np.zeros((rows, n + 2), probability.dtype)
    padded[:, 1:-1] = probability
    above = padded > DECISION_LEVEL
    row, edge = np.nonzero(above[:, 1:] != above[:, :-1])  # in pairs: padded[edge] is below, then it is above
    row, first, last = row[::2], edge[::2], edge[1::2]
    below, inside = padded[row, first].astype(float), padded[row, first + 1].astype(float)
    start = first + (DECISION_LEVEL - below) / (inside - below) - 1.0
    inside, below = padded[row, last].astype(float), padded[row, last + 1].astype(float)
    end = last + (inside - DECISION_LEVEL) / (inside - below) - 1.0
    ends = (row * (n + 2))[:, None] + np.stack([first, last], axis=1) + 1
    mass = np.add.reduceat(padded.ravel(), ends.ravel(), dtype=float)[::2] if len(row) else np.zeros(0)
    keep = (end - start) * CELL_S >= (shortest_s if isinstance(shortest_s, float) else shortest_s[row])
    start, end = (np.minimum(np.maximum(x[keep], 0), n - 1) * CELL_S for x in (start, end))
    return Segments(row[keep], start, end, mass[keep])

"""Stretches in which a probability is above one half, with their ends between the cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.networks.delineator import CELL_S

SEEN_AT = 0.5  # something is there where its probability is above one half


@dataclass(frozen=True, eq=False)
class Runs:
    """One entry a stretch.

    Attributes
    ----------
    row : int array
        Row (lead) it lies in.
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
        return (self.start + self.end) / 2


def joined(runs: Runs, gap_s: float) -> Runs:
    """Neighbouring stretches of a row that are less than ``gap_s`` apart, as one."""
    if not len(runs.row):
        return runs
    apart = (np.diff(runs.row) != 0) | (runs.start[1:] - runs.end[:-1] >= gap_s)
    first = np.concatenate([[0], np.flatnonzero(apart) + 1])
    last = np.concatenate([first[1:] - 1, [len(runs.row) - 1]])
    return Runs(runs.row[first], runs.start[first], runs.end[last], np.add.reduceat(runs.mass, first))


def runs_of(probability: NDArray[np.float32], shortest_s: float) -> Runs:
    """Stretches of [rows, cells] that last ``shortest_s`` at least, row by row.

    >>> runs = runs_of(np.array([[0, 0, 1, 1, 1, 1, 0.5, 0, 0]], np.float32), 0.02)
    >>> runs.start / CELL_S, runs.end / CELL_S
    (array([1.5]), array([6.]))
    """
    rows, n = probability.shape
    padded = np.zeros((rows, n + 2), probability.dtype)
    padded[:, 1:-1] = probability
    above = padded > SEEN_AT
    row, edge = np.nonzero(above[:, 1:] != above[:, :-1])  # every stretch: padded[edge] is below, then it is above
    row, first, last = row[::2], edge[::2], edge[1::2]
    below, inside = padded[row, first].astype(float), padded[row, first + 1].astype(float)
    start = first + (SEEN_AT - below) / (inside - below) - 1.0
    inside, below = padded[row, last].astype(float), padded[row, last + 1].astype(float)
    end = last + (inside - SEEN_AT) / (inside - below) - 1.0
    ends = (row * (n + 2))[:, None] + np.stack([first, last], axis=1) + 1
    mass = np.add.reduceat(padded.ravel(), ends.ravel(), dtype=float)[::2] if len(row) else np.zeros(0)
    keep = (end - start) * CELL_S >= shortest_s
    start, end = (np.minimum(np.maximum(x[keep], 0), n - 1) * CELL_S for x in (start, end))
    return Runs(row[keep], start, end, mass[keep])

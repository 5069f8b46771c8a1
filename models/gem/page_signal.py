"""The twelve leads of a drawn page by rule, for a GEM without a page tower: trace to signal.

In: pixels of a page in the layout of `models.gem.page.reference_page`, uint8 [height, width, 3 or more]. Out: float32
[12, 5000] mV at 500 Hz; zeros where a row has no trace. No torch.

Method: grid lines are red or pink, so that in the red channel the trace alone is dark. Each lead is followed from
column to column through the dark runs that touch the run before, and where several do, through the one nearest to its
recent level; the height is the centre of the run. A run that two leads share (a tall QRS complex that crosses the next
row) does not move the lead whose level lies inside it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.encoder.configuration import FS_HZ, LEADS, SAMPLES
from models.gem.page import PX_PER_MV, PX_PER_S, REFERENCE_SIZE, reference_layout

DARK = 175  # red below it is trace: a third of the way from paper to ink
SLOW = 0.05  # weight of a column in a lead's recent level: 0.1 s
FAR_WEIGHT = 0.3  # pixels of gap that a pixel of distance from the recent level counts for
WANDER_PX = 0.3 * PX_PER_MV  # a lead's recent level stays within this of its zero line
START_PX = 0.5 * PX_PER_MV  # the first run of a lead is within this of its zero line
LOST = 0.25  # share of the columns without a run, at most
PULSE_PX = 4  # columns of the calibration pulse's edge at the start of a trace
COLUMNS = int(10 * PX_PER_S) - PULSE_PX


def signal_of_page(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Signal of a page.

    Raises
    ------
    ValueError
        The page has another size than `REFERENCE_SIZE`.
    """
    if pixels.shape[:2] != REFERENCE_SIZE[::-1]:
        raise ValueError(f"the page is {pixels.shape[1]} x {pixels.shape[0]} pixels, expected {REFERENCE_SIZE}")
    panels = reference_layout().panels
    first = round(panels[0].x) + PULSE_PX
    dark = np.zeros((COLUMNS, pixels.shape[0] + 2), np.int8)
    dark[:, 1:-1] = (pixels[:, first : first + COLUMNS, 0] < DARK).T
    edges = np.diff(dark, axis=1)
    column, top = np.nonzero(edges == 1)
    bottom = np.nonzero(edges == -1)[1]
    bounds = np.searchsorted(column, np.arange(COLUMNS + 1))
    zero = np.array([p.y for p in panels])
    y, seen = _followed(top, bottom, bounds, zero)
    at = (np.arange(COLUMNS) + 0.5 + first - panels[0].x) / PX_PER_S
    seconds = np.arange(SAMPLES) / FS_HZ
    out = np.zeros((LEADS, SAMPLES), np.float32)
    for row in range(LEADS):
        if seen[:, row].mean() >= 1.0 - LOST:
            out[row] = np.interp(seconds, at, (zero[row] - y[:, row]) / PX_PER_MV)
    return out


def signal_of_image(image: Image.Image) -> NDArray[np.float32]:
    """Signal of an image of a page, [12, 5000] mV; other sizes are scaled to `REFERENCE_SIZE`."""
    image = image.convert("RGB")
    return signal_of_page(np.asarray(image if image.size == REFERENCE_SIZE else image.resize(REFERENCE_SIZE)))


def _followed(
    top: NDArray[np.int64], bottom: NDArray[np.int64], bounds: NDArray[np.int64], zero: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Height of each lead in each column [columns, leads], pixels from the top, and where a run was found."""
    y, seen = np.empty((COLUMNS, LEADS)), np.zeros((COLUMNS, LEADS), bool)
    level, height = zero.copy(), zero.copy()
    low, high = zero - START_PX, zero + START_PX  # the run of the column before, from and to
    for k in range(COLUMNS):
        a, b = top[bounds[k] : bounds[k + 1]], bottom[bounds[k] : bounds[k + 1]]
        if len(a):
            gap = np.maximum(np.maximum(a - high[:, None], low[:, None] - b), 0.0)
            off = np.maximum(np.maximum(a - level[:, None], level[:, None] - b), 0.0)
            cost = gap + FAR_WEIGHT * off
            best = cost.argmin(axis=1)
            near = gap[np.arange(LEADS), best] <= START_PX
            shared = np.bincount(best[near], minlength=len(a))[best] > 1
            run_low, run_high = a[best].astype(float), b[best].astype(float)
            centre = np.where(shared, np.clip(height, run_low, run_high), (run_low + run_high) / 2)
            height = np.where(near, centre, height)
            level = np.clip(level + SLOW * np.where(near, height - level, 0.0), zero - WANDER_PX, zero + WANDER_PX)
            low = np.where(near, np.where(shared, height - 3, run_low), low)
            high = np.where(near, np.where(shared, height + 3, run_high), high)
            seen[k] = near
        y[k] = height
    return y, seen

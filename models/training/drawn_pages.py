"""Drawn pages for the training of the page tower: colours, scans and photocopies, and pages without an ECG.

In: windows float32 [12, 5000] mV. Out: small pages uint8 [3, HEIGHT, WIDTH] (`models.gem.page_layout`), and where each
trace lies on them. A page is drawn by the renderer of the product, then taken apart into ink and grid, moved by a
little, and put together again in other colours with noise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.ecg import Ecg
from models.encoder.configuration import FS_HZ
from models.gem.page import REFERENCE_SIZE, TRACE, reference_layout, reference_page
from models.gem.page_layout import (
    ACROSS,
    COLUMNS,
    FIRST_COLUMN,
    HEIGHT,
    REACH,
    SMALL_PER_MV,
    SMALL_PER_S,
    WIDTH,
    ZERO_LINES,
    small_drawn,
)
from models.leads import STANDARD_12

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

AS_DRAWN = 0.35  # share of the pages that stay as the renderer drew them
MOVED = 0.6  # of the others: share that are shifted, scaled, turned
SHIFT_PX, SCALE, TURN = 3.0, 0.01, 0.004  # of the small image, at most; radians
KINDS = ("white", "grid", "grey", "noise", "turned")
"""Pages without an ECG."""


class DrawnPage(NamedTuple):
    """A page and its traces.

    Attributes
    ----------
    pixels : uint8 [3, HEIGHT, WIDTH]
    heights : float32 [12, COLUMNS]
        mV of each trace by its own row; NaN where a lead is not drawn.
    """

    pixels: Bytes
    heights: Floats


def drawn_page(rng: np.random.Generator, mv: Floats, *, plain: bool = False) -> DrawnPage:
    """Page of a window [12, 5000]; leads of zeros are not drawn.

    Parameters
    ----------
    plain : bool
        As the renderer draws it.
    """
    there = np.abs(mv).max(axis=1) > 0
    names = tuple(lead for lead, is_there in zip(STANDARD_12, there, strict=True) if is_there)
    page = small_drawn(reference_page(Ecg(names, FS_HZ, mv[there])))
    heights = np.where(there[:, None], column_heights(mv), np.nan).astype(np.float32)
    if plain or rng.random() < AS_DRAWN:
        return DrawnPage(page, heights)
    ink, grid = taken_apart(page)
    if rng.random() < MOVED:
        ink, grid, heights = moved(rng, ink, grid, heights)
    return DrawnPage(coloured(rng, ink, grid), heights)


def column_heights(mv: Floats) -> Floats:
    """Mean of each lead in each column of the small image, [12, COLUMNS] mV, as far as the tower searches."""
    width = round(FS_HZ / SMALL_PER_S)
    sums = np.cumsum(np.pad(mv, ((0, 0), (width // 2 + 1, width // 2)), mode="edge"), axis=1, dtype=np.float64)
    smooth = (sums[:, width:] - sums[:, :-width]) / width
    panel = reference_layout().panels[0]
    seconds = (FIRST_COLUMN + np.arange(COLUMNS) + 0.5 - panel.x / ACROSS) / SMALL_PER_S
    at = np.clip(seconds * FS_HZ, 0, mv.shape[1] - 1.0)
    heights = np.stack([np.interp(at, np.arange(mv.shape[1]), lead) for lead in smooth])
    reach = (REACH - 2) / SMALL_PER_MV
    out: Floats = np.clip(heights, -reach, reach).astype(np.float32)
    return out


def taken_apart(page: Bytes) -> tuple[Floats, Floats]:
    """Share of ink and strength of the grid in each pixel of a page in the renderer's colours, [HEIGHT, WIDTH]."""
    red, green = page[0].astype(np.float32), page[1].astype(np.float32)
    ink = np.clip((255.0 - red) / (255.0 - TRACE), 0.0, 1.0)
    grid = np.clip((255.0 - (green - TRACE * ink) / np.maximum(1.0 - ink, 0.05)) / 255.0, 0.0, 1.0)
    return ink, np.where(ink > 0.9, 0.0, grid).astype(np.float32)


def moved(rng: np.random.Generator, ink: Floats, grid: Floats, heights: Floats) -> tuple[Floats, Floats, Floats]:
    """Ink and grid shifted, scaled and turned by a little, and the heights in the new place."""
    dx, dy = rng.uniform(-SHIFT_PX, SHIFT_PX, 2)
    sx, sy = 1.0 + rng.uniform(-SCALE, SCALE, 2)
    turn = rng.uniform(-TURN, TURN)
    aspect = (SMALL_PER_S * 0.2) / (SMALL_PER_MV * 0.5)  # a millimetre across to a millimetre down
    cx, cy = WIDTH / 2, HEIGHT / 2
    # From the new place to the old one, about the middle of the page.
    a, b, d, e = 1 / sx, turn * aspect, -turn / aspect, 1 / sy
    matrix = (a, b, cx - a * (cx + dx) - b * (cy + dy), d, e, cy - d * (cx + dx) - e * (cy + dy))
    ink, grid = (
        np.asarray(
            Image.fromarray(x).transform((WIDTH, HEIGHT), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR),
            np.float32,
        )
        for x in (ink, grid)
    )
    column = FIRST_COLUMN + np.arange(COLUMNS) + 0.5
    for k, zero in enumerate(ZERO_LINES):
        old_row = zero - heights[k] * SMALL_PER_MV  # by the old columns
        new_x, new_y = _forward(matrix, column, old_row)
        known = np.isfinite(new_y)
        if known.any():
            row = np.interp(column, new_x[known], new_y[known])
            reach = (REACH - 2) / SMALL_PER_MV
            heights[k] = np.clip((zero - row) / SMALL_PER_MV, -reach, reach)
    return ink, grid, heights


def _forward(
    matrix: tuple[float, ...], x: NDArray[np.floating], y: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places after the transformation that ``matrix`` undoes."""
    a, b, c, d, e, f = matrix
    inverse = np.linalg.inv(np.array([[a, b], [d, e]]))
    new = inverse @ np.stack([x - c, y - f])
    return new[0], new[1]


def coloured(rng: np.random.Generator, ink: Floats, grid: Floats) -> Bytes:
    """A page in other colours: red, blue, green or grey grids, faint or strong, on paper with shades and noise."""
    paper = 255.0 - rng.uniform(0, 35) - rng.uniform(0, 20, 3)
    lines = paper * rng.uniform(0.0, 1.0, 3) ** 0.5 if rng.random() < 0.6 else np.full(3, rng.uniform(60, 230))
    trace = rng.uniform(0, 70) + rng.uniform(0, 25, 3)
    strength = rng.choice([0.0, 1.0]) if rng.random() < 0.3 else rng.uniform(0.1, 1.0)
    g, i = strength * grid, np.clip(ink * rng.uniform(0.8, 1.5), 0.0, 1.0)
    page = paper[:, None, None] * (1 - g) + lines[:, None, None] * g
    page = page * (1 - i) + trace[:, None, None] * i
    if rng.random() < 0.5:
        page = page * _shade(rng)
    if rng.random() < 0.6:
        page = page + rng.uniform(1, 14) * rng.standard_normal((1, HEIGHT, WIDTH), np.float32)
    if rng.random() < 0.2:  # a photocopy
        page = np.repeat(page.mean(axis=0, keepdims=True), 3, axis=0)
    out: Bytes = np.clip(page, 0, 255).astype(np.uint8)
    return out


def _shade(rng: np.random.Generator) -> Floats:
    """Light that falls from one side, [1, HEIGHT, WIDTH]."""
    across, down = rng.uniform(-0.12, 0.12, 2)
    x, y = np.linspace(-1, 1, WIDTH), np.linspace(-1, 1, HEIGHT)
    shade: Floats = (1.0 + across * x[None] + down * y[:, None] - abs(across) - abs(down)).astype(np.float32)
    return shade[None]


def page_without_ecg(rng: np.random.Generator, other: Bytes) -> DrawnPage:
    """A page that holds no ECG.

    Parameters
    ----------
    other : uint8 [3, HEIGHT, WIDTH]
        A page that is turned on its side for the kind ``turned``.
    """
    kind = KINDS[int(rng.integers(len(KINDS)))]
    nothing = np.zeros((HEIGHT, WIDTH), np.float32)
    if kind == "white":
        page = np.full((3, HEIGHT, WIDTH), 255, np.uint8)
    elif kind == "grid":
        empty = small_drawn(reference_page(Ecg(("I",), FS_HZ, np.full((1, 5000), np.nan, np.float32))))
        page = coloured(rng, nothing, taken_apart(empty)[1])
    elif kind == "grey":
        page = coloured(rng, nothing, nothing)
    elif kind == "noise":
        scale = int(rng.choice([1, 4, 16]))
        small = rng.integers(0, 256, (3, HEIGHT // scale + 1, WIDTH // scale + 1), np.uint8)
        page = small.repeat(scale, axis=1).repeat(scale, axis=2)[:, :HEIGHT, :WIDTH]
    else:
        page = np.asarray(
            Image.fromarray(other.transpose(1, 2, 0)).transpose(Image.Transpose.ROTATE_90).resize((WIDTH, HEIGHT))
        )
        page = np.ascontiguousarray(page.transpose(2, 0, 1))
    return DrawnPage(page, np.full((12, COLUMNS), np.nan, np.float32))


assert REFERENCE_SIZE == (WIDTH * ACROSS, HEIGHT * 4)

"""Scans of a drawn page: taken apart into ink and grid, moved by a little, put together in other colours with noise.

In: small pages uint8 [3, HEIGHT, WIDTH] in the renderer's colours (`models.gem.page_layout`). Out: such pages as a
scanner or a copier gives them. The training of the page tower and its evaluation use them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.gem.page import TRACE
from models.gem.page_layout import (
    COLUMNS,
    FIRST_COLUMN,
    HEIGHT,
    REACH,
    SMALL_PER_MV,
    SMALL_PER_S,
    WIDTH,
    ZERO_LINES,
)

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

SHIFT_PX, SCALE, TURN = 3.0, 0.01, 0.004  # of the small image, at most; radians


def scanned(rng: np.random.Generator, page: Bytes) -> Bytes:
    """A page as a scan."""
    ink, grid = taken_apart(page)
    ink, grid, _ = moved(rng, ink, grid, np.full((len(ZERO_LINES), COLUMNS), np.nan, np.float32))
    return coloured(rng, ink, grid)


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

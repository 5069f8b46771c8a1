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
from models.evaluation.scanned_pages import coloured, moved, taken_apart
from models.gem.page import REFERENCE_SIZE, reference_layout, reference_page
from models.gem.page_layout import (
    ACROSS,
    COLUMNS,
    FIRST_COLUMN,
    HEIGHT,
    REACH,
    SMALL_PER_MV,
    SMALL_PER_S,
    WIDTH,
    small_drawn,
)
from models.leads import STANDARD_12

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

AS_DRAWN = 0.35  # share of the pages that stay as the renderer drew them
MOVED = 0.6  # of the others: share that are shifted, scaled, turned
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

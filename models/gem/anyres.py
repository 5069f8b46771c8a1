"""Geometry of LLaVA-1.6's "any resolution" pages: which grid of crops, and which of their features show the page.

Sizes are (width, height) in pixels as Pillow gives them; grids of features are (rows, columns). Standard library alone.
"""

from __future__ import annotations

from collections.abc import Sequence

Size = tuple[int, int]
PINPOINTS: tuple[Size, ...] = ((336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008))
"""LLaVA-1.6's grids at 336 pixels a crop, used where a configuration lists none."""


def best_resolution(size: Size, pinpoints: Sequence[Size]) -> Size:
    """The grid that keeps most of the page's own pixels, and of those the one that wastes least.

    >>> best_resolution((2200, 1700), PINPOINTS)
    (672, 672)
    """
    w, h = size

    def worth(candidate: Size) -> tuple[int, int]:
        cw, ch = candidate
        scale = min(cw / w, ch / h)
        effective = min(int(w * scale) * int(h * scale), w * h)
        return effective, -(cw * ch - effective)

    return max((tuple_of(p) for p in pinpoints), key=worth)


def fitted(size: Size, canvas: Size) -> Size:
    """Largest size of the same aspect inside the canvas, rounded up along the free side."""
    (w, h), (cw, ch) = size, canvas
    if cw / w < ch / h:
        return cw, min(_ceil(h * (cw / w)), ch)
    return min(_ceil(w * (ch / h)), cw), ch


def crop_grid(size: Size, pinpoints: Sequence[Size], crop: int) -> Size:
    """(columns, rows) of crops of ``crop`` pixels.

    >>> crop_grid((1000, 100), PINPOINTS, 336)
    (3, 1)
    """
    w, h = best_resolution(size, pinpoints)
    return w // crop, h // crop


def unpadded(size: Size, rows: int, columns: int) -> tuple[slice, slice]:
    """The rows and columns of a feature grid that show the page and not its letterbox."""
    w, h = size
    if w / h > columns / rows:
        cut = (rows - int(h * (columns / w))) // 2
        return slice(cut, rows - cut), slice(0, columns)
    cut = (columns - int(w * (rows / h))) // 2
    return slice(0, rows), slice(cut, columns - cut)


def tuple_of(point: Sequence[int]) -> Size:
    """A (width, height) pair of any sequence type as a tuple of integers."""
    w, h = point
    return int(w), int(h)


def _ceil(x: float) -> int:
    return int(-(-x // 1))

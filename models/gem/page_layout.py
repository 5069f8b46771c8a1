"""Sizes of the page tower, the small image that it reads, and the places of the twelve rows in it. No torch.

The small image is the page of `models.gem.page.reference_page` reduced two times in width and four times in height:
10 ms and 0.05 mV a pixel. Photographs and scans of such a page are scaled to that size first; the tower was trained on
pages shifted, turned and scaled by a little, in other colours, and with noise.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.encoder.configuration import FS_HZ, LEADS, SAMPLES
from models.gem.page import PAGE_S, PX_PER_MV, PX_PER_S, REFERENCE_SIZE, as_image, reference_layout

Floats = NDArray[np.float32]

ACROSS, DOWN = 2, 4  # pixels of the page to a pixel of the small image
WIDTH, HEIGHT = REFERENCE_SIZE[0] // ACROSS, REFERENCE_SIZE[1] // DOWN
SMALL_PER_S, SMALL_PER_MV = PX_PER_S / ACROSS, PX_PER_MV / DOWN
STRIP = 28  # pixels of a row: the distance of two leads' zero lines
OVER, UNDER = 2, 2  # rows that are read above lead I and below lead V6
ROWS = OVER + LEADS + UNDER
REACH = 100  # pixels to each side of its zero line that a trace is searched in: 5 mV
STEP = 2  # columns of a token
FIRST_COLUMN, COLUMNS = 60, 984  # after the calibration pulse; to the end of ten seconds
TOKENS = COLUMNS // STEP
PATCH_COLUMNS = 4  # columns that a token's patch covers
DILATIONS = (1, 2, 4, 8, 1)  # tokens
INK = 4  # learnt colours
PAD_TOP, PAD_BOTTOM = 64, 64  # white pixels added to the small image, so that every row and reach lies inside
INK_FLOOR = 1e-3  # of a pixel without ink: keeps the logarithm finite
PRESENT = 0.5  # share of the columns in which a trace is seen, from which its lead counts as drawn

ZERO_LINES = tuple(round(panel.y / DOWN) for panel in reference_layout().panels)
"""Row of the small image in which each lead's zero line lies."""


@dataclass(frozen=True, slots=True)
class PageSizes:
    """Sizes of one page tower."""

    channels: int = 24
    colours: int = 8  # hidden units of a pixel

    def to_dict(self) -> dict[str, int]:
        """Sizes as a JSON object."""
        return asdict(self)


def small_page(image: Image.Image) -> NDArray[np.uint8]:
    """An image of a page, of any size, as the tower reads it: [3, HEIGHT, WIDTH]."""
    image = image if image.mode == "RGB" else image.convert("RGB")
    whole = image.size == REFERENCE_SIZE  # the quick way: the mean of whole pixels
    small = image.reduce((ACROSS, DOWN)) if whole else image.resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    return np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1))


def small_drawn(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A drawn page [1700, 2200, 3] as the tower reads it."""
    return small_page(as_image(pixels))


def strip_rows() -> NDArray[np.int64]:
    """Rows of the padded small image that belong to each strip, [ROWS, STRIP]."""
    first, last = ZERO_LINES[0], ZERO_LINES[-1]
    centres = [first - STRIP * k for k in range(OVER, 0, -1)] + list(ZERO_LINES)
    centres += [last + STRIP * k for k in range(1, UNDER + 1)]
    return np.array(centres)[:, None] + PAD_TOP + np.arange(-(STRIP // 2), STRIP // 2)


def reach_rows() -> NDArray[np.int64]:
    """Rows of the padded small image in which each lead's trace is searched, [LEADS, 2 REACH]."""
    return np.array(ZERO_LINES)[:, None] + PAD_TOP + np.arange(-REACH, REACH)


def reach_mv() -> Floats:
    """Voltage of each of these rows, [LEADS, 2 REACH] mV."""
    zero = np.array([panel.y / DOWN for panel in reference_layout().panels])
    centre = np.array(ZERO_LINES)[:, None] + np.arange(-REACH, REACH) + 0.5
    out: Floats = ((zero[:, None] - centre) / SMALL_PER_MV).astype(np.float32)
    return out


def row_of_zero() -> Floats:
    """Place of each lead's zero line among the rows in which its trace is searched, between rows too, [LEADS]."""
    zero = np.array([panel.y / DOWN for panel in reference_layout().panels])
    out: Floats = (zero - np.array(ZERO_LINES) + REACH - 0.5).astype(np.float32)
    return out


def sample_places() -> tuple[NDArray[np.int64], Floats]:
    """Column before each sample of 500 Hz, [SAMPLES], and the weight of the column after it."""
    panel = reference_layout().panels[0]
    place = np.arange(SAMPLES) / FS_HZ * SMALL_PER_S + panel.x / ACROSS - FIRST_COLUMN - 0.5
    place = np.clip(place, 0.0, COLUMNS - 1.001)
    before = place.astype(np.int64)
    return before, (place - before).astype(np.float32)


def resampled(leads: Floats, seen: Floats) -> Floats:
    """Heights [LEADS, COLUMNS] mV as a window [LEADS, SAMPLES]; zeros for leads that are not there.

    Parameters
    ----------
    leads : float32 [LEADS, COLUMNS]
    seen : float32 [LEADS]
        Share of the columns with a trace.
    """
    before, weight = sample_places()
    mv = leads[:, before] * (1.0 - weight) + leads[:, before + 1] * weight
    out: Floats = np.where((seen >= PRESENT)[:, None], mv, 0.0).astype(np.float32)
    return out


assert FIRST_COLUMN + COLUMNS <= WIDTH and abs(COLUMNS / SMALL_PER_S - PAGE_S) < 0.02

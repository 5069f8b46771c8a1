"""Draws the 12-lead page: the one that GEM was trained on, and the standard one for people.

In: leads in millivolts. Out: RGB pixels, uint8 [height, width, 3], or by ``as_image`` an image. Paper speed 25 mm/s,
gain 10 mm/mV, 200 dots an inch: 0.2 s and 0.5 mV are 5 mm, 39.37 pixels.

``reference_page``: 2200 × 1700 pixels, twelve rows of 10 s, calibration pulse and label at each (GEM's training pages;
the drawn trace lies within one pixel of the reference renderer's). ``people_page``: three rows of four leads and a
rhythm strip, or one row a lead where the twelve are not all there. Both take spans to mark, for citations.

A trace is drawn column by column: what a pen of the line's width covers in a column is one vertical run, because the
trace is a function of time. That makes a page an array operation of a few milliseconds, without a plotting library.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from models.ecg import Ecg
from models.leads import STANDARD_12, lead_order

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

DOTS_PER_INCH = 200
PX_PER_MM = DOTS_PER_INCH / 25.4
PX_PER_S = 25 * PX_PER_MM
PX_PER_MV = 10 * PX_PER_MM
BOX_PX = 5 * PX_PER_MM  # one large square
REFERENCE_SIZE = (2200, 1700)  # 11 × 8.5 inches
REFERENCE_PITCH_MV = 21.59 / 15  # page height in mV over twelve rows, a strip's row and two margins
FIRST_S, PULSE_S, PAGE_S = 0.4, 0.2, 10.0
PULSE_MV = 1.0
LINE_PX = 0.75 / 72 * DOTS_PER_INCH
GRID_PX = 0.5 / 72 * DOTS_PER_INCH
FONT_PX = round(11 / 72 * DOTS_PER_INCH)
MAJOR, MINOR = (255, 0, 0), (254, 223, 219)
TRACE = 26  # grey of the trace: the middle of the 0 … 0.2 that the reference draws at random
LANES = np.uint32(0x00FF00FF)  # two channels of a pixel's word, with room to multiply
TRACE_EVEN, TRACE_ODD = np.uint32(TRACE << 16 | TRACE), np.uint32(255 << 16 | TRACE)
MARK = (255, 214, 92)  # a cited span
ABSENT = (150, 150, 150)  # label of a lead that is not there


@dataclass(frozen=True, slots=True)
class Mark:
    """A span of one lead to draw in colour.

    Attributes
    ----------
    lead : str
    start_s, end_s : float
        From the first sample of the drawn signal.
    text : str
        Drawn above it, a citation's number.
    """

    lead: str
    start_s: float
    end_s: float
    text: str = ""


class Panel(NamedTuple):
    """Where a stretch of one lead is drawn: seconds of signal, x of its first sample, y of 0 mV."""

    lead: str
    start_s: float
    stop_s: float
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Layout:
    """A page: its size, its panels, and how far below 0 mV a lead's name stands."""

    size: tuple[int, int]
    panels: tuple[Panel, ...]
    label_drop: float

    def lead_panels(self, lead: str) -> list[Panel]:
        """Panels of one lead."""
        return [p for p in self.panels if p.lead == lead]


def reference_layout() -> Layout:
    """Twelve rows of 10 s under each other, I on top."""
    height = REFERENCE_SIZE[1]
    x = (FIRST_S + PULSE_S) * PX_PER_S
    panels = tuple(
        Panel(lead, 0.0, PAGE_S, x, height - (len(STANDARD_12) - k + 0.5) * REFERENCE_PITCH_MV * PX_PER_MV)
        for k, lead in enumerate(STANDARD_12)
    )
    return Layout(REFERENCE_SIZE, panels, REFERENCE_PITCH_MV / 2 * PX_PER_MV)


def people_layout(leads: Sequence[str], marks: Sequence[Mark] = ()) -> Layout:
    """Three rows of four leads for 2.5 s each and lead II below; one row a lead where the twelve are not all there.

    A lead with a mark outside the displayed 2.5 s gets a row of 10 s of its own.
    """
    x = (FIRST_S + PULSE_S) * PX_PER_S
    pitch = 2.5 * PX_PER_MV
    if set(STANDARD_12) <= set(leads):
        quarter = PAGE_S / 4
        panels = [
            Panel(
                lead,
                quarter * (k // 3),
                quarter * (k // 3 + 1),
                x + quarter * (k // 3) * PX_PER_S,
                pitch * (k % 3 + 0.8),
            )
            for k, lead in enumerate(STANDARD_12)
        ]
        hidden = [
            m.lead
            for m in marks
            if not any(p.lead == m.lead and p.start_s <= m.start_s and m.end_s <= p.stop_s for p in panels)
        ]
        long = ["II", *(lead for lead in lead_order(list(dict.fromkeys(hidden))) if lead != "II" and lead in leads)]
        panels += [Panel(lead, 0.0, PAGE_S, x, pitch * (3 + k + 0.8)) for k, lead in enumerate(long)]
        rows = 3 + len(long)
    else:
        panels = [Panel(lead, 0.0, PAGE_S, x, pitch * (k + 0.8)) for k, lead in enumerate(leads)]
        rows = max(1, len(leads))
    return Layout((REFERENCE_SIZE[0], round(pitch * (rows + 0.5))), tuple(panels), -1.15 * PX_PER_MV)


def reference_page(ecg: Ecg, marks: Sequence[Mark] = ()) -> Pixels:
    """The page that GEM reads: first 10 s of the twelve leads, by name; what is not there is left empty."""
    return draw(ecg, reference_layout(), marks)


def people_page(ecg: Ecg, marks: Sequence[Mark] = ()) -> Pixels:
    """The page that people read, with rhythm leads under their own names."""
    return draw(ecg, people_layout(lead_order(ecg.leads), marks), marks)


def draw(ecg: Ecg, layout: Layout, marks: Sequence[Mark] = ()) -> Pixels:
    """One page of an ECG.

    Parameters
    ----------
    ecg : Ecg
        Drawn from its first sample; gaps (NaN) are left empty.
    layout : Layout
    marks : sequence of Mark
        Spans to colour, under the trace.
    """
    page = _paper(layout, tuple(p.lead in ecg.leads for p in layout.panels)).copy()
    for mark in marks:
        _draw_mark(page, layout, mark)
    for panel in layout.panels:
        if panel.lead in ecg.leads:
            trace = trace_runs(ecg.lead(panel.lead), ecg.fs_hz, panel)
            if trace is not None:
                _ink(page, *trace)
    return page[..., :3]


def as_image(page: Pixels) -> Image.Image:
    """A drawn page as an image; from the words that it was drawn in, which spares a slow copy."""
    whole = page.base
    if isinstance(whole, np.ndarray) and whole.shape == (*page.shape[:2], 4) and whole.flags.c_contiguous:
        return Image.frombytes("RGB", (page.shape[1], page.shape[0]), whole.data, "raw", "RGBX")
    return Image.fromarray(page)


def trace_runs(mv: NDArray[np.float32], fs_hz: float, panel: Panel) -> tuple[int, Floats, Floats] | None:
    """What the pen covers: first column, and the upper and lower edge (pixels from the top) in each column.

    NaN edges where there is nothing to draw; None when the panel's time holds fewer than two samples.
    """
    start = round(panel.start_s * fs_hz)
    part = mv[start : min(len(mv), round(panel.stop_s * fs_hz))]
    if len(part) < 2:
        return None
    pen = _pen(len(part), fs_hz, panel.x % 1.0)
    y = panel.y - PX_PER_MV * part.astype(np.float64)
    left, right = (y[i] * (1 - w) + y[np.minimum(i + 1, len(y) - 1)] * w for i, w in (pen.left, pen.right))
    reach = y[pen.samples]  # [samples under the pen, columns]
    with np.errstate(invalid="ignore"):
        top = np.fmin(np.fmin(left, right), np.fmin.reduce(reach - pen.bulge))
        bottom = np.fmax(np.fmax(left, right), np.fmax.reduce(reach + pen.bulge))
    return math.floor(panel.x) + pen.first, top, bottom


class _Pen(NamedTuple):
    """Geometry of a round pen over equally spaced samples, the same for every lead of a page.

    ``samples`` [k, columns]: those within the pen's radius of a column's centre; ``bulge`` [k, columns]: how far the
    pen reaches above and below each (-inf outside); ``left``, ``right``: index and weight of the trace at the radius.
    """

    first: int
    samples: NDArray[np.int64]
    bulge: Floats
    left: tuple[NDArray[np.int64], Floats]
    right: tuple[NDArray[np.int64], Floats]


@lru_cache(maxsize=64)
def _pen(n: int, fs_hz: float, fraction: float) -> _Pen:
    radius, step = LINE_PX / 2, PX_PER_S / fs_hz
    first = math.floor(fraction - radius)
    columns = np.arange(first, math.floor(fraction + (n - 1) * step + radius) + 1)
    centre = (columns + 0.5 - fraction) / step  # in samples
    reach = radius / step
    low = np.ceil(centre - reach).astype(np.int64)
    at = low + np.arange(math.ceil(2 * reach) + 1)[:, None]
    away = (at - centre) * step
    inside = (np.abs(away) <= radius) & (at >= 0) & (at < n)
    bulge = np.where(inside, np.sqrt(np.maximum(radius**2 - away**2, 0.0)), -np.inf)

    def edge(position: NDArray[Any]) -> tuple[NDArray[np.int64], Floats]:
        position = np.clip(position, 0, n - 1).astype(np.float64)
        index = position.astype(np.int64)
        return index, position - index

    return _Pen(first, np.clip(at, 0, n - 1), bulge, edge(centre - reach), edge(centre + reach))


def _ink(page: Pixels, first: int, top: Floats, bottom: Floats) -> None:
    """Blends vertical runs into a page [height, width, 4]; a pixel that a run covers in part gets its share.

    A pixel is handled as one 32-bit word, two channels to a multiplication: the page is a scatter of some 160,000
    pixels, and their number is what it costs.
    """
    height, width = page.shape[:2]
    columns = first + np.arange(len(top))
    keep = np.isfinite(top) & np.isfinite(bottom) & (columns >= 0) & (columns < width) & (bottom > 0) & (top < height)
    columns, top, bottom = columns[keep], np.maximum(top[keep], 0.0), np.minimum(bottom[keep], height - 1e-6)
    if not len(columns):
        return
    low, last = top.astype(np.int64), bottom.astype(np.int64)
    count = last - low + 1
    ends = np.cumsum(count)
    starts = ends - count
    at = np.arange(int(ends[-1])) * width + np.repeat((low - starts) * width + columns, count)
    cover = np.full(len(at), 256, np.int64)  # of 256: whole but for the ends of each run
    cover[starts] -= ((top - low) * 256).astype(np.int64)
    cover[ends - 1] -= ((last + 1 - bottom) * 256).astype(np.int64)
    ink, bare = cover.astype(np.uint32), (256 - cover).astype(np.uint32)
    words = page.reshape(-1, 4).view(np.uint32)[:, 0]
    under = words[at]
    even, odd = under & LANES, (under >> 8) & LANES
    words[at] = (((even * bare + TRACE_EVEN * ink) >> 8) & LANES) | ((odd * bare + TRACE_ODD * ink) & ~LANES)


@lru_cache(maxsize=8)
def _paper(layout: Layout, present: tuple[bool, ...]) -> Pixels:
    """What is the same on every page of a layout: grid, frame, pulses and names."""
    width, height = layout.size
    page = np.full((height, width, 3), 255, np.float32)
    vertical, horizontal = page, page.transpose(1, 0, 2)
    for lines, length, origin in ((vertical, width, 0.0), (horizontal, height, float(height))):
        for step, colour in ((BOX_PX / 5, MINOR), (BOX_PX, MAJOR)):
            for k in range(1, math.ceil(length / step)):
                if colour is MAJOR or k % 5:
                    _grid_line(lines, math.floor(abs(origin - k * step) + 0.5), colour)
    for k in (0, -1):
        page[k], page[:, k] = 0, 0
    out = np.full((height, width, 4), 255, np.uint8)
    out[..., :3] = page.round()
    _draw_pulses(out, layout)
    _draw_names(out, layout, present)
    return out


def _grid_line(lines: NDArray[np.float32], at: int, colour: tuple[int, int, int]) -> None:
    side = (GRID_PX - 1) / 2
    for k, alpha in ((at - 1, side), (at, 1.0), (at + 1, side)):
        if 0 <= k < lines.shape[1]:
            lines[:, k] += (np.array(colour, np.float32) - lines[:, k]) * alpha


def _draw_pulses(page: Pixels, layout: Layout) -> None:
    """A calibration pulse of 1 mV and 0.2 s in front of each row."""
    first, last = FIRST_S * PX_PER_S, (FIRST_S + PULSE_S) * PX_PER_S
    half = LINE_PX / 2
    for y in sorted({p.y for p in layout.panels}):
        up = y - PULSE_MV * PX_PER_MV
        columns = np.arange(math.floor(first - half), math.ceil(last + half))
        upright = (np.abs(columns + 0.5 - first) <= half) | (np.abs(columns + 0.5 - last) <= half)
        _ink(page, int(columns[0]), np.full(len(columns), up - half), np.where(upright, y + half, up + half))


def _draw_names(page: Pixels, layout: Layout, present: tuple[bool, ...]) -> None:
    image = Image.fromarray(page[..., :3])
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(FONT_PX)
    for panel, there in zip(layout.panels, present, strict=True):
        text, colour = (panel.lead, (0, 0, 0)) if there else (f"{panel.lead} not recorded", ABSENT)
        pen.text((panel.x + 2, panel.y + layout.label_drop), text, colour, font, anchor="ls")
    foot = page.shape[0] - 0.3 * PX_PER_MV
    pen.text((2 * PX_PER_S, foot), "25mm/s", (0, 0, 0), font, anchor="ls")
    pen.text((4 * PX_PER_S, foot), "10mm/mV", (0, 0, 0), font, anchor="ls")
    page[..., :3] = np.asarray(image)


def _draw_mark(page: Pixels, layout: Layout, mark: Mark) -> None:
    """Tints the paper behind a span, half a millivolt above and below the trace's zero line, and numbers it."""
    for panel in layout.lead_panels(mark.lead):
        start, end = max(mark.start_s, panel.start_s), min(mark.end_s, panel.stop_s)
        if end <= start:
            continue
        x0, x1 = (round(panel.x + (t - panel.start_s) * PX_PER_S) for t in (start, end))
        y0, y1 = max(0, round(panel.y - PX_PER_MV)), min(page.shape[0], round(panel.y + 0.5 * PX_PER_MV))
        region = page[y0:y1, x0 : max(x1, x0 + 2), :3]
        region[:] = np.minimum(region, np.array(MARK, np.uint8))
        if mark.text:
            image = Image.fromarray(page[y0 : y0 + FONT_PX, x0 : x0 + 6 * FONT_PX, :3])
            ImageDraw.Draw(image).text((3, 0), mark.text, (140, 70, 0), ImageFont.load_default(round(FONT_PX * 0.8)))
            page[y0 : y0 + FONT_PX, x0 : x0 + 6 * FONT_PX, :3] = np.asarray(image)

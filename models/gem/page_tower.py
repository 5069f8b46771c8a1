"""The page tower of the compact GEM in torch: a small vision network that reads the drawn page.

In: small pages float [batch, 3, HEIGHT, WIDTH], 0 to 1 (`models.gem.page_layout.small_page`). Out: the heights of the
twelve traces and whether they are there (`PageReading`); from these a window, and the outputs of a measuring tower of
its own.

Method: the page is cut into patches of one row and 40 ms. Convolutions over rows and time make a token of each, from
its own patch and those around. Each token then says, for each of its two columns, where in 5 mV above and below the
zero line the ink of its lead lies: the height is the mean over the inked pixels, weighted by that attention. All of it
is trained: no colour, level or threshold is set by hand.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.encoder.configuration import LEADS
from models.gem.measuring_layout import MeasuringSizes
from models.gem.measuring_tower import MeasuringOutput, MeasuringTower
from models.gem.page_layout import (
    DILATIONS,
    FIRST_COLUMN,
    INK,
    INK_FLOOR,
    OVER,
    PAD_BOTTOM,
    PAD_TOP,
    PATCH_COLUMNS,
    PRESENT,
    REACH,
    STEP,
    STRIP,
    TOKENS,
    PageSizes,
    reach_mv,
    reach_rows,
    sample_places,
    strip_rows,
)

WHOLE = slice(0, TOKENS)
DARK = 12.0  # first guess: logits of ink from white to black; paper has few, a trace many


class PageReading(NamedTuple):
    """What was read of pages.

    Attributes
    ----------
    leads : float [batch, LEADS, COLUMNS]
        Height of each trace, mV.
    seen : float [batch, LEADS, TOKENS]
        Logit: the trace is there.
    where : float [batch, LEADS, 2 REACH, COLUMNS]
        Logarithm of the attention over the searched rows.
    """

    leads: Tensor
    seen: Tensor
    where: Tensor


class PageReader(nn.Module):
    """Pixels to traces.

    Examples
    --------
    >>> from models.gem.page_layout import COLUMNS, HEIGHT, WIDTH
    >>> reading = PageReader(PageSizes())(torch.ones(1, 3, HEIGHT, WIDTH))
    >>> reading.leads.shape == (1, LEADS, COLUMNS), reading.seen.shape == (1, LEADS, TOKENS)
    (True, True)
    """

    def __init__(self, sizes: PageSizes) -> None:
        super().__init__()
        c = sizes.channels
        self.colour_in = nn.Conv2d(3, sizes.colours, 1)
        self.colour_out = nn.Conv2d(sizes.colours, INK, 1)
        self.patch = nn.Conv2d(INK, c, (STRIP, PATCH_COLUMNS), stride=(STRIP, STEP))
        self.inner = nn.ModuleList(nn.Conv2d(c, c, 3, padding=(1, d), dilation=(1, d)) for d in DILATIONS)
        self.outer = nn.ModuleList(nn.Conv2d(c, c, 1) for _ in DILATIONS)
        self.where = nn.Conv2d(c, STEP * 2 * REACH, 1)
        self.seen = nn.Conv2d(c, 1, 1)
        with torch.no_grad():  # the first guess: ink is dark, and a trace is near its zero line
            assert self.colour_in.bias is not None and self.colour_out.bias is not None
            self.colour_in.weight[0], self.colour_in.bias[0] = DARK / 3.0, 0.0
            self.colour_out.weight[0], self.colour_out.bias[0] = 0.0, -DARK / 4.0
            self.colour_out.weight[0, 0] = 1.0
            assert self.where.bias is not None
            self.where.weight.mul_(0.1)
            self.where.bias.copy_(-((reach_mv_rows() / 1.5) ** 2).repeat(STEP))

    def forward(self, pages: Tensor, tokens: slice = WHOLE) -> PageReading:
        """Small pages [batch, 3, HEIGHT, WIDTH], 0 to 1; in training perhaps a part of their tokens alone."""
        B, edge = pages.shape[0], (PATCH_COLUMNS - STEP) // 2
        first, T = FIRST_COLUMN - edge + STEP * tokens.start, tokens.stop - tokens.start
        x = pages[..., first : first + STEP * T + 2 * edge]
        x = functional.pad(1.0 - x, (0, 0, PAD_TOP, PAD_BOTTOM))  # white is zero
        colour = self.colour_out(functional.gelu(self.colour_in(x)))
        rows = torch.from_numpy(strip_rows()).to(x.device).flatten()
        h = functional.gelu(self.patch(functional.gelu(colour[:, :, rows])))  # [B, C, ROWS, T]
        for inner, outer in zip(self.inner, self.outer, strict=True):
            h = h + outer(functional.gelu(inner(h)))
        h = h[:, :, OVER : OVER + LEADS]
        reach = torch.from_numpy(reach_rows()).to(x.device).flatten()
        ink = functional.softplus(colour[:, 0, :, edge : edge + STEP * T])[:, reach]
        where = self.where(h).view(B, STEP, 2 * REACH, LEADS, T).permute(0, 3, 2, 4, 1)
        shape = (B, LEADS, 2 * REACH, STEP * T)
        logits = where.reshape(shape).float() + (ink.view(shape).float() + INK_FLOOR).log()
        attention = logits.log_softmax(dim=2)
        mv = torch.from_numpy(reach_mv()).to(x.device)
        leads = (attention.exp() * mv[None, :, :, None]).sum(dim=2)
        return PageReading(leads, self.seen(h)[:, 0].float(), attention)


class PageTower(nn.Module):
    """Reader, and the measuring tower that was trained on what it reads.

    Parameters
    ----------
    sizes : PageSizes
    measuring : MeasuringSizes
    """

    def __init__(self, sizes: PageSizes, measuring: MeasuringSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.reader = PageReader(sizes)
        self.measuring = MeasuringTower(measuring)

    def forward(self, pages: Tensor) -> tuple[PageReading, MeasuringOutput]:
        """Small pages [batch, 3, HEIGHT, WIDTH], 0 to 1."""
        reading = self.reader(pages)
        window = window_of(reading)
        if window.requires_grad:  # the root of a lead of zeros has no slope
            window.register_hook(torch.nan_to_num)  # type: ignore[no-untyped-call]
        output: MeasuringOutput = self.measuring(window)
        return reading, output


def window_of(reading: PageReading) -> Tensor:
    """Window [batch, LEADS, SAMPLES] mV at 500 Hz; zeros for leads that are not there."""
    before, weight = sample_places()
    at = torch.from_numpy(before).to(reading.leads.device)
    share = torch.from_numpy(weight).to(reading.leads)
    mv = reading.leads[..., at] * (1.0 - share) + reading.leads[..., at + 1] * share
    there = reading.seen.sigmoid().mean(dim=-1, keepdim=True) >= PRESENT
    return mv * there


def reach_mv_rows() -> Tensor:
    """Voltage of the searched rows about a zero line, [2 REACH] mV, the same for every lead within half a pixel."""
    return torch.from_numpy(reach_mv().mean(axis=0))

"""Delineation network: a small U-Net with the same convolutions for every lead and feature exchange between leads.

In: float32 [records, leads, samples] at 250 Hz. Out: wave and beat logits (`DelineationModel`). At every scale the mean
and the maximum over the leads are fed back to each lead, so any number of leads in any order will do, a lead may be
missing, and a wave that one lead lost is found with the help of the others. A branch at 16 Hz has a receptive field of
2 s to either side: the shape of the other beats.

Inside, activations are images [records, channels, leads, time], convolved along time alone: ONNX Runtime runs these
in blocks of channels, twice as fast as one-dimensional convolutions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTHS = (16, 24, 32, 48)  # channels at 125, 62.5, 31.25 and 15.6 Hz


def along_time(cin: int, cout: int, kernel: int, stride: int = 1, dilation: int = 1, bias: bool = False) -> nn.Conv2d:
    """A convolution of each lead by itself; a sample stays where it is, but for the stride."""
    return nn.Conv2d(cin, cout, (1, kernel), (1, stride), (0, kernel // 2 * dilation), (1, dilation), bias=bias)


class Residual(nn.Module):
    """Two convolutions of three taps around a shortcut; [N, C, L, T] to the same."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            along_time(channels, channels, 3, dilation=dilation),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            along_time(channels, channels, 3, dilation=dilation),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, L, T] → [N, C, L, T]."""
        return torch.relu(x + self.body(x))


def _step(cin: int, cout: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(along_time(cin, cout, kernel, stride), nn.BatchNorm2d(cout), nn.ReLU())


def pool_leads(x: Tensor) -> Tensor:
    """[N, C, L, T] to mean and maximum over the leads, [N, 2 C, 1, T]."""
    return torch.cat([x.mean(dim=2, keepdim=True), x.amax(dim=2, keepdim=True)], dim=1)


class LeadExchange(nn.Module):
    """Add a projection of the mean and maximum over the leads; [N, C, L, T] to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = along_time(2 * channels, channels, 1, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, L, T] → [N, C, L, T]."""
        common: Tensor = self.mix(pool_leads(x))
        return x + common


class DelineationModel(nn.Module):
    """Input [records, leads, samples] at 250 Hz; samples divide by 16.

    Output: wave logits [records, leads, 4, samples / 2] and beat logits (beat, ventricular) [records, 2, samples / 2].
    """

    def __init__(self) -> None:
        super().__init__()
        w0, w1, w2, w3 = WIDTHS
        self.stem = nn.Sequential(_step(1, w0, 9, 2), Residual(w0))
        self.down1 = nn.Sequential(_step(w0, w1, 5, 2), Residual(w1))
        self.down2 = nn.Sequential(_step(w1, w2, 5, 2), Residual(w2))
        self.down3 = nn.Sequential(_step(w2, w3, 5, 2), Residual(w3), Residual(w3, 2))
        self.exchange = nn.ModuleList([LeadExchange(w) for w in WIDTHS])
        self.rhythm = nn.Sequential(_step(2 * w3, w3, 1), *[Residual(w3, d) for d in (1, 2, 4, 8)])
        self.up = nn.ModuleList([along_time(a, b, 1, bias=True) for a, b in ((w3, w2), (w2, w1), (w1, w0))])
        self.after = nn.ModuleList([Residual(w2), Residual(w1), Residual(w0)])
        self.exchange_up = nn.ModuleList([LeadExchange(w2), LeadExchange(w1), LeadExchange(w0)])
        self.waves = along_time(w0, 4, 1, bias=True)
        self.beats = nn.Sequential(_step(2 * w0, w0, 5), along_time(w0, 2, 1, bias=True))

    def logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Wave logits [records, 4, leads, cells] and beat logits [records, 2, 1, cells]."""
        h = x.unsqueeze(1)
        skips = []
        for down, exchange in zip((self.stem, self.down1, self.down2, self.down3), self.exchange, strict=True):
            h = exchange(down(h))
            skips.append(h)
        h = h + self.rhythm(pool_leads(h))
        for up, after, exchange, skip in zip(self.up, self.after, self.exchange_up, skips[2::-1], strict=True):
            h = nn.functional.interpolate(up(h), scale_factor=(1.0, 2.0), mode="bilinear", align_corners=False)
            h = exchange(after(h + skip))
        return self.waves(h), self.beats(pool_leads(h))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Input x [records, leads, samples] → logits as of the class."""
        waves, beats = self.logits(x)
        return waves.transpose(1, 2), beats[:, :, 0]


class DelineationExport(nn.Module):
    """The exported network: probabilities instead of logits."""

    def __init__(self, net: DelineationModel) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Input x [records, leads, samples] → probabilities in the shapes of the logits."""
        waves, beats = self.net.logits(x)
        odds = torch.exp(
            waves - waves.amax(dim=1, keepdim=True)
        )  # ONNX Runtime's own softmax transposes the array twice
        return (odds / odds.sum(dim=1, keepdim=True)).transpose(1, 2), torch.sigmoid(beats[:, :, 0])

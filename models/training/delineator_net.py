"""The delineation network: a small U-Net that sees every lead alike and lets the leads speak with each other.

Each lead passes through the same convolutions; at every depth the mean and the maximum over the leads go back to each
lead. So any number of leads in any order will do, a lead may be missing, and a wave that is lost in one lead is found
with the help of the others. A rhythm branch at 16 Hz sees 2 s to either side: what the other beats look like.

Inside, everything is an image [records, channels, leads, time], convolved along time alone: ONNX Runtime runs such
convolutions in blocks of channels, twice as fast as the same ones of one dimension.
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
        return torch.relu(x + self.body(x))


def _step(cin: int, cout: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(along_time(cin, cout, kernel, stride), nn.BatchNorm2d(cout), nn.ReLU())


def pool_leads(x: Tensor) -> Tensor:
    """[N, C, L, T] to mean and maximum over the leads, [N, 2 C, 1, T]."""
    return torch.cat([x.mean(dim=2, keepdim=True), x.amax(dim=2, keepdim=True)], dim=1)


class Consult(nn.Module):
    """Adds what the other leads show; [N, C, L, T] to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = along_time(2 * channels, channels, 1, bias=True)

    def forward(self, x: Tensor) -> Tensor:
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
        self.consult = nn.ModuleList([Consult(w) for w in WIDTHS])
        self.rhythm = nn.Sequential(_step(2 * w3, w3, 1), *[Residual(w3, d) for d in (1, 2, 4, 8)])
        self.up = nn.ModuleList([along_time(a, b, 1, bias=True) for a, b in ((w3, w2), (w2, w1), (w1, w0))])
        self.after = nn.ModuleList([Residual(w2), Residual(w1), Residual(w0)])
        self.consult_up = nn.ModuleList([Consult(w2), Consult(w1), Consult(w0)])
        self.waves = along_time(w0, 4, 1, bias=True)
        self.beats = nn.Sequential(_step(2 * w0, w0, 5), along_time(w0, 2, 1, bias=True))

    def logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Wave logits [records, 4, leads, cells] and beat logits [records, 2, 1, cells]."""
        h = x.unsqueeze(1)
        skips = []
        for down, consult in zip((self.stem, self.down1, self.down2, self.down3), self.consult, strict=True):
            h = consult(down(h))
            skips.append(h)
        h = h + self.rhythm(pool_leads(h))
        for up, after, consult, skip in zip(self.up, self.after, self.consult_up, skips[2::-1], strict=True):
            h = nn.functional.interpolate(up(h), scale_factor=(1.0, 2.0), mode="bilinear", align_corners=False)
            h = consult(after(h + skip))
        return self.waves(h), self.beats(pool_leads(h))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        waves, beats = self.logits(x)
        return waves.transpose(1, 2), beats[:, :, 0]


class Exported(nn.Module):
    """The network as it is shipped: probabilities instead of logits."""

    def __init__(self, net: DelineationModel) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        waves, beats = self.net.logits(x)
        odds = torch.exp(waves - waves.amax(dim=1, keepdim=True))  # ONNX Runtime's own softmax turns the array twice
        return (odds / odds.sum(dim=1, keepdim=True)).transpose(1, 2), torch.sigmoid(beats[:, :, 0])

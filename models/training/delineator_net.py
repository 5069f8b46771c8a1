"""The caliper network: a small U-Net that sees every lead alike and lets the leads speak with each other.

Each lead passes through the same convolutions; at every depth the mean and the maximum over the leads go back to each
lead. So any number of leads in any order will do, a lead may be missing, and a wave that is lost in one lead is found
with the help of the others. A rhythm branch at 16 Hz sees 2 s to either side: what the other beats look like.
"""
from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTHS = (16, 24, 32, 48)  # channels at 125, 62.5, 31.25 and 15.6 Hz


class Residual(nn.Module):
    """Two convolutions of three taps around a shortcut; [N, C, T] to the same."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False), nn.BatchNorm1d(channels),
            nn.ReLU(), nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm1d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.body(x))


def _step(cin: int, cout: int, kernel: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv1d(cin, cout, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm1d(cout), nn.ReLU())


def pool_leads(x: Tensor, leads: int) -> Tensor:
    """[records * leads, C, T] to mean and maximum over the leads, [records, 2 C, T]."""
    by_record = x.reshape(-1, leads, x.shape[1], x.shape[2])
    return torch.cat([by_record.mean(dim=1), by_record.amax(dim=1)], dim=1)


class Consult(nn.Module):
    """Adds what the other leads show; [records * leads, C, T] to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv1d(2 * channels, channels, 1)

    def forward(self, x: Tensor, leads: int) -> Tensor:
        common: Tensor = self.mix(pool_leads(x, leads))
        return (x.reshape(-1, leads, x.shape[1], x.shape[2]) + common.unsqueeze(1)).reshape(x.shape)


class CaliperNet(nn.Module):
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
        self.up = nn.ModuleList([nn.Conv1d(w3, w2, 1), nn.Conv1d(w2, w1, 1), nn.Conv1d(w1, w0, 1)])
        self.after = nn.ModuleList([Residual(w2), Residual(w1), Residual(w0)])
        self.consult_up = nn.ModuleList([Consult(w2), Consult(w1), Consult(w0)])
        self.waves = nn.Conv1d(w0, 4, 1)
        self.beats = nn.Sequential(_step(2 * w0, w0, 5), nn.Conv1d(w0, 2, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        records, leads, n = x.shape
        h = x.reshape(records * leads, 1, n)
        skips = []
        for down, consult in zip((self.stem, self.down1, self.down2, self.down3), self.consult, strict=True):
            h = consult(down(h), leads)
            skips.append(h)
        rhythm = self.rhythm(pool_leads(h, leads))
        h = (h.reshape(records, leads, h.shape[1], h.shape[2]) + rhythm.unsqueeze(1)).reshape(h.shape)
        for up, after, consult, skip in zip(self.up, self.after, self.consult_up, skips[2::-1], strict=True):
            h = nn.functional.interpolate(up(h), scale_factor=2.0, mode="linear", align_corners=False)
            h = consult(after(h + skip), leads)
        waves = self.waves(h).reshape(records, leads, 4, n // 2)
        return waves, self.beats(pool_leads(h, leads))


class Exported(nn.Module):
    """The network as it is shipped: probabilities instead of logits."""

    def __init__(self, net: CaliperNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        waves, beats = self.net(x)
        return torch.softmax(waves, dim=2), torch.sigmoid(beats)

"""The measuring tower of the compact GEM in torch: rate, intervals, rhythm and findings of ten seconds of twelve leads.

In: ECG windows float [batch, 12, 5000] mV at 500 Hz; absent leads are zeros. Out: logits [batch, `OUTPUTS`], which
`models.gem.estimates` turns into estimates and their tokens.

Method: a dilated convolutional network gives, for each `FRAME_S`, the probability of P, QRS, T and of a beat. The beat
probability is then correlated with itself (RR), and with waves, features and leads (the average beat). Two small
perceptrons read the estimates from these correlations. All leads are divided by their root mean square
(`models.encoder.tower.LeadNorm`): the tower has no information on voltage.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.encoder.configuration import LEADS, SAMPLES
from models.encoder.tower import LeadNorm
from models.gem.measuring_layout import (
    AFTER,
    ATTRIBUTE_OUTPUTS,
    BEAT_PEAK,
    BEFORE,
    DILATIONS,
    FLOOR,
    FRAME_S,
    FRAMES,
    LAG_FIRST,
    LAG_LAST,
    MARKS,
    MORPHOLOGY,
    MORPHOLOGY_STEP,
    PATCH,
    PRESENT,
    RATE_BEATS,
    STEM_KERNEL,
    VALUE_OUTPUTS,
    MeasuringSizes,
    feature_count,
)

_FFT = 1024  # frames with room for the largest lag


class MeasuringOutput(NamedTuple):
    """Output of the tower.

    Attributes
    ----------
    logits : float [batch, OUTPUTS]
    marks : float [batch, MARKS, FRAMES]
        Logits of P, QRS, T and beat in each frame.
    """

    logits: Tensor
    marks: Tensor


class MeasuringTower(nn.Module):
    """The tower.

    Examples
    --------
    >>> from models.gem.measuring_layout import OUTPUTS
    >>> MeasuringTower(MeasuringSizes())(torch.zeros(2, 12, 5000)).logits.shape[1] == OUTPUTS
    True
    """

    def __init__(self, sizes: MeasuringSizes) -> None:
        super().__init__()
        self.sizes = sizes
        c = sizes.channels
        self.lead_norm = LeadNorm(SAMPLES)
        self.stem = nn.Conv1d(LEADS, c, STEM_KERNEL, stride=PATCH, padding=(STEM_KERNEL - PATCH) // 2)
        self.inner = nn.ModuleList(nn.Conv1d(c, c, 3, padding=d, dilation=d) for d in DILATIONS)
        self.outer = nn.ModuleList(nn.Conv1d(c, c, 1) for _ in DILATIONS)
        self.marks = nn.Conv1d(c, MARKS, 1)
        self.shape = nn.Conv1d(c, MORPHOLOGY, 1)
        self.values_in = nn.Linear(feature_count(sizes)[0], sizes.hidden)
        self.values_out = nn.Linear(sizes.hidden, VALUE_OUTPUTS)
        self.attributes_in = nn.Linear(sum(feature_count(sizes)), sizes.hidden)
        self.attributes_out = nn.Linear(sizes.hidden, ATTRIBUTE_OUTPUTS)
        self.drop = nn.Dropout(sizes.dropout)
        for layer in self.outer:
            assert isinstance(layer, nn.Conv1d)
            nn.init.normal_(layer.weight, std=(c * len(DILATIONS)) ** -0.5)

    def forward(self, ecg: Tensor) -> MeasuringOutput:
        """ECG [batch, 12, 5000] mV."""
        x, dtype = self.lead_norm(torch.nan_to_num(ecg.float())), self.stem.weight.dtype
        h = functional.gelu(self.stem(x.to(dtype)))  # [B, C, FRAMES]
        for inner, outer in zip(self.inner, self.outer, strict=True):
            h = h + outer(functional.gelu(inner(h)))
        marks, shape = self.marks(h), self.shape(h)
        with torch.autocast(ecg.device.type, enabled=False):
            rhythm, beat = self.correlations(x, h.float(), marks.float(), shape.float())
        rhythm, beat = rhythm.to(dtype), beat.to(dtype)
        values = self.values_out(self.drop(functional.gelu(self.values_in(rhythm))))
        attributes = self.attributes_out(
            self.drop(functional.gelu(self.attributes_in(torch.cat([rhythm, self.drop(beat)], dim=1))))
        )
        rate = rate_of_beats(marks[:, -1].float().sigmoid())
        return MeasuringOutput(torch.cat([values.float(), attributes.float(), rate[:, None]], dim=1), marks.float())

    def correlations(self, x: Tensor, h: Tensor, marks: Tensor, shape: Tensor) -> tuple[Tensor, Tensor]:
        """Features of rhythm and intervals [batch, n], and of the average beat [batch, m]."""
        B = x.shape[0]
        dense = torch.sigmoid(marks)
        beat = dense[:, -1:]
        count = beat.sum(-1, keepdim=True) + FLOOR  # [B, 1, 1]
        slow = functional.avg_pool1d(x, PATCH)  # the leads by frame
        spectrum = torch.fft.rfft(torch.cat([dense, shape, slow], dim=1), n=_FFT)
        lags = torch.fft.irfft(torch.fft.rfft(beat, n=_FFT).conj() * spectrum, n=_FFT) / count
        rr = lags[:, MARKS - 1, LAG_FIRST : LAG_LAST + 1]
        around = torch.cat([lags[..., _FFT - BEFORE :], lags[..., : AFTER + 1]], dim=-1)  # [B, channels, lags]
        waves = around[:, :MARKS].reshape(B, -1)
        mean, high = h.mean(-1), h.amax(-1)
        present = (x.square().mean(-1) > PRESENT).to(x.dtype)
        rhythm = torch.cat([rr, waves, mean, high, dense.mean(-1), count[:, :, 0] / 10.0, present], dim=1)
        return rhythm, around[:, MARKS:, ::MORPHOLOGY_STEP].reshape(B, -1)


def rate_of_beats(probability: Tensor) -> Tensor:
    """Rate over the local maxima of the beat probability [batch, FRAMES], bpm [batch]; 0 with too few."""
    top = functional.max_pool1d(probability[:, None], 3, stride=1, padding=1)[:, 0]
    following = functional.pad(probability[:, 1:], (0, 1))
    peak = ((probability >= top) & (probability > following) & (probability > BEAT_PEAK)).float()
    place = torch.arange(1, FRAMES + 1, device=peak.device, dtype=peak.dtype)
    count, last = peak.sum(-1), (peak * place).amax(-1)
    first = FRAMES + 1 - (peak * place.flip(0)).amax(-1)
    rate = (count - 1) * (60.0 / FRAME_S) / (last - first).clamp(min=1.0)
    return torch.where(count >= RATE_BEATS, rate, torch.zeros_like(rate))

"""ECG-CoCa at compact size for pre-training: tower, text tower, caption decoder, and auxiliary heads.

In: `PretrainBatch`. Out: losses by name. Method: ECG-CoCa (Zhao et al. 2024): symmetric InfoNCE of pooled ECG and text
features, and caption cross-entropy (weights 1 and 2). Deviations, because this corpus is hundreds of times smaller:

* binary cross-entropy of the findings that a record's labels mention;
* regression of the record's average beat from the pooled feature;
* regression of its measurements (rate, intervals, RR scatter, share of beats without a P wave, axis) from the pooled
  feature.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.corpus.measurement_cache import INTERVALS
from models.encoder.configuration import TowerConfig
from models.encoder.tower import Block, Blocks, EcgTower
from models.finding_names import FINDINGS
from models.training.captions import CONTEXT, PAD, WORDS

BEAT_POINTS = 56  # the average beat: 0.7 s at 80 Hz
INTERVAL_SCALE = {
    "HR": (80.0, 25.0),
    "PR": (165.0, 45.0),
    "QRS": (100.0, 25.0),
    "QT": (390.0, 50.0),
    "SCATTER": (0.06, 0.08),
    "ABSENT_P": (0.15, 0.3),
    "AXIS_X": (0.6, 0.5),
    "AXIS_Y": (0.4, 0.55),
}
"""Centre and spread: the heads learn standardized values. Axis: cosine and sine."""
CAPTION_WEIGHT, FINDING_WEIGHT, BEAT_WEIGHT, INTERVAL_WEIGHT = 2.0, 4.0, 1.0, 0.5


class PretrainBatch(NamedTuple):
    """One batch of B windows; NaN where the labels say nothing."""

    ecg: Tensor  # [B, 12, 5000] mV
    text: Tensor  # [B, CONTEXT] word indices
    findings: Tensor  # [B, FINDINGS] 0, 1 or NaN
    beat: Tensor  # [B, 12, BEAT_POINTS] lead-normed, NaN in absent leads
    intervals: Tensor  # [B, INTERVALS] standardized


class CompactCoca(nn.Module):
    """The tower with the modules that train it; only the tower is shipped."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        width = config.width
        self.tower = EcgTower(config)
        self.words = nn.Embedding(len(WORDS), width, padding_idx=PAD)
        nn.init.normal_(self.words.weight, std=0.02)  # also the output layer: a larger spread starts far from uniform
        self.positions = nn.Parameter(0.02 * torch.randn(CONTEXT, width))
        self.text = Blocks(width, config.heads, 2 * width, 1)
        self.text_proj = nn.Linear(width, config.embed_dim, bias=False)
        self.decoder = Blocks(width, config.heads, 2 * width, 1, causal=True)
        self.cross_attention = Block(width, config.heads, 2 * width, cross=True)
        self.ln_final = nn.LayerNorm(width)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))  # CLIP's initial temperature
        self.findings = nn.Linear(config.embed_dim, len(FINDINGS))
        self.beat = nn.Linear(config.embed_dim, 12 * BEAT_POINTS)
        self.intervals = nn.Linear(config.embed_dim, len(INTERVALS))

    def losses(self, batch: PretrainBatch, patches: Tensor | None = None) -> dict[str, Tensor]:
        """Every loss by name, unweighted; ``patches`` (indices) selects the patches that enter the tower, None all."""
        out = self.tower(batch.ecg, patches)
        word = self.words(batch.text) + self.positions
        mask = (batch.text != PAD).unsqueeze(-1)  # [B, CONTEXT, 1]
        text = self.text_proj((self.text(word) * mask).sum(1) / mask.sum(1))
        states = self.cross_attention(self.decoder(word[:, :-1]), out.normed)
        logits = self.ln_final(states) @ self.words.weight.T
        target = batch.text[:, 1:]
        known = batch.findings.isfinite()
        finding = functional.binary_cross_entropy_with_logits(
            self.findings(out.pooled), batch.findings.nan_to_num(0.0), reduction="none"
        )
        return {
            "contrast": _info_nce(out.pooled, text, self.logit_scale),
            "caption": functional.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=PAD),
            "findings": (finding * known).sum() / known.sum().clamp(min=1),
            "beat": _masked_square(self.beat(out.pooled).view_as(batch.beat), batch.beat),
            "intervals": _masked_square(self.intervals(out.pooled), batch.intervals),
        }


def weighted_sum(losses: dict[str, Tensor]) -> Tensor:
    """Sum of the losses with their weights: the quantity that training minimises."""
    return (
        losses["contrast"]
        + CAPTION_WEIGHT * losses["caption"]
        + FINDING_WEIGHT * losses["findings"]
        + BEAT_WEIGHT * losses["beat"]
        + INTERVAL_WEIGHT * losses["intervals"]
    )


def _info_nce(ecg: Tensor, text: Tensor, logit_scale: Tensor) -> Tensor:
    scores = logit_scale.exp().clamp(max=100.0) * functional.normalize(ecg) @ functional.normalize(text).T
    own = torch.arange(len(ecg), device=ecg.device)
    return (functional.cross_entropy(scores, own) + functional.cross_entropy(scores.T, own)) / 2


def _masked_square(predicted: Tensor, target: Tensor) -> Tensor:
    known = target.isfinite()
    return ((predicted - target.nan_to_num(0.0)).square() * known).sum() / known.sum().clamp(min=1)

"""Train the rhythm network: ``python -m models.training.rhythm_network --data DIR --folds DIR [--fold K]``.

Without ``--fold`` all recordings train the shipped weights. With it the recordings of fold ``K`` of ``cinc2015.csv``,
``cinc2017.csv`` and ``mitdb.csv`` in the folds folder are left out. Writes ``models/weights/rhythm.onnx`` or
``rhythm_foldK.onnx``. The same seed gives the same windows.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.networks.rhythm import FS_HZ, OUTPUTS, SAMPLES, RhythmNetwork
from models.training.conv_images import rewrite
from models.training.rhythm_corpus import RhythmCorpus, RhythmSampler, RhythmWindows
from models.training.weight_averaging import Residual, train_averaged

EPOCHS = 14
BATCH = 64
WEIGHT_DECAY = 2e-2
INPUTS = ("x", "present", "amplitude")
NEWEST_STEPS = 75  # of the 100 time steps: the last 12 s, in which an alarm must lie


class RhythmModel(nn.Module):
    """x [n, 2, 1600], present [n, 2], amplitude [n, 2] -> logits [n, outputs]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv1d(1, 12, 9, 2, 4, bias=False), nn.BatchNorm1d(12), nn.ReLU())
        self.lead = nn.Sequential(Residual(12, 16, 7, 2), Residual(16, 24, 7, 2), Residual(24, 32, 5, 2))
        self.join = nn.Sequential(nn.Conv1d(66, 40, 1, bias=False), nn.BatchNorm1d(40), nn.ReLU())
        self.time = nn.Sequential(Residual(40, 40, 5), Residual(40, 40, 5, dilations=(1, 4)))
        self.head = nn.Sequential(
            nn.Dropout(0.3), nn.Linear(160, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, len(OUTPUTS))
        )

    def forward(self, x: Tensor, present: Tensor, amplitude: Tensor) -> Tensor:
        """Logits [n, outputs]; ``present`` [n, 2] is 1 for the leads that are there."""
        n = x.shape[0]
        y = self.lead(self.stem(x.reshape(n * 2, 1, SAMPLES)))  # [2n, 32, 100]
        y = y.reshape(n, 2, y.shape[1], y.shape[2])
        there = present[:, :, None, None]
        mean = (y * there).sum(1) / there.sum(1)
        most = (y * there).max(1).values  # outputs of a ReLU: the zero of an absent lead is the minimum
        size = (amplitude * present).sum(1) / present.sum(1)
        known = torch.stack([size, present.sum(1) - 1.0], 1)[:, :, None].expand(n, 2, y.shape[3])
        z = self.time(self.join(torch.cat([mean, most, known], 1)))
        newest = z[:, :, -NEWEST_STEPS:]
        last = z[:, :, -NEWEST_STEPS // 3 :]
        pooled = torch.cat([z.mean(2), newest.max(2).values, last.mean(2), last.max(2).values], 1)
        out: Tensor = self.head(pooled)
        return out


def tensors(windows: RhythmWindows) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs of the model as tensors."""
    return torch.from_numpy(windows.x), torch.from_numpy(windows.present), torch.from_numpy(windows.amplitude)


def loss_of(model: nn.Module, windows: RhythmWindows) -> Tensor:
    """Binary cross-entropy of each output, weighted by the certainty of its label."""
    logits = model(*tensors(windows))
    each = functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(windows.target), reduction="none")
    return (each * torch.from_numpy(windows.weight)).sum() / len(logits)


def train(corpus: RhythmCorpus, seed: int = 0, epochs: int = EPOCHS) -> nn.Module:
    """Train the model; returns the exponential moving average of its weights."""
    torch.manual_seed(seed)
    sampler, model = RhythmSampler(corpus, seed), RhythmModel()
    batches = len(sampler.epoch()) // BATCH

    def draw() -> Iterator[RhythmWindows]:
        plan = sampler.epoch()
        return (sampler.batch(plan[k * BATCH : (k + 1) * BATCH]) for k in range(batches))

    return train_averaged(model, epochs, batches, draw, loss_of, WEIGHT_DECAY)


def export(model: nn.Module, path: Path) -> None:
    """Write the ONNX file."""
    example = (torch.zeros(1, 2, SAMPLES), torch.ones(1, 2), torch.zeros(1, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            example,
            str(path),
            input_names=list(INPUTS),
            output_names=["logits"],
            opset_version=17,
            dynamo=False,
            dynamic_axes={name: {0: "n"} for name in INPUTS},
        )
    rewrite(path)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", type=Path, required=True)
    parser.add_argument("--fold", type=int)
    parser.add_argument("--out", type=Path, help="where to write, default models/weights")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = train(RhythmCorpus(options.data, options.folds, options.fold), epochs=options.epochs)
    fold = None if options.fold is None else str(options.fold)
    path = options.out or RhythmNetwork.weights_path(fold)
    export(model, path)
    print(f"{path.name}: {path.stat().st_size} bytes, {SAMPLES / FS_HZ:g} s: {', '.join(OUTPUTS)}", file=sys.stderr)


if __name__ == "__main__":
    main()

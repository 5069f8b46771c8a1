"""Train the atrial network: ``python -m models.training.atrial_network --data DIR --folds DIR [--fold K]``.

The network classifies 9 to 30 s of one lead as normal rhythm, atrial fibrillation, another rhythm, or noise. Data: the
CinC 2017 recordings; MIT-BIH with fibrillation against all else. Without ``--fold`` all recordings train the shipped
weights. With it the recordings of fold ``K`` of ``cinc2017.csv`` and ``mitdb.csv`` in the folds folder are left out.
Writes ``models/weights/atrial.onnx`` or ``atrial_foldK.onnx``. The same seed draws the same windows.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.networks.atrial import CLASSES, FIBRILLATION, FS_HZ, SHORTEST_S, AtrialNetwork
from models.networks.scaling import net_input
from models.training.conv_images import rewrite
from models.training.rhythm_corpus import RhythmCorpus, RhythmRecord
from models.training.weight_averaging import Residual, train_averaged

LONGEST_S = 30.0
EPOCHS = 36
BATCH = 48
WEIGHT_DECAY = 3e-2
DROP = 0.1
LABEL_SMOOTHING = 0.05  # the labels are uncertain: they were revised three times
HOLTER_SHARE = 0.15  # of the windows
NOISE_SHARE, STRETCH = 0.25, 0.10
Array = NDArray[np.float32]


class AtrialModel(nn.Module):
    """x [n, 1, samples] -> logits [n, classes]; any number of samples."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv1d(1, 12, 9, 2, 4, bias=False), nn.BatchNorm1d(12), nn.ReLU())
        narrowing = ((12, 16, 7), (16, 24, 7), (24, 32, 5))
        self.beats = nn.Sequential(*(Residual(inside, out, k, 2, drop=DROP) for inside, out, k in narrowing))
        self.rhythm = nn.Sequential(*(Residual(32, 32, 5, dilations=(d, 1), drop=DROP) for d in (1, 2, 4, 8)))
        self.attention = nn.Conv1d(32, 1, 1)
        self.head = nn.Sequential(
            nn.Dropout(0.3), nn.Linear(96, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, len(CLASSES))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Input x [n, 1, samples] → logits [n, classes]."""
        z = self.rhythm(self.beats(self.stem(x)))
        weight = torch.softmax(self.attention(z), 2)
        out: Tensor = self.head(torch.cat([(z * weight).sum(2), z.mean(2), z.max(2).values], 1))
        return out


class AtrialSampler:
    """RhythmWindows of a batch, all of one length; the same seed draws the same ones."""

    def __init__(self, corpus: RhythmCorpus, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._corpus = corpus
        self.records = [r for r in corpus.handheld if r.n >= SHORTEST_S * FS_HZ]
        self._long = corpus.holter

    def batches(self) -> int:
        """Batches in an epoch."""
        return len(self.records) // BATCH

    def epoch(self) -> list[list[RhythmRecord]]:
        """Recordings of each batch of an epoch, shuffled."""
        order = self._rng.permutation(len(self.records))
        return [[self.records[k] for k in order[i * BATCH : (i + 1) * BATCH]] for i in range(self.batches())]

    def batch(self, records: list[RhythmRecord]) -> tuple[Tensor, Tensor, Tensor]:
        """Windows [n, 1, samples], class indices [n], and a mask [n] of those labelled only as fibrillation or not."""
        n = int(self._rng.uniform(SHORTEST_S + 1.0, LONGEST_S) * FS_HZ)
        rows, target, coarse = [], [], []
        for record in records:
            if self._long and self._rng.random() < HOLTER_SHARE:
                mv, label = self._holter(n)
                coarse.append(True)
            else:
                mv, label = self._cut(record.mv, n), record.label
                coarse.append(False)
            rows.append(net_input(self._augment(mv), FS_HZ)[0])
            target.append(CLASSES.index(label))
        return torch.from_numpy(np.stack(rows)), torch.tensor(target), torch.tensor(coarse)

    def _cut(self, mv: Array, n: int) -> Array:
        """``n`` samples from a random place, resampled a little faster or slower; short recordings are edge-padded."""
        pace = float(self._rng.uniform(1.0 - STRETCH, 1.0 + STRETCH))
        wanted = min(mv.shape[1], round(n * pace))
        start = int(self._rng.integers(0, mv.shape[1] - wanted + 1))
        row = int(self._rng.integers(len(mv)))
        part = mv[row : row + 1, start : start + wanted]
        at = np.arange(min(n, int(wanted / pace))) * pace
        out = np.interp(at, np.arange(wanted), part[0])[None].astype(np.float32)
        return np.pad(out, ((0, 0), (n - out.shape[1], 0)), mode="edge")

    def _holter(self, n: int) -> tuple[Array, str]:
        while True:
            record = self._long[int(self._rng.integers(len(self._long)))]
            fibrillating = record.spans["AF"]
            if fibrillating and self._rng.random() < 0.6:
                first, last = fibrillating[int(self._rng.integers(len(fibrillating)))]
                if last - first < 1.2 * n:
                    continue
                start = int(self._rng.integers(first, last - round(1.15 * n)))
                label = "A"
            else:
                start = int(self._rng.integers(0, record.n - round(1.2 * n)))
                label = "N"
                if any(a < start + 1.2 * n and b > start for a, b in fibrillating):
                    continue
            return self._cut(record.mv[:, start : start + round(1.15 * n)], n), label

    def _augment(self, mv: Array) -> Array:
        out = mv * np.float32(self._rng.choice([-1.0, 1.0], p=[0.3, 0.7]))
        if self._corpus.noise and self._rng.random() < NOISE_SHARE:
            noise = self._corpus.noise[self._rng.integers(len(self._corpus.noise))]
            at = self._rng.integers(noise.shape[1] - out.shape[1])
            piece = noise[self._rng.integers(len(noise)), at : at + out.shape[1]]
            size = float(np.std(out)) / max(float(np.std(piece)), 1e-6)
            out = out + np.float32(size * self._rng.uniform(0.05, 0.35)) * piece
        return np.asarray(out, np.float32)


def loss_of(model: nn.Module, x: Tensor, target: Tensor, coarse: Tensor) -> Tensor:
    """Cross-entropy of the classes; binary, fibrillation against all else, for the windows of the mask."""
    logits = model(x)
    fine = functional.cross_entropy(logits, target, reduction="none", label_smoothing=LABEL_SMOOTHING)
    others = [k for k in range(len(CLASSES)) if k != FIBRILLATION]
    odds = logits[:, FIBRILLATION] - torch.logsumexp(logits[:, others], 1)
    binary = functional.binary_cross_entropy_with_logits(odds, (target == FIBRILLATION).float(), reduction="none")
    return torch.where(coarse, binary, fine).mean()


def train(corpus: RhythmCorpus, seed: int = 0, epochs: int = EPOCHS) -> nn.Module:
    """Train the model; returns the exponential moving average of its weights."""
    torch.manual_seed(seed)
    sampler = AtrialSampler(corpus, seed)
    return train_averaged(
        AtrialModel(),
        epochs,
        sampler.batches(),
        lambda: map(sampler.batch, sampler.epoch()),
        lambda model, batch: loss_of(model, *batch),
        WEIGHT_DECAY,
    )


def export(model: nn.Module, path: Path) -> None:
    """Write the ONNX file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (torch.zeros(1, 1, 2000),),
            str(path),
            input_names=["x"],
            output_names=["logits"],
            opset_version=17,
            dynamo=False,
            dynamic_axes={"x": {0: "n", 2: "samples"}},
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
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = train(RhythmCorpus(options.data, options.folds, options.fold), options.seed, options.epochs)
    path = options.out or AtrialNetwork.weights_path(None if options.fold is None else str(options.fold))
    export(model, path)
    print(f"{path.name}: {path.stat().st_size} bytes, classes {', '.join(CLASSES)}", file=sys.stderr)


if __name__ == "__main__":
    main()

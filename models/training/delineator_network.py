"""Train the delineation network: ``python -m models.training.delineator_network [--fold K] --data DIR --folds DIR``.

Without ``--fold`` all records are used; with it those of fold ``K`` of ``ludb.csv`` and ``mitdb.csv`` in the folds
folder (columns record, fold) are left out. The shipped weights are those of ``--fold 0``
(``models/weights/delineator.md``).
About ten minutes on one idle core; the same seed gives the same batches. Writes ``models/weights/delineator.onnx`` or
``delineator_foldK.onnx`` (opset 17, about 600 kB).
"""

from __future__ import annotations

import argparse
import copy
import csv
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.networks.delineator import PAD_TO, DelineationNetwork
from models.training.delineator_data import DelineationBatch, DelineationExamples
from models.training.delineator_unet import DelineationExport, DelineationModel

STEPS = 6000
PEAK_RATE = 4e-3
WEIGHT_DECAY = 1e-3
EMA = 0.998  # the shipped weights are a moving mean over about 500 steps
SAVE_EVERY = 1000  # a run that is interrupted leaves its last weights
BEAT_WEIGHT, VENTRICULAR_WEIGHT = 2.0, 0.5
MARKED_SHARE = 0.55  # of the steps; the others are MIT-BIH


def loss_of(net: DelineationModel, batch: DelineationBatch) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropies of waves, beats and ventricular beats, each where it is annotated."""
    waves, beats = net(torch.from_numpy(batch.x))
    parts: dict[str, Tensor] = {}
    known = torch.from_numpy(batch.waves_known)
    if known.sum() > 0:
        target = torch.from_numpy(batch.waves)
        parts["waves"] = (-(target * functional.log_softmax(waves, dim=2)).sum(dim=2) * known).sum() / known.sum()

    def binary(logit: Tensor, target: np.ndarray, mask: np.ndarray) -> Tensor:
        m = torch.from_numpy(mask)
        each = functional.binary_cross_entropy_with_logits(logit, torch.from_numpy(target), reduction="none")
        return (each * m).sum() / m.sum().clamp(min=1.0)

    parts["beat"] = BEAT_WEIGHT * binary(beats[:, 0], batch.beat, batch.beat_known)
    parts["ventricular"] = VENTRICULAR_WEIGHT * binary(beats[:, 1], batch.ventricular, batch.ventricular_known)
    total = torch.stack(list(parts.values())).sum()
    return total, {k: float(v.detach()) for k, v in parts.items()}


def train(data: Path, skip: Mapping[str, frozenset[str]], steps: int, path: Path, seed: int = 1) -> None:
    """Train on everything but the records in ``skip``; write the network every `SAVE_EVERY` steps and at the end."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    examples, net = DelineationExamples(data, skip, seed), DelineationModel()
    print(f"{len(examples.ludb)} LUDB and {len(examples.mitdb)} MIT-BIH records", file=sys.stderr)
    mean = copy.deepcopy(net)
    optimiser = torch.optim.AdamW(net.parameters(), lr=PEAK_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=steps, pct_start=0.1)
    started, sums, counts = time.monotonic(), dict.fromkeys(("waves", "beat", "ventricular"), 0.0), 0
    for step in range(steps):
        marked = examples.rng.random() < MARKED_SHARE
        batch = examples.marked() if marked else examples.beats()
        loss, parts = loss_of(net, batch)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            for slow, fast in zip(mean.state_dict().values(), net.state_dict().values(), strict=True):
                if slow.dtype.is_floating_point:
                    slow.lerp_(fast, 1.0 - min(EMA, (1 + step) / (10 + step)))
                else:
                    slow.copy_(fast)
        counts += 1
        for name, value in parts.items():
            sums[name] += value
        if (step + 1) % 500 == 0:
            means = "  ".join(f"{k} {v / counts:.4f}" for k, v in sums.items())
            print(f"step {step + 1}  {means}  {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
            sums, counts = dict.fromkeys(sums, 0.0), 0
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
            export(mean, path)


def export(net: DelineationModel, path: Path) -> None:
    """Write ONNX with free numbers of records, leads and samples."""
    axes = {
        "x": {0: "records", 1: "leads", 2: "samples"},
        "waves": {0: "records", 1: "leads", 3: "cells"},
        "beats": {0: "records", 2: "cells"},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shipped, example = DelineationExport(copy.deepcopy(net)).eval(), torch.zeros(1, 12, 64 * PAD_TO)
        torch.onnx.export(
            shipped,
            (example,),
            str(path),
            input_names=["x"],
            output_names=["waves", "beats"],
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )


def records_of_fold(folds: Path, fold: str) -> dict[str, frozenset[str]]:
    """Names of the records that belong to ``fold``, by data set."""
    out = {}
    for name in ("ludb", "mitdb"):
        with (folds / f"{name}.csv").open() as f:
            out[name] = frozenset(r["record"] for r in csv.DictReader(f) if r["fold"] == fold)
        if not out[name]:
            raise SystemExit(f"{folds / name}.csv: no record has fold {fold}")
    return out


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with ludb, mitdb and noise")
    parser.add_argument("--folds", type=Path, required=True, help="ludb.csv and mitdb.csv")
    parser.add_argument("--fold", default=None, help="leave this fold out")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--out", type=Path, default=None, help="default: models/weights/")
    options = parser.parse_args(arguments)
    skip = {} if options.fold is None else records_of_fold(options.folds, options.fold)
    path = options.out or DelineationNetwork.weights_path(None if options.fold is None else str(options.fold))
    train(options.data, skip, options.steps, path)
    print(f"wrote {path}", file=sys.stderr)


if __name__ == "__main__":
    main()

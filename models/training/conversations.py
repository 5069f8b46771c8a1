"""Conversations as training data of GEM: examples, batches, and the training loop of all language stages.

An `Example` holds token ids with labels (the loss is taken on the answers alone) and, from alignment on, an ECG window
[12, 5000] mV. The batch of a step is drawn from the step's number, so that a resumed run sees the same batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.gem.merge import IGNORED
from models.gem.modeling import GemForCausalLM
from models.training import checkpoints
from models.training.precision import mixed
from models.training.progress import Log, bar


@dataclass(frozen=True, eq=False)
class Example:
    """One conversation: ids and labels as of ``GemProcessor.training_example``, and its ECG where there is one."""

    ids: list[int]
    labels: list[int]
    ecg: NDArray[np.float32] | None = None  # [12, 5000] mV


@dataclass(frozen=True)
class StageConfig:
    """Settings of one training stage."""

    name: str
    steps: int
    batch: int
    lr: float
    warm_up: int = 50
    weight_decay: float = 0.0  # as GEM was tuned
    seed: int = 20261123
    save_every: int = 50
    precision: str = "bf16"  # of the products; fp32 where the processor has no bf16


def collate(examples: Sequence[Example]) -> dict[str, Tensor | None]:
    """Keyword arguments of ``GemForCausalLM.forward``, padded on the right."""
    longest = max(len(e.ids) for e in examples)
    pad = [longest - len(e.ids) for e in examples]
    ecgs = [e.ecg for e in examples if e.ecg is not None]
    return {
        "input_ids": torch.tensor([e.ids + [0] * n for e, n in zip(examples, pad, strict=True)]),
        "labels": torch.tensor([e.labels + [IGNORED] * n for e, n in zip(examples, pad, strict=True)]),
        "attention_mask": torch.tensor([[True] * len(e.ids) + [False] * n for e, n in zip(examples, pad, strict=True)]),
        "ecgs": torch.from_numpy(np.stack(ecgs)) if ecgs else None,
    }


def similar_length(examples: Sequence[Example], rng: np.random.Generator, n: int) -> list[Example]:
    """``n`` of the examples that are neighbours in length, so that little of the batch is padding."""
    ordered = sorted(examples, key=lambda e: len(e.ids))
    first = int(rng.integers(len(ordered) - n + 1))
    return ordered[first : first + n]


def fit_stage(
    model: GemForCausalLM,
    stage: StageConfig,
    draw: Callable[[np.random.Generator, int], list[Example]],
    work: Path,
    trained: Sequence[nn.Parameter],
    check: Callable[[GemForCausalLM], dict[str, float]],
    device: str = "cpu",
) -> None:
    """Run a stage, or resume it.

    Parameters
    ----------
    draw : callable
        (random generator, n) to n examples.
    trained : sequence of parameters
        The others are frozen.
    check : callable
        Scores for the log at every save.
    """
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for parameter in trained:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(trained, lr=stage.lr, betas=(0.9, 0.98), weight_decay=stage.weight_decay)
    state = work / f"{stage.name}.safetensors"
    done = checkpoints.resume(state, model, optimizer)
    log = Log(work / f"{stage.name}.csv")
    with bar(stage.name, stage.steps, done) as progress:
        for step in range(done, stage.steps):
            ramp = min(1.0, (step + 1) / stage.warm_up)
            for group in optimizer.param_groups:
                group["lr"] = stage.lr * ramp * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / stage.steps)))
            batch = collate(draw(np.random.default_rng([stage.seed, step]), stage.batch))
            with mixed(device, stage.precision):
                loss = model(**{k: v.to(device) for k, v in batch.items() if v is not None}).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            progress.advance(progress.task_ids[0])
            if (step + 1) % stage.save_every == 0 or step + 1 == stage.steps:
                checkpoints.save(state, model, optimizer, step + 1)
                model.eval()
                log.add(step + 1, {"loss": float(loss.detach()), **check(model)})
                model.train()
                log.plot(work / f"{stage.name}.png")

"""Residual block and training loop, with averaged weights (EMA), of the rhythm and the atrial network."""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

PEAK_RATE = 3e-3
EMA = 0.995
LONGEST_GRADIENT = 2.0
Batch = TypeVar("Batch")


class Residual(nn.Module):
    """Two convolutions with a shortcut; halves the time axis where ``stride`` is 2, widens where channels differ.

    ``dilations`` are those of the first and of the second convolution.
    """

    def __init__(
        self,
        inside: int,
        out: int,
        kernel: int,
        stride: int = 1,
        dilations: tuple[int, int] = (1, 1),
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        half, (one, two) = kernel // 2, dilations
        self.first = nn.Conv1d(inside, out, kernel, stride, one * half, one, bias=False)
        self.second = nn.Conv1d(out, out, kernel, 1, two * half, two, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm1d(out), nn.BatchNorm1d(out)
        plain = stride == 1 and inside == out
        self.around = nn.Identity() if plain else nn.Conv1d(inside, out, 1, stride, bias=False)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        """[n, inside, samples] → [n, out, samples / stride]."""
        y = self.drop(functional.relu(self.norm1(self.first(x))))
        return functional.relu(self.norm2(self.second(y)) + self.around(x))


def train_averaged(
    model: nn.Module,
    epochs: int,
    batches: int,
    draw: Callable[[], Iterable[Batch]],
    loss_of: Callable[[nn.Module, Batch], Tensor],
    weight_decay: float,
) -> nn.Module:
    """Train a model and return the exponential moving average of its weights.

    Parameters
    ----------
    batches : int
        In an epoch.
    draw : callable
        The batches of the next epoch.
    loss_of : callable
        Mean loss of a batch.
    """
    mean, step = copy.deepcopy(model), 0
    optimizer = torch.optim.AdamW(model.parameters(), PEAK_RATE, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK_RATE, total_steps=epochs * batches + 1, pct_start=0.2
    )
    for epoch in range(epochs):
        began, total = time.monotonic(), 0.0
        model.train()
        for batch in draw():
            loss = loss_of(model, batch)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), LONGEST_GRADIENT)
            optimizer.step()
            schedule.step()
            step += 1
            total += float(loss.detach())
            with torch.no_grad():
                for a, b in zip(mean.state_dict().values(), model.state_dict().values(), strict=True):
                    a.lerp_(b, 1.0 - min(EMA, step / (step + 20.0))) if a.is_floating_point() else a.copy_(b)
        print(
            f"epoch {epoch + 1}/{epochs}: loss {total / batches:.4f}, {time.monotonic() - began:.0f} s",
            file=sys.stderr,
            flush=True,
        )
    return mean.eval()

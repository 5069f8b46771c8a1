"""Matrix products of a layer: in the model's own number format, or in 8 bits (fp8).

A product in fp8 has weights as float8 (e4m3) with one scale an output, and scales each row of its input by its largest
value: half the bytes of bf16 are read. On CUDA it is one kernel (`torch._scaled_mm`); elsewhere the same numbers are
multiplied in float32, for tests.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

FP8 = torch.float8_e4m3fn
FP8_MAX = 448.0  # largest value of e4m3
SMALLEST = 1e-12  # of a scale: rows of zeros stay zeros


class Product(Protocol):
    """A weight [outputs, inputs] as a function."""

    def __call__(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Input x [rows, inputs] to [rows, outputs]; ``residual`` is added."""


class DenseProduct:
    """A weight in the model's number format."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight

    def __call__(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Input x [rows, inputs] to [rows, outputs]."""
        if residual is None:
            return functional.linear(x, self.weight)
        return torch.addmm(residual, x, self.weight.t())


class Fp8Product:
    """A weight in fp8.

    Examples
    --------
    >>> weight = torch.tensor([[1.0, -2.0], [0.5, 0.25]])
    >>> Fp8Product(weight)(torch.tensor([[1.0, 1.0]]))
    tensor([[-1.0000,  0.7500]])
    """

    def __init__(self, weight: Tensor) -> None:
        self.values, self.scale = quantised(weight)  # [outputs, inputs], [outputs, 1]

    def __call__(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Input x [rows, inputs] to [rows, outputs]."""
        rows, scale = quantised(x)
        if x.is_cuda:
            out = torch._scaled_mm(
                rows, self.values.t(), scale_a=scale, scale_b=self.scale.t().contiguous(), out_dtype=x.dtype
            )
        else:
            out = ((rows.float() * scale) @ (self.values.float() * self.scale).t()).to(x.dtype)
        return out if residual is None else out + residual


def quantised(x: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of x [rows, n] as float8, and the scale of each, float32 [rows, 1]."""
    scale = x.abs().amax(dim=-1, keepdim=True).float().clamp(min=SMALLEST) / FP8_MAX
    return (x.float() / scale).clamp(-FP8_MAX, FP8_MAX).to(FP8), scale

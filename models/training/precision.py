"""Arithmetic of training: matrix products in bf16 where the processor has it, weights and sums in float32."""

from __future__ import annotations

import torch


def mixed(device: str, precision: str) -> torch.autocast:
    """The context of a forward pass.

    Parameters
    ----------
    precision : {"bf16", "fp32"}
    """
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16")

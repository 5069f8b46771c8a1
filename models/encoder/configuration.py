"""Shape of an ECG-CoCa tower, read from an open_clip CoCa configuration or from a state dict's tensor shapes.

ECG-CoCa (Zhao et al. 2024, used by GEM, arXiv 2503.06073) is a one-dimensional vision transformer: 12 leads × 5000
samples (10 s at 500 Hz, mV) are cut into patches of 50 samples; a class token is put before the 100 patch tokens.
Needs NumPy alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

LEADS = 12
SAMPLES = 5000  # 10 s
FS_HZ = 500.0  # the sampling rate that the tower was trained at
LAYER_NORM_EPS = 1e-5

WANDER_TERMS = 8  # cosines of 0 to 0.35 Hz over 10 s: baseline wander, below the P wave's and the T wave's band
SPREAD_FLOOR_MV = 0.01  # keeps a flat lead flat: a lead in use has a root mean square of 0.05 mV and more

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class TowerConfig:
    """Sizes of one tower; the defaults are the published ECG-CoCa (86 M parameters)."""

    width: int = 768
    layers: int = 12
    head_width: int = 64  # not visible in any tensor's shape: taken from the configuration
    mlp_width: int = 3072
    patch_size: int = 50  # samples, 0.1 s
    samples: int = SAMPLES
    leads: int = LEADS
    embed_dim: int = 512  # of the pooled feature
    lead_norm: bool = False  # each lead freed of wander and divided by its own spread: shape without voltage

    def __post_init__(self) -> None:
        if self.samples % self.patch_size:
            raise ValueError(f"{self.samples} samples are not a whole number of patches of {self.patch_size}")
        if self.width % self.head_width:
            raise ValueError(f"width {self.width} is not a whole number of heads of {self.head_width}")

    @property
    def heads(self) -> int:
        """Attention heads of a block."""
        return self.width // self.head_width

    @property
    def patches(self) -> int:
        """Patches of a window."""
        return self.samples // self.patch_size

    @property
    def tokens(self) -> int:
        """Patches and the class token: 101 at the published size."""
        return self.patches + 1

    @property
    def parameters(self) -> int:
        """How many parameters such a tower holds.

        >>> TowerConfig().parameters
        85989888
        """
        return sum(_product(shape) for shape in self.shapes().values())

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor of the state dict and its shape, in the order of the published file."""
        w, m = self.width, self.mlp_width

        def norm(name: str) -> dict[str, tuple[int, ...]]:
            return {f"{name}.weight": (w,), f"{name}.bias": (w,)}

        out: dict[str, tuple[int, ...]] = {
            "class_embedding": (w,),
            "positional_embedding": (self.tokens, w),
            "proj": (w, self.embed_dim),
            "conv1.weight": (w, self.leads, self.patch_size),
            **norm("ln_pre"),
        }
        for n in range(self.layers):
            block = f"transformer.resblocks.{n}"
            out |= norm(f"{block}.ln_1")
            out |= {
                f"{block}.attn.in_proj_weight": (3 * w, w),
                f"{block}.attn.in_proj_bias": (3 * w,),
                f"{block}.attn.out_proj.weight": (w, w),
                f"{block}.attn.out_proj.bias": (w,),
            }
            out |= norm(f"{block}.ln_2")
            out |= {
                f"{block}.mlp.c_fc.weight": (m, w),
                f"{block}.mlp.c_fc.bias": (m,),
                f"{block}.mlp.c_proj.weight": (w, m),
                f"{block}.mlp.c_proj.bias": (w,),
            }
        return out | norm("ln_post")

    @classmethod
    def from_open_clip(cls, document: Mapping[str, Any]) -> Self:
        """From an open_clip CoCa configuration (``embed_dim`` and ``ecg_cfg``)."""
        ecg = document["ecg_cfg"]
        width = int(ecg["width"])
        return cls(
            width=width,
            layers=int(ecg["layers"]),
            head_width=int(ecg.get("head_width", 64)),
            mlp_width=int(width * ecg.get("mlp_ratio", 4.0)),
            patch_size=int(ecg["patch_size"]),
            samples=int(ecg["seq_length"]),
            leads=int(ecg["lead_num"]),
            embed_dim=int(document["embed_dim"]),
        )

    @classmethod
    def from_shapes(cls, shapes: Shapes, head_width: int = 64) -> Self:
        """From the tensors of a state dict; ``head_width`` must be known from elsewhere."""
        width, leads, patch = shapes["conv1.weight"]
        layers = 1 + max(int(name.split(".")[2]) for name in shapes if name.startswith("transformer.resblocks."))
        return cls(
            width=width,
            layers=layers,
            head_width=head_width,
            leads=leads,
            patch_size=patch,
            mlp_width=shapes["transformer.resblocks.0.mlp.c_fc.weight"][0],
            samples=(shapes["positional_embedding"][0] - 1) * patch,
            embed_dim=shapes["proj"][1],
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """From a JSON file: an open_clip configuration, or what ``to_dict`` gives."""
        document = json.loads(path.read_text())
        return cls.from_open_clip(document) if "ecg_cfg" in document else cls(**document)

    def to_dict(self) -> dict[str, int]:
        """Sizes as a JSON object."""
        return asdict(self)


def wander_basis(samples: int) -> NDArray[np.float32]:
    """Orthonormal slow cosines (the first terms of a DCT-II), [samples, WANDER_TERMS]."""
    t = (np.arange(samples) + 0.5) / samples
    basis = np.cos(np.pi * np.outer(t, np.arange(WANDER_TERMS))) * np.sqrt(2.0 / samples)
    basis[:, 0] /= np.sqrt(2.0)
    out: NDArray[np.float32] = basis.astype(np.float32)
    return out


def _product(shape: tuple[int, ...]) -> int:
    total = 1
    for n in shape:
        total *= n
    return total


PUBLISHED = TowerConfig()
COMPACT = TowerConfig(width=128, layers=4, head_width=32, mlp_width=512, embed_dim=64, lead_norm=True)
"""The size that runs on any laptop: 0.9 M parameters."""

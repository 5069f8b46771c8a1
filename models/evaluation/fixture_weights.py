"""The rule by which parity fixtures name their weights instead of holding them: 86 M parameters out of a seed.

For element i of a tensor the 64-bit finaliser of splitmix64 (Steele, Lea, Flood 2014) is applied to
``(i + 1) * GOLDEN + key * SPREAD`` with ``key = crc32(name) + (seed << 32)``; its upper 24 bits give a uniform number
in -1 … 1, which is scaled by the kind of tensor. A digest beside each name says whether the rule gave its tensor.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

GOLDEN, SPREAD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1342543DE82EF95)
MIX = ((np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)), (np.uint64(27), np.uint64(0x94D049BB133111EB)))
LAST_SHIFT, KEPT_BITS = np.uint64(31), 24


def fixture_tensor(name: str, shape: tuple[int, ...], seed: int) -> Floats:
    """The tensor that the rule gives for a name."""
    offset, half_range = _law(name, shape)
    key = np.uint64((zlib.crc32(name.encode()) + (seed << 32)) % 2**64)
    with np.errstate(over="ignore"):
        z = np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64) * GOLDEN + key * SPREAD
        for shift, factor in MIX:
            z = (z ^ (z >> shift)) * factor
        z ^= z >> LAST_SHIFT
    unit = (z >> np.uint64(64 - KEPT_BITS)).astype(np.float32) * np.float32(2.0 ** (1 - KEPT_BITS)) - np.float32(1)
    return (unit * np.float32(half_range) + np.float32(offset)).reshape(shape)


def fixture_state(table: Mapping[str, Any]) -> Iterator[tuple[str, Floats, bool]]:
    """Name, tensor, and whether its digest is the table's, for each line of ``weights_table.json``."""
    for line in table["weights"]:
        tensor = fixture_tensor(line["key"], tuple(line["shape"]), int(table["seed"]))
        digest = hashlib.sha256(tensor.tobytes()).hexdigest()
        yield line["key"], tensor, digest.startswith(line["sha256_16"])


def _law(name: str, shape: tuple[int, ...]) -> tuple[float, float]:
    """Centre and half range: norms near one, biases near zero, embeddings wide, matrices by what they sum over."""
    if len(shape) == 1:
        return (1.0, 0.2) if "ln_" in name and name.endswith("weight") else (0.0, 0.1)
    if name == "proj":
        return 0.0, float(np.sqrt(3.0 / shape[0]))
    if "embed" in name and len(shape) == 2:
        return 0.0, 1.0
    return 0.0, float(np.sqrt(3.0 / np.prod(shape[1:])))

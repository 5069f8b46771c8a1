"""Comparison of our tensors and sequences with those of a parity fixture: one `ParityLine` each.

The error of two arrays is their largest absolute difference. The error of two sequences or strings is the number of
places that differ, with tolerance 0. Arrays of different shape have no error (``max_error`` None) and fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

FEATURES = 1e-4  # tolerance of tower, embeddings, logits, losses
PIXELS = 1e-5


@dataclass(frozen=True, slots=True)
class ParityLine:
    """One comparison."""

    fixture: str
    tensor: str
    max_error: float | None
    tolerance: float
    ok: bool

    def to_json(self) -> dict[str, Any]:
        """Fields of one line of ``evaluate parity``."""
        return asdict(self)


class Comparison:
    """Collects the lines of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[ParityLine] = []

    def near(self, tensor: str, ours: Any, theirs: Any, tolerance: float = FEATURES) -> None:
        """Largest absolute difference of two arrays."""
        a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
        error = None
        if a.shape == b.shape:
            same = (a == b) | (np.isnan(a) & np.isnan(b))
            error = float(np.abs(np.where(same, 0.0, a - b)).max(initial=0.0))
        self._add(tensor, None if error is None or np.isnan(error) else error, tolerance)

    def same(self, tensor: str, ours: Sequence[Any] | str, theirs: Sequence[Any] | str) -> None:
        """Number of places where two sequences differ."""
        wrong = sum(a != b for a, b in zip(ours, theirs, strict=False)) + abs(len(ours) - len(theirs))
        self._add(tensor, float(wrong), 0.0)

    def _add(self, tensor: str, error: float | None, tolerance: float) -> None:
        ok = error is not None and error <= tolerance
        self.lines.append(ParityLine(self.folder.name, tensor, error, tolerance, ok))

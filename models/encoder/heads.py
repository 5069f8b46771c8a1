"""Labels that trained linear heads read from the encoder's pooled feature; no heads, no labels, nothing flagged.

Heads are a file ``heads.npz`` in the encoder's folder, written by ``Heads.save``; a model of a cross-validation fold
lies beside it as ``heads.fold<k>.npz``. Needs NumPy alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.networks.shipped_files import check_shipped

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Heads:
    """One linear head a label, with its calibrated threshold.

    Parameters
    ----------
    labels : tuple of str
        Finding of each head.
    weight : float array, [labels, features]
    bias : float array, [labels]
    mean, scale : float arrays, [features]
        The pooled feature is centred and scaled by these before the heads.
    threshold : float array, [labels]
        Probability from which a label counts as present.
    weights : str
        ``weights`` of the encoder that they were trained on; they are rejected for another encoder.
    """

    labels: tuple[str, ...]
    weight: Floats
    bias: Floats
    mean: Floats
    scale: Floats
    threshold: Floats
    weights: str

    def __post_init__(self) -> None:
        n, features = self.weight.shape
        shapes = {"labels": (len(self.labels),), "bias": self.bias.shape, "threshold": self.threshold.shape}
        wrong = [f"{name} {shape}" for name, shape in shapes.items() if shape != (n,)]
        wrong += [
            f"{name} {value.shape}"
            for name, value in (("mean", self.mean), ("scale", self.scale))
            if value.shape != (features,)
        ]
        if wrong:
            raise ValueError(f"heads of {n} labels over {features} features do not fit: {', '.join(wrong)}")

    def probabilities(self, pooled: Floats) -> Floats:
        """[n, features] pooled features → [n, labels] probabilities."""
        logits = (pooled - self.mean) / self.scale @ self.weight.T + self.bias
        out: Floats = (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)
        return out

    def present(self, pooled: Floats) -> list[dict[str, float]]:
        """Per window, the labels at or over their threshold with their probabilities."""
        return [
            {label: float(p) for label, p, limit in zip(self.labels, row, self.threshold, strict=True) if p >= limit}
            for row in self.probabilities(pooled)
        ]

    def save(self, path: Path) -> None:
        """Write the heads to an ``.npz`` file."""
        np.savez_compressed(
            path,
            labels=np.array(self.labels),
            weight=self.weight,
            bias=self.bias,
            mean=self.mean,
            scale=self.scale,
            threshold=self.threshold,
            weights=np.array(self.weights),
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the heads of an ``.npz`` file."""
        check_shipped(path)
        with np.load(path, allow_pickle=False) as file:
            return cls(
                tuple(str(x) for x in file["labels"]),
                file["weight"],
                file["bias"],
                file["mean"],
                file["scale"],
                file["threshold"],
                str(file["weights"]),
            )


def load_heads(folder: Path, weights: str, fold: int | None = None) -> Heads | None:
    """The heads of an encoder folder, or None where none were trained.

    Parameters
    ----------
    folder : Path
        The encoder's folder.
    weights : str
        ``EncoderSession.weights``.
    fold : int or None
        Asks for the heads that never saw that fold. Where nothing was trained it changes nothing.

    Raises
    ------
    FileNotFoundError
        Heads were trained, but not for this fold.
    ValueError
        The heads belong to another encoder.
    """
    shipped = folder / "heads.npz"
    if not shipped.is_file():
        return None
    path = shipped if fold is None else folder / f"heads.fold{fold}.npz"
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is not in {folder}: there are no heads that never saw fold {fold}")
    heads = Heads.read(path)
    if heads.weights != weights:
        raise ValueError(f"{path} was trained on an encoder {heads.weights}, this one is {weights}")
    return heads

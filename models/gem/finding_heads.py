"""Finding heads: findings of an ECG from its measurements, the encoder's pooled feature and the measuring tower.

In: measurements float32 [n, NAMES] (`models.grounding.feature_vector`), pooled features float32 [n, features], and
logits of a GEM's measuring tower float32 [n, FINDINGS]. Out: probabilities [n, labels] and called findings. The logit
of a finding is a linear function of the expanded measurements, plus a share of the logit of the feature's own head; a
weighted mean of this and of the tower's logit counts. Beside ``heads.npz`` (the feature alone, for every window of
every bed) an encoder folder holds ``finding_heads.npz``: measuring costs more than encoding, so these heads are
evaluated once per flagged segment, for the prompt of a compact GEM. No torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.encoder.heads import Heads
from models.finding_names import FINDINGS
from models.grounding.feature_vector import expand_features
from models.networks.shipped_files import check_shipped

Floats = NDArray[np.float32]

FILE = "finding_heads.npz"
FAR = 5.0  # spreads from the mean at which a number counts no further: an outlying measurement must not decide alone


@dataclass(frozen=True, eq=False)
class FindingHeads:
    """One line a finding.

    Parameters
    ----------
    labels : tuple of str
    median, mean, scale : [numbers]
        Of the expanded numbers: what fills a number that was not measured, and how they are standardised.
    weight : [labels, numbers]
    bias : [labels]
    share : [labels]
        How much of the feature's own logit is added; 0 for a finding that the feature has no head for.
    threshold : [labels]
        Probability from which a finding is called.
    heads : Heads
        Those of the feature alone.
    tower_share : float
        Weight of the measuring tower's logit, 0 to 1; 0 where the heads were fitted without a tower.
    tower : str
        Digest of the GEM whose measuring tower it is.
    """

    labels: tuple[str, ...]
    median: Floats
    mean: Floats
    scale: Floats
    weight: Floats
    bias: Floats
    share: Floats
    threshold: Floats
    heads: Heads
    tower_share: float = 0.0
    tower: str = ""

    def standardised(self, numbers: Floats) -> Floats:
        """[n, NAMES] measured numbers, NaN where nothing was measured, to [n, numbers]."""
        x = expand_features(numbers)
        z = (np.where(np.isfinite(x), x, self.median) - self.mean) / self.scale
        out: Floats = np.clip(z, -FAR, FAR).astype(np.float32)
        return out

    def logits(self, numbers: Floats, pooled: Floats, tower: Floats | None = None) -> Floats:
        """[n, NAMES] numbers, [n, features] pooled features and [n, FINDINGS] of the tower to [n, labels]."""
        logits = self.standardised(numbers) @ self.weight.T + self.bias + self.share * self.own(pooled)
        if tower is not None:
            places = [FINDINGS.index(label) for label in self.labels]
            logits = (1.0 - self.tower_share) * logits + self.tower_share * tower[:, places]
        out: Floats = logits.astype(np.float32)
        return out

    def probabilities(self, numbers: Floats, pooled: Floats, tower: Floats | None = None) -> Floats:
        """[n, NAMES] numbers, [n, features] pooled features and [n, FINDINGS] of the tower to [n, labels]."""
        logits = self.logits(numbers, pooled, tower)
        out: Floats = (1.0 / (1.0 + np.exp(-np.clip(logits, -50, 50)))).astype(np.float32)
        return out

    def own(self, pooled: Floats) -> Floats:
        """Logits of the feature alone, [n, labels]; 0 where it has no head."""
        probabilities = np.clip(self.heads.probabilities(pooled), 1e-4, 1 - 1e-4)
        out = np.zeros((len(pooled), len(self.labels)), np.float32)
        for k, label in enumerate(self.labels):
            if label in self.heads.labels:
                p = probabilities[:, self.heads.labels.index(label)]
                out[:, k] = np.log(p / (1 - p))
        return out

    def called(self, numbers: Floats, pooled: Floats, tower: Floats | None = None) -> list[dict[str, float]]:
        """A window's findings at or over their threshold with their probabilities, one table a window."""
        return [
            {label: float(p) for label, p, limit in zip(self.labels, row, self.threshold, strict=True) if p >= limit}
            for row in self.probabilities(numbers, pooled, tower)
        ]

    def save(self, folder: Path) -> None:
        """Write the heads into an encoder folder."""
        np.savez_compressed(
            folder / FILE,
            labels=np.array(self.labels),
            median=self.median,
            mean=self.mean,
            scale=self.scale,
            weight=self.weight,
            bias=self.bias,
            share=self.share,
            threshold=self.threshold,
            weights=np.array(self.heads.weights),
            tower_share=np.float32(self.tower_share),
            tower=np.array(self.tower),
        )

    @classmethod
    def read(cls, folder: Path, heads: Heads) -> Self | None:
        """Those of an encoder folder; None where none were trained; ValueError where they are another encoder's."""
        path = folder / FILE
        if not path.is_file():
            return None
        check_shipped(path)
        with np.load(path, allow_pickle=False) as file:
            if str(file["weights"]) != heads.weights:
                raise ValueError(f"{path} was trained on an encoder {file['weights']}, this one is {heads.weights}")
            return cls(
                tuple(str(x) for x in file["labels"]),
                file["median"],
                file["mean"],
                file["scale"],
                file["weight"],
                file["bias"],
                file["share"],
                file["threshold"],
                heads,
                float(file["tower_share"]),
                str(file["tower"]),
            )

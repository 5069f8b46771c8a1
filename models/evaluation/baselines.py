"""Baseline for trained heads: one ridge logistic regression a finding on the measured numbers.

In: float32 [n, NAMES] of `models.grounding.feature_vector`, NaN where nothing was measured, and float32 [n, FINDINGS]
labels, NaN where unknown. Out: probabilities, float32 [n, FINDINGS]. The other baseline, textbook limits, is
`models.corpus.rule_findings`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.evaluation.logistic_regression import logistic
from models.finding_names import FINDINGS

Floats = NDArray[np.float32]

RIDGE = 0.02


@dataclass(frozen=True, eq=False)
class LogisticBaseline:
    """One logistic regression a finding on the numbers; medians fill what was not measured."""

    median: Floats
    mean: Floats
    scale: Floats
    weight: NDArray[np.float64]  # [FINDINGS, features]
    bias: NDArray[np.float64]

    @classmethod
    def fit(cls, x: Floats, findings: Floats) -> LogisticBaseline:
        """Fit on numbers x [n, features] and findings [n, FINDINGS], NaN where unknown."""
        median = np.nan_to_num(np.nanmedian(x, axis=0)).astype(np.float32)
        filled = np.where(np.isfinite(x), x, median)
        mean, scale = filled.mean(axis=0), filled.std(axis=0) + 1e-6
        z = ((filled - mean) / scale).astype(np.float64)
        weight, bias = np.zeros((len(FINDINGS), x.shape[1])), np.full(len(FINDINGS), -10.0)
        for k in range(len(FINDINGS)):
            known = np.isfinite(findings[:, k])
            y = findings[known, k].astype(np.float64)
            if 0 < y.sum() < len(y):
                weight[k], bias[k] = logistic(z[known], y, None, RIDGE)
        return cls(median, mean.astype(np.float32), scale.astype(np.float32), weight, bias)

    def probabilities(self, x: Floats) -> Floats:
        """[n, FINDINGS]."""
        z = (np.where(np.isfinite(x), x, self.median) - self.mean) / self.scale
        out: Floats = (1 / (1 + np.exp(-np.clip(z @ self.weight.T + self.bias, -50, 50)))).astype(np.float32)
        return out

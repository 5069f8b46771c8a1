"""Scores of one finding over windows: F1-optimal threshold, area under the ROC curve, and its mean over findings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

MIN_EXAMPLES = 5  # findings with fewer examples of either kind are not scored, and their heads not calibrated


def best_threshold(probability: Doubles, y: Doubles, max_false: float = 1.0) -> float:
    """The probability, halfway between two neighbours, from which F1 is best.

    Parameters
    ----------
    max_false : float
        Share of the windows without the finding that may lie above it, at most.
    """
    order = np.argsort(-probability)
    hits = np.cumsum(y[order])
    called = np.arange(1, len(y) + 1)
    f1 = 2 * hits / (called + y.sum())
    f1[called - hits > max_false * (1 - y).sum()] = -1.0
    k = int(np.argmax(f1))
    below = probability[order[k + 1]] if k + 1 < len(y) else 0.0
    return float(np.clip((probability[order[k]] + below) / 2, 0.02, 0.98))


def auc(score: Doubles | Floats, y: Doubles | Floats) -> float:
    """Area under the ROC curve by ranks, ties counted half; NaN where one class is missing."""
    from scipy.stats import rankdata

    positive = y == 1
    n, m = int(positive.sum()), int((~positive).sum())
    if n == 0 or m == 0:
        return float("nan")
    return float((rankdata(score)[positive].sum() - n * (n + 1) / 2) / (n * m))


def macro_auc(score: Floats, findings: Floats, min_positive: int = MIN_EXAMPLES) -> tuple[float, dict[str, float]]:
    """Mean AUC over the columns with ``min_positive`` examples of both kinds or more, and each by its index as text."""
    each = {}
    for k in range(findings.shape[1]):
        known = np.isfinite(findings[:, k])
        y = findings[known, k]
        if min(y.sum(), (1 - y).sum()) >= min_positive:
            each[str(k)] = auc(score[known, k], y)
    return (float(np.mean(list(each.values()))) if each else float("nan")), each

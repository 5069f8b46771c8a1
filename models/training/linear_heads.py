"""Heads for flags: one logistic regression a finding on the encoder's pooled feature, with calibrated thresholds.

In: pooled features and findings (NaN unknown) of training and tuning windows. Out: `models.encoder.heads.Heads`.
Weights are fitted on the training windows (L2), then slope and offset of each logit on the tuning windows (Platt 1999),
and the threshold is where F1 is best there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from models.encoder.heads import Heads

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

RIDGE = 0.002  # L2 on standardized features; chosen on the tuning fold
MIN_POSITIVE = 8  # findings with fewer examples to train on get no head
MIN_TUNE = 5  # and with fewer to tune on keep the plain threshold, uncalibrated
PLAIN_THRESHOLD = 0.5
MIN_AUC = 0.8  # on the tuning windows: a head below it ranks, but never calls
NEVER = 1.01  # a threshold that no probability reaches
MAX_FALSE = 0.05  # of the tuning windows without a rarer finding that may be called: a flag costs a reading


def fit_heads(
    pooled: Floats,
    findings: Floats,
    tune_pooled: Floats,
    tune_findings: Floats,
    labels: tuple[str, ...],
    weights: str,
    sample_weight: Floats | None = None,
) -> Heads:
    """Fit, calibrate, and choose thresholds.

    Parameters
    ----------
    pooled, tune_pooled : [n, features]
    findings, tune_findings : [n, labels]
        0, 1, NaN where the labels do not say.
    labels : tuple of str
    weights : str
        Digest of the encoder that made the features.
    sample_weight : [n], optional
    """
    mean, scale = pooled.mean(axis=0), pooled.std(axis=0) + 1e-6
    x, tune_x = (pooled - mean) / scale, (tune_pooled - mean) / scale
    kept, weight, bias, threshold = [], [], [], []
    for k, label in enumerate(labels):
        known = np.isfinite(findings[:, k])
        y = findings[known, k].astype(np.float64)
        if y.sum() < MIN_POSITIVE or y.sum() == len(y):
            continue
        w, b = logistic(
            x[known].astype(np.float64), y, None if sample_weight is None else sample_weight[known].astype(np.float64)
        )
        tune_known = np.isfinite(tune_findings[:, k])
        tune_y = tune_findings[tune_known, k].astype(np.float64)
        limit = PLAIN_THRESHOLD
        if min(tune_y.sum(), (1 - tune_y).sum()) >= MIN_TUNE:
            logits = tune_x[tune_known] @ w + b
            slope, offset = logistic(logits[:, None], tune_y, None)
            if slope[0] > 0:
                w, b = slope[0] * w, slope[0] * b + offset
                rare = tune_y.mean() < 0.5
                said = 1 / (1 + np.exp(-(tune_x[tune_known] @ w + b)))
                limit = best_threshold(said, tune_y, MAX_FALSE if rare else 1.0)
            if auc(logits, tune_y) < MIN_AUC:
                limit = NEVER
        kept.append(label)
        weight.append(w)
        bias.append(b)
        threshold.append(limit)
    return Heads(
        tuple(kept),
        np.array(weight, np.float32),
        np.array(bias, np.float32),
        mean.astype(np.float32),
        scale.astype(np.float32),
        np.array(threshold, np.float32),
        weights,
    )


def logistic(x: Doubles, y: Doubles, sample_weight: Doubles | None, ridge: float = RIDGE) -> tuple[Doubles, float]:
    """Weights and bias of a ridge logistic regression."""
    counted = np.ones(len(y)) if sample_weight is None else sample_weight
    share = counted / counted.sum()

    def loss(p: Doubles) -> tuple[float, Doubles]:
        z = x @ p[:-1] + p[-1]
        error = (1 / (1 + np.exp(-z)) - y) * share
        value = float((share * (np.logaddexp(0, z) - y * z)).sum() + ridge / 2 * (p[:-1] @ p[:-1]))
        return value, np.concatenate([x.T @ error + ridge * p[:-1], [error.sum()]])

    found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 300})
    return found.x[:-1], float(found.x[-1])


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


def macro_auc(score: Floats, findings: Floats, min_positive: int = MIN_TUNE) -> tuple[float, dict[str, float]]:
    """Mean AUC over the columns with ``min_positive`` examples of both kinds or more, and each by its index as text."""
    each = {}
    for k in range(findings.shape[1]):
        known = np.isfinite(findings[:, k])
        y = findings[known, k]
        if min(y.sum(), (1 - y).sum()) >= min_positive:
            each[str(k)] = auc(score[known, k], y)
    return (float(np.mean(list(each.values()))) if each else float("nan")), each

"""Fit of the linear heads: one logistic regression per finding on the encoder's pooled feature.

In: pooled features [n, features] and findings [n, labels] (NaN unknown) of training and tuning windows. Out:
`models.encoder.heads.Heads`. Weights are fitted on the training windows with L2, slope and offset of each logit on the
tuning windows (Platt 1999); the threshold maximises F1 there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.encoder.heads import Heads
from models.evaluation.binary_scores import MIN_EXAMPLES, auc, best_threshold
from models.evaluation.logistic_regression import logistic

Floats = NDArray[np.float32]

MIN_POSITIVE = 8  # findings with fewer examples to train on get no head
PLAIN_THRESHOLD = 0.5  # of a head with fewer than MIN_EXAMPLES tuning windows of either kind, uncalibrated
MIN_AUC = 0.8  # on the tuning windows: a head below it gives probabilities, but its finding is never called
NEVER = 1.01  # a threshold that no probability reaches
MAX_FALSE = (
    0.05  # false-positive rate of a rarer finding on the tuning windows, at most: a flag costs an interpretation
)


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
        0, 1, NaN where the labels say nothing.
    labels : tuple of str
    weights : str
        Digest of the encoder that computed the features.
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
        if min(tune_y.sum(), (1 - tune_y).sum()) >= MIN_EXAMPLES:
            logits = tune_x[tune_known] @ w + b
            slope, offset = logistic(logits[:, None], tune_y, None)
            if slope[0] > 0:
                w, b = slope[0] * w, slope[0] * b + offset
                rare = tune_y.mean() < 0.5
                predicted = 1 / (1 + np.exp(-(tune_x[tune_known] @ w + b)))
                limit = best_threshold(predicted, tune_y, MAX_FALSE if rare else 1.0)
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

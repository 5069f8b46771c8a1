"""Ridge logistic regression by L-BFGS: the linear heads and the plain baseline are fitted with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Doubles = NDArray[np.float64]

RIDGE = 0.002  # L2 on standardized features; chosen on the tuning fold


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

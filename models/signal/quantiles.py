"""Quantiles along the last axis, NumPy's linear ones, without its overhead of a call on few values.

>>> import numpy as np
>>> quantile(np.array([[4.0, 1.0, 3.0, 2.0]]), 0.5)
array([2.5])
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def quantile(x: NDArray[Any], q: float) -> NDArray[Any]:
    """The ``q`` quantile of [..., n] finite values, interpolated between the two nearest; [...]."""
    at = q * (x.shape[-1] - 1)
    low = int(at)
    high = min(low + 1, x.shape[-1] - 1)
    ordered = np.partition(x, (low, high), axis=-1)
    below: NDArray[Any] = ordered[..., low]
    between: NDArray[Any] = below + (at - low) * (ordered[..., high] - below)
    return between.astype(x.dtype, copy=False)


def middle(x: NDArray[Any]) -> NDArray[Any]:
    """The median of [..., n] finite values, n at least 1, as `numpy.median` computes it; [...]."""
    low, high = (x.shape[-1] - 1) // 2, x.shape[-1] // 2
    ordered = np.partition(x, (low, high), axis=-1)
    out: NDArray[Any] = (ordered[..., low] + ordered[..., high]) / 2
    return out


def median(x: NDArray[Any]) -> NDArray[Any]:
    """The median of [..., n] finite values; [...]."""
    return quantile(x, 0.5)

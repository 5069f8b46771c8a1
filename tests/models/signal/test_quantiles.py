"""The quick quantiles are NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from models.signal.quantiles import median, quantile


@pytest.mark.parametrize("n", [1, 2, 5, 60, 1500])
@pytest.mark.parametrize("q", [0.0, 0.4, 0.75, 0.98, 1.0])
def test_a_quantile_is_that_of_numpy(n: int, q: float) -> None:
    x = np.random.default_rng(n).normal(0, 1, (12, n)).astype(np.float32)
    assert quantile(x, q) == pytest.approx(np.quantile(x, q, axis=1), abs=1e-6)
    assert quantile(x, q).dtype == np.float32


def test_the_median_of_an_even_number_lies_between_the_two_in_the_middle() -> None:
    assert median(np.array([4.0, 1.0, 3.0, 2.0])) == 2.5

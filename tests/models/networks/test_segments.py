"""Segments of several rows at once are those of each row alone."""

from __future__ import annotations

import numpy as np

from models.networks.segments import Segments, apart, rows_of, segments_of


def test_rows_together_have_the_segments_of_each_row_alone() -> None:
    rng = np.random.default_rng(3)
    smooth = np.apply_along_axis(lambda row: np.convolve(row, np.ones(9) / 9, "same"), 1, rng.uniform(0, 1, (5, 300)))
    probability = smooth.astype(np.float32)
    shortest = np.array([0.016, 0.024, 0.040, 0.016, 0.1])
    together = segments_of(probability, shortest)
    for k in range(5):
        alone, part = segments_of(probability[k : k + 1], float(shortest[k])), rows_of(together, k, k + 1)
        for name in ("row", "start", "end", "mass"):
            assert np.array_equal(getattr(alone, name), getattr(part, name)), (k, name)
    assert len(rows_of(together, 0, 4).row) > 10


def test_of_two_segments_that_are_near_the_larger_stays() -> None:
    start = np.array([0.0, 0.1, 1.0])
    found = Segments(np.zeros(3, np.int64), start, start + 0.05, np.array([2.0, 5.0, 1.0]))
    assert apart(found, 0.2).start.tolist() == [0.1, 1.0]
    assert apart(found, 0.09) is found

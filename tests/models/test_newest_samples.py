"""The newest samples of a stream are the same, whatever the pieces and the room behind them."""

from __future__ import annotations

import numpy as np
import pytest

from models.ecg import NewestSamples, appended, rows_of

KEEP = 50


@pytest.mark.parametrize("room", [0, 7, 200])
def test_the_newest_samples_are_kept_in_order(room: int) -> None:
    rng, samples = np.random.default_rng(room), NewestSamples(3, KEEP, room)
    expected = np.zeros((3, 0), np.float32)
    for n in [*rng.integers(0, 20, 60).tolist(), 2 * KEEP, 3]:
        new = rng.normal(size=(3, n)).astype(np.float32)
        samples.append(new)
        expected = appended(expected, new, KEEP)
        assert np.array_equal(samples.mv, expected)


def test_what_is_written_to_them_and_their_rows_stay() -> None:
    samples = NewestSamples(2, KEEP, 20)
    samples.append(np.arange(80, dtype=np.float32).reshape(2, 40))
    samples.mv[:, -2:] = 7.0
    samples.mv = rows_of(samples.mv, [1, -1, 0])
    samples.append(np.ones((3, 1), np.float32))
    assert samples.mv[:, -4:].tolist()[0] == [77.0, 7.0, 7.0, 1.0]
    assert np.isnan(samples.mv[1, :-1]).all() and samples.mv[2, 0] == 0.0

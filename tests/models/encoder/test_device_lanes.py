"""Lanes of a GPU without one: the graph that takes half precision, order and use of lanes, page-locked buffers."""

from __future__ import annotations

import gc
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np

from models.encoder.device_lanes import DeviceLanes, buckets, page_locked, with_half_input
from models.encoder.session import COMPACT_FOLDER, EncoderSession
from models.networks.loading import open_session

HALF_TOLERANCE = 5e-3  # of features, half-precision input against float32


def test_a_half_precision_input_changes_the_features_by_little() -> None:
    windows = np.random.default_rng(3).normal(0, 0.5, (3, 12, 5000)).astype(np.float32)
    session: Any = open_session(with_half_input(COMPACT_FOLDER / "model.onnx"))
    assert [i.name for i in session.get_inputs()] == ["ecg_half"]
    (pooled,) = session.run(["pooled"], {"ecg_half": windows.astype(np.float16)})
    expected = EncoderSession.load(None, "cpu", threads=1).pooled(windows)
    assert 0 < np.abs(pooled - expected).max() < HALF_TOLERANCE


def test_batches_come_back_in_order_and_run_side_by_side() -> None:
    together = threading.Barrier(2, timeout=10)

    class Lane:
        def __init__(self) -> None:
            self.busy = threading.Lock()

        def run(self, windows: np.ndarray, tokens: bool) -> tuple[np.ndarray, np.ndarray]:
            assert self.busy.acquire(blocking=False), "two threads in one lane"
            together.wait()  # passes only with both lanes at work
            self.busy.release()
            return windows, windows.sum(axis=(1, 2))

    batches = [np.full((2, 1, 1), k, np.float32) for k in range(6)]
    out = DeviceLanes([Lane(), Lane()]).run(batches, tokens=False)
    assert [pooled[0] for _, pooled in out] == [0, 1, 2, 3, 4, 5]


def test_a_lane_that_fails_is_free_again() -> None:
    class Lane:
        calls = 0

        def run(self, windows: np.ndarray, tokens: bool) -> tuple[np.ndarray, np.ndarray]:
            self.calls += 1
            if self.calls == 1:
                raise RuntimeError("out of memory")
            return windows, windows

    lanes = DeviceLanes([Lane()])
    batch = np.zeros((1, 1, 1), np.float32)
    for expected in (RuntimeError, None):
        try:
            lanes.run([batch], tokens=True)
            assert expected is None
        except RuntimeError:
            assert expected is RuntimeError


def test_a_buffer_is_locked_while_it_lives() -> None:
    calls: list[tuple[str, int]] = []
    runtime = SimpleNamespace(
        cudaHostRegister=lambda place, size, flags: calls.append(("locked", size.value)) or 0,
        cudaHostUnregister=lambda place: calls.append(("freed", place.value)),
    )
    buffer = np.zeros(1000, np.float16)
    at = buffer.ctypes.data
    assert page_locked(buffer, runtime) and calls == [("locked", 2000)]
    del buffer
    gc.collect()
    assert calls[-1] == ("freed", at)
    refused = SimpleNamespace(cudaHostRegister=lambda place, size, flags: 1)
    assert not page_locked(np.zeros(3), refused)


def test_batch_sizes_are_powers_of_two_up_to_the_largest() -> None:
    assert list(buckets(6)) == [1, 2, 4, 6] and list(buckets(1)) == [1] and list(buckets(64))[-2:] == [32, 64]

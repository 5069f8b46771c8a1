"""Windows to features on a GPU: several lanes, each with its own stream, and buffers that do not move.

In: a graph of `models.encoder.export` and windows float32 [n, 12, 5000] mV. Out: tokens and pooled features.

A lane is one session of ONNX Runtime (its CUDA provider gives each session a stream) with buffers per batch size, bound
once. While one lane computes, another copies. Host buffers are page-locked (``cudaHostRegister``), so that a copy runs
at the speed of the bus; where the CUDA run-time cannot be found they stay pageable. The upload is in half precision
where asked: the graph widens it first.
"""

from __future__ import annotations

import ctypes
import queue
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.encoder.configuration import TowerConfig
from models.networks.onnx_runtime import onnx_runtime

Floats = NDArray[np.float32]

LANES = 2  # one copies while the other computes; more would wait for the same bus and the same units
CUDA_RUNTIMES = ("libcudart.so.13", "libcudart.so.12")
PORTABLE = 1  # flag of cudaHostRegister: page-locked for every context


def with_half_input(graph: Path) -> bytes:
    """The graph of an encoder with its input ``ecg`` in half precision, widened at once."""
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(graph)
    (ecg,) = (value for value in model.graph.input if value.name == "ecg")
    shape = [d.dim_param or d.dim_value for d in ecg.type.tensor_type.shape.dim]
    model.graph.input.remove(ecg)
    model.graph.input.append(helper.make_tensor_value_info("ecg_half", TensorProto.FLOAT16, shape))
    model.graph.node.insert(0, helper.make_node("Cast", ["ecg_half"], ["ecg"], to=TensorProto.FLOAT))
    return bytes(model.SerializeToString(deterministic=True))


def page_locked(array: NDArray[Any], runtime: Any = None) -> bool:
    """Lock the pages of an array until it is freed; False where that cannot be done.

    Parameters
    ----------
    runtime : library, optional
        With ``cudaHostRegister`` and ``cudaHostUnregister``; None: that of CUDA, if it is loaded.
    """
    runtime = runtime or _cuda_runtime()
    if runtime is None:
        return False
    place = ctypes.c_void_p(array.ctypes.data)
    if runtime.cudaHostRegister(place, ctypes.c_size_t(array.nbytes), ctypes.c_uint(PORTABLE)) != 0:
        return False
    weakref.finalize(array, runtime.cudaHostUnregister, place)
    return True


def _cuda_runtime() -> Any:
    for name in CUDA_RUNTIMES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


class DeviceBuffers:
    """Input and output buffers of one batch size on the GPU, bound once: no allocation per call."""

    def __init__(self, session: Any, config: TowerConfig, size: int, *, half: bool) -> None:
        self.session = session
        self.staged = np.zeros((size, config.leads, config.samples), np.float16 if half else np.float32)
        page_locked(self.staged)
        value = onnx_runtime().OrtValue
        self.ecg = value.ortvalue_from_numpy(self.staged, "cuda", 0)
        self.tokens = value.ortvalue_from_shape_and_type([size, config.tokens, config.width], np.float32, "cuda", 0)
        self.pooled = value.ortvalue_from_shape_and_type([size, config.embed_dim], np.float32, "cuda", 0)
        self.binding = session.io_binding()
        self.binding.bind_ortvalue_input("ecg_half" if half else "ecg", self.ecg)
        self.binding.bind_ortvalue_output("tokens", self.tokens)
        self.binding.bind_ortvalue_output("pooled", self.pooled)

    def run(self, windows: Floats, tokens: bool) -> tuple[Floats, Floats]:
        """Tokens (empty where they are not wanted) and pooled features of at most ``size`` windows."""
        n = len(windows)
        self.staged[:n] = windows
        self.ecg.update_inplace(self.staged)
        self.session.run_with_iobinding(self.binding)
        self.binding.synchronize_outputs()
        return self.tokens.numpy()[:n] if tokens else np.empty(0, np.float32), self.pooled.numpy()[:n]


class Lane:
    """One session with its buffers; used by one thread at a time."""

    def __init__(self, session: Any, config: TowerConfig, largest: int, *, half: bool) -> None:
        self._session, self._config, self._largest, self._half = session, config, largest, half
        self._buffers: dict[int, DeviceBuffers] = {}

    def run(self, windows: Floats, tokens: bool) -> tuple[Floats, Floats]:
        """Features of at most ``largest`` windows; the batch is filled up to a power of two."""
        size = next(b for b in buckets(self._largest) if b >= len(windows))
        if size not in self._buffers:
            self._buffers[size] = DeviceBuffers(self._session, self._config, size, half=self._half)
        return self._buffers[size].run(windows, tokens)


class DeviceLanes:
    """Several lanes; safe to call from several threads.

    Parameters
    ----------
    lanes : sequence of Lane
    """

    def __init__(self, lanes: Sequence[Any]) -> None:
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for lane in lanes:
            self._free.put(lane)
        self._threads = ThreadPoolExecutor(len(lanes), "encoder-lane")

    @classmethod
    def opened(
        cls, open_session: Callable[[], Any], config: TowerConfig, largest: int, *, half: bool, count: int = LANES
    ) -> DeviceLanes:
        """``count`` lanes, each with a session of its own."""
        return cls([Lane(open_session(), config, largest, half=half) for _ in range(count)])

    def run(self, batches: Sequence[Floats], tokens: bool) -> list[tuple[Floats, Floats]]:
        """Tokens and pooled features of each batch, in order."""
        if len(batches) == 1:
            return [self._one(batches[0], tokens)]
        return list(self._threads.map(lambda batch: self._one(batch, tokens), batches))

    def _one(self, windows: Floats, tokens: bool) -> tuple[Floats, Floats]:
        lane = self._free.get()
        try:
            out: tuple[Floats, Floats] = lane.run(windows, tokens)
        finally:
            self._free.put(lane)
        return out


def buckets(largest: int) -> Iterator[int]:
    """Batch sizes: powers of two below the largest, and it."""
    size = 1
    while size < largest:
        yield size
        size *= 2
    yield largest

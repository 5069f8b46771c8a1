"""The small networks that ship with the project: one base class that names, finds and opens their weights.

A weight file is ``models/weights/<name>.<suffix>``; ``<name>_fold<k>.<suffix>`` holds the weights that were trained
without the records of fold ``k``. The fold is always an argument: nothing in `models` reads an environment variable.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Self

from models.networks.onnx_runtime import onnx_runtime
from models.networks.shipped_files import WEIGHTS, check_shipped

WARNINGS, ERRORS = 2, 3  # severities of ONNX Runtime's log
CUDA = "CUDAExecutionProvider"


class SmallNetwork:
    """A network with shipped weights and a file for each fold; subclasses define its name and its call.

    Parameters
    ----------
    path : Path
        Weight file.
    """

    name: ClassVar[str]
    made_by: ClassVar[str]  # the module that trains it
    suffix: ClassVar[str] = "onnx"

    def __init__(self, path: Path) -> None:
        self._session = open_session(path)

    @classmethod
    def weights_path(cls, fold: str | None = None) -> Path:
        """The weight file: the shipped one, or the one trained without ``fold``."""
        return WEIGHTS / (f"{cls.name}.{cls.suffix}" if fold is None else f"{cls.name}_fold{fold}.{cls.suffix}")

    @classmethod
    def load(cls, fold: str | None = None) -> Self:
        """The network with the weights of ``fold``, opened once a process.

        Raises
        ------
        FileNotFoundError
            The weights are missing; the message names the command that makes them.
        """
        return _loaded(cls, fold)  # type: ignore[arg-type, return-value]


@lru_cache(maxsize=32)
def _loaded(network: type[SmallNetwork], fold: str | None) -> SmallNetwork:
    path = network.weights_path(fold)
    if not path.is_file():
        command = f"python -m {network.made_by}" + ("" if fold is None else f" --fold {fold}")
        raise FileNotFoundError(f"no {path.name} in models/weights: make it with `{command}`")
    check_shipped(path)
    return network(path)


def open_session(
    graph: Path | bytes,
    *,
    threads: int | None = 1,
    providers: Sequence[Any] = ("CPUExecutionProvider",),
    log_severity: int = ERRORS,
) -> Any:
    """Open an ONNX Runtime session.

    Parameters
    ----------
    graph : Path or bytes
        An ONNX file, or a serialised model.
    threads : int or None
        Of one call; None: all cores. One by default: beds run side by side, and threads inside one would only compete.
    providers : sequence
        Execution providers of ONNX Runtime, in order of preference.
    log_severity : int
        Lowest severity that ONNX Runtime logs.

    Raises
    ------
    WrongDigest
        A shipped file is not the one of this release.
    """
    onnxruntime = onnx_runtime()
    if isinstance(graph, Path):
        check_shipped(graph)
    if any(CUDA in provider for provider in providers) and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()  # CUDA and cuDNN out of torch or the nvidia wheels; the loader does not look there
    options = onnxruntime.SessionOptions()
    if threads is not None:
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = log_severity
    model = graph if isinstance(graph, bytes) else str(graph)
    return onnxruntime.InferenceSession(model, options, providers=list(providers))

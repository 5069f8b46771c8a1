"""The small networks that ship with the project: where their files lie, which fold is asked for, how one is opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

FOLD_SETTING = "GEM_BEDSIDE_FOLD"
WEIGHTS = Path(__file__).resolve().parent.parent / "weights"


def fold_asked() -> str | None:
    """The fold whose records the answer must never have seen; None for the shipped weights."""
    return os.environ.get(FOLD_SETTING) or None


def file_of(name: str, fold: str | None, kind: str = "onnx") -> Path:
    """A network's file: the shipped one, or the one that never saw ``fold``.

    >>> file_of("rhythm", None).name, file_of("afib", "2", "npz").name
    ('rhythm.onnx', 'afib_fold2.npz')
    """
    return WEIGHTS / (f"{name}.{kind}" if fold is None else f"{name}_fold{fold}.{kind}")


def open_net(path: Path, made_by: str) -> Any:
    """An ONNX Runtime session on one thread: beds run side by side, and threads inside one would only fight.

    Raises
    ------
    FileNotFoundError
        The file is missing; the text names the module that makes it.
    """
    import onnxruntime

    if not path.is_file():
        raise FileNotFoundError(f"no {path.name} in {path.parent.name}: run python -m {made_by}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

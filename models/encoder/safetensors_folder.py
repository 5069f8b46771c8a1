"""Tensors of a checkpoint folder: names and shapes from the headers, then the tensors file by file.

A folder holds one ``*.safetensors`` file or several shards. Nothing here unpickles:
``models.encoder.import_checkpoint`` turns a published ``.pt`` or ``.bin`` into safetensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

Shapes = dict[str, tuple[int, ...]]
Locations = dict[str, tuple[Path, str]]  # tensor name -> file, and the name in that file


class CheckpointError(ValueError):
    """A folder that is not a GEM checkpoint, or not a whole one; the text names tensors and counts."""


def tensor_shapes(folder: Path) -> tuple[Shapes, Locations]:
    """Name → shape, and name → (file, name in it), of every tensor of a folder; reads the files' headers only."""
    from safetensors import safe_open

    shapes: Shapes = {}
    where: Locations = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, "pt") as file:
                for name in file.keys():  # noqa: SIM118 - safe_open is no mapping
                    shapes[name] = tuple(file.get_slice(name).get_shape())
                    where[name] = (path, name)
        except Exception as error:  # safetensors raises its own class, which is no subclass of one worth naming
            raise CheckpointError(f"{path} is no readable safetensors file: {error}") from error
    if not shapes:
        pickled = sorted(p.name for p in [*folder.glob("*.bin"), *folder.glob("*.pt")])
        hint = f"; {', '.join(pickled)} must be imported first" if pickled else ""
        raise CheckpointError(f"{folder} holds no .safetensors file{hint}")
    return shapes, where


def read_tensors(where: Mapping[str, tuple[Path, str]], wanted: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """The wanted tensors, file by file."""
    from safetensors import safe_open

    for path in sorted({where[name][0] for name in wanted}):
        with safe_open(path, "pt") as file:
            for name in wanted:
                if where[name][0] == path:
                    yield name, file.get_tensor(where[name][1])

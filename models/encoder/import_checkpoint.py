"""Turns published checkpoints (``.pt``, ``.bin``) into safetensors: the one place where a pickle is read.

``python -m models.encoder.import_checkpoint FILE_OR_FOLDER TARGET`` writes ``TARGET/model.safetensors``; the prefix
``module.`` of a parallel training run is dropped. A source folder's other files (configuration, tokenizer) are copied.
Only tensors are read (``weights_only``): a file with code is rejected.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

PICKLED = (".pt", ".pth", ".bin")
COPIED = (".json", ".model", ".txt")


def import_checkpoint(source: Path, target: Path) -> list[str]:
    """Writes the tensors of a file, or of all pickled shards of a folder, and returns their names.

    Raises
    ------
    ValueError
        Nothing to import, no tensors inside, or a name in two shards.
    pickle.UnpicklingError
        The file holds more than tensors and plain containers (``weights_only``).
    """
    shards = [source] if source.is_file() else sorted(p for p in source.iterdir() if p.suffix in PICKLED)
    if not shards:
        raise ValueError(f"{source} holds no {', '.join(PICKLED)} file")
    state: dict[str, Tensor] = {}
    for shard in shards:
        tensors = _tensors(torch.load(shard, map_location="cpu", weights_only=True))
        if not tensors:
            raise ValueError(f"{shard} holds no tensors")
        twice = sorted(set(tensors) & set(state))
        if twice:
            raise ValueError(f"{shard.name} holds {len(twice)} tensors that another shard has too, first {twice[0]}")
        state |= tensors
    target.mkdir(parents=True, exist_ok=True)
    # Shared storage is written twice: safetensors keeps no aliases.
    save_file(
        {name: tensor.detach().clone().contiguous() for name, tensor in state.items()},
        target / "model.safetensors",
        metadata={"format": "pt"},
    )
    if source.is_dir():
        for path in source.iterdir():
            if path.suffix in COPIED and not path.name.endswith(".index.json"):
                shutil.copyfile(path, target / path.name)
    return sorted(state)


def _tensors(document: Any) -> dict[str, Tensor]:
    nested = document.get("state_dict", document) if isinstance(document, dict) else {}
    return {name.removeprefix("module."): value for name, value in nested.items() if isinstance(value, Tensor)}


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m models.encoder.import_checkpoint",
        description="Writes a published .pt or .bin checkpoint as safetensors.",
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args(argv)
    names = import_checkpoint(options.source, options.target)
    print(f"{len(names)} tensors in {options.target / 'model.safetensors'}")


if __name__ == "__main__":
    main()

"""The ECG tower of a checkpoint: of a GEM folder, of an imported ECG-CoCa folder, or a tower alone.

Sizes come from ``config.json`` (``tower_config``), else from the open_clip configuration beside it, else from the
tensors' shapes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.encoder.configuration import TowerConfig
from models.encoder.safetensors_folder import CheckpointError, Shapes, read_tensors, tensor_shapes

GEM_TOWER = "model.ecg_tower.ecg_tower."  # prefix of the tower's tensors in a GEM checkpoint
COCA_TOWER = "ecg."  # in an imported ECG-CoCa checkpoint
HEAD_WIDTH = 64  # of CLIP and of ECG-CoCa: no tensor's shape shows it


def read_tower(folder: Path) -> tuple[dict[str, NDArray[np.float32]], TowerConfig, bool]:
    """The ECG tower of a GEM or an imported ECG-CoCa folder, or a tower alone: arrays, sizes, whether it is trained."""
    shapes, where = tensor_shapes(folder)
    prefix = next((p for p in (GEM_TOWER, COCA_TOWER) if any(name.startswith(p) for name in shapes)), "")
    own = {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}
    if "conv1.weight" not in own:
        raise CheckpointError(f"{folder} holds no ECG tower: no tensor {GEM_TOWER}conv1.weight and none conv1.weight")
    path = folder / "config.json"
    document = json.loads(path.read_text()) if path.is_file() else {}
    config = (
        TowerConfig(**document["tower_config"])
        if document.get("tower_config")
        else tower_config_of(document, {f"{GEM_TOWER}{n}": s for n, s in own.items()}, folder)
    )
    wanted = {f"{prefix}{name}": None for name in config.shapes() if f"{prefix}{name}" in shapes}
    state = {name.removeprefix(prefix): tensor.float().numpy() for name, tensor in read_tensors(where, wanted)}
    return state, config, bool(document.get("trained", True))


def tower_config_of(document: Mapping[str, Any], shapes: Shapes, folder: Path | None) -> TowerConfig:
    """Sizes of the tower of a GEM checkpoint whose tensors have the given names and shapes."""
    own = {name.removeprefix(GEM_TOWER): shape for name, shape in shapes.items() if name.startswith(GEM_TOWER)}
    named = f"{document.get('open_clip_config')}.json"
    for path in sorted(folder.glob("*.json"), key=lambda p: p.name != named) if folder is not None else []:
        if "ecg_cfg" in json.loads(path.read_text()):
            return TowerConfig.from_shapes(own, TowerConfig.read(path).head_width)
    width = own["conv1.weight"][0]
    return TowerConfig.from_shapes(own, HEAD_WIDTH if width % HEAD_WIDTH == 0 else width)

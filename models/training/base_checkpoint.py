"""The model that training starts from: a LLaVA or PULSE checkpoint with an ECG-CoCa tower put in, or a GEM.

In: a checkpoint folder (LLaVA-1.6-Vicuna, PULSE or GEM layout), and for one without an ECG tower the folder of a tower
(`models.encoder.import_checkpoint` writes it from the published ``.pt``). Out: the model in float32 on the CPU, with a
new ECG projector where the checkpoint has none, and its processor.

Deviation from the reference: fine-tuning from a GEM checkpoint works (the reference loads the tower without its
argument and fails), and the projector's input width is the tower's, not always 768.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from models.encoder.safetensors_folder import CheckpointError, read_tensors, tensor_shapes
from models.encoder.tower_checkpoint import GEM_TOWER, read_tower
from models.gem.checkpoint import (
    assign_parameter,
    compare_layout,
    complete_config,
    empty_model,
    load_checkpoint,
    rebuild_buffers,
)
from models.gem.modeling import GemForCausalLM
from models.gem.processing import GemProcessor

PROJECTOR = "model.ecg_projector."


def open_base(base: Path, tower: Path | None = None, seed: int = 0) -> tuple[GemForCausalLM, GemProcessor]:
    """Model and processor to train.

    Parameters
    ----------
    base : Path
    tower : Path, optional
        Folder of an ECG tower; needed where ``base`` has none, and taken in its place where it has one.
    seed : int
        Of a new projector's weights.

    Raises
    ------
    CheckpointError
        ``base`` has no ECG tower and none is given; tensors are missing.
    """
    shapes, where = tensor_shapes(base)
    has_tower = any(name.startswith(GEM_TOWER) for name in shapes)
    if has_tower and tower is None:
        model = load_checkpoint(base)
        return model, GemProcessor.load(base, model.config)
    if tower is None:
        raise CheckpointError(f"{base} has no ECG tower: give the folder of one (--tower)")
    state, sizes, _ = read_tower(tower)
    path = base / "config.json"
    document = json.loads(path.read_text()) if path.is_file() else {}
    document.pop("torch_dtype", None)
    document["tower_config"] = sizes.to_dict()
    config = complete_config(document, shapes, base)
    model = empty_model(config)
    report = compare_layout(shapes, config)
    new = (GEM_TOWER, PROJECTOR)
    missing = [name for name in report.missing if not name.startswith(new)]
    if missing or [name for name in report.misshapen if not name.startswith(new)]:
        raise CheckpointError(f"{base}: {report}")
    filled: dict[str, Tensor] = {f"{GEM_TOWER}{name}": torch.from_numpy(values) for name, values in state.items()}
    filled |= _projector(model, seed)
    wanted = dict(model.named_parameters())
    read = {n: p for n, p in wanted.items() if n in shapes and n not in filled}
    for name, tensor in [*read_tensors(where, read), *filled.items()]:
        if name in wanted:
            assign_parameter(model, name, nn.Parameter(tensor.float(), requires_grad=False))
    rebuild_buffers(model, "cpu")
    return model, GemProcessor.load(base, config)


def _projector(model: GemForCausalLM, seed: int) -> dict[str, Tensor]:
    """New weights of the ECG projector, as PyTorch initialises a linear layer."""
    out: dict[str, Tensor] = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, module in model.model.ecg_projector.named_modules():
            if isinstance(module, nn.Linear):
                fresh = nn.Linear(module.in_features, module.out_features)
                prefix = f"{PROJECTOR}{name}." if name else PROJECTOR
                out |= {f"{prefix}weight": fresh.weight.data, f"{prefix}bias": fresh.bias.data}
    return out

"""Folders of GEM checkpoints in the published layout: read and written, safetensors only.

A folder holds ``config.json``, ``tokenizer.model`` and ``model.safetensors`` (or shards with
``model.safetensors.index.json``), and optionally the open_clip configuration of the ECG tower
(``<open_clip_config>.json``) and the CLIP folder that ``mm_vision_tower`` names.

Precedence of weights, as in the reference: the tensors of the ECG tower always come from the checkpoint, never from the
``.pt`` that the configuration names; those of the vision tower come from the checkpoint when they are in it, else from
the CLIP folder. The kind of a projector follows from the names of its tensors, not from the configuration.

Nothing here unpickles: ``models.encoder.import_checkpoint`` turns a published ``.pt`` or ``.bin`` into safetensors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from transformers.models.clip.modeling_clip import CLIPVisionEmbeddings
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from models.encoder.safetensors_folder import CheckpointError, Shapes, read_tensors, tensor_shapes
from models.encoder.tower import LeadNorm
from models.encoder.tower_checkpoint import GEM_TOWER, HEAD_WIDTH, tower_config_of
from models.encoder.weights_digest import weights_digest
from models.gem.configuration import GemConfig, vision_sizes
from models.gem.modeling import GemForCausalLM

VISION = "model.vision_tower.vision_tower.vision_model."
LLAMA_HEAD_WIDTH = 128  # of LLaMA-7B, used where a configuration is missing
OPTIONAL = ("model.image_newline",)  # saved by a base that unpads; a model that does not never reads it
NAMED_IN_ERRORS = 5  # names listed before "and n more"


@dataclass(frozen=True, slots=True)
class LayoutReport:
    """How the tensors of a checkpoint compare with those that its configuration asks for."""

    expected: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """No tensor is missing or misshapen; unexpected ones are allowed."""
        return not (self.missing or self.misshapen)

    def __str__(self) -> str:
        kinds = (("missing", self.missing), ("of another shape", self.misshapen), ("not known", self.unexpected))
        return f"of {self.expected} tensors " + (
            "none is missing"
            if self.ok and not self.unexpected
            else ", ".join(f"{len(names)} {kind} ({_listed(names)})" for kind, names in kinds if names)
        )


def load_checkpoint(
    folder: Path | str, *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> GemForCausalLM:
    """A GEM of any size from its folder, ready to answer.

    Tensors go one by one from the file to the device, so that a 14-GB checkpoint needs no second copy in memory.

    Raises
    ------
    CheckpointError
        Missing or misshapen tensors, by name and count; no configuration; no tensors.
    """
    folder = Path(folder)
    shapes, where = tensor_shapes(folder)
    config = read_config(folder, shapes)
    model = empty_model(config)
    report = compare_layout(shapes, config)
    borrowed = _clip_folder(folder, config) if report.missing else None
    if borrowed is not None and all(name.startswith(VISION) for name in report.missing):
        clip_shapes, clip_where = tensor_shapes(borrowed)
        prefix = "" if any(name.startswith("embeddings.") for name in clip_shapes) else "vision_model."
        where |= {
            f"{VISION}{name.removeprefix(prefix)}": (path, stored)
            for name, (path, stored) in clip_where.items()
            if name.startswith(prefix)
        }
        shapes |= {f"{VISION}{n.removeprefix(prefix)}": s for n, s in clip_shapes.items() if n.startswith(prefix)}
        report = compare_layout(shapes, config)
    if not report.ok:
        raise CheckpointError(f"{folder}: {report}")
    wanted = dict(model.named_parameters())
    for name, tensor in read_tensors(where, wanted):
        assign_parameter(model, name, nn.Parameter(tensor.to(device, dtype), requires_grad=False))
    rebuild_buffers(model, device)
    model.eval()
    return model


def save_checkpoint(folder: Path | str, model: GemForCausalLM, tokenizer_model: Path | None = None) -> str:
    """Writes a folder of the published layout (``config.json`` carries both towers' sizes) and returns its digest.

    ``tokenizer_model`` is copied to ``tokenizer.model``.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.named_parameters()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    document = model.config.to_dict()
    document["architectures"] = ["GemForCausalLM"]
    document["weights"] = weights_digest(folder)
    (folder / "config.json").write_text(json.dumps(document, indent=1, sort_keys=True, default=str) + "\n")
    if tokenizer_model is not None and tokenizer_model.resolve() != (folder / "tokenizer.model").resolve():
        (folder / "tokenizer.model").write_bytes(tokenizer_model.read_bytes())
    return str(document["weights"])


def read_config(folder: Path, shapes: Shapes) -> GemConfig:
    """The configuration of a folder, completed by the files beside it and by the tensors themselves."""
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(f"{folder} holds no config.json")
    document = json.loads(path.read_text())
    document.pop("torch_dtype", None)
    return complete_config(document, shapes, folder)


def complete_config(document: Mapping[str, Any], shapes: Shapes, folder: Path | None = None) -> GemConfig:
    """A whole configuration out of a published one and the shapes of the tensors.

    Parameters
    ----------
    document : mapping
        ``config.json``; empty where there is none: then the shapes alone decide, with LLaMA-7B's head width.
    """
    out = dict(document)
    vocabulary, hidden = shapes["model.embed_tokens.weight"]
    out.setdefault("vocab_size", vocabulary)
    out.setdefault("hidden_size", hidden)
    out.setdefault("intermediate_size", shapes["model.layers.0.mlp.gate_proj.weight"][0])
    out.setdefault("num_hidden_layers", 1 + max(int(n.split(".")[2]) for n in shapes if n.startswith("model.layers.")))
    out.setdefault("num_attention_heads", max(1, hidden // LLAMA_HEAD_WIDTH))
    head = hidden // out["num_attention_heads"]
    out.setdefault("num_key_value_heads", shapes["model.layers.0.self_attn.k_proj.weight"][0] // head)
    out.setdefault("rms_norm_eps", 1e-5)
    out.setdefault("max_position_embeddings", 4096)
    if OPTIONAL[0] in shapes:
        out.setdefault("mm_patch_merge_type", "spatial_unpad")
    if f"{GEM_TOWER}conv1.weight" in shapes and not out.get("tower_config"):
        out["tower_config"] = tower_config_of(out, shapes, folder).to_dict()
    if not out.get("vision_config"):
        out["vision_config"] = _vision_config(out, shapes, folder)
    for name in ("ecg_projector", "mm_projector"):
        layers = sum(bool(re.fullmatch(rf"model\.{name}\.\d+\.weight", n)) for n in shapes)
        if f"model.{name}.weight" in shapes or layers:
            out[f"{name}_type"] = f"mlp{layers}x_gelu" if layers else "linear"
    first = shapes.get("model.mm_projector.0.weight") or shapes.get("model.mm_projector.weight")
    if first:
        out["mm_hidden_size"] = first[1]
    for name in ("model_type", "architectures", "transformers_version"):
        out.pop(name, None)
    return GemConfig(**out)


def empty_model(config: GemConfig) -> GemForCausalLM:
    """The model without memory (meta device)."""
    with torch.device("meta"):
        return GemForCausalLM(config)


def layout(config: GemConfig) -> Shapes:
    """Every tensor's name and shape that a configuration asks for."""
    return {name: tuple(p.shape) for name, p in empty_model(config).named_parameters()}


def compare_layout(shapes: Shapes, config: GemConfig) -> LayoutReport:
    """What is missing, too much, or of another shape."""
    expected = layout(config)
    return LayoutReport(
        len(expected),
        tuple(n for n in expected if n not in shapes),
        tuple(n for n in shapes if n not in expected and n not in OPTIONAL),
        tuple(f"{n} {shapes[n]}, expected {expected[n]}" for n in expected if n in shapes and shapes[n] != expected[n]),
    )


def _vision_config(document: Mapping[str, Any], shapes: Shapes, folder: Path | None) -> dict[str, Any] | None:
    clip = _clip_folder(folder, document) if folder is not None else None
    if clip is not None:
        return vision_sizes(json.loads((clip / "config.json").read_text()))
    patch = shapes.get(f"{VISION}embeddings.patch_embedding.weight")
    if patch is None:
        return None
    width, channels, size = patch[:3]
    side = round((shapes[f"{VISION}embeddings.position_embedding.weight"][0] - 1) ** 0.5)
    layers = 1 + max(
        int(n.removeprefix(f"{VISION}encoder.layers.").split(".")[0])
        for n in shapes
        if n.startswith(f"{VISION}encoder.layers.")
    )
    return {
        "hidden_size": width,
        "num_channels": channels,
        "patch_size": size,
        "image_size": side * size,
        "num_hidden_layers": layers,
        "num_attention_heads": max(1, width // HEAD_WIDTH),
        "intermediate_size": shapes[f"{VISION}encoder.layers.0.mlp.fc1.weight"][0],
        "hidden_act": "quick_gelu",
    }


def _clip_folder(folder: Path, document: Any) -> Path | None:
    named = document.get("mm_vision_tower") if isinstance(document, Mapping) else document.mm_vision_tower
    path = folder / named if named else None
    return path if path is not None and (path / "config.json").is_file() else None


def assign_parameter(model: nn.Module, name: str, parameter: nn.Parameter) -> None:
    """Puts a parameter in the place of the one of that name."""
    owner, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(owner), leaf, parameter)


def rebuild_buffers(model: GemForCausalLM, device: str | torch.device) -> None:
    """Buffers are in no checkpoint: they follow from the configuration, and the meta device left them empty."""
    model.model.rotary_emb = LlamaRotaryEmbedding(model.config).to(device)
    for module in model.modules():
        if isinstance(module, CLIPVisionEmbeddings):
            module.position_ids = torch.arange(module.num_positions, device=device).expand(1, -1)
        elif isinstance(module, LeadNorm):
            module.basis = LeadNorm(module.samples).basis.to(device)


def _listed(names: tuple[str, ...]) -> str:
    more = len(names) - NAMED_IN_ERRORS
    return ", ".join(names[:NAMED_IN_ERRORS]) + (f" and {more} more" if more > 0 else "")

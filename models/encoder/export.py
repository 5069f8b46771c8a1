"""Writes an ECG-CoCa tower as an ONNX graph: 12 × 5000 fixed, batch free, tokens and pooled feature in one graph.

The graph is laid down node by node from the tensors themselves: no tracer stands between the checkpoint and the file,
and the same tensors give the same bytes. Attention and biased GELU use ONNX Runtime's own fused operators
(``com.microsoft``), which exist for CPU and CUDA.

An encoder folder holds ``model.onnx`` and ``config.json``: name, sizes, whether the weights are trained, and the
SHA-256 of ``model.onnx`` that the session checks. Command: ``python -m models.encoder.export --compact FOLDER`` or
``python -m models.encoder.export --checkpoint GEM_FOLDER FOLDER``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.encoder.configuration import COMPACT, TowerConfig
from models.encoder.graph import GraphBuilder, serialized
from models.encoder.tower_checkpoint import read_tower

Array = NDArray[Any]
PRECISIONS = {"fp32": np.float32, "fp16": np.float16}
COMPACT_SEED = 20261122
GRAPH_FILE, CONFIG_FILE = "model.onnx", "config.json"


def tower_graph(
    state: Mapping[str, Array], config: TowerConfig, precision: str = "fp32", *, tokens: bool = True
) -> bytes:
    """The serialized graph of a tower.

    Parameters
    ----------
    state : mapping
        The tower's state dict as arrays; names and shapes as ``config.shapes()``.
    config : TowerConfig
    precision : {"fp32", "fp16"}
        Of weights and arithmetic; input and outputs are float32 either way.
    tokens : bool
        False: only the pooled feature, which the class token alone gives. The last block then has one token.

    Returns
    -------
    bytes
        Input ``ecg`` [batch, 12, 5000] mV; outputs ``tokens`` [batch, 101, width] and ``pooled`` [batch, embed_dim].
    """
    from onnx import TensorProto, helper

    _check_state(state, config)
    build = GraphBuilder(PRECISIONS[precision])
    B, P, W = config.patches, config.patch_size, config.width
    half = precision == "fp16"
    ecg = "ecg"
    if config.lead_norm:  # in float32 also where the rest is not: a root mean square needs its range
        ecg = build.lead_norm(ecg, config.samples)
    if half:
        ecg = build.node("Cast", [ecg], to=TensorProto.FLOAT16)
    # A convolution whose stride is its kernel is one matrix product over the cut patches, and faster as such.
    x = build.node("Reshape", [ecg, build.ints([0, config.leads, B, P])])
    x = build.node("Transpose", [x], perm=[0, 2, 1, 3])  # [B, patches, leads, patch]
    x = build.node("Reshape", [x, build.ints([0, B, config.leads * P])])
    x = build.node("MatMul", [x, build.const(state["conv1.weight"].reshape(W, -1).T)])
    position = state["positional_embedding"]
    x = build.node("Add", [x, build.const(position[1:])])
    # The class token with its position is the same for every window: one row, repeated over the batch.
    batch = build.node("Shape", ["ecg"], start=0, end=1)
    shape = build.node("Concat", [batch, build.ints([1, W])], axis=0)
    cls = build.node("Expand", [build.const((state["class_embedding"] + position[0])[None, None]), shape])
    x = build.norm(build.node("Concat", [cls, x], axis=1), state, "ln_pre")
    for n in range(config.layers):
        block = f"transformer.resblocks.{n}"
        y = build.norm(x, state, f"{block}.ln_1")
        y = build.node(
            "Attention",
            [y, build.const(state[f"{block}.attn.in_proj_weight"].T), build.const(state[f"{block}.attn.in_proj_bias"])],
            domain="com.microsoft",
            num_heads=config.heads,
        )
        if not tokens and n == config.layers - 1:
            x, y = (_class_token(build, each) for each in (x, y))
        x = build.node("Add", [x, build.linear(y, state, f"{block}.attn.out_proj")])
        y = build.norm(x, state, f"{block}.ln_2")
        y = build.node("MatMul", [y, build.const(state[f"{block}.mlp.c_fc.weight"].T)])
        y = build.node("BiasGelu", [y, build.const(state[f"{block}.mlp.c_fc.bias"])], domain="com.microsoft")
        x = build.node("Add", [x, build.linear(y, state, f"{block}.mlp.c_proj")])
    cls = build.node("Squeeze", [_class_token(build, x), build.ints([1])])
    pooled = build.node("MatMul", [build.norm(cls, state, "ln_post"), build.const(state["proj"])])
    made: dict[str, tuple[str, tuple[int, ...]]] = {"tokens": (x, (config.tokens, W))} if tokens else {}
    made["pooled"] = (pooled, (config.embed_dim,))
    for name, (output, _) in made.items():
        build.node("Cast" if half else "Identity", [output], output=name, **({"to": TensorProto.FLOAT} if half else {}))
    shapes = {"ecg": (config.leads, config.samples)} | {name: shape for name, (_, shape) in made.items()}
    ecg_value, *outputs = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape]) for name, shape in shapes.items()
    )
    return serialized(helper.make_graph(build.nodes, "ecg_coca", [ecg_value], outputs, build.constants))


def _class_token(build: GraphBuilder, tokens: str) -> str:
    """The first token, [batch, 1, width]."""
    return build.node("Slice", [tokens, build.ints([0]), build.ints([1]), build.ints([1])])


def write_encoder(
    folder: Path,
    state: Mapping[str, Array],
    config: TowerConfig,
    *,
    name: str,
    trained: bool,
    precision: str = "fp32",
    about: Mapping[str, Any] | None = None,
) -> str:
    """Writes an encoder folder and returns the digest of its weights (``sha256:…`` of ``model.onnx``).

    ``about`` is added to ``config.json``: where the weights come from, the seed or the training run.
    """
    graph = tower_graph(state, config, precision)
    digest = f"sha256:{hashlib.sha256(graph).hexdigest()}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / GRAPH_FILE).write_bytes(graph)
    document = {
        "name": name,
        "trained": trained,
        "precision": precision,
        "weights": digest,
        "tower": config.to_dict(),
        **(about or {}),
    }
    (folder / CONFIG_FILE).write_text(json.dumps(document, indent=1) + "\n")
    return digest


def random_state(config: TowerConfig, seed: int) -> dict[str, NDArray[np.float32]]:
    """Untrained weights that are the same on every machine: norms at identity, biases zero, matrices by fan-in."""
    out = {}
    for name, shape in config.shapes().items():
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        if len(shape) == 1 and name != "class_embedding":
            out[name] = np.full(shape, 1.0 if name.endswith("weight") else 0.0, np.float32)
            continue
        fan_in = shape[0] if name == "proj" else int(np.prod(shape[1:])) if len(shape) > 1 else shape[0]
        out[name] = (rng.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32)
    return out


def _check_state(state: Mapping[str, Array], config: TowerConfig) -> None:
    shapes = config.shapes()
    missing = sorted(set(shapes) - set(state))
    if missing:
        raise ValueError(f"{len(missing)} of {len(shapes)} tensors of the ECG tower are missing, first {missing[0]}")
    wrong = [name for name in shapes if tuple(state[name].shape) != shapes[name]]
    if wrong:
        raise ValueError(
            f"{len(wrong)} tensors of the ECG tower have another shape, first {wrong[0]}: "
            f"{tuple(state[wrong[0]].shape)}, expected {shapes[wrong[0]]}"
        )


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m models.encoder.export", description="Writes an encoder folder.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--compact", action="store_true", help="untrained weights at the compact size")
    source.add_argument("--checkpoint", type=Path, help="folder of a GEM checkpoint whose ECG tower is written")
    parser.add_argument("--precision", choices=sorted(PRECISIONS), default="fp32")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(argv)
    if options.compact:
        digest = write_encoder(
            options.folder,
            random_state(COMPACT, COMPACT_SEED),
            COMPACT,
            name="ecg-coca-compact",
            trained=False,
            precision=options.precision,
            about={"seed": COMPACT_SEED},
        )
    else:
        state, config, trained = read_tower(options.checkpoint)
        digest = write_encoder(
            options.folder,
            state,
            config,
            name=f"ecg-coca of {options.checkpoint.name}",
            trained=trained,
            precision=options.precision,
        )
    print(digest)


if __name__ == "__main__":
    main()

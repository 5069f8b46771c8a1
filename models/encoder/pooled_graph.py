"""The graph that a monitor runs on a CPU: the pooled feature alone, in eight-bit integers.

In: an encoder folder with ``model.onnx``, ``config.json`` and the tower as ``tower.safetensors``. Out: ``pooled.onnx``
beside them, and its digest as ``pooled`` in ``config.json``. The heads read the pooled feature, which the class token
gives: in the last block no other token is computed. Weights of the products have seven bits and a scale a column, and
activations are scaled window by window (ONNX Runtime's dynamic quantization); with eight bits, sums overflow on a CPU
without VNNI. The division of the leads by their size stays in float32.

Command: ``python -m models.encoder.pooled_graph [FOLDER]``, then ``python -m models.networks.shipped_files``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.encoder.configuration import TowerConfig
from models.encoder.export import CONFIG_FILE, tower_graph
from models.encoder.session import COMPACT_FOLDER, POOLED, POOLED_FILE

TOWER_FILE = "tower.safetensors"
QUANTIZED = ["MatMul", "Attention"]


def quantized_pooled_graph(state: Mapping[str, NDArray[np.float32]], config: TowerConfig) -> bytes:
    """The serialized graph of a tower: input ``ecg`` [batch, 12, 5000] mV, output ``pooled`` [batch, embed_dim].

    Parameters
    ----------
    state : mapping
        The tower's state dict as arrays.
    config : TowerConfig
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load_model_from_string(tower_graph(state, config, tokens=False))
    exact = {constant.name for constant in model.graph.initializer if config.samples in constant.dims}
    for k, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}{k}"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / POOLED_FILE
        quantize_dynamic(
            model,
            out,
            op_types_to_quantize=QUANTIZED,
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[node.name for node in model.graph.node if exact & set(node.input)],
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT, "MatMulConstBOnly": True},
        )
        return bytes(onnx.load(str(out)).SerializeToString(deterministic=True))


def add_pooled_graph(folder: Path) -> str:
    """Write ``pooled.onnx`` into an encoder folder and its digest into ``config.json``; return the digest.

    Raises
    ------
    ValueError
        ``tower.safetensors`` is not the tower of ``model.onnx``.
    """
    from safetensors.numpy import load_file

    document: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text())
    state, config = load_file(folder / TOWER_FILE), TowerConfig(**document["tower"])
    if _digest(tower_graph(state, config)) != document["weights"]:
        raise ValueError(f"{folder / TOWER_FILE} is not the tower of model.onnx: its graph has another digest")
    graph = quantized_pooled_graph(state, config)
    (folder / POOLED_FILE).write_bytes(graph)
    document[POOLED] = _digest(graph)
    (folder / CONFIG_FILE).write_text(json.dumps(document, indent=1) + "\n")
    return str(document[POOLED])


def _digest(graph: bytes) -> str:
    return f"sha256:{hashlib.sha256(graph).hexdigest()}"


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m models.encoder.pooled_graph", description="Adds pooled.onnx.")
    parser.add_argument("folder", type=Path, nargs="?", default=COMPACT_FOLDER)
    print(add_pooled_graph(parser.parse_args(argv).folder))


if __name__ == "__main__":
    main()

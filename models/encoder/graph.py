"""Lays down ONNX graphs node by node: what the exports of encoder and compact GEM share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.encoder.configuration import LAYER_NORM_EPS, SPREAD_FLOOR_MV, wander_basis

Array = NDArray[Any]
OPSET = 20  # the first with Gelu
IR_VERSION = 10  # what ONNX Runtime 1.20 reads


class GraphBuilder:
    """Nodes and constants of a graph, with names made as they are laid down.

    Parameters
    ----------
    dtype : type
        Of the constants: np.float32 or np.float16.
    """

    def __init__(self, dtype: type) -> None:
        self.dtype = dtype
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def const(self, array: Array, dtype: type | None = None) -> str:
        """A constant, of the graph's precision unless ``dtype`` is given; returns its name."""
        from onnx import numpy_helper

        name = f"w{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array, dtype or self.dtype), name))
        return name

    def ints(self, values: list[int]) -> str:
        """A list of integers, as shapes and axes are given."""
        from onnx import numpy_helper

        name = f"w{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def node(
        self, op: str, inputs: list[str], *, output: str | None = None, domain: str = "", **attributes: Any
    ) -> str:
        """A node with one output that goes on; returns the output's name."""
        from onnx import helper

        output = output or f"x{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], domain=domain, **attributes))
        return output

    def nodes_out(self, op: str, inputs: list[str], outputs: list[str], *, domain: str = "", **attributes: Any) -> str:
        """A node with several named outputs; returns the first one's name."""
        from onnx import helper

        self.nodes.append(helper.make_node(op, inputs, outputs, domain=domain, **attributes))
        return outputs[0]

    def norm(self, x: str, state: Mapping[str, Array], name: str) -> str:
        """Layer normalisation with the weights ``name`` of a state dict; returns the name of its output."""
        weight, bias = self.const(state[f"{name}.weight"]), self.const(state[f"{name}.bias"])
        return self.node("LayerNormalization", [x, weight, bias], axis=-1, epsilon=LAYER_NORM_EPS)

    def linear(self, x: str, state: Mapping[str, Array], name: str) -> str:
        """Linear layer with the weights ``name`` of a state dict; returns the name of its output."""
        y = self.node("MatMul", [x, self.const(state[f"{name}.weight"].T)])
        return self.node("Add", [y, self.const(state[f"{name}.bias"])])

    def lead_norm(self, ecg: str, samples: int) -> str:
        """Each lead freed of wander and divided by its root mean square: `LeadNorm` of the tower, in float32."""
        basis, f32 = wander_basis(samples), np.float32
        slow = self.node("MatMul", [self.node("MatMul", [ecg, self.const(basis, f32)]), self.const(basis.T, f32)])
        steady = self.node("Sub", [ecg, slow])
        power = self.node("ReduceMean", [self.node("Mul", [steady, steady]), self.ints([-1])])
        spread = self.node("Add", [self.node("Sqrt", [power]), self.const(np.array(SPREAD_FLOOR_MV), f32)])
        return self.node("Div", [steady, spread])

    def convolution(self, x: str, state: Mapping[str, Array], name: str, **attributes: Any) -> str:
        """Convolution with the weights ``name`` of a state dict; returns the name of its output."""
        weight, bias = self.const(state[f"{name}.weight"]), self.const(state[f"{name}.bias"])
        return self.node("Conv", [x, weight, bias], **attributes)


def serialized(graph: Any) -> bytes:
    """A graph as the bytes of a model; the same graph gives the same bytes."""
    from onnx import helper

    model = helper.make_model(
        graph,
        ir_version=IR_VERSION,
        producer_name="gem-bedside",
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)],
    )
    return bytes(model.SerializeToString(deterministic=True))

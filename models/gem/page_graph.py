"""The page reader as an ONNX graph, laid down from its tensors; see `models.gem.page_tower` for the method.

Input ``page`` uint8 [batch, 3, HEIGHT, WIDTH]. Outputs ``leads`` float32 [batch, LEADS, COLUMNS] mV and ``seen``
float32 [batch, LEADS], the share of the page in which a trace is seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.encoder.configuration import LEADS
from models.encoder.graph import GraphBuilder, serialized
from models.gem.page_layout import (
    COLUMNS,
    DILATIONS,
    FIRST_COLUMN,
    HEIGHT,
    INK_FLOOR,
    OVER,
    PAD_BOTTOM,
    PAD_TOP,
    PATCH_COLUMNS,
    REACH,
    STEP,
    STRIP,
    TOKENS,
    WIDTH,
    reach_mv,
    reach_rows,
    strip_rows,
)


def page_graph(state: Mapping[str, NDArray[Any]]) -> bytes:
    """The serialized graph of a page reader with the tensors ``state``."""
    from onnx import TensorProto, helper

    build = GraphBuilder(np.float32)
    edge = (PATCH_COLUMNS - STEP) // 2
    first = FIRST_COLUMN - edge

    def part(x: str, start: int, stop: int, axis: int) -> str:
        return build.node("Slice", [x, *(build.ints([n]) for n in (start, stop, axis))])

    x = build.node("Cast", [part("page", first, first + COLUMNS + 2 * edge, 3)], to=TensorProto.FLOAT)
    x = build.node("Sub", [build.const(np.array(1.0)), build.node("Div", [x, build.const(np.array(255.0))])])
    x = build.node("Pad", [x, build.ints([0, 0, PAD_TOP, 0, 0, 0, PAD_BOTTOM, 0])])
    colour = build.convolution(build.node("Gelu", [build.convolution(x, state, "colour_in")]), state, "colour_out")
    rows = build.node("Gather", [colour, build.const(strip_rows().ravel(), np.int64)], axis=2)
    h = build.convolution(build.node("Gelu", [rows]), state, "patch", strides=[STRIP, STEP])
    h = build.node("Gelu", [h])
    for n, d in enumerate(DILATIONS):
        y = build.convolution(h, state, f"inner.{n}", pads=[1, d, 1, d], dilations=[1, d])
        h = build.node("Add", [h, build.convolution(build.node("Gelu", [y]), state, f"outer.{n}")])
    h = part(h, OVER, OVER + LEADS, 2)
    ink = build.node("Softplus", [part(part(colour, 0, 1, 1), edge, edge + COLUMNS, 3)])
    ink = build.node("Gather", [ink, build.const(reach_rows().ravel(), np.int64)], axis=2)
    ink = build.node("Reshape", [ink, build.ints([-1, LEADS, 2 * REACH, COLUMNS])])
    ink = build.node("Log", [build.node("Add", [ink, build.const(np.array(INK_FLOOR))])])
    where = build.node(
        "Reshape", [build.convolution(h, state, "where"), build.ints([-1, STEP, 2 * REACH, LEADS, TOKENS])]
    )
    where = build.node("Transpose", [where], perm=[0, 3, 2, 4, 1])
    where = build.node("Reshape", [where, build.ints([-1, LEADS, 2 * REACH, COLUMNS])])
    attention = build.node("Softmax", [build.node("Add", [where, ink])], axis=2)
    weighted = build.node("Mul", [attention, build.const(reach_mv()[None, :, :, None])])
    build.node("ReduceSum", [weighted, build.ints([2])], output="leads", keepdims=0)
    seen = build.node("Sigmoid", [build.convolution(h, state, "seen")])
    build.node("ReduceMean", [seen, build.ints([1, 3])], output="seen", keepdims=0)
    value = helper.make_tensor_value_info
    page = value("page", TensorProto.UINT8, ["batch", 3, HEIGHT, WIDTH])
    outputs = [
        value("leads", TensorProto.FLOAT, ["batch", LEADS, COLUMNS]),
        value("seen", TensorProto.FLOAT, ["batch", LEADS]),
    ]
    return serialized(helper.make_graph(build.nodes, "page", [page], outputs, build.constants))

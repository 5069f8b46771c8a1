"""The measuring tower as an ONNX graph, laid down from its tensors; see `models.gem.measuring_tower` for the method.

Input ``ecg`` float32 [batch, 12, 5000] mV without NaN; output ``logits`` float32 [batch, OUTPUTS].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.encoder.configuration import LEADS, SAMPLES
from models.encoder.graph import GraphBuilder, serialized
from models.gem.measuring_layout import (
    AFTER,
    BEAT_PEAK,
    BEFORE,
    DILATIONS,
    FLOOR,
    FRAME_S,
    FRAMES,
    LAG_FIRST,
    LAG_LAST,
    MARKS,
    MORPHOLOGY,
    MORPHOLOGY_STEP,
    OUTPUTS,
    PATCH,
    PRESENT,
    RATE_BEATS,
    STEM_KERNEL,
)

State = Mapping[str, NDArray[Any]]


def measuring_graph(state: State) -> bytes:
    """The serialized graph of a measuring tower with the tensors ``state``."""
    from onnx import TensorProto, helper

    build = GraphBuilder(np.float32)
    x = build.lead_norm("ecg", SAMPLES)
    edge = (STEM_KERNEL - PATCH) // 2
    h = build.node("Gelu", [build.convolution(x, state, "stem", strides=[PATCH], pads=[edge, edge])])
    for n, d in enumerate(DILATIONS):
        y = build.node("Gelu", [build.convolution(h, state, f"inner.{n}", dilations=[d], pads=[d, d])])
        h = build.node("Add", [h, build.convolution(y, state, f"outer.{n}")])
    dense = build.node("Sigmoid", [build.convolution(h, state, "marks")])
    shape = build.convolution(h, state, "shape")
    slow = build.node("AveragePool", [x], kernel_shape=[PATCH], strides=[PATCH])
    beat = _channels(build, dense, MARKS - 1, MARKS)
    count = build.node("Add", [_sum(build, beat), build.const(np.array(FLOOR))])  # [B, 1, 1]
    rr = _correlated(build, beat, beat, np.arange(LAG_FIRST, LAG_LAST + 1), count)
    channels = build.node("Concat", [dense, shape, slow], axis=1)
    around = _correlated(build, channels, beat, np.arange(-BEFORE, AFTER + 1), count)
    waves = _channels(build, around, 0, MARKS)
    last = build.ints([-1])
    power = build.node("ReduceMean", [build.node("Mul", [x, x]), last], keepdims=0)
    present = build.node("Cast", [build.node("Greater", [power, build.const(np.array(PRESENT))])], to=TensorProto.FLOAT)
    parts = [
        _flat(build, rr),
        _flat(build, waves),
        build.node("ReduceMean", [h, last], keepdims=0),
        build.node("ReduceMax", [h, last], keepdims=0),
        build.node("ReduceMean", [dense, last], keepdims=0),
        build.node("Div", [_flat(build, count), build.const(np.array(10.0))]),
        present,
    ]
    rhythm = build.node("Concat", parts, axis=1)
    rest = _channels(build, around, MARKS, MARKS + MORPHOLOGY + LEADS)
    step = [build.ints([n]) for n in (0, AFTER + BEFORE + 1, 2, MORPHOLOGY_STEP)]
    average_beat = _flat(build, build.node("Slice", [rest, *step]))
    both = build.node("Concat", [rhythm, average_beat], axis=1)
    outputs = [
        build.linear(build.node("Gelu", [build.linear(inputs, state, f"{name}_in")]), state, f"{name}_out")
        for name, inputs in (("values", rhythm), ("attributes", both))
    ]
    outputs.append(_rate_of_beats(build, beat))
    build.node("Concat", outputs, output="logits", axis=1)
    value = helper.make_tensor_value_info
    ecg = value("ecg", TensorProto.FLOAT, ["batch", LEADS, SAMPLES])
    logits = value("logits", TensorProto.FLOAT, ["batch", OUTPUTS])
    return serialized(helper.make_graph(build.nodes, "measuring", [ecg], [logits], build.constants))


def _rate_of_beats(build: GraphBuilder, beat: str) -> str:
    """Rate over the local maxima of the beat probability [B, 1, FRAMES], bpm [B, 1]; 0 with too few."""
    from onnx import TensorProto

    top = build.node("MaxPool", [beat], kernel_shape=[3], strides=[1], pads=[1, 1])
    high = build.node("Greater", [beat, build.const(np.array(BEAT_PEAK))])
    rest = build.node("Slice", [beat, build.ints([1]), build.ints([FRAMES]), build.ints([2])])
    following = build.node("Pad", [rest, build.ints([0, 0, 0, 0, 0, 1])])
    highest = build.node("And", [build.node("GreaterOrEqual", [beat, top]), build.node("Greater", [beat, following])])
    both = build.node("And", [highest, high])
    peak = build.node("Cast", [both], to=TensorProto.FLOAT)
    place, last_axis = np.arange(1.0, FRAMES + 1), build.ints([-1])
    last, back = (
        build.node("ReduceMax", [build.node("Mul", [peak, build.const(at)]), last_axis], keepdims=0)
        for at in (place, place[::-1])
    )
    count = build.node("ReduceSum", [peak, last_axis], keepdims=0)
    span = build.node("Sub", [build.node("Add", [last, back]), build.const(np.array(FRAMES + 1.0))])
    span = build.node("Max", [span, build.const(np.array(1.0))])
    intervals = build.node("Sub", [count, build.const(np.array(1.0))])
    rate = build.node("Div", [build.node("Mul", [intervals, build.const(np.array(60.0 / FRAME_S))]), span])
    enough = build.node("GreaterOrEqual", [count, build.const(np.array(float(RATE_BEATS)))])
    return build.node("Where", [enough, rate, build.const(np.array(0.0))])


def _channels(build: GraphBuilder, x: str, first: int, last: int) -> str:
    return build.node("Slice", [x, *(build.ints([n]) for n in (first, last, 1))])


def _flat(build: GraphBuilder, x: str) -> str:
    return build.node("Reshape", [x, build.ints([0, -1])])


def _sum(build: GraphBuilder, x: str) -> str:
    return build.node("ReduceSum", [x, build.ints([-1])])


def _correlated(build: GraphBuilder, x: str, beat: str, lags: NDArray[np.int64], count: str) -> str:
    """Sum over time of ``beat`` times ``x`` at each lag, by beat: [B, channels, lags]."""
    before, after = max(0, -int(lags[0])), max(0, int(lags[-1]))
    padded = build.node("Pad", [x, build.ints([0, 0, before, 0, 0, after])])
    at = (lags[:, None] + np.arange(FRAMES) + before).astype(np.int64)
    shifted = build.node("Gather", [padded, build.const(at, np.int64)], axis=2)  # [B, channels, lags, FRAMES]
    column = build.node("Unsqueeze", [beat, build.ints([3])])  # [B, 1, FRAMES, 1]
    total = build.node("Squeeze", [build.node("MatMul", [shifted, column]), build.ints([3])])
    return build.node("Div", [total, count])

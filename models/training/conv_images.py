"""One-dimensional convolutions of an exported network, as convolutions of images of height one.

In: an ONNX model. Out: the same model whose convolutions along time work on [records, channels, 1, samples]. The
results are the same but for rounding. ONNX Runtime computes two-dimensional convolutions in blocks of channels, in two
thirds of the time.

The trainings of the rhythm and atrial network write their files so. Files that were written before:
``python -m models.training.conv_images FILE…``, then ``python -m models.networks.shipped_files``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

HEIGHT_AXIS = 2  # of an image
STAYS_IMAGE = ("Relu", "Add")  # operators that work on images as on rows
AXIS_NAME = "height_axis"


def with_images(model: Any) -> Any:
    """A copy of a model (`onnx.ModelProto`) whose one-dimensional convolutions are two-dimensional.

    A tensor becomes an image before the first convolution of a chain, and a row again where another operator reads it.
    """
    import onnx
    from onnx import helper, numpy_helper

    out = onnx.ModelProto()
    out.CopyFrom(model)
    weights = {constant.name: constant for constant in out.graph.initializer}
    rows = {value.name for value in out.graph.input} | weights.keys()  # tensors that exist as rows
    images: dict[str, str] = {}  # row to its image
    nodes: list[Any] = []

    def as_image(name: str) -> str:
        if name not in images:
            images[name] = f"{name}_image"
            nodes.append(helper.make_node("Unsqueeze", [name, AXIS_NAME], [images[name]]))
        return images[name]

    for node in out.graph.node:
        if _is_along_time(node, weights):
            _widen(node, weights[node.input[1]])
            node.input[0] = as_image(node.input[0])
        elif node.op_type in STAYS_IMAGE and all(name in images for name in node.input):
            node.input[:] = [images[name] for name in node.input]
        else:
            for name in node.input:
                if name in images and name not in rows:
                    nodes.append(helper.make_node("Squeeze", [images[name], AXIS_NAME], [name]))
                    rows.add(name)
            rows.update(node.output)
            nodes.append(node)
            continue
        images[node.output[0]] = f"{node.output[0]}_image"
        node.output[0] = images[node.output[0]]
        nodes.append(node)
    del out.graph.node[:]
    out.graph.node.extend(nodes)
    if images:
        out.graph.initializer.append(numpy_helper.from_array(np.array([HEIGHT_AXIS], np.int64), AXIS_NAME))
    onnx.checker.check_model(out)
    return out


def _is_along_time(node: Any, weights: dict[str, Any]) -> bool:
    return node.op_type == "Conv" and node.input[1] in weights and len(weights[node.input[1]].dims) == 3


def _widen(node: Any, weight: Any) -> None:
    """Give a convolution's weight and attributes a height of one; a weight that two nodes share is not allowed."""
    weight.dims.insert(HEIGHT_AXIS, 1)
    for attribute in node.attribute:
        if attribute.name in ("dilations", "strides", "kernel_shape"):
            attribute.ints.insert(0, 1)
        elif attribute.name == "pads":
            before, after = attribute.ints
            attribute.ints[:] = [0, before, 0, after]


def rewrite(path: Path) -> None:
    """Replace an ONNX file by its version with images; one that is so already stays as it is."""
    import onnx

    model = onnx.load(str(path))
    path.write_bytes(with_images(model).SerializeToString(deterministic=True))


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m models.training.conv_images", description="Rewrites ONNX files.")
    parser.add_argument("files", type=Path, nargs="+")
    for path in parser.parse_args(arguments).files:
        rewrite(path)


if __name__ == "__main__":
    main()

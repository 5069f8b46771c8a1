"""A network whose convolutions work on images of height one gives what it gave before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from models.networks.atrial import AtrialNetwork
from models.networks.loading import open_session
from models.networks.rhythm import RhythmNetwork
from models.training.conv_images import rewrite, with_images


class Mixed(nn.Module):
    """Chains of convolutions with a shortcut, pooling and a product between them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(2, 12, 9, 2, 4)
        self.second = nn.Conv1d(12, 12, 5, 1, 4, dilation=2, bias=False)
        self.third = nn.Conv1d(24, 8, 1)
        self.last = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        """[n, 2, samples] → [n, 3]."""
        y = torch.relu(self.first(x))
        y = torch.relu(y + self.second(y))
        y = torch.relu(self.third(torch.cat([y, y - y.mean(2, keepdim=True)], 1)))
        out: Tensor = self.last(y.amax(2))
        return out


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    path = tmp_path / "mixed.onnx"
    axes = {"x": {0: "n", 2: "samples"}}
    torch.onnx.export(
        Mixed(),
        (torch.zeros(1, 2, 400),),
        str(path),
        input_names=["x"],
        opset_version=17,
        dynamo=False,
        dynamic_axes=axes,
    )
    return path


def dimensions(path: Path) -> set[int]:
    graph = onnx.load(str(path)).graph
    weights = {constant.name: len(constant.dims) for constant in graph.initializer}
    return {weights[node.input[1]] for node in graph.node if node.op_type == "Conv"}


@pytest.mark.filterwarnings("ignore")
def test_the_results_are_the_same_but_for_rounding(exported: Path) -> None:
    x = np.random.default_rng(5).normal(size=(3, 2, 517)).astype(np.float32)
    (expected,) = open_session(exported).run(None, {"x": x})
    assert dimensions(exported) == {3}
    rewrite(exported)
    assert dimensions(exported) == {4}
    (found,) = open_session(exported).run(None, {"x": x})
    assert np.abs(found - expected).max() < 1e-5
    once = exported.read_bytes()
    rewrite(exported)
    assert exported.read_bytes() == once


def test_a_model_without_such_convolutions_stays_as_it_is() -> None:
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2]) for name in "xy")
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "one", [x], [y]))
    assert with_images(model) == model


@pytest.mark.parametrize("network", [RhythmNetwork, AtrialNetwork])
@pytest.mark.parametrize("fold", [None, "0", "1", "2", "3", "4"])
def test_the_shipped_networks_are_written_so(
    network: type[RhythmNetwork] | type[AtrialNetwork], fold: str | None
) -> None:
    assert dimensions(network.weights_path(fold)) == {4}

"""Features of ECGs and pages for the prefill: both towers and projectors, on CUDA as one captured graph a batch size.

CLIP and the ECG tower are some five hundred kernels for one prompt, and their launches take longer than they do. Pages
with crops (``anyres``) have no fixed shape; they run uncaptured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from models.gem.anyres import Size
from models.gem.modeling import GemModel

WARM_UPS = 2  # runs before a capture: kernels choose their algorithms and allocate their workspaces


class CapturedFeatures:
    """The feature blocks of a model (`GemModel.feature_blocks`).

    Parameters
    ----------
    model : GemModel
    graphs : bool
        Capture them as CUDA graphs.
    """

    def __init__(self, model: GemModel, *, graphs: bool) -> None:
        self._model = model
        self._graphs = graphs
        self.captured: dict[tuple[Any, ...], _Captured] = {}

    def __call__(self, ecgs: Tensor | None, pages: Any, sizes: Sequence[Size] | None) -> list[Tensor]:
        """Block of each prompt, [tokens, hidden]; ``pages`` [batch, 3, s, s], or a list of crops."""
        fixed = pages is None or (isinstance(pages, Tensor) and pages.ndim == 4)
        if not self._graphs or not fixed:
            return self._model.feature_blocks(ecgs, pages, sizes)
        given = [x for x in (ecgs, pages) if x is not None]
        key = (ecgs is not None, *(tuple(x.shape) for x in given))
        if key not in self.captured:
            self.captured[key] = self._capture(ecgs, pages)
        return self.captured[key](given)

    def _capture(self, ecgs: Tensor | None, pages: Tensor | None) -> _Captured:
        inputs = [None if x is None else x.clone() for x in (ecgs, pages)]

        def run() -> Tensor:
            return torch.stack(self._model.feature_blocks(inputs[0], inputs[1], None))

        return _Captured([x for x in inputs if x is not None], *captured(run))


class _Captured:
    """One captured run: its inputs and outputs stay where they are."""

    def __init__(self, inputs: list[Tensor], graph: Any, output: Tensor) -> None:
        self._inputs, self._graph, self._output = inputs, graph, output

    def __call__(self, given: Sequence[Tensor]) -> list[Tensor]:
        for own, x in zip(self._inputs, given, strict=True):
            own.copy_(x)
        self._graph.replay()
        return list(self._output.clone())


def captured(run: Any) -> tuple[Any, Tensor]:
    """A CUDA graph of ``run``, and the tensor that it writes to at each replay."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UPS):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output: Tensor = run()
    return graph, output

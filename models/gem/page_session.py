"""The page tower in ONNX Runtime: outputs for an image of a page. No torch.

In: small pages uint8 [3, HEIGHT, WIDTH] (`models.gem.page_layout.small_page`). Out: logits float32 [OUTPUTS], as of the
measuring tower.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.gem.measuring_graph import measuring_graph
from models.gem.page_graph import page_graph
from models.gem.page_layout import resampled
from models.networks.loading import open_session

Floats = NDArray[np.float32]

PAGE_TOWER = "model.page_tower."  # prefix of its tensors in a GEM checkpoint
READER, MEASURING = "reader.", "measuring."


class PageSession:
    """One page tower.

    Parameters
    ----------
    state : mapping
        Tensors of a GEM checkpoint; the tower's are those under `PAGE_TOWER`.
    threads : int, optional
    """

    def __init__(self, state: Mapping[str, NDArray[Any]], threads: int | None = None) -> None:
        def part(name: str) -> dict[str, NDArray[Any]]:
            prefix = f"{PAGE_TOWER}{name}"
            return {key.removeprefix(prefix): x for key, x in state.items() if key.startswith(prefix)}

        self._reader: Any = open_session(page_graph(part(READER)), threads=threads)
        self._measuring: Any = open_session(measuring_graph(part(MEASURING)), threads=threads)

    def window(self, page: NDArray[np.uint8]) -> Floats:
        """What is drawn on a page, [LEADS, SAMPLES] mV at 500 Hz; zeros where no trace is seen."""
        leads, seen = self._reader.run(["leads", "seen"], {"page": page[None]})
        return resampled(leads[0], seen[0])

    def logits(self, page: NDArray[np.uint8]) -> Floats:
        """Outputs for one page, [OUTPUTS]."""
        (rows,) = self._measuring.run(["logits"], {"ecg": self.window(page)[None]})
        out: Floats = rows[0]
        return out

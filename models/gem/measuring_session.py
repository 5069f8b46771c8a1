"""The measuring tower in ONNX Runtime: its outputs for windows, for a decoder and for the finding heads. No torch.

In: windows float32 [n, 12, 5000] mV. Out: logits float32 [n, OUTPUTS], or those of the findings alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.encoder.weights_digest import checked_digest
from models.finding_names import FINDINGS
from models.gem.measuring_graph import measuring_graph
from models.gem.measuring_layout import ATTRIBUTES, VALUE_OUTPUTS
from models.networks.loading import open_session

Floats = NDArray[np.float32]

MEASURING_TOWER = "model.measuring_tower."  # prefix of its tensors in a GEM checkpoint
SHIPPED_GEM = Path(__file__).resolve().parents[1] / "weights" / "gem-compact"
_FIRST_FINDING = VALUE_OUTPUTS + len(ATTRIBUTES) - len(FINDINGS)


class MeasuringSession:
    """One measuring tower.

    Parameters
    ----------
    state : mapping
        Tensors of a GEM checkpoint; the tower's are those under `MEASURING_TOWER`.
    weights : str
        Digest of the checkpoint.
    threads : int, optional
    """

    def __init__(self, state: Mapping[str, NDArray[Any]], weights: str = "", threads: int | None = None) -> None:
        own = {name.removeprefix(MEASURING_TOWER): x for name, x in state.items() if name.startswith(MEASURING_TOWER)}
        self.weights = weights
        self._session: Any = open_session(measuring_graph(own), threads=threads)

    @classmethod
    def load(cls, folder: Path | None = None, threads: int | None = 1) -> Self | None:
        """The tower of a GEM's folder (None: the shipped GEM); None where that GEM has none."""
        from safetensors.numpy import load

        folder = folder or SHIPPED_GEM
        if "measuring_config" not in json.loads((folder / "config.json").read_text()):
            return None
        weights = checked_digest(folder)
        state = load((folder / "model.safetensors").read_bytes())
        return cls({name: np.asarray(array, np.float32) for name, array in state.items()}, weights, threads)

    def logits(self, windows: Floats) -> Floats:
        """[n, 12, 5000] mV to [n, OUTPUTS]."""
        (rows,) = self._session.run(["logits"], {"ecg": windows})
        out: Floats = rows
        return out

    def findings(self, windows: Floats) -> Floats:
        """[n, 12, 5000] mV to the logits of the findings, [n, FINDINGS]."""
        return self.logits(windows)[:, _FIRST_FINDING : _FIRST_FINDING + len(FINDINGS)]

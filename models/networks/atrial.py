"""The atrial network at run time: how much the newest signal looks like atrial fibrillation.

One small convolutional network sees 8 s or more of one lead at 100 Hz and weighs four classes: normal, fibrillation,
another rhythm, noise (those of CinC 2017). It looks at the last 20 and at the last 10 s, each as it is and upside down,
and the mean counts. It is asked only where the RRs scatter; trained by ``python -m models.training.atrial_network``.
`GEM_BEDSIDE_FOLD=k` picks the weights that never saw fold ``k``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from models.ecg import Millivolts
from models.networks.loading import file_of, fold_asked, open_net
from models.networks.rhythm import net_input
from models.signal.conditioning import fill_gaps, resample

FS_HZ = 100.0
LOOKS_S = (20.0, 10.0)
SHORTEST_S = 8.0
CLASSES = ("N", "A", "O", "~")
FIBRILLATION = CLASSES.index("A")
MAX_LEADS = 2
SUREST = 9.0  # log odds


def weights_path(fold: str | None = None) -> Path:
    """The network's file: the shipped one, or the one that never saw ``fold``."""
    return file_of("atrial", fold)


class AtrialNet:
    """The network, loaded.

    Parameters
    ----------
    path : Path
        ONNX file.
    """

    def __init__(self, path: Path) -> None:
        self._session = open_net(path, "models.training.atrial_network")

    def __call__(self, mv: Millivolts, fs_hz: float, rows: Sequence[int]) -> float:
        """Log odds of atrial fibrillation, the mean of the leads.

        Parameters
        ----------
        mv : [leads, samples]
            The newest signal; shorter than `SHORTEST_S` is taken as flat before.
        fs_hz : float
            Its sampling rate.
        rows : sequence of int
            The leads to look at, best first; two at most are used.
        """
        newest = mv[list(rows)[:MAX_LEADS], -round(max(LOOKS_S) * fs_hz) :]
        x = resample(fill_gaps(newest)[0], fs_hz, FS_HZ)
        short = round(SHORTEST_S * FS_HZ) - x.shape[1]
        if short > 0:
            x = np.pad(x, ((0, 0), (short, 0)), mode="edge")
        return float(np.mean([self._log_odds(x[:, -round(seconds * FS_HZ) :]) for seconds in LOOKS_S]))

    def _log_odds(self, x: Millivolts) -> float:
        one_way = net_input(x)[0][:, None]
        logits = self._session.run(None, {"x": np.concatenate([one_way, -one_way])})[0].astype(float)
        others = np.delete(logits, FIBRILLATION, axis=1)
        most = others.max(axis=1)
        odds = logits[:, FIBRILLATION] - most - np.log(np.exp(others - most[:, None]).sum(axis=1))
        return float(np.mean(np.clip(odds, -SUREST, SUREST)))


@lru_cache(maxsize=8)
def _load(fold: str | None) -> AtrialNet:
    return AtrialNet(weights_path(fold))


def atrial_net() -> AtrialNet:
    """The network that the environment asks for; FileNotFoundError where a fold's weights are missing."""
    return _load(fold_asked())

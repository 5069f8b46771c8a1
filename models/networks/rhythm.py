"""The rhythm network at run time: how likely the last 16 s hold fibrillation, tachycardia, asystole, AF, or only noise.

One small convolutional network sees one or two leads of the last 16 s at 100 Hz. It does not raise alarms: it is one of
the views by which the criteria tell a rhythm from an artefact. Trained by ``python -m models.training.rhythm_network``.
`GEM_BEDSIDE_FOLD=k` picks the weights that never saw fold ``k``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.ecg import Millivolts
from models.networks.loading import file_of, fold_asked, open_net
from models.signal.conditioning import fill_gaps, resample, without_baseline

FS_HZ = 100.0
SAMPLES = 1600  # 16 s
OUTPUTS = ("af", "noise", "vtach", "vfib", "asystole")
SCALE_FLOOR_MV = 0.1  # a flat line is not blown up to look like an ECG
SCALE_QUANTILE = 0.75  # of the per-second maxima: the QRS size, deaf to single artefacts
INPUT_CLIP = 6.0  # in units of the QRS size
MAX_LEADS = 2


def net_input(mv: Millivolts) -> tuple[Millivolts, NDArray[np.float32]]:
    """[leads, samples] mV at 100 Hz without gaps to the network's input.

    Returns
    -------
    x : float32 [leads, samples]
        No baseline, QRS complexes about one unit high.
    amplitude : float32 [leads]
        log10 of that unit in mV.
    """
    x = without_baseline(mv, FS_HZ)
    second = round(FS_HZ)
    tops = np.abs(x[:, : x.shape[1] // second * second]).reshape(len(x), -1, second).max(axis=2)
    scale = np.maximum(np.quantile(tops, SCALE_QUANTILE, axis=1), SCALE_FLOOR_MV)
    clipped = np.clip(x / scale[:, None], -INPUT_CLIP, INPUT_CLIP).astype(np.float32)
    return clipped, np.log10(scale).astype(np.float32)


def weights_path(fold: str | None = None) -> Path:
    """The network's file: the shipped one, or the one that never saw ``fold``."""
    return file_of("rhythm", fold)


class RhythmNet:
    """The network, loaded.

    Parameters
    ----------
    path : Path
        ONNX file.
    """

    def __init__(self, path: Path) -> None:
        self._session = open_net(path, "models.training.rhythm_network")

    def __call__(self, mv: Millivolts, fs_hz: float, rows: Sequence[int]) -> dict[str, float]:
        """Probabilities of each of `OUTPUTS`.

        Parameters
        ----------
        mv : [leads, samples]
            The newest signal; shorter than 16 s is taken as flat before.
        fs_hz : float
            Its sampling rate.
        rows : sequence of int
            The leads to look at, best first; two at most are used.
        """
        part = fill_gaps(mv[list(rows)[:MAX_LEADS], -round(SAMPLES / FS_HZ * fs_hz) :])[0]
        part = resample(part, fs_hz, FS_HZ)[:, -SAMPLES:]
        part = np.pad(part, ((0, 0), (SAMPLES - part.shape[1], 0)))
        x = np.zeros((1, MAX_LEADS, SAMPLES), np.float32)
        present, amplitude = np.zeros((1, MAX_LEADS), np.float32), np.zeros((1, MAX_LEADS), np.float32)
        x[0, : len(part)], amplitude[0, : len(part)] = net_input(part)
        present[0, : len(part)] = 1.0
        logits = self._session.run(None, {"x": x, "present": present, "amplitude": amplitude})[0][0]
        return dict(zip(OUTPUTS, (1.0 / (1.0 + np.exp(-logits.astype(float)))).tolist(), strict=True))


@lru_cache(maxsize=8)
def _load(fold: str | None) -> RhythmNet:
    return RhythmNet(weights_path(fold))


def rhythm_net() -> RhythmNet:
    """The network that the environment asks for; FileNotFoundError where a fold's weights are missing."""
    return _load(fold_asked())

"""The caliper network at run time: probabilities of P, QRS, T, beat and ventricular beat, by ONNX Runtime.

One small convolutional network sees all leads of a stretch at once (any number of them) and says for each lead and each
8 ms how likely it lies in a P wave, a QRS complex or a T wave, and for all leads together whether a beat's R peak is
there and whether that beat is ventricular. It is trained by ``python -m models.training.delineator`` on LUDB (marks per
lead) and MIT-BIH (beats and their classes).

`GEM_BEDSIDE_FOLD=k` picks the weights that never saw fold ``k`` of the five (see `weights_path`);
``models/weights/caliper.md`` says what was trained on what, and how good it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.ecg import Millivolts
from models.networks.loading import file_of, fold_asked, open_net
from models.signal.conditioning import without_baseline
from models.signal.quantiles import quantile

NET_FS_HZ = 250.0  # rate of the network's input
CELL_S = 2 / NET_FS_HZ  # its output has one cell for two input samples
PAD_TO = 16  # input length must divide by this: four halvings
SCALE_FLOOR_MV = 0.1  # a flat line is not blown up to look like an ECG
SCALE_QUANTILE = 0.75  # of the per-second maxima: the QRS size, deaf to single artefacts
INPUT_CLIP = 6.0  # in units of the QRS size
P, QRS, T = 1, 2, 3  # wave classes; 0 is none of them


class WeightsMissingError(FileNotFoundError):
    """The weights that were asked for are not there."""


@dataclass(frozen=True, eq=False)
class WaveMap:
    """What the network says of a stretch; cell ``k`` is centred at ``k * CELL_S`` after its first sample.

    Attributes
    ----------
    waves : float32 [leads, 4, cells]
        Probabilities of none, P, QRS and T; they add up to one.
    beat : float32 [cells]
        Probability that an R peak lies within 40 ms.
    ventricular : float32 [cells]
        Probability that this beat, if there is one, is ventricular.
    """

    waves: NDArray[np.float32]
    beat: NDArray[np.float32]
    ventricular: NDArray[np.float32]


def qrs_scale(x: Millivolts, fs_hz: float = NET_FS_HZ) -> NDArray[np.float32]:
    """Typical size of the deflections in each lead of [leads, samples] without baseline, mV; [leads, 1]."""
    second = max(1, min(round(fs_hz), x.shape[1]))
    seconds = x.shape[1] // second
    tops = np.abs(x[:, : seconds * second]).reshape(len(x), seconds, second).max(axis=2)
    scale = np.maximum(quantile(tops, SCALE_QUANTILE), SCALE_FLOOR_MV)
    return np.asarray(scale[:, None], np.float32)


def net_input(mv: Millivolts) -> Millivolts:
    """[leads, samples] mV at 250 Hz without gaps to the network's input: no baseline, QRS about one unit high."""
    return scaled(without_baseline(mv, NET_FS_HZ))


def scaled(x: Millivolts) -> Millivolts:
    """[leads, samples] mV at 250 Hz without baseline to the network's input."""
    clipped: Millivolts = np.clip(x / qrs_scale(x), -INPUT_CLIP, INPUT_CLIP).astype(np.float32)
    return clipped


def weights_path(fold: str | None = None) -> Path:
    """The network's file: the shipped one, or the one that never saw ``fold``."""
    path = file_of("caliper", fold)
    if not path.is_file():
        made_by = "python -m models.training.delineator" + ("" if fold is None else f" --fold {fold}")
        raise WeightsMissingError(f"no weights {path.name} in models/weights; make them with `{made_by}`")
    return path


class Caliper:
    """The network, loaded; use `Caliper.load`."""

    def __init__(self, path: Path) -> None:
        self._session = open_net(path, "models.training.delineator")

    @staticmethod
    def load() -> Caliper:
        """The weights that the environment asks for, loaded once a process."""
        return _loaded(fold_asked())

    def __call__(self, x: Millivolts) -> WaveMap:
        """Judge [leads, samples] of `net_input`."""
        n = x.shape[1]
        padded = np.pad(x, ((0, 0), (0, -n % PAD_TO)), mode="edge")
        waves, beats = self._session.run(None, {"x": padded[None]})
        cells = (n + 1) // 2
        return WaveMap(waves[0, :, :, :cells], beats[0, 0, :cells], beats[0, 1, :cells])


@lru_cache(maxsize=8)
def _loaded(fold: str | None) -> Caliper:
    return Caliper(weights_path(fold))

"""The delineation network at run time: probabilities of P, QRS, T, beat and ventricular beat.

In: float32 [leads, samples] at 250 Hz, any leads, scaled by `models.networks.scaling`. Out: `WaveProbabilities`,
one cell for each 8 ms: for each lead whether it lies in a P wave, a QRS complex or a T wave, and for all leads together
whether an R peak is there and whether that beat is ventricular.

Trained by ``python -m models.training.delineator_network`` on LUDB (marks of each lead) and MIT-BIH (beats
and their classes);
``models/weights/delineator.md`` lists the records behind each weight file and the accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.ecg import Millivolts
from models.networks.loading import SmallNetwork

NET_FS_HZ = 250.0  # rate of the network's input
CELL_S = 2 / NET_FS_HZ  # its output has one cell for two input samples
PAD_TO = 16  # input length must divide by this: four halvings
P, QRS, T = 1, 2, 3  # wave classes; 0 is none of them


@dataclass(frozen=True, eq=False)
class WaveProbabilities:
    """The network's output; cell ``k`` is centred ``k * CELL_S`` after the first sample.

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


class DelineationNetwork(SmallNetwork):
    """The network; `DelineationNetwork.load` opens it."""

    name = "delineator"
    made_by = "models.training.delineator_network"

    def __call__(self, x: Millivolts) -> WaveProbabilities:
        """Probabilities for a scaled signal.

        Parameters
        ----------
        x : float32 [leads, samples]
            At 250 Hz, from `models.networks.scaling.net_input`.
        """
        n = x.shape[1]
        padded = np.concatenate([x, np.repeat(x[:, -1:], -n % PAD_TO, axis=1)], axis=1) if n % PAD_TO else x
        waves, beats = self._session.run(None, {"x": padded[None]})
        cells = (n + 1) // 2
        return WaveProbabilities(waves[0, :, :, :cells], beats[0, 0, :cells], beats[0, 1, :cells])

"""The rhythm network at run time: fibrillation, tachycardia, asystole, AF or noise in the last 16 s.

In: one or two leads, any rate, resampled to 100 Hz. Out: a probability for each of `OUTPUTS`. The network raises no
alarm: the criteria use it to distinguish a rhythm from an artefact.
Trained by ``python -m models.training.rhythm_network``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.ecg import Millivolts
from models.networks.loading import SmallNetwork
from models.networks.scaling import net_input
from models.signal.conditioning import fill_gaps, resample

FS_HZ = 100.0
SAMPLES = 1600  # 16 s
OUTPUTS = ("af", "noise", "vtach", "vfib", "asystole")
MAX_LEADS = 2


class RhythmNetwork(SmallNetwork):
    """The network; `RhythmNetwork.load` opens it."""

    name = "rhythm"
    made_by = "models.training.rhythm_network"

    def __call__(self, mv: Millivolts, fs_hz: float, rows: Sequence[int]) -> dict[str, float]:
        """Probability of each of `OUTPUTS`.

        Parameters
        ----------
        mv : float32 [leads, samples]
            The newest signal, mV; shorter than 16 s is taken as flat before.
        fs_hz : float
            Its sampling rate.
        rows : sequence of int
            The leads to use, best first; two at most are used.
        """
        part = fill_gaps(mv[list(rows)[:MAX_LEADS], -round(SAMPLES / FS_HZ * fs_hz) :])[0]
        part = resample(part, fs_hz, FS_HZ)[:, -SAMPLES:]
        part = np.pad(part, ((0, 0), (SAMPLES - part.shape[1], 0)))
        x = np.zeros((1, MAX_LEADS, SAMPLES), np.float32)
        present, amplitude = np.zeros((1, MAX_LEADS), np.float32), np.zeros((1, MAX_LEADS), np.float32)
        x[0, : len(part)], unit_mv = net_input(part, FS_HZ)
        amplitude[0, : len(part)] = np.log10(unit_mv[:, 0])
        present[0, : len(part)] = 1.0
        logits = self._session.run(None, {"x": x, "present": present, "amplitude": amplitude})[0][0]
        return dict(zip(OUTPUTS, (1.0 / (1.0 + np.exp(-logits.astype(float)))).tolist(), strict=True))

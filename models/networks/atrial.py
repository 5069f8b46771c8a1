"""The atrial network at run time: log odds that the newest signal is atrial fibrillation.

In: 8 s or more of one lead, any rate, resampled to 100 Hz. The network scores four classes, those of CinC 2017: normal,
fibrillation, another rhythm, noise. It is applied to the last 20 and the last 10 s, each upright and inverted, and the
mean counts. Only irregular rhythms are passed to it. Trained by ``python -m models.training.atrial_network``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from models.ecg import Millivolts
from models.networks.loading import SmallNetwork
from models.networks.scaling import net_input
from models.signal.conditioning import fill_gaps, resample

FS_HZ = 100.0
DURATIONS_S = (10.0, 20.0)
SHORTEST_S = 8.0
CLASSES = ("N", "A", "O", "~")
FIBRILLATION = CLASSES.index("A")
MAX_LEADS = 2
MAX_LOG_ODDS = 9.0


class AtrialNetwork(SmallNetwork):
    """The network; `AtrialNetwork.load` opens it."""

    name = "atrial"
    made_by = "models.training.atrial_network"

    def __call__(self, mv: Millivolts, fs_hz: float, rows: Sequence[int]) -> float:
        """Log odds of atrial fibrillation, the mean of the leads.

        Parameters
        ----------
        mv : float32 [leads, samples]
            The newest signal, mV; shorter than `SHORTEST_S` is taken as flat before.
        fs_hz : float
            Its sampling rate.
        rows : sequence of int
            The leads to use, best first; two at most are used.
        """
        return [low for low, _ in self.bounds(mv, fs_hz, rows)][-1]

    def bounds(self, mv: Millivolts, fs_hz: float, rows: Sequence[int]) -> Iterator[tuple[float, float]]:
        """Least and largest possible log odds after each duration, the shortest first; the last two are equal.

        Who only compares the log odds with a limit often needs no more than the shortest, a third of the work.
        """
        newest = mv[list(rows)[:MAX_LEADS], -round(max(DURATIONS_S) * fs_hz) :]
        x = resample(fill_gaps(newest)[0], fs_hz, FS_HZ)
        short = round(SHORTEST_S * FS_HZ) - x.shape[1]
        if short > 0:
            x = np.pad(x, ((0, 0), (short, 0)), mode="edge")
        known: list[float] = []
        for seconds in DURATIONS_S:
            known.append(self._log_odds(x[:, -round(seconds * FS_HZ) :]))
            unknown = len(DURATIONS_S) - len(known)
            low, high = (float(np.mean([*known, *[limit] * unknown])) for limit in (-MAX_LOG_ODDS, MAX_LOG_ODDS))
            yield low, high

    def _log_odds(self, x: Millivolts) -> float:
        upright = net_input(x, FS_HZ)[0][:, None]
        logits = self._session.run(None, {"x": np.concatenate([upright, -upright])})[0].astype(float)
        others = np.delete(logits, FIBRILLATION, axis=1)
        largest = others.max(axis=1)
        odds = logits[:, FIBRILLATION] - largest - np.log(np.exp(others - largest[:, None]).sum(axis=1))
        return float(np.mean(np.clip(odds, -MAX_LOG_ODDS, MAX_LOG_ODDS)))

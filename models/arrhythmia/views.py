"""Features of the newest signal beyond its beats: fibrillation features, networks, quality and flatness.

In, once an update: the newest signal, mV [leads, samples]. Out: `RhythmViews`, computed at first use.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.arrhythmia.fibrillation_features import WINDOW_S, fibrillation_features, may_fibrillate
from models.arrhythmia.stillness import Stillness
from models.beats.detector import UPDATE_INTERVAL_S
from models.ecg import Ecg
from models.networks.atrial import AtrialNetwork
from models.networks.rhythm import RhythmNetwork
from models.signal.quality import lead_quality

SLIDE_S = 0.25  # windows of fibrillation features are this far apart


class RhythmViews:
    """Features of the newest signal of one bed, each computed at first use.

    Parameters
    ----------
    window : Ecg
        The newest seconds of signal, all leads of the bed.
    usable : tuple of str
        Usable leads.
    fold : str, optional
        Use network weights trained without this fold.
    """

    def __init__(self, window: Ecg, usable: tuple[str, ...], fold: str | None = None) -> None:
        self._fold = fold
        self._window = window
        self._rows = [window.leads.index(lead) for lead in usable]
        self._stillness: Stillness | None = None

    @cached_property
    def may_fibrillate(self) -> bool:
        """Whether the fibrillation features are worth computing."""
        n = round(WINDOW_S * self._window.fs_hz)
        return may_fibrillate(self._window.mv[self._rows, -n:], self._window.fs_hz)

    def sliding_waves(self, seconds: float) -> list[NDArray[np.float64]]:
        """Features of the windows that ended since the last update, newest first, each [usable leads, features].

        Parameters
        ----------
        seconds : float
            Their length; they are `SLIDE_S` apart.
        """
        return [self.waves(seconds, k * SLIDE_S) for k in range(round(UPDATE_INTERVAL_S / SLIDE_S))]

    def waves(self, seconds: float, until_s: float = 0.0) -> NDArray[np.float64]:
        """Fibrillation features of ``seconds`` that ended ``until_s`` ago, [usable leads, features]."""
        n, end = round(seconds * self._window.fs_hz), self._window.n_samples - round(until_s * self._window.fs_hz)
        return fibrillation_features(self._window.mv[self._rows, max(0, end - n) : end], self._window.fs_hz)

    def waves_of(self, lead: str, from_s: float, to_s: float) -> tuple[float, float]:
        """Peak-to-peak amplitude (mV) and quality (0 to 1) of a lead from ``from_s`` to ``to_s`` before now."""
        n, fs = self._window.n_samples, self._window.fs_hz
        part = self._window.select([lead]).mv[:, max(0, n - round(from_s * fs)) : n - round(to_s * fs)]
        return float(np.nanmax(part) - np.nanmin(part)), lead_quality(part, fs)[0].score

    @cached_property
    def network(self) -> dict[str, float]:
        """Probabilities of the rhythm network over the last 16 s."""
        return RhythmNetwork.load(self._fold)(self._window.mv, self._window.fs_hz, self._rows)

    @cached_property
    def atrial(self) -> float:
        """Log odds of atrial fibrillation, by the atrial network over all of the window."""
        return AtrialNetwork.load(self._fold)(self._window.mv, self._window.fs_hz, self._rows)

    def stillness(self, r: NDArray[np.int64], now: int) -> Stillness:
        """Steepness of the signal between the beats ``r``; computed once."""
        if self._stillness is None:
            self._stillness = Stillness(self._window.mv[self._rows], self._window.fs_hz, now, r)
        return self._stillness

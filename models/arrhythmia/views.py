"""Features of the newest signal beyond its beats: fibrillation features, networks, quality and flatness.

In, once an update: the newest signal, mV [leads, samples]. Out: `RhythmViews`, computed at first use.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.arrhythmia.fibrillation_features import WINDOW_S, fibrillation_features, may_fibrillate
from models.arrhythmia.stillness import Stillness
from models.ecg import Ecg
from models.networks.atrial import AtrialNetwork
from models.networks.rhythm import RhythmNetwork
from models.signal.quality import lead_quality


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

    @cached_property
    def fibrillation(self) -> NDArray[np.float64]:
        """Features of the last 4 s, [usable leads, features]."""
        return self.waves(WINDOW_S)

    def waves(self, seconds: float) -> NDArray[np.float64]:
        """Fibrillation features of the last ``seconds``, [usable leads, features]."""
        n = round(seconds * self._window.fs_hz)
        return fibrillation_features(self._window.mv[self._rows, -n:], self._window.fs_hz)

    def quality(self, lead: str, seconds: float) -> float:
        """Quality of a lead's last seconds, 0 to 1."""
        n = round(seconds * self._window.fs_hz)
        return lead_quality(self._window.select([lead]).mv[:, -n:], self._window.fs_hz)[0].score

    def peak_to_peak(self, lead: str, seconds: float) -> float:
        """Peak-to-peak amplitude of a lead's last seconds, mV."""
        part = self._window.lead(lead)[-round(seconds * self._window.fs_hz) :]
        return float(np.nanmax(part) - np.nanmin(part))

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

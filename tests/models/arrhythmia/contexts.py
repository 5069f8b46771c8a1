"""Contexts of the alarm criteria for tests: a beat track, and views whose networks answer what the test says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.arrhythmia.criteria.fibrillation import LIKELY, LOWER_BOUNDS
from models.arrhythmia.criteria.waves import RhythmBaseline, WaveBeat, st_medians
from models.arrhythmia.evaluate import RhythmContext
from models.arrhythmia.fibrillation_features import FEATURES
from models.arrhythmia.limits import Limits, RhythmSettings
from models.arrhythmia.views import RhythmViews
from models.beats.regular_waves import RegularWaves
from models.beats.series import BeatTrack
from models.evidence import Evidence
from models.networks.rhythm import OUTPUTS


class Views:
    """`RhythmViews` of a signal that is not there: the network says what the test says, the line is flat.

    ``fibrillates_s``: both leads have had likely fibrillation waves for so long.
    """

    def __init__(
        self, vtach: float = 0.0, vfib: float = 0.0, fibrillates_s: float = 0.0, regular: RegularWaves | None = None
    ) -> None:
        self.device_marks = False
        self.instants = RhythmViews.instants
        self.leads = ("II", "V5")
        self.network = {**dict.fromkeys(OUTPUTS, 0.0), "vtach": vtach, "vfib": vfib}
        self.may_fibrillate = fibrillates_s > 0 or regular is not None
        self._regular = regular
        self._fibrillates_s = fibrillates_s
        bounds = {name: bound * (1.1 if name in LOWER_BOUNDS else 0.9) for name, bound in LIKELY.items()}
        self._features = np.array([[bounds.get(name, 0.0) for name in FEATURES]] * 2)

    def network_at(self, ended_s: float) -> dict[str, float]:
        """The same at all times."""
        return self.network

    def steady_network(self, ended_s: float) -> dict[str, float]:
        """The same at all times."""
        return self.network_at(ended_s)

    def sliding_waves(
        self, seconds: float, bounds: dict[str, float] | None = None
    ) -> list[tuple[float, NDArray[np.float64]]]:
        """Fibrillation features of windows of this length."""
        return [(0.0, self.waves(seconds))]

    def waves(self, seconds: float, until_s: float = 0.0) -> NDArray[np.float64]:
        """Fibrillation features, [2, features]; none where the window is longer than the waves."""
        return self._features if seconds <= self._fibrillates_s else np.zeros_like(self._features)

    def regular_waves(self, seconds: float, now: int) -> RegularWaves | None:
        """The regular waves that the test gave."""
        return self._regular

    def waves_of(self, lead: str, from_s: float, to_s: float) -> tuple[float, float]:
        """Amplitude and quality."""
        return 0.4, 0.9

    def shown(self, evidence: Evidence, r: NDArray[np.int64], now: int) -> Evidence:
        """The evidence: each lead shows it."""
        return evidence

    def stillness(self, r: NDArray[np.int64], now: int) -> Views:
        """Itself."""
        return self

    def still(self, since: int, until: int | None = None) -> bool:
        """The line between the beats is flat."""
        return True

    def silent(self, since: int, until: int | None = None) -> bool:
        """Nothing is as steep as a small beat."""
        return True

    def level(self, since: int, until: int) -> bool:
        """The baseline keeps its level."""
        return True


class Atrial:
    """`AtrialRhythm` after an update."""

    def __init__(self, irregular: bool | None = None, fibrillating: bool | None = None) -> None:
        self.irregular, self.fibrillating, self.onset = irregular, fibrillating, 0

    def evidence(self, code: str, over_s: float, source: str) -> tuple[Evidence, ...]:
        """No evidence."""
        return ()


class Waves:
    """`WaveHistory` after an update."""

    def __init__(self, newest: Sequence[WaveBeat] = (), baseline: RhythmBaseline | None = None) -> None:
        self.beats = self.newest = list(newest)
        self.baseline = baseline

    def st_medians(self, usable: Sequence[str]) -> dict[str, tuple[float, int]]:
        """Those of all beats."""
        return st_medians([b for b in self.newest if b.conducted], usable)


class NoBlock:
    """`AvBlockDetector` that found nothing."""

    def finding(self, now: int, limit: Any) -> None:
        """Nothing."""


def context(
    track: BeatTrack,
    limits: Limits | None = None,
    *,
    views: Views | None = None,
    atrial: Atrial | None = None,
    waves: Waves | None = None,
    on: Callable[[str], bool] = lambda code: False,
) -> RhythmContext:
    """The context of one update."""
    parts: dict[str, Any] = {
        "views": views or Views(),
        "atrial": atrial or Atrial(),
        "waves": waves or Waves(),
        "block": NoBlock(),
    }
    return RhythmContext(
        track=track,
        asystole_plausible=track.leads,
        suspected_lead_artifact=False,
        marks=np.zeros(0, np.int64),
        limits=limits or Limits(),
        settings=RhythmSettings(),
        on=on,
        returns=lambda code, seconds: False,
        paced=False,
        **parts,
    )

"""The base of the distortions: frozen values with a `draw` from a random generator and one step that applies them.

A distortion of the signal changes a `Signal`, one of the messages changes the list of `Packet`, an injected one adds
records. ``stage`` orders them; of one ``group`` a schedule has one. Where a distortion makes signal unusable it says
so in ``usable``, so that the oracle demands no more than the signal allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from tests.fuzz.feed import Packet, Record, Signal

Rng = np.random.Generator


@dataclass(frozen=True)
class Distortion:
    """One distortion.

    Attributes
    ----------
    seed : int
        Of the distortion's own random numbers: dropping another distortion does not change them.
    """

    seed: int = 0
    stage: ClassVar[int] = 0
    group: ClassVar[str] = ""
    timing_only: ClassVar[bool] = False
    weight: ClassVar[float] = 1.0

    @property
    def rng(self) -> Rng:
        """The distortion's own random numbers, the same at each call."""
        return np.random.default_rng(self.seed)

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> Self:
        """A distortion of this kind for a schedule of ``seconds``."""
        raise NotImplementedError

    def on_signal(self, signal: Signal) -> None:
        """Change the signal before it is cut."""

    def lengths_s(self) -> tuple[float, ...]:
        """Lengths of the messages in turn; empty where this distortion has none to say."""
        return ()

    def on_packets(self, packets: list[Packet]) -> list[Packet]:
        """Change the messages."""
        return packets

    def records(self, packets: list[Packet], key: bytes, other_key: bytes) -> list[Record]:
        """Records beside the packets."""
        return []


def seed_of(rng: Rng) -> int:
    """A seed for a distortion."""
    return int(rng.integers(1 << 31))


def number(rng: Rng, low: float, high: float, digits: int = 3) -> float:
    """A uniform number with few digits, so that a reproduction is readable."""
    return round(float(rng.uniform(low, high)), digits)


def power(rng: Rng, low: float, high: float) -> float:
    """A number whose logarithm is uniform, with three significant digits."""
    return float(f"{10 ** rng.uniform(np.log10(low), np.log10(high)):.3g}")


def chance(rng: Rng, p: float) -> bool:
    """True with probability ``p``."""
    return bool(rng.random() < p)


def span_of(rng: Rng, seconds: float, low: float, high: float) -> tuple[float, float]:
    """Start and stop of a span of ``low`` to ``high`` seconds, within the schedule."""
    length = min(seconds, number(rng, low, high, 1))
    start = number(rng, 0.0, seconds - length, 1)
    return start, round(start + length, 1)


def some_leads(rng: Rng) -> tuple[int, ...]:
    """All leads, the first or the second."""
    return ((0, 1), (0,), (1,))[int(rng.choice(3, p=[0.5, 0.25, 0.25]))]

"""Clocks: nothing in the project reads the wall clock by itself, it is handed one of these."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Anything that knows the time."""

    def now_ns(self) -> int:
        """UTC in nanoseconds since 1970."""


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        return time.time_ns()


class ManualClock:
    """A clock that stands still until a test moves it.

    >>> clock = ManualClock(1_000)
    >>> clock.advance_s(2.5)
    >>> clock.now_ns()
    2500001000
    """

    def __init__(self, now_ns: int) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        return self._now_ns

    def advance_s(self, seconds: float) -> None:
        self._now_ns += round(seconds * 1e9)

    def set_ns(self, now_ns: int) -> None:
        self._now_ns = now_ns

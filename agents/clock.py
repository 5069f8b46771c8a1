"""Clocks: no code of the project reads the wall clock by itself; each part is given one of these."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Source of the time, and of waiting."""

    def now_ns(self) -> int:
        """UTC, nanoseconds since 1970."""

    async def sleep(self, seconds: float) -> None:
        """Return when ``seconds`` have passed on this clock."""


class SystemClock:
    """The clock of the machine."""

    def now_ns(self) -> int:
        """UTC, nanoseconds since 1970."""
        return time.time_ns()

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds`` of real time."""
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that a test moves; `sleep` moves it as well, and takes no real time.

    >>> clock = ManualClock(1_000)
    >>> clock.advance_s(2.5)
    >>> clock.now_ns()
    2500001000
    """

    def __init__(self, now_ns: int) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """UTC, nanoseconds since 1970."""
        return self._now_ns

    def advance_s(self, seconds: float) -> None:
        """Move the clock forward."""
        self._now_ns += round(seconds * 1e9)

    def set_ns(self, now_ns: int) -> None:
        """Set the clock, also backward."""
        self._now_ns = now_ns

    async def sleep(self, seconds: float) -> None:
        """Move the clock by ``seconds`` and let other tasks run."""
        self.advance_s(seconds)
        await asyncio.sleep(0)

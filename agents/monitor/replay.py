"""The replay of windows: brings the signal state of restored beds up, and emits nothing (restore 4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from typing import Protocol

from agents.clock import Clock
from agents.monitor.bed import BedMonitor
from agents.monitor.isolation import Step
from agents.monitor.partition_log import LogReader
from agents.worker.sender import Incoming
from streams.wire import EcgWindow, RejectedMessage

WATCH_S = 0.5  # between two checks of the watchdog


class ReplayTarget(Protocol):
    """The part of a `PartitionProcessor` that the replay uses."""

    beds: dict[str, BedMonitor]
    clock: Clock

    def decode(self, message: Incoming) -> EcgWindow:
        """The window of a message; raises `RejectedMessage`."""

    async def take(self, kind: str, bed: BedMonitor, step: Step) -> bool:
        """Take one step of a bed."""

    async def watch_beds(self, *, caught_up: bool) -> None:
        """The watchdog and the vitals of each bed."""


async def replay(
    target: ReplayTarget,
    reader: LogReader,
    start: int,
    stop: int,
    names: Collection[str],
    took: Callable[[float, float], None],
) -> None:
    """Replay the windows of some beds.

    Parameters
    ----------
    target : ReplayTarget
    reader : LogReader
    start, stop : int
        Offsets; ``stop`` is exclusive.
    names : collection of str
        Bed streams.
    took : callable
        Called after each window with the seconds that it took, and the seconds of its signal.
    """
    loop = asyncio.get_running_loop()
    watch_ns = target.clock.now_ns()
    async for batch in reader.read_windows(start, stop):
        for message in batch:
            try:
                window = target.decode(message)
            except RejectedMessage:
                continue  # it was dead-lettered when it was first read
            bed = target.beds.get(window.bed_stream)
            if bed is not None and window.bed_stream in names:
                began = loop.time()
                apply = partial(bed.apply_window, window, message.offset, message.append_ns, replay=True)
                await target.take("replay", bed, apply)
                took(loop.time() - began, window.duration_s)
            if target.clock.now_ns() >= watch_ns:
                watch_ns = target.clock.now_ns() + round(WATCH_S * 1e9)
                await target.watch_beds(caught_up=False)
            await asyncio.sleep(0)

"""Backfill: analyses the windows that were skipped to reach the latest signal, at a pace that never delays it.

Input: a partition whose bed documents name skipped ranges of offsets (`streams.bed.Skipped`). Output: the conditions of
these windows, delivered to the bed's record; those that ended more than 30 s before are `late` and do not sound. The
steps have the numbers of docs/delivery.md, "Latest first".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Protocol

from agents.clock import Clock
from agents.lifecycle.outputs import Outputs
from agents.metrics import Metrics
from agents.monitor.attempts import Attempts
from agents.monitor.bed import BedMonitor
from agents.monitor.partition_log import LogReader, PartitionLog
from agents.worker.sender import Incoming
from streams.wire import EcgWindow, RejectedMessage

log = logging.getLogger(__name__)

REPLAY_S = 35.0  # signal replayed before a skipped range: beat detection forgets within 30 s
OVERLAP_S = 30.0  # analysed past a skipped range, to find the end of a condition that was on at its end
SHARE = 0.5  # of the time that the event loop has left; the other half belongs to the newest signal
MAX_LAG_S = 2.0  # at more lag of the newest signal the backfill waits
POLL_S = 1.0  # between two reads of the log's end, where the overlap has not arrived yet
RECORD_EVERY = 300  # windows between two records of the progress, so that a restart does not begin again


class BackfillTarget(Protocol):
    """The part of a `PartitionProcessor` that the backfill uses."""

    number: int
    beds: dict[str, BedMonitor]
    next_offset: int
    clock: Clock
    log: PartitionLog
    attempts: Attempts
    metrics: Metrics

    def exclusive(self) -> AbstractAsyncContextManager[bool]:
        """One step at a time; False where the partition is not held any more."""

    def decode(self, message: Incoming) -> EcgWindow:
        """The window of a message; raises `RejectedMessage`."""

    async def take(
        self, kind: str, bed: BedMonitor, step: Callable[[], list[Outputs]], message: Incoming | None = None
    ) -> bool:
        """Take one step of a bed and send its outputs; False where it failed."""

    async def reject(self, message: Incoming, reason: str) -> None:
        """Dead-letter a message."""

    def worker_lag_s(self) -> float:
        """Lag of the newest signal over all partitions of the worker, seconds."""


async def backfill(target: BackfillTarget) -> None:
    """Analyse all skipped ranges; after a crash or a hand-over the bed documents hold the rest.

    Parameters
    ----------
    target : BackfillTarget
        The partition.
    """
    loop = asyncio.get_running_loop()
    while any(bed.bed.skipped for bed in target.beds.values()):
        ranges = [(r.first, r.last) for bed in target.beds.values() for r in bed.bed.skipped]
        first, last = min(a for a, _ in ranges), max(b for _, b in ranges)
        # Progress is recorded up to the first end of a range only: the record of a finished range discards its
        # analysis, and the end of its last condition is found in the overlap.
        soonest_end = min(b for _, b in ranges)
        at_the_gap = {name for name, bed in target.beds.items() if bed.backfill is not None}
        async with target.log.open() as reader:
            begin = await reader.offset_before(first, REPLAY_S)
            handled = 0
            async for message in _windows_and_overlap(target, reader, begin, last):
                while target.worker_lag_s() > MAX_LAG_S:
                    await target.clock.sleep(MAX_LAG_S / 4)
                started = loop.time()
                async with target.exclusive() as held:
                    if not held:
                        return  # the next worker finds the rest in the bed documents
                    async with target.attempts.attempt(message):
                        await _analyse(target, message, at_the_gap, last)  # latest first 5
                handled += 1
                if handled % RECORD_EVERY == 0:
                    await _record_progress(target, min(message.offset, soonest_end) - 1)  # latest first 6
                await target.clock.sleep((loop.time() - started) * (1 - SHARE) / SHARE)
        await _record_progress(target, last)  # latest first 6
    log.info("partition %d: the backfill is complete", target.number)


async def _windows_and_overlap(
    target: BackfillTarget, reader: LogReader, begin: int, last: int
) -> AsyncIterator[Incoming]:
    """The windows from ``begin`` to ``last``, then `OVERLAP_S` of the windows that were processed live.

    Waits for an overlap that has not arrived: a condition without a known end is not recorded.
    """
    position, until_ns = begin, target.clock.now_ns() + round(OVERLAP_S * 1e9)
    while True:
        stop = max(last + 1, target.next_offset)
        async for batch in reader.read_windows(position, stop):
            for message in batch:
                if message.offset <= last:
                    until_ns = message.append_ns + round(OVERLAP_S * 1e9)
                elif message.append_ns > until_ns:
                    return
                position = message.offset + 1
                yield message
        if target.clock.now_ns() > until_ns:
            return
        await target.clock.sleep(POLL_S)


async def _analyse(target: BackfillTarget, message: Incoming, at_the_gap: set[str], last: int) -> None:
    """Analyse one window; the beds ``at_the_gap`` need no replay, their analysis stands at the beginning of the gap.

    A window after ``last`` is overlap: it is counted and dead-lettered where it is processed, live or by a later range.
    """
    try:
        window = target.decode(message)
    except RejectedMessage as rejected:
        # It was dead-lettered while the partition caught up, unless it was not read then.
        keyed = target.beds.get((message.key or b"").decode(errors="replace"))
        if keyed is not None and target.attempts.only_in_turn(message) and _is_skipped(keyed, message, last):
            await target.reject(message, rejected.reason)
        return
    bed = target.beds.get(window.bed_stream)
    if bed is None or not bed.bed.skipped:
        return
    replay = message.offset < bed.bed.skipped[0].first
    if replay and window.bed_stream in at_the_gap:
        return
    skipped = _is_skipped(bed, message, last)
    step = partial(bed.backfill_window, window, message.append_ns, replay=replay)
    if await target.take("backfill", bed, step, message if skipped else None) and skipped:
        target.metrics.backfilled.inc()


def _is_skipped(bed: BedMonitor, message: Incoming, last: int) -> bool:
    return message.offset <= last and any(r.first <= message.offset <= r.last for r in bed.bed.skipped)


async def _record_progress(target: BackfillTarget, up_to: int) -> None:
    async with target.exclusive() as held:
        for bed in list(target.beds.values()) if held else []:
            await target.take("backfill", bed, partial(bed.record_backfilled, up_to))

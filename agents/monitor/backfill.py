"""What was passed over is analysed behind the newest signal: slowly enough that the newest never waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from agents.monitor.partition_processor import Partition
from agents.worker.log_reader import offset_before, plain_consumer, read_range
from agents.worker.sender import Incoming
from streams.wire import RejectedMessage

if TYPE_CHECKING:
    from agents.monitor.service import Monitor

log = logging.getLogger(__name__)

WARM_S = 35.0  # beat detection forgets within 30 s
OVERLAP_S = 30.0  # into the live signal: how a condition ended that was on when the passing over ended
SHARE = 0.5  # of the time that the loop leaves: the other half belongs to the newest signal
CALM_S = 2.0  # at more lag of the newest signal nothing is done behind it
WAIT_S = 1.0  # between looks for more of the overlap
RECORD_EVERY = 300  # windows after which progress is recorded, so that a restart does not begin anew


async def analyse_behind(monitor: Monitor, partition: Partition) -> None:
    """Runs until nothing is left; a crash or a hand-over leaves the rest recorded in the bed documents."""
    topic, number = monitor.topics.windows, partition.number
    loop = asyncio.get_running_loop()
    try:
        while any(bed.bed.skipped for bed in partition.beds.values()):
            ranges = [(r.first, r.last) for bed in partition.beds.values() for r in bed.bed.skipped]
            first, last = min(a for a, _ in ranges), max(b for _, b in ranges)
            # On the way progress is recorded up to the first end of a range alone: a range that is done forgets its
            # analysis, and how its last condition ended shows in the overlap only.
            soonest = min(b for _, b in ranges)
            at_the_gap = {name for name, bed in partition.beds.items() if bed.backfill is not None}
            async with plain_consumer(monitor.settings) as consumer:
                begin = await offset_before(consumer, topic, number, first, WARM_S)
                handled = 0
                async for message in _until_overlap(monitor, consumer, begin, last, partition):
                    while monitor.lag_s > CALM_S:
                        await asyncio.sleep(CALM_S / 4)
                    started = loop.time()
                    async with monitor.turn(partition) as held:
                        if not held:
                            return  # whoever holds the partition next reads in the bed documents what is left
                        await _one(monitor, partition, message, at_the_gap)
                    handled += 1
                    if handled % RECORD_EVERY == 0:
                        await _record(monitor, partition, min(message.offset, soonest) - 1)
                    await asyncio.sleep((loop.time() - started) * (1 - SHARE) / SHARE)
            await _record(monitor, partition, last)
        log.info("%s/%d: what was passed over has been analysed", topic, number)
    except asyncio.CancelledError:
        raise
    except Exception as error:
        monitor.fail(error)


async def _until_overlap(
    monitor: Monitor, consumer: Any, begin: int, last: int, partition: Partition
) -> AsyncIterator[Incoming]:
    """The windows from ``begin`` to ``last``, and after it `OVERLAP_S` of what was judged live.

    Where that much has not come yet it is waited for: a condition whose end is not known is not recorded.
    """
    topic, number = monitor.topics.windows, partition.number
    position, until_ns = begin, monitor.clock.now_ns() + round(OVERLAP_S * 1e9)
    while True:
        stop = max(last + 1, partition.next_offset)
        async for batch in read_range(consumer, topic, number, position, stop):
            for message in batch:
                if message.offset <= last:
                    until_ns = message.append_ns + round(OVERLAP_S * 1e9)
                elif message.append_ns > until_ns:
                    return
                position = message.offset + 1
                yield message
        if monitor.clock.now_ns() > until_ns:
            return
        await asyncio.sleep(WAIT_S)


async def _one(monitor: Monitor, partition: Partition, message: Incoming, at_the_gap: set[str]) -> None:
    """One window behind; the beds ``at_the_gap`` need no warming up: their analysis stands there already."""
    try:
        window = monitor.decode(message)
    except RejectedMessage as rejected:
        skipped = [r for bed in partition.beds.values() for r in bed.bed.skipped]
        if any(r.first <= message.offset <= r.last for r in skipped):
            await monitor.reject(message, rejected.reason)
        return
    bed = partition.beds.get(window.bed_stream)
    if bed is None or not bed.bed.skipped:
        return
    warm = message.offset < bed.bed.skipped[0].first
    if warm and window.bed_stream in at_the_gap:
        return
    await monitor.deliver(bed, bed.backfill_window(window, message.append_ns, replay=warm))


async def _record(monitor: Monitor, partition: Partition, up_to: int) -> None:
    async with monitor.turn(partition) as held:
        for bed in list(partition.beds.values()) if held else []:
            await monitor.deliver(bed, bed.record_backfilled(up_to))

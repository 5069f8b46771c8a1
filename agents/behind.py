"""What was passed over is analysed behind the newest signal: slowly enough that the newest never waits for it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from agents.partition import Partition
from agents.restore import offset_before, plain_consumer, read_range
from agents.sender import Incoming
from streams.wire import Refused

if TYPE_CHECKING:
    from agents.monitor import Monitor

log = logging.getLogger(__name__)

WARM_S = 35.0  # beat detection forgets within 30 s
OVERLAP_S = 30.0  # into the live signal: how a condition ended that was on when the passing over ended
SHARE = 0.5  # of the time that the loop leaves: the other half belongs to the newest signal
RECORD_EVERY = 300  # windows after which progress is recorded, so that a restart does not begin anew


async def analyse_behind(monitor: Monitor, partition: Partition) -> None:
    """Runs until nothing is left; a crash or a hand-over leaves the rest recorded in the bed documents."""
    try:
        topic = monitor.topics.windows
        while any(bed.bed.skipped for bed in partition.beds.values()):
            ranges = [(r.first, r.last) for bed in partition.beds.values() for r in bed.bed.skipped]
            first, last = min(a for a, _ in ranges), max(b for _, b in ranges)
            async with plain_consumer(monitor.settings) as consumer:
                begin = await offset_before(consumer, topic, partition.number, first, WARM_S)
                end = max(last + 1, partition.next_offset)
                until_ns: int | None = None
                handled = 0
                async for batch in read_range(consumer, topic, partition.number, begin, end):
                    for message in batch:
                        if message.offset > last:
                            until_ns = until_ns or message.append_ns + round(OVERLAP_S * 1e9)
                            if message.append_ns > until_ns:
                                break
                        loop = asyncio.get_running_loop()
                        started = loop.time()
                        async with partition.lock:
                            if not partition.held:
                                return
                            await _one(monitor, partition, message)
                        handled += 1
                        if handled % RECORD_EVERY == 0:
                            await _record(monitor, partition, min(message.offset, last) - 1)
                        await asyncio.sleep((loop.time() - started) * (1 - SHARE) / SHARE)
                    if until_ns is not None and batch and batch[-1].append_ns > until_ns:
                        break
            await _record(monitor, partition, last)
        log.info("%s/%d: what was passed over has been analysed", topic, partition.number)
    except asyncio.CancelledError:
        raise
    except Exception as error:
        monitor.fail(error)


async def _one(monitor: Monitor, partition: Partition, message: Incoming) -> None:
    try:
        window = monitor.decode(message)
    except Refused as refused:
        skipped = [r for bed in partition.beds.values() for r in bed.bed.skipped]
        if any(r.first <= message.offset <= r.last for r in skipped):
            await monitor.refuse(message, refused.reason)
        return
    bed = partition.beds.get(window.bed_stream)
    if bed is None or not bed.bed.skipped:
        return
    warm = message.offset < bed.bed.skipped[0].first
    if warm and bed.behind is not None:
        return  # its analysis stands at the gap already
    await monitor.deliver(bed, bed.push_behind(window, message.append_ns, warm=warm))


async def _record(monitor: Monitor, partition: Partition, up_to: int) -> None:
    async with partition.lock:
        for bed in list(partition.beds.values()):
            await monitor.deliver(bed, bed.done_behind(up_to))

"""Shared by the three workers: a Faust app in this process's event loop, `ready`, failure, and a clean end.

A worker that cannot go on logs the reason and ends with status 1. The message in progress is not committed, and the
next worker processes it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from agents.clock import Clock
from agents.metrics import Metrics
from agents.settings import Settings
from agents.worker.beacons import Beacons
from agents.worker.faust_app import faust_app, raw_topic
from agents.worker.high_watermarks import LogEnds
from agents.worker.lease import Lease
from agents.worker.sender import Incoming, Outgoing, Sender
from agents.worker.site_claim import keep_claim
from streams.alert import Interpretation, InterpretationMessage
from streams.bed import SYSTEM
from streams.document import time_of_ns
from streams.site_claim import CLAIMING
from streams.topics import Topics

log = logging.getLogger(__name__)

MEASURE_S = 1.0  # between two settings of the gauges
STOP_S = 20.0  # what a worker took is finished within this, or the next worker does it again


class Worker:
    """A worker: `start`, wait for `ended`, `stop`.

    Attributes
    ----------
    ready : asyncio.Event
        It holds its partitions.
    ended : asyncio.Future
        Set with an exception where it cannot go on.
    handled : int
        Messages finished, for the watch over progress.
    """

    name = ""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.topics = Topics(settings.topic_prefix, settings.partitions)
        self.app = faust_app(settings, self.name)
        self.ready = asyncio.Event()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.metrics = Metrics(self.name)
        self.sender = Sender(settings, clock, self.metrics, self.fail)
        self.ends = LogEnds(settings)
        self.lease = Lease(self.app, settings.stopped_after_s)
        self.beacons = Beacons(settings, clock, self.app, settings.group(self.name), self.lease.acknowledged)
        self.handled = 0
        self._positions: dict[tuple[str, int], int] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the sender, the app and the periodic tasks."""
        await self.sender.start()
        self.beacons.start()
        self.run_forever(self.beacons.keep_turning(self.finished_windows, self.rejected_windows), "the beacons")
        await self.prepare_to_join()
        await self.app.start()
        self.beacons.joined()
        self.run_forever(self._watch_app(), "the Faust app")
        self.run_forever(self.ends.keep_asking(), "the watch over the logs' ends")
        self.run_forever(self._measure_forever(), "the metrics")
        if self.name in CLAIMING:
            self.run_forever(keep_claim(self.settings), "the claim of the topics")

    async def stop(self) -> None:
        """Finish what was taken, commit, leave the group."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.app.stop(), STOP_S)
        self.beacons.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.sender.stop()

    async def prepare_to_join(self) -> None:
        """Called before the worker joins its group."""

    def finished_windows(self) -> Mapping[int, int]:
        """The offset after the last finished window of each partition, for the beacons."""
        return {}

    def rejected_windows(self) -> Mapping[int, list[int]]:
        """Offsets of windows on which workers ended twice, by partition, for the beacons."""
        return {}

    def fail(self, error: BaseException) -> None:
        """End the worker with an error."""
        if not self.ended.done():
            log.error("%s cannot go on: %s", self.name, error, exc_info=error)
            self.ended.set_exception(error)

    def run_forever(self, work: Coroutine[Any, Any, None], what: str) -> None:
        """Run a task whose end is the worker's."""

        def over(task: asyncio.Task[None]) -> None:
            if not task.cancelled():
                self.fail(task.exception() or RuntimeError(f"{what} ended"))

        task = asyncio.create_task(work, name=what)
        task.add_done_callback(over)
        self._tasks.append(task)

    def hold(self, committed: Mapping[tuple[str, int], int]) -> None:
        """These partitions are held now, and these are the offsets that come next."""
        self._positions = {place: self._positions.get(place, offset) for place, offset in committed.items()}
        self.metrics.partition_waiting.clear()  # of partitions that others hold now
        self.ends.watch(committed)

    @property
    def positions(self) -> dict[tuple[str, int], int]:
        """The offset after the last finished message of each partition."""
        return dict(self._positions)

    def waiting(self) -> int | None:
        """Messages that are in Kafka and not handled; None where nobody knows."""
        waiting = self.waiting_by_partition()
        return None if waiting is None else sum(waiting.values())

    def waiting_by_partition(self) -> dict[tuple[str, int], int] | None:
        """The same of each partition held here."""
        ends = {place: self.ends.end(*place) for place in list(self._positions)}
        if any(end is None for end in ends.values()):
            return None
        return {place: max(0, (end or 0) - self._positions.get(place, 0)) for place, end in ends.items()}

    def agent(self, topic: str, handle: Callable[[Incoming], Coroutine[Any, Any, None]]) -> None:
        """Handle the messages of a topic, one after the other."""

        async def take(stream: Any) -> None:
            await self.each(stream, handle)

        take.__name__ = take.__qualname__ = f"take_{topic.replace('.', '_').replace('-', '_')}"
        self.app.agent(raw_topic(self.app, topic))(take)

    async def each(self, stream: Any, handle: Callable[[Incoming], Coroutine[Any, Any, None]]) -> None:
        """Handle every message of a stream; one that fails is never acknowledged, and ends the worker."""
        async for event in stream.events():
            message = incoming_of(event.message)
            try:
                await handle(message)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                self.fail(error)
                await asyncio.Future()  # Faust acknowledges a message when its handler returns or raises: never do
            self.done(message)

    def done(self, message: Incoming) -> None:
        """A message was finished."""
        place = message.topic, message.partition
        self._positions[place] = max(self._positions.get(place, 0), message.offset + 1)
        self.progressed()

    async def report_service(self, code: str, reason: str) -> None:
        """Tell the monitor that holds `_system` that a service is not there, or (no reason) that it is."""
        now_ns = self.clock.now_ns()
        state = Interpretation(
            source="measured" if reason else "gem",
            reason=reason or None,
            at=time_of_ns(now_ns),
            text=reason,
            seconds=0.0,
        )
        message = InterpretationMessage(id=f"{code}-{now_ns}", alert_id=code, bed_stream=SYSTEM, interpretation=state)
        await self.sender.send([Outgoing(self.topics.interpretations, SYSTEM, message.to_json())])

    def unready(self) -> str:
        """Why this worker does not serve its partitions now; empty where it does. Called from other threads."""
        return "" if self.ready.is_set() else "the partitions are not assigned yet"

    @property
    def stuck_after_s(self) -> float:
        """Nothing finished for this long while messages wait: this worker is stuck."""
        return self.settings.stuck_after_s

    def progressed(self, number: int = 1) -> None:
        """Something, or a number of messages, was finished."""
        self.handled += number
        self.metrics.handled.inc(number)

    def measure(self) -> None:
        """Set the gauges; called once a second."""
        waiting = self.waiting_by_partition()
        if waiting is not None:
            self.metrics.waiting.set(sum(waiting.values()))
            for (topic, partition), count in waiting.items():
                self.metrics.partition_waiting.labels(topic, str(partition)).set(count)
        self.metrics.removed_peers.inc(self.beacons.take_removed())
        if self.beacons.clock_skew_s is not None:
            self.metrics.clock_skew.set(self.beacons.clock_skew_s)

    async def _measure_forever(self) -> None:
        while True:
            self.measure()
            await asyncio.sleep(MEASURE_S)

    async def _watch_app(self) -> None:
        while not self.app.crashed:
            await asyncio.sleep(0.2)
        raise self.app.crash_reason or RuntimeError("the Faust app crashed")


def incoming_of(message: Any) -> Incoming:
    """A message of Faust as the rest of the program passes it on."""
    return Incoming(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        append_ns=round((message.timestamp or 0.0) * 1000) * 1_000_000,
        key=message.key,
        value=message.value,
        headers=tuple(message.headers.items()) if isinstance(message.headers, dict) else tuple(message.headers or ()),
    )

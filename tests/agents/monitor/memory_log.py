"""One partition without a broker: its log in memory, its outputs in a list, its time moved by the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from agents.clock import ManualClock
from agents.metrics import Metrics
from agents.monitor.delivery import Delivery
from agents.monitor.partition_processor import PartitionProcessor
from agents.monitor.restore import BedDocuments
from agents.monitor.standby import Replica
from agents.monitor.state_replay import StateReplay
from agents.settings import Settings
from agents.worker.sender import Incoming, Outgoing, Sender
from streams.alert import Alert
from streams.bed import Bed, Vitals
from streams.partition import partition_of
from streams.topics import Topics
from streams.wire import EcgWindow, encode_window
from tests.agents.law import Written
from tests.agents.signals import T0_NS, S

SETTINGS = Settings(partitions=1, gem=False)
TOPICS = Topics(SETTINGS.topic_prefix, SETTINGS.partitions)
assert partition_of(b"icu-3/07", SETTINGS.partitions) == 0


async def may_always_write() -> None:
    """The lease of a worker that no other one replaces."""


class MemoryLog:
    """Windows and bed documents of partition 0: a `PartitionLog` and its `LogReader`."""

    def __init__(self) -> None:
        self.windows: list[Incoming] = []
        self.beds: dict[str, Bed] = {}
        self.read_from: list[tuple[int, int]] = []  # ranges of windows that were read

    def append(self, windows: Sequence[EcgWindow], append_ns: int | None = None) -> list[Incoming]:
        """Append windows, each at its gateway time or all at ``append_ns``."""
        new = [
            Incoming(
                topic=TOPICS.windows,
                partition=0,
                offset=len(self.windows) + k,
                append_ns=window.gateway_time_ns if append_ns is None else append_ns,
                key=window.bed_stream.encode(),
                value=encode_window(window),
            )
            for k, window in enumerate(windows)
        ]
        self.windows += new
        return new

    @asynccontextmanager
    async def open(self) -> AsyncIterator[MemoryLog]:
        yield self

    def end(self) -> int | None:
        return len(self.windows)

    async def current_end(self) -> int:
        return len(self.windows)

    async def read_beds(self, documents: BedDocuments | None = None) -> dict[str, Bed]:
        return dict(self.beds)

    async def offset_before(self, offset: int, seconds: float) -> int:
        since_ns = self.windows[offset - 1].append_ns - round(seconds * S) if offset else 0
        return next((m.offset for m in self.windows if m.append_ns >= since_ns), 0)

    async def read_windows(self, start: int, stop: int) -> AsyncIterator[list[Incoming]]:
        self.read_from.append((start, stop))
        yield self.windows[start:stop]


class MemorySender(Sender):
    """Keeps what a worker sends, in order."""

    def __init__(self, clock: ManualClock, log: MemoryLog) -> None:
        super().__init__(SETTINGS, clock, Metrics())
        self.sent: list[Outgoing] = []
        self.sent_ns: list[int] = []  # when
        self._time = clock
        self.rejected: list[str] = []
        self._log = log

    async def send(self, messages: Sequence[Outgoing]) -> None:
        for message in messages:
            self.sent.append(message)
            self.sent_ns.append(self._time.now_ns())
            if message.topic == TOPICS.beds:
                self._log.beds[message.key] = Bed.from_json(message.value)

    async def send_volatile(self, message: Outgoing) -> None:
        self.sent.append(message)
        self.sent_ns.append(self._time.now_ns())

    async def reject(self, message: Incoming, reason: str, *, wait: bool = True) -> None:
        self.rejected.append(reason)


class PartitionUnderTest:
    """A `PartitionProcessor` with real delivery and beds; log, sender and clock are in memory."""

    def __init__(
        self,
        log: MemoryLog | None = None,
        now_ns: int = T0_NS,
        generation: int = 1,
        may_write: Callable[[], Awaitable[None]] = may_always_write,
    ) -> None:
        self.log = log or MemoryLog()
        self.clock = ManualClock(now_ns)
        self.sender = MemorySender(self.clock, self.log)
        self.failures: list[BaseException] = []
        self.sessions_lost: list[BaseException] = []
        metrics = self.metrics = Metrics()
        self.processor = PartitionProcessor(
            0,
            settings=SETTINGS,
            clock=self.clock,
            log=self.log,
            delivery=Delivery(SETTINGS, self.clock, self.sender, metrics, may_write, lambda bed, ecg: None),
            metrics=metrics,
            generation=generation,
            fail=self.failures.append,
            session_lost=self.sessions_lost.append,
        )

    async def restore(self, committed: int = 0, replica: Replica | None = None) -> PartitionUnderTest:
        state_replay = StateReplay(SETTINGS)
        state_replay.begin()
        await self.processor.restore_beds(self.log, replica)
        await self.processor.restore_signal(self.log, committed, state_replay, len(self.processor.beds))
        return self

    async def feed(self, messages: Sequence[Incoming]) -> None:
        """Each window is processed at its append time, or now where that has passed."""
        for message in messages:
            self.clock.set_ns(max(self.clock.now_ns(), message.append_ns))
            await self.processor.on_window(message)
            await self.processor.tick()

    async def wait(self, seconds: float) -> None:
        """Time passes, then the clock of the beds ticks."""
        self.clock.advance_s(seconds)
        await self.processor.tick()

    def incoming(self, topic: str, key: str, value: bytes, offset: int = 0) -> Incoming:
        """A message of another topic than the windows."""
        return Incoming(topic, 0, offset, self.clock.now_ns(), key.encode(), value)

    def written(self, bed: str) -> list[tuple[int, Written]]:
        """Documents and vitals of a bed with the time of each, for the oracle of the law."""
        kinds = {TOPICS.beds: Bed, TOPICS.vitals: Vitals}
        sent = zip(self.sender.sent_ns, self.sender.sent, strict=True)
        return [(at, kinds[m.topic].from_json(m.value)) for at, m in sent if m.key == bed and m.topic in kinds]

    def vitals(self) -> list[Vitals]:
        """The vitals, as they were sent."""
        return [Vitals.from_json(m.value) for m in self.sender.sent if m.topic == TOPICS.vitals]

    async def backfilled(self) -> None:
        """Wait for the end of the backfill."""
        assert self.processor.backfill_task is not None
        await self.processor.backfill_task
        assert not self.failures

    def alerts(self, code: str = "ASYSTOLE") -> list[Alert]:
        """The alert versions of a code, as they were sent."""
        sent = [Alert.from_json(m.value) for m in self.sender.sent if m.topic == TOPICS.alerts]
        return [alert for alert in sent if alert.code == code]

    def starts(self, code: str = "ASYSTOLE") -> list[Alert]:
        """The first versions of a code."""
        return [alert for alert in self.alerts(code) if alert.version == 1]

    @property
    def bed(self) -> Bed:
        """The newest document of the bed."""
        return self.log.beds["icu-3/07"]


def seconds(alert: Alert) -> float:
    """Onset of an alert after the beginning of the signal."""
    return alert.onset.timestamp() - T0_NS / S

"""A nurse station's consumer: every version of every alert of a unit, at least once, also over restarts.

Consumers of one group share the entries; a station on its own uses a group of its own. Entries that were read and not
acknowledged stay pending: the same consumer gets them again at its start, another one takes them over with
`AlertConsumer.reclaim`. Readers act on ``state`` and drop versions that they have.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from streams.alert import Alert
from streams.keys import Keys
from streams.redis_values import stream_entries, text

RECLAIM_IDLE_S = 30.0  # a running station acknowledges within seconds; without it a dead one's entries wait forever
READ_COUNT = 100


@dataclass(frozen=True)
class Received:
    """One entry of the stream; acknowledge it after it was handled."""

    entry_id: str
    alert: Alert


class AlertConsumer:
    """Reads one unit's alert stream in a consumer group.

    Parameters
    ----------
    redis : redis.Redis
    site, unit : str
    group, name : str
        Consumer group, and this consumer in it. The name must be stable over restarts.
    from_start : bool
        A new group begins with the oldest entry kept (True) or with what comes next.
    """

    def __init__(self, redis: Redis, site: str, unit: str, group: str, name: str, *, from_start: bool = True) -> None:
        self.redis = redis
        self.stream = Keys(site).alerts(unit)
        self.group, self.name, self._from = group, name, "0" if from_start else "$"
        self.lost: list[str] = []
        """Ids of entries that were trimmed while pending: read the open alerts again (`streams.ward_view`)."""
        self._pending_after: str | None = "0"  # id after which its own pending entries go on; None: none is left
        self._join()

    def read(self, *, block_s: float = 1.0, count: int = READ_COUNT) -> list[Received]:
        """New entries, oldest first; waits up to ``block_s`` seconds. Own unacknowledged entries come first."""
        while self._pending_after is not None:
            lost = len(self.lost)
            pending = self._read(self._pending_after, None, count)
            if pending:
                self._pending_after = pending[-1].entry_id
                return pending
            if len(self.lost) == lost:  # no pending entry is left, trimmed ones included
                self._pending_after = None
        return self._read(">", block_s, count)

    def ack(self, *received: Received) -> None:
        """Acknowledge entries that were handled."""
        if received:
            self.redis.xack(self.stream, self.group, *(x.entry_id for x in received))

    def reclaim(self, *, idle_s: float = RECLAIM_IDLE_S, count: int = READ_COUNT) -> list[Received]:
        """Take over entries that another consumer of the group has held unacknowledged for ``idle_s`` seconds."""
        taken: list[Received] = []
        cursor: Any = "0-0"
        while True:
            answer: Any = self.redis.xautoclaim(
                self.stream, self.group, self.name, min_idle_time=round(idle_s * 1000), start_id=cursor, count=count
            )
            cursor, entries = answer[0], answer[1]
            self.lost += [text(entry_id) for entry_id in (answer[2] if len(answer) > 2 else [])]
            taken += self._received(entries)
            if text(cursor) == "0-0" or len(taken) >= count:
                return taken

    def _join(self) -> None:
        try:
            self.redis.xgroup_create(self.stream, self.group, id=self._from, mkstream=True)
        except ResponseError as e:
            if "BUSYGROUP" not in str(e):
                raise

    def _read(self, after: str, block_s: float | None, count: int) -> list[Received]:
        block = None if block_s is None else max(1, round(block_s * 1000))
        try:
            answer: Any = self.redis.xreadgroup(self.group, self.name, {self.stream: after}, count=count, block=block)
        except ResponseError as e:
            if "NOGROUP" not in str(e):
                raise
            self._join()  # Redis came back without the stream: it is being filled again
            return []
        return self._received(stream_entries(answer))

    def _received(self, entries: Iterable[Any]) -> list[Received]:
        out = []
        for entry_id, fields in entries:
            if not fields:  # trimmed while pending: the id alone is left
                self.lost.append(text(entry_id))
                self.redis.xack(self.stream, self.group, entry_id)
                continue
            doc = {text(name): value for name, value in fields.items()}["doc"]
            out.append(Received(text(entry_id), Alert.from_json(doc)))
        return out

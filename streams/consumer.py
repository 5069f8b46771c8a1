"""A nurse station's consumer: every version of every alert of a unit, at least once, also over restarts.

Consumers of one group share the entries; a station on its own uses a group of its own. Entries that were read and not
acknowledged stay pending: the same consumer gets them again at its start, another one takes them over with
`AlertConsumer.reclaim`. Readers act on ``state`` and drop versions that they have.

One unreadable entry never keeps others back: it is returned as `UnreadableEntry` among them. A stream or group that
Redis lost is created again at the last entry that this consumer received.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.client import NEVER_DECODE
from redis.exceptions import ResponseError

from streams.alert import Alert
from streams.document import wrong_fields
from streams.keys import Keys
from streams.redis_values import entry_order, stream_entries, text

RECLAIM_IDLE_S = 30.0  # a running station acknowledges within seconds; without it a dead one's entries wait forever
READ_COUNT = 100
BEGINNING = "0-0"  # the id before the first entry of a stream
MAX_ERROR = 300  # characters of the error of an unreadable entry

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Received:
    """One entry of the stream; acknowledge it after it was handled."""

    entry_id: str
    alert: Alert


@dataclass(frozen=True)
class UnreadableEntry:
    """One entry that holds no alert; it is acknowledged already.

    Parameters
    ----------
    entry_id : str
        Its id in the stream.
    fields : dict of bytes to bytes
        The entry, unchanged.
    error : str
        The reason why it cannot be read.
    """

    entry_id: str
    fields: dict[bytes, bytes]
    error: str


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

    Attributes
    ----------
    lost : list of str
        Ids of entries that were trimmed while pending: read the open alerts again (`streams.ward_view`).
    unreadable : int
        Entries returned as `UnreadableEntry` so far.
    rejoined : int
        Times that stream or group were lost in Redis and created again.
    """

    def __init__(self, redis: Redis, site: str, unit: str, group: str, name: str, *, from_start: bool = True) -> None:
        self.redis = redis
        self.stream = Keys(site).alerts(unit)
        self.group, self.name = group, name
        self.lost: list[str] = []
        self.unreadable = 0
        self.rejoined = 0
        self._pending_after: str | None = "0"  # id after which its own pending entries go on; None: none is left
        self._create_group("0" if from_start else "$")
        self._delivered = self._last_of_group()  # id of the last entry that the group has given, as far as known here

    def read(self, *, block_s: float = 1.0, count: int = READ_COUNT) -> list[Received | UnreadableEntry]:
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

    def ack(self, *received: Received | UnreadableEntry) -> None:
        """Acknowledge entries that were handled."""
        if received:
            self.redis.xack(self.stream, self.group, *(x.entry_id for x in received))

    def reclaim(self, *, idle_s: float = RECLAIM_IDLE_S, count: int = READ_COUNT) -> list[Received | UnreadableEntry]:
        """Take over entries that another consumer of the group has held unacknowledged for ``idle_s`` seconds."""
        taken: list[Received | UnreadableEntry] = []
        cursor = BEGINNING
        while True:
            command = ("XAUTOCLAIM", self.stream, self.group, self.name, round(idle_s * 1000), cursor, "COUNT", count)
            answer = self._command(*command)
            if answer is None:
                return taken
            cursor = text(answer[0])
            self.lost += [text(entry_id) for entry_id in (answer[2] if len(answer) > 2 else [])]
            taken += self._received(answer[1])
            if cursor == BEGINNING or len(taken) >= count:
                return taken

    def _read(self, after: str, block_s: float | None, count: int) -> list[Received | UnreadableEntry]:
        block = () if block_s is None else ("BLOCK", max(1, round(block_s * 1000)))
        where = ("STREAMS", self.stream, after)
        answer = self._command("XREADGROUP", "GROUP", self.group, self.name, "COUNT", count, *block, *where)
        received = self._received(stream_entries(answer))
        if received and after == ">":
            self._delivered = received[-1].entry_id
        return received

    def _received(self, entries: Iterable[Any]) -> list[Received | UnreadableEntry]:
        out: list[Received | UnreadableEntry] = []
        for raw_id, fields in entries:
            entry_id = text(raw_id)
            if not fields:  # trimmed while pending: the id alone is left
                self.lost.append(entry_id)
                self.redis.xack(self.stream, self.group, entry_id)
                continue
            try:
                out.append(Received(entry_id, Alert.from_json(fields[b"doc"])))
            except (KeyError, ValueError) as error:
                reason = "it has no field doc" if isinstance(error, KeyError) else wrong_fields(error)[:MAX_ERROR]
                out.append(UnreadableEntry(entry_id, dict(fields), reason))
                self.unreadable += 1
                log.error("entry %s of %s is no alert: %s", entry_id, self.stream, reason)
                self.redis.xack(self.stream, self.group, entry_id)
        return out

    # ---- group -------------------------------------------------------------------------------------------------------

    def _command(self, *command: Any) -> Any:
        """The answer in bytes, whatever the client decodes; None where stream or group had to be created again."""
        try:
            return self.redis.execute_command(*command, **{NEVER_DECODE: True})  # type: ignore[no-untyped-call]
        except ResponseError as error:
            if not any(word in str(error) for word in ("NOGROUP", "UNBLOCKED", "no longer exists")):
                raise
        # A stream that was filled again has newer ids, unless the clock of its Redis went back: then all of it is new.
        ahead = entry_order(self._last_of_stream()) >= entry_order(self._delivered)
        self._create_group(self._delivered if ahead else BEGINNING)
        if not ahead:
            self._delivered = BEGINNING
        self.rejoined += 1
        log.warning(
            "Redis lost %s or its group %s: it goes on after entry %s", self.stream, self.group, self._delivered
        )
        return None

    def _create_group(self, after: str) -> None:
        try:
            self.redis.xgroup_create(self.stream, self.group, id=after, mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def _last_of_group(self) -> str:
        groups: Any = self.redis.xinfo_groups(self.stream)
        ids = [text(group["last-delivered-id"]) for group in groups if text(group["name"]) == self.group]
        return ids[0] if ids else BEGINNING

    def _last_of_stream(self) -> str:
        try:
            about: Any = self.redis.xinfo_stream(self.stream)
        except ResponseError:  # there is no such key
            return BEGINNING
        return text(about["last-generated-id"])

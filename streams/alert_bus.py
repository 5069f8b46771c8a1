"""The alert bus: messages of Kafka into Redis, where nurse stations read them.

Every write is one call of one script (`publish.lua`), which writes the data together with the offset. So a message is
applied once whatever is delivered twice, out of order, by a worker that lost its partition (generation), or to a Redis
that was rolled back (`RolledBack`: go on from `AlertBus.applied_offsets`).

Entries are built by plain functions and sent by `AlertBus.publish`, many in one round trip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import NoScriptError

from streams.alert import Alert
from streams.bed import Bed, Vitals
from streams.document import ns_of_time, rfc3339
from streams.keys import Keys
from streams.redis_values import text

SCRIPT = (Path(__file__).parent / "publish.lua").read_text()

NO_GENERATION = -1
DAY_MS = 86_400_000
STREAM_KEPT_MS = 2 * DAY_MS  # a station that was off for a weekend reads the active set; one restarted reads the stream
HASH_KEPT_MS = 30 * DAY_MS  # after off
STRIP_KEPT_MS = 3 * DAY_MS


class PublishOutcome(StrEnum):
    """What a message did in Redis; all but `APPLIED` changed nothing but the offset."""

    APPLIED = "applied"
    OLD_VERSION = "version"
    OLD_GENERATION = "generation"
    OLD_OFFSET = "offset"


class RolledBack(RuntimeError):  # noqa: N818  (what Redis did; the publisher acts on it)
    """Redis holds a lower offset than was applied before: it was restored from an older copy.

    Parameters
    ----------
    place : str
        ``<topic>/<partition>``.
    offset : int
        What Redis has applied; -1: nothing. Read the partition again from the next one.
    expected : int
        What was applied before.
    """

    def __init__(self, place: str, offset: int, expected: int) -> None:
        super().__init__(
            f"Redis has applied {place} up to offset {offset}, but {expected} was applied before: it was rolled back, "
            "and is "
            f"filled again from offset {offset + 1}"
        )
        self.place, self.offset, self.expected = place, offset, expected


@dataclass(frozen=True)
class Entry:
    """One call of the script, for the message at ``offset`` of ``place`` (``<topic>/<partition>``)."""

    kind: str
    place: str
    offset: int
    generation: int
    keys: tuple[str, ...]
    args: tuple[str | bytes, ...]

    def call(self, keys: Keys, *, after: int = -1, rebuild_from: str = "") -> tuple[list[str], list[str | bytes]]:
        """KEYS and ARGV of the script."""
        head: list[str | bytes] = [
            self.kind,
            self.place,
            str(self.offset),
            str(self.generation),
            str(after),
            rebuild_from,
        ]
        return [keys.offsets, keys.generations, *self.keys], head + list(self.args)


def place_of(topic: str, partition: int) -> str:
    """``<topic>/<partition>``: the field of the offsets hash."""
    return f"{topic}/{partition}"


def alert_entry(
    keys: Keys, alert: Alert, place: str, offset: int, generation: int, stream_kept_ms: int = STREAM_KEPT_MS
) -> Entry:
    """One version of an alert."""
    doc = alert.to_json()
    fields: tuple[str | bytes, ...] = (
        alert.id,
        str(alert.version),
        alert.phase.value,
        alert.state.value,
        alert.code,
        alert.priority,
        alert.bed_stream,
        alert.bed,
        "1" if alert.sounding else "0",
        doc,
    )
    onset_ms = ns_of_time(alert.onset) // 1_000_000
    expire_ms = ns_of_time(alert.published) // 1_000_000 + HASH_KEPT_MS
    rest = (str(onset_ms), str(expire_ms), str(stream_kept_ms), keys.live(alert.unit), _live("alert", doc))
    where = (keys.alert(alert.id), keys.alerts(alert.unit), keys.active(alert.unit))
    return Entry("alert", place, offset, generation, where, fields + rest)


def bed_entry(keys: Keys, bed: Bed, place: str, offset: int, generation: int) -> Entry:
    """A bed, without its alerts: those have keys of their own."""
    doc = bed.model_dump_json(by_alias=True, exclude={"alerts"}).encode()
    args = (
        bed.bed_stream,
        bed.unit,
        doc,
        rfc3339(bed.since),
        keys.live(bed.unit),
        _live("bed", doc),
        keys.beds(""),
    )
    return Entry("bed", place, offset, generation, (keys.bed(bed.bed_stream), keys.beds(bed.unit)), args)


def vitals_entry(keys: Keys, vitals: Vitals, place: str, offset: int) -> Entry:
    """The newest vitals of a bed."""
    doc = vitals.to_json()
    args = (doc, rfc3339(vitals.at), keys.live(""), _live("vitals", doc))
    return Entry("vitals", place, offset, NO_GENERATION, (keys.bed(vitals.bed_stream),), args)


def strip_entry(keys: Keys, alert_id: str, window: bytes, place: str, offset: int, time_ms: int) -> Entry:
    """The flagged segment of an alert; ``time_ms`` is the record's time in Kafka, from which it is kept 72 h."""
    args = (window, str(time_ms + STRIP_KEPT_MS))
    return Entry("strip", place, offset, NO_GENERATION, (keys.strip(alert_id),), args)


def _live(kind: str, doc: bytes) -> bytes:
    """The document with ``type`` beside its own keys."""
    return b'{"type":"' + kind.encode() + b'",' + doc[1:]


class AlertBus:
    """Publishes to Redis; one for a publisher.

    Parameters
    ----------
    redis : redis.asyncio.Redis or RedisCluster
        Connected without ``decode_responses``: strips are bytes.
    site : str
        Site of the keys.
    """

    def __init__(self, redis: Redis | RedisCluster, site: str = "main") -> None:
        self.redis = redis
        self.keys = Keys(site)
        self._sha = ""
        self._applied: dict[str, int] = {}

    async def publish(self, entries: Sequence[Entry]) -> list[PublishOutcome]:
        """Apply entries in order, in one round trip where the client allows it.

        Raises
        ------
        RolledBack
            Redis lost what was applied before; the entries of that partition from there on changed nothing.
        redis.RedisError
            As it came; publishing the same entries again is safe.
        """
        answers = await self._answers(entries)
        outcomes = []
        for entry, answer in zip(entries, answers, strict=True):
            said = text(answer)
            if said.startswith("behind "):
                expected = self._applied.get(entry.place, entry.offset - 1)  # another call may have seen it just now
                self._applied.clear()  # all partitions of this Redis were rolled back together
                raise RolledBack(entry.place, int(said.split()[1]), expected)
            self._applied[entry.place] = max(entry.offset, self._applied.get(entry.place, -1))
            outcomes.append(PublishOutcome(said))
        return outcomes

    async def applied_offsets(self) -> dict[str, int]:
        """``<topic>/<partition>`` to the offset applied: a publisher goes on from the next one."""
        held = await self.redis.hgetall(self.keys.offsets)
        return {text(place): int(offset) for place, offset in held.items()}

    def expect(self, applied: Mapping[str, int]) -> None:
        """Set the offsets applied so far, as `applied_offsets` gave them; a Redis with a lower one was rolled back."""
        self._applied = dict(applied)

    async def reset(self, topic_partition: str) -> None:
        """Forget offset and generation of a partition whose log was replaced by a new, shorter one."""
        self._applied.pop(topic_partition, None)
        await self.redis.hdel(self.keys.offsets, topic_partition)
        await self.redis.hdel(self.keys.generations, topic_partition)

    async def _answers(self, entries: Sequence[Entry]) -> list[Any]:
        last = dict(self._applied)
        calls = []
        for entry in entries:
            calls.append(entry.call(self.keys, after=last.get(entry.place, -1)))
            # Within a batch too: one entry behind leaves the rest of its partition untouched.
            if entry.place in last:
                last[entry.place] = max(last[entry.place], entry.offset)
        for attempt in (1, 2):
            if not self._sha:
                self._sha = text(await self.redis.script_load(SCRIPT))
            try:
                return await self._send(calls)
            except NoScriptError:  # Redis was restarted, or its scripts were flushed
                self._sha = ""
                if attempt == 2:
                    raise
        raise AssertionError("the second attempt returns or raises")

    async def _send(self, calls: Sequence[tuple[list[str], list[str | bytes]]]) -> list[Any]:
        if isinstance(self.redis, RedisCluster):  # its pipelines know no EVALSHA
            return [await self.redis.evalsha(self._sha, len(keys), *keys, *args) for keys, args in calls]
        async with self.redis.pipeline(transaction=False) as pipeline:
            for keys, args in calls:
                pipeline.evalsha(self._sha, len(keys), *keys, *args)
            answers: list[Any] = await pipeline.execute()
        return answers

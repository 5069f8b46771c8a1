"""The alert bus writes messages of Kafka to Redis, where nurse stations read them.

Every write is one call of the script `publish.lua`, which writes the data together with the offset. A message is
therefore applied once, also when it is delivered twice, out of order or by a worker that lost its partition
(generation). Where Redis was rolled back to an older copy, `RolledBack` is raised: the publisher goes on from
`AlertBus.applied_offsets`.

Plain functions build the entries; `AlertBus.publish` sends many in one round trip.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import NoScriptError, ResponseError

from streams.alert import Alert
from streams.bed import Bed, Vitals
from streams.document import ns_of_time, rfc3339
from streams.keys import Keys
from streams.redis_values import text

SCRIPT = (Path(__file__).parent / "publish.lua").read_text()

NO_GENERATION = -1
DAY_MS = 86_400_000
STREAM_KEPT_MS = 30 * DAY_MS  # the history of a unit; a restarted station reads what it has missed from it
HASH_KEPT_MS = 30 * DAY_MS  # after off
STRIP_KEPT_MS = 3 * DAY_MS
TREND_PERIOD_MS = 30_000  # one point of heart rate, PVC rate and ST: 2,880 a bed and day, some 0.5 MB
TREND_KEPT_MS = 25 * 3_600_000  # a day, and the hour in which it is looked at


class PublishOutcome(StrEnum):
    """Effect of a message in Redis; all but `APPLIED` changed the offset alone."""

    APPLIED = "applied"
    OLD_VERSION = "version"
    OLD_GENERATION = "generation"
    OLD_OFFSET = "offset"


class RolledBack(RuntimeError):  # noqa: N818  (an event that the publisher handles)
    """Redis holds a lower offset than the one applied before: it was restored from an older copy.

    Parameters
    ----------
    place : str
        ``<topic>/<partition>``.
    offset : int
        Highest offset in Redis; -1: none. Read the partition again from the next one.
    expected : int
        Offset applied before.
    """

    def __init__(self, place: str, offset: int, expected: int) -> None:
        super().__init__(
            f"Redis has applied {place} up to offset {offset}, but {expected} was applied before: Redis was rolled "
            f"back, and the publisher fills it again from offset {offset + 1}"
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
        """KEYS and ARGV of the script; ``after``: the offset that the caller applied last."""
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
    """``<topic>/<partition>``, the field name in the hash of offsets."""
    return f"{topic}/{partition}"


def alert_entry(
    keys: Keys, alert: Alert, place: str, offset: int, generation: int, stream_kept_ms: int = STREAM_KEPT_MS
) -> Entry:
    """Entry for one version of an alert."""
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
    rest = (str(onset_ms), str(expire_ms), str(stream_kept_ms), keys.live(alert.unit), _live("alert", doc), alert.unit)
    where = (keys.alert(alert.id), keys.alerts(alert.unit), keys.active(alert.unit), keys.units)
    return Entry("alert", place, offset, generation, where, fields + rest)


def bed_entry(keys: Keys, bed: Bed, place: str, offset: int, generation: int) -> Entry:
    """Entry for a bed, without its alerts, which have keys of their own."""
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
    where = (keys.bed(bed.bed_stream), keys.beds(bed.unit), keys.units)
    return Entry("bed", place, offset, generation, where, args)


def vitals_entry(keys: Keys, vitals: Vitals, place: str, offset: int) -> Entry:
    """Entry for the newest vitals of a bed, which also make its trend."""
    doc = vitals.to_json()
    trend = (
        str(TREND_PERIOD_MS),
        str(TREND_KEPT_MS),
        str(ns_of_time(vitals.at) // 1_000_000),
        _number(vitals.hr),
        _number(vitals.pvc_per_min),
        json.dumps(vitals.st, separators=(",", ":")) if vitals.st else "",
        vitals.rhythm or "",
    )
    args = (doc, rfc3339(vitals.at), keys.live(""), _live("vitals", doc), *trend)
    where = (keys.bed(vitals.bed_stream), keys.trend(vitals.bed_stream))
    return Entry("vitals", place, offset, NO_GENERATION, where, args)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def strip_entry(keys: Keys, alert_id: str, window: bytes, place: str, offset: int, time_ms: int) -> Entry:
    """Entry for the flagged segment of an alert; kept for 72 h from ``time_ms``, the record's time in Kafka."""
    args = (window, str(time_ms + STRIP_KEPT_MS))
    return Entry("strip", place, offset, NO_GENERATION, (keys.strip(alert_id),), args)


def _live(kind: str, doc: bytes) -> bytes:
    """The document with ``type`` added to its keys."""
    return b'{"type":"' + kind.encode() + b'",' + doc[1:]


class AlertBus:
    """The publisher's connection to Redis.

    Parameters
    ----------
    redis : redis.asyncio.Redis or RedisCluster
        Client without ``decode_responses``: strips are bytes.
    site : str
        Site in the names of the keys.
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
            Redis holds a lower offset than the one applied before; the entries of that partition changed nothing.
        redis.RedisError
            Error of the client; publishing the same entries again is safe.
        """
        outcomes = []
        for outcome in await self.publish_each(entries):
            if isinstance(outcome, ResponseError):
                raise outcome
            outcomes.append(outcome)
        return outcomes

    async def publish_each(self, entries: Sequence[Entry]) -> list[PublishOutcome | ResponseError]:
        """As `publish`, but the error with which Redis answers one entry stands in the place of its outcome.

        An error inside the script leaves the offset applied: the same entry published again would change nothing.
        """
        outcomes: list[PublishOutcome | ResponseError] = []
        for entry, answer in zip(entries, await self._answers(entries), strict=True):
            if isinstance(answer, ResponseError):
                outcomes.append(answer)
                continue
            result = text(answer)
            if result.startswith("rolled-back "):
                expected = self._applied.get(entry.place, entry.offset - 1)  # a parallel call may have cleared it
                self._applied.clear()  # all partitions of this Redis were rolled back together
                raise RolledBack(entry.place, int(result.split()[1]), expected)
            self._applied[entry.place] = max(entry.offset, self._applied.get(entry.place, -1))
            outcomes.append(PublishOutcome(result))
        return outcomes

    async def applied_offsets(self) -> dict[str, int]:
        """Highest offset applied, by ``<topic>/<partition>``; the publisher goes on from the next one."""
        held = await self.redis.hgetall(self.keys.offsets)
        return {text(place): int(offset) for place, offset in held.items()}

    def expect(self, applied: Mapping[str, int]) -> None:
        """Set the offsets applied so far, as `applied_offsets` gave them; a Redis with a lower one was rolled back."""
        self._applied = dict(applied)

    async def reset(self, topic_partition: str) -> None:
        """Delete offset and generation of a partition whose log was replaced by a new, shorter one."""
        self._applied.pop(topic_partition, None)
        await self.redis.hdel(self.keys.offsets, topic_partition)
        await self.redis.hdel(self.keys.generations, topic_partition)

    async def _answers(self, entries: Sequence[Entry]) -> list[Any]:
        last = dict(self._applied)
        calls = []
        for entry in entries:
            calls.append(entry.call(self.keys, after=last.get(entry.place, -1)))
            # Within a batch too: a rollback leaves the rest of the partition untouched.
            if entry.place in last:
                last[entry.place] = max(last[entry.place], entry.offset)
        for _ in range(2):
            if not self._sha:
                self._sha = text(await self.redis.script_load(SCRIPT))
            answers = await self._send(calls)
            missing = next((answer for answer in answers if isinstance(answer, NoScriptError)), None)
            if missing is None:
                return answers
            self._sha = ""  # Redis was restarted, or its scripts were flushed
        assert missing is not None
        raise missing

    async def _send(self, calls: Sequence[tuple[list[str], list[str | bytes]]]) -> list[Any]:
        """The answer to each call; errors that Redis answers are answers."""
        if isinstance(self.redis, RedisCluster):  # its pipelines know no EVALSHA
            return [await self._one(keys, args) for keys, args in calls]
        async with self.redis.pipeline(transaction=False) as pipeline:
            for keys, args in calls:
                pipeline.evalsha(self._sha, len(keys), *keys, *args)
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers

    async def _one(self, keys: list[str], args: list[str | bytes]) -> Any:
        try:
            return await self.redis.evalsha(self._sha, len(keys), *keys, *args)
        except ResponseError as error:
            return error

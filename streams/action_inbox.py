"""The inbox of people's actions: stations write to a Redis stream, the publisher forwards to ``ecg.actions``.

The publisher acknowledges an action only when Kafka has it, so that none is lost. The monitor applies each id once, so
that none takes effect twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio import RedisCluster as AsyncCluster
from redis.exceptions import ResponseError

from streams.audit import AuditEntry, add_entry
from streams.bed import Action
from streams.document import wrong_fields
from streams.keys import Keys
from streams.redis_values import stream_entries, text

GROUP = "publisher"
RECLAIM_IDLE_MS = 10_000  # another publisher takes over after this; without it a dead publisher's actions would be lost


def submit_action(redis: Redis, site: str, action: Action, audit: AuditEntry | None = None) -> str:
    """Add an action to the inbox; returns the id of its entry.

    With ``audit`` (who acts, and from where) action and entry of the audit are written in one transaction.
    """
    fields: dict[Any, Any] = {
        "id": action.id,
        "action": action.action,
        "bed_stream": action.bed_stream,
        "doc": action.to_json(),
    }
    with redis.pipeline(transaction=True) as pipeline:
        pipeline.xadd(Keys(site).actions, fields)
        if audit is not None:
            add_entry(pipeline, site, audit.about(action))
        answers: Any = pipeline.execute()
    return text(answers[0])


@dataclass(frozen=True)
class InboxItem:
    """One entry of the inbox: the action, or the reason why ``raw`` is unreadable."""

    entry_id: str
    action: Action | None
    reason: str | None
    raw: bytes


class ActionInbox:
    """The publisher's side of the inbox; ``name`` is the consumer name of this publisher."""

    def __init__(self, redis: AsyncRedis | AsyncCluster, site: str, name: str) -> None:
        self.redis = redis
        self.stream = Keys(site).actions
        self.name = name

    async def read(self, *, block_s: float = 1.0, count: int = 100) -> list[InboxItem]:
        """Entries that a dead publisher has not acknowledged, else new ones; waits up to ``block_s`` seconds."""
        try:
            answer: Any = await self.redis.xautoclaim(
                self.stream, GROUP, self.name, min_idle_time=RECLAIM_IDLE_MS, start_id="0-0", count=count
            )
            items = [_item(entry_id, fields) for entry_id, fields in answer[1] if fields]
            if items:
                return items
            answer = await self.redis.xreadgroup(
                GROUP, self.name, {self.stream: ">"}, count=count, block=max(1, round(block_s * 1000))
            )
        except ResponseError as e:
            if "NOGROUP" not in str(e):
                raise
            await self._join()
            return []
        return [_item(entry_id, fields) for entry_id, fields in stream_entries(answer)]

    async def ack(self, *items: InboxItem) -> None:
        """Remove entries that Kafka has acknowledged."""
        if items:
            ids = [item.entry_id for item in items]
            await self.redis.xack(self.stream, GROUP, *ids)
            await self.redis.xdel(self.stream, *ids)

    async def _join(self) -> None:
        try:
            await self.redis.xgroup_create(self.stream, GROUP, id="0", mkstream=True)
        except ResponseError as e:
            if "BUSYGROUP" not in str(e):
                raise


def _item(entry_id: Any, fields: Mapping[Any, Any]) -> InboxItem:
    by_name = {text(name): value for name, value in fields.items()}
    raw = by_name["doc"] if "doc" in by_name else _document_of(by_name)
    raw = raw.encode() if isinstance(raw, str) else bytes(raw)
    try:
        return InboxItem(text(entry_id), Action.from_json(raw), None, raw)
    except ValueError as error:
        reason = f"action of inbox entry {text(entry_id)} cannot be read: {wrong_fields(error)}"
        return InboxItem(text(entry_id), None, reason, raw)


def _document_of(fields: Mapping[str, Any]) -> bytes:
    """Document of an entry whose fields are the action's own keys (from a station that writes no ``doc``)."""
    doc: dict[str, Any] = {name: text(value) for name, value in fields.items()}
    try:
        doc["args"] = json.loads(doc.get("args") or "{}")
        doc["schema"] = int(doc.get("schema") or 1)
    except (ValueError, RecursionError):
        pass  # validation names the field
    doc["alert_id"] = doc.get("alert_id") or None
    return json.dumps(doc).encode()

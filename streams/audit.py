"""The audit: who did what at a station or with the command line, in a Redis stream of its own.

The stream ``ecg:{<site>}:audit`` is apart from the view of the ward: nothing reads it to display alerts, `alerts
rebuild` leaves it alone, and the ACL users of stations may add to it and never read or change it (`streams.access`).
An action and its entry are written in one transaction: neither exists without the other.

Fields of an entry, all text:

========== ==========================================================================================
`at`       time of the server, RFC 3339 UTC
`event`    ``action``, ``refused`` (with the reason), ``feed`` (a person opened the view), ``strip``,
           ``login``, ``logout``
`who`      who was logged in; empty where nobody was
`role`     their role in the unit concerned
`via`      ``station`` or ``command line``
`from`     address of the browser, or ``<user>@<host>`` of the operating system
`by`       what the action carries as ``by``
`action`   the action's name
`bed_stream`, `alert_id`, `id`   of the action
`reason`   why a request was refused
========== ==========================================================================================
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from redis import Redis

from streams.bed import Action
from streams.document import rfc3339
from streams.keys import Keys
from streams.redis_values import text

KEPT_DAYS = 400  # a year's review finds a year's entries
MAX_FIELD = 256  # characters; an entry is bounded whatever a request holds
FIRST, LAST = "-", "+"
READ_COUNT = 1000


@dataclass(frozen=True)
class AuditEntry:
    """One entry; `at` is added when it is written."""

    event: str
    who: str = ""
    role: str = ""
    via: str = "station"
    origin: str = ""
    by: str = ""
    action: str = ""
    bed_stream: str = ""
    alert_id: str = ""
    id: str = ""
    reason: str = ""

    def about(self, action: Action) -> AuditEntry:
        """The entry of an action."""
        return AuditEntry(
            event=self.event,
            who=self.who,
            role=self.role,
            via=self.via,
            origin=self.origin,
            by=action.by,
            action=action.action,
            bed_stream=action.bed_stream,
            alert_id=action.alert_id or "",
            id=action.id,
            reason=self.reason,
        )

    def as_fields(self) -> dict[Any, Any]:
        """Fields of the stream entry; empty ones are left out."""
        named = {
            ("from" if f.name == "origin" else f.name): str(getattr(self, f.name))[:MAX_FIELD] for f in fields(self)
        }
        return {"at": rfc3339(datetime.now(UTC))} | {name: value for name, value in named.items() if value}


def add_entry(redis: Any, site: str, entry: AuditEntry) -> None:
    """Add an entry; ``redis`` is a client or a pipeline."""
    oldest = int((time.time() - KEPT_DAYS * 86_400) * 1000)
    redis.xadd(Keys(site).audit, entry.as_fields(), minid=oldest, approximate=True)


def read_entries(redis: Redis, site: str, *, newest: int | None = None) -> Iterator[dict[str, str]]:
    """The entries, oldest first; at most the ``newest`` ones."""
    key = Keys(site).audit
    if newest is not None:
        found: Any = redis.xrevrange(key, count=newest)
        yield from (_entry(fields) for _, fields in reversed(found))
        return
    start = FIRST
    while True:
        found = redis.xrange(key, start, LAST, count=READ_COUNT)
        if not found:
            return
        yield from (_entry(fields) for _, fields in found)
        start = f"({text(found[-1][0])}"


def _entry(fields: dict[Any, Any]) -> dict[str, str]:
    return {text(name): text(value) for name, value in fields.items()}

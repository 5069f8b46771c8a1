"""Reads of a site's current state from Redis: open alerts, beds, vitals and strips.

Stations call these when they open and after a lost connection. Changes come by the streams and channels of
docs/consume.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError
from redis import Redis

from streams.alert import Alert
from streams.bed import SYSTEM, VERDICT_S, Bed, Status, Vitals
from streams.document import wrong_fields
from streams.keys import Keys
from streams.redis_values import text
from streams.wire import EcgWindow, decode_window

log = logging.getLogger(__name__)

D = TypeVar("D")


@dataclass(frozen=True)
class BedView:
    """Bed document without its alerts, the newest vitals, and their time (RFC 3339)."""

    bed: Bed
    vitals: Vitals | None
    last_seen: str | None

    def judged(self, now: datetime) -> bool:
        """False for a monitored bed without a verdict in the last `VERDICT_S`; one that is new has that time."""
        if self.bed.status is not Status.MONITORED or self.bed.bed_stream == SYSTEM:
            return True
        newest = self.bed.since if self.vitals is None or self.vitals.judged_at is None else self.vitals.judged_at
        return (now - newest).total_seconds() <= VERDICT_S


class WardView:
    """Reads the site's keys; needs a client without ``decode_responses``, since strips are bytes."""

    def __init__(self, redis: Redis, site: str = "main") -> None:
        self.redis = redis
        self.keys = Keys(site)
        self._searched = False
        self._older_units: set[str] = set()

    def units(self) -> list[str]:
        """Units that have, or had, beds or alerts, by name.

        Units of an older version, which wrote no set of units, are searched for, once for each `WardView`.
        """
        names: Any = self.redis.smembers(self.keys.units)
        found = {text(name) for name in names}
        if not self._searched:
            for prefix in (self.keys.beds(""), self.keys.active("")):
                pattern = _escaped(prefix) + "*"
                keys = self.redis.scan_iter(match=pattern, count=1000)
                self._older_units |= {text(key).removeprefix(prefix) for key in keys}
            self._searched = True
        return sorted(found | self._older_units)

    def open_alerts(self, unit: str) -> list[Alert]:
        """Alerts of a unit that are not off, by onset."""
        ids = [text(alert_id) for alert_id in self.redis.zrange(self.keys.active(unit), 0, -1)]
        return _readable(self.alert, ids, "alert")

    def alert(self, alert_id: str) -> Alert | None:
        """The newest version of an alert; None where it is unknown or has expired."""
        doc: Any = self.redis.hget(self.keys.alert(alert_id), "doc")
        return None if doc is None else Alert.from_json(doc)

    def beds(self, unit: str) -> list[BedView]:
        """Beds of a unit, by bed stream."""
        names = sorted(text(name) for name in self.redis.smembers(self.keys.beds(unit)))
        return _readable(self.bed, names, "bed")

    def not_monitored(self, unit: str, now: datetime) -> list[str]:
        """Monitored beds of a unit without a verdict in the last `VERDICT_S`: say NOT MONITORED of them.

        The workers may be gone, so that nobody raises an alarm. Call it every few seconds; ``now`` is UTC.
        """
        return [view.bed.bed_stream for view in self.beds(unit) if not view.judged(now)]

    def bed(self, bed_stream: str) -> BedView | None:
        """One bed; None where it is unknown."""
        held: Any = self.redis.hgetall(self.keys.bed(bed_stream))
        fields = {text(name): value for name, value in held.items()}
        if "doc" not in fields:
            return None
        vitals = fields.get("vitals")
        last_seen = fields.get("last_seen")
        return BedView(
            Bed.from_json(fields["doc"]),
            None if vitals is None else Vitals.from_json(vitals),
            None if last_seen is None else text(last_seen),
        )

    def strip(self, alert_id: str) -> EcgWindow | None:
        """The flagged segment of an alert; None after 72 h."""
        key = self.keys.strip(alert_id)
        value: Any = self.redis.get(key)
        return None if value is None else decode_window(value, topic=key, partition=0, offset=0, patient_pattern=".*")


def _readable(read: Callable[[str], D | None], names: Iterable[str], kind: str) -> list[D]:
    """The documents that are there; one that cannot be read is logged, and keeps no other back."""
    out = []
    for name in names:
        try:
            found = read(name)
        except ValidationError as error:
            log.error("the document of %s %s cannot be read: %s", kind, name, wrong_fields(error))
            continue
        out += [] if found is None else [found]
    return out


def _escaped(pattern: str) -> str:
    """A literal for SCAN's glob."""
    return "".join(f"\\{c}" if c in "*?[]\\^-" else c for c in pattern)

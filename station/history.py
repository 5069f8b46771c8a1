"""Alerts of the last 30 days, their versions, and the trends of a bed, read from the Redis streams of one site.

Nothing is kept here: each call reads the streams ``alerts:<unit>`` and ``trend:<bed stream>`` (docs/consume.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis import Redis

from station.documents import Fault, Json, alert_of
from streams.document import ns_of_time
from streams.keys import Keys
from streams.redis_values import entry_order, text

PAGE_ENTRIES = 500  # of one read of a stream
MAX_ENTRIES = 20_000  # that one request reads of a unit; the answer says where to go on
HOUR_MS = 3_600_000
OLDEST, NEWEST = "-", "+"


@dataclass(frozen=True)
class Query:
    """What to find; None: any. ``words`` are searched in title, bed, patient, person and text."""

    bed_stream: str | None = None
    code: str | None = None
    priority: str | None = None
    words: str = ""
    from_ms: int | None = None
    to_ms: int | None = None

    def fits_fields(self, fields: dict[str, Any]) -> bool:
        """True where the fields of a stream entry fit, before its document is read."""
        wanted = (("bed_stream", self.bed_stream), ("code", self.code), ("priority", self.priority))
        return all(value is None or fields.get(name) == value for name, value in wanted)

    def fits_words(self, alert: Json) -> bool:
        """True where the alert has the words."""
        if not self.words:
            return True
        who = (alert.get("acknowledged") or {}).get("by", "")
        text = (alert.get("interpretation") or {}).get("text", "")
        names = (alert["title"], alert["code"], alert["bed_stream"], alert["patient"], who, text)
        return self.words.casefold() in "\n".join(map(str, names)).casefold()


class History:
    """Reads of one site; ``redis`` is a client without ``decode_responses``."""

    def __init__(self, redis: Redis, site: str) -> None:
        self.redis, self.site, self.keys = redis, site, Keys(site)

    def find(self, units: Iterable[str], query: Query, limit: int, cursor: str = "") -> tuple[list[Json], str]:
        """Alerts by their newest version, newest first, and the cursor of the next page ("" at the end).

        Parameters
        ----------
        units : iterable of str
            Units to read.
        limit : int
            Most alerts of one page.
        cursor : str
            As the page before gave it.
        """
        found: list[tuple[tuple[int, int], str, str, Json]] = []
        read_to: list[tuple[tuple[int, int], str]] = []  # where the reading of a unit stopped before its end
        for unit in units:
            n = 0
            for n_read, (entry_id, fields) in enumerate(self._backwards(unit, query, cursor)):
                alert = self._newest_version(fields, query)
                if alert is not None:
                    found.append((entry_order(entry_id), unit, entry_id, alert))
                    n += 1
                if n >= limit or n_read >= MAX_ENTRIES:
                    read_to.append((entry_order(entry_id), f"{entry_id}|{unit}"))
                    break
        found.sort(key=lambda item: (item[0], item[1]), reverse=True)
        if len(found) > limit:
            return [alert for *_, alert in found[:limit]], f"{found[limit - 1][2]}|{found[limit - 1][1]}"
        return [alert for *_, alert in found], max(read_to)[1] if read_to else ""

    def _backwards(self, unit: str, query: Query, cursor: str) -> Iterator[tuple[str, dict[str, Any]]]:
        last_id, _, last_unit = cursor.partition("|")
        until = NEWEST if query.to_ms is None else f"{query.to_ms}"
        if last_id:  # entries of one instant: those of units by name, backwards
            until = last_id if unit < last_unit else f"({last_id}"
        since = OLDEST if query.from_ms is None else f"{query.from_ms}"
        while True:
            entries: Any = self.redis.xrevrange(self.keys.alerts(unit), max=until, min=since, count=PAGE_ENTRIES)
            for entry_id, fields in entries:
                yield text(entry_id), _fields(fields)
            if len(entries) < PAGE_ENTRIES:
                return
            until = f"({text(entries[-1][0])}"

    def _newest_version(self, fields: dict[str, Any], query: Query) -> Json | None:
        """The alert of an entry, where the entry is its newest version: each alert is found once."""
        if not query.fits_fields(fields):
            return None
        newest: Any = self.redis.hget(self.keys.alert(fields.get("id", "")), "version")
        if newest is not None and text(newest) != fields.get("version"):
            return None
        alert = alert_of(fields.get("doc"), self.site)
        return None if isinstance(alert, Fault) or not query.fits_words(alert) else alert

    def alert(self, alert_id: str) -> Json | None:
        """The newest version of an alert; None where it is unknown, has expired or cannot be read."""
        doc: Any = self.redis.hget(self.keys.alert(alert_id), "doc")
        found = None if doc is None else alert_of(doc, self.site, alert_id)
        return None if isinstance(found, Fault) else found

    def versions(self, alert_id: str) -> list[Json]:
        """All versions of an alert that the stream has, oldest first."""
        newest = self.alert(alert_id)
        if newest is None:
            return []
        out: dict[int, Json] = {}
        since, n_read = f"{_ms(newest['onset'])}", 0
        while n_read < MAX_ENTRIES:
            entries: Any = self.redis.xrange(self.keys.alerts(newest["unit"]), min=since, count=PAGE_ENTRIES)
            for _, raw in entries:
                if text(raw.get(b"id", b"")) != alert_id:
                    continue
                version = alert_of(raw.get(b"doc"), self.site)
                if not isinstance(version, Fault):
                    out[version["version"]] = version
            n_read += len(entries)
            if len(entries) < PAGE_ENTRIES or newest["version"] in out:
                break
            since = f"({text(entries[-1][0])}"
        out[newest["version"]] = newest
        return [out[version] for version in sorted(out)]

    def previous(self, alert: Json) -> Json | None:
        """The bed's newest alert before this one whose strip is still there."""
        query = Query(bed_stream=alert["bed_stream"], to_ms=_ms(alert["detected"]))
        for n_read, (_, fields) in enumerate(self._backwards(alert["unit"], query, "")):
            if n_read > MAX_ENTRIES:
                break
            if not query.fits_fields(fields) or fields.get("id") == alert["id"]:
                continue
            if self.redis.exists(self.keys.strip(fields.get("id", ""))):
                found = self.alert(fields["id"])
                if found is not None and found["segment"] and found["segment"]["start"] < alert["detected"]:
                    return found
        return None

    def trend(self, bed_stream: str, hours: float) -> Json:
        """Columns of a bed's trend: ``at`` (ms), ``hr``, ``hr_min``, ``hr_max``, ``pvc``, ``rhythm``; ``st``."""
        seconds, _ = self.redis.time()  # type: ignore[misc]
        since = max(0, round(int(seconds) * 1000 - hours * HOUR_MS))
        entries: Any = self.redis.xrange(self.keys.trend(bed_stream), min=since)
        points = [_fields(fields) for _, fields in entries]
        columns: Json = {
            name: [_number(p.get(name)) for p in points] for name in ("at", "hr", "hr_min", "hr_max", "pvc")
        }
        columns["rhythm"] = [p.get("rhythm") or None for p in points]
        levels = [_levels(p.get("st")) for p in points]
        columns["st"] = {
            lead: [level.get(lead) for level in levels] for lead in dict.fromkeys(k for x in levels for k in x)
        }
        return columns


def _fields(fields: Any) -> dict[str, Any]:
    return {text(name): value if name == b"doc" else text(value) for name, value in fields.items()}


def _number(value: str | None) -> float | None:
    try:
        return float(value) if value else None
    except ValueError:
        return None


def _levels(value: str | None) -> dict[str, float]:
    try:
        found = json.loads(value) if value else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _ms(time: str) -> int:
    return ns_of_time(datetime.fromisoformat(time)) // 1_000_000

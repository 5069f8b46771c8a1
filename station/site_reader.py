"""Reads one site of Redis for all browsers of this server: alert versions, beds and vitals as they come, and snapshots.

Alert versions are read from the streams ``alerts:<unit>``, so that none is missed between two reads. Beds and vitals
are read from the channels ``live:<unit>`` and may be dropped. Units are read from the set ``units``; a unit that first
appears on a channel is read at once.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from station.documents import Fault, Json, alert_of, bed_of, vitals_of
from streams.keys import Keys
from streams.redis_access import RedisAccess
from streams.redis_values import entries_by_stream, entry_order, text
from streams.ward_view import WardView

UNIT_READ_S = 1.0  # interval of reading the set of units
READ_BLOCK_MS = 400  # longest wait for alerts; a new unit waits for its end
RETRY_S = 0.3  # pause before Redis is tried again; without it a lost Redis keeps a core busy
SOCKET_TIMEOUT_S = 3.0  # a Redis that hangs is reported as lost after this
CHANNEL_WAIT_S = 1.0
RECENT_MS = 3_600_000  # alerts that went off within this are in a snapshot
MISSED_MS = 12 * 3_600_000  # a browser that comes back gets what it missed, at most this far back
RECENT_ENTRIES = 400  # of each unit that a snapshot reads, newest first
OVERLAP_MS = 5_000  # read again before a browser's last event: units of one Redis have one clock, sites may differ
WHOLE_STREAM = 1000  # entries; a stream that Redis lost and that is no longer than this is read from its beginning

log = logging.getLogger(__name__)

Emit = Callable[["SiteEvent"], None]


class SiteEvent:
    """One event of a site: its kind, unit (None: all), JSON text, and the stream entry that it came from."""

    __slots__ = ("entry_id", "kind", "site", "text", "unit")

    def __init__(self, kind: str, site: str, unit: str | None, doc: Json, entry_id: str = "") -> None:
        self.kind, self.site, self.unit, self.entry_id = kind, site, unit, entry_id
        self.text = json.dumps(doc, separators=(",", ":"))


class SiteReader:
    """The readers of one site.

    Parameters
    ----------
    access : RedisAccess
        Redis or Valkey.
    site : str
        Site whose keys are read.
    emit : callable
        Called with each `SiteEvent`.
    on_state : callable
        Called with the name of the error when Redis is lost, and with None when it is back.
    """

    def __init__(self, access: RedisAccess, site: str, emit: Emit, on_state: Callable[[str | None], None]) -> None:
        self.site = site
        self.keys = Keys(site)
        self.redis = access.async_client(health_check_interval=5, socket_timeout=SOCKET_TIMEOUT_S)
        self.view = WardView(access.client(socket_timeout=SOCKET_TIMEOUT_S), site)
        self.units: set[str] = set()
        self.lost: str | None = None
        self._emit, self._on_state = emit, on_state
        self._cursors: dict[Any, Any] = {}  # alert stream → id of the last entry read
        self._units_read = False  # once at least
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the readers in the background."""
        self._tasks = [
            asyncio.create_task(self._read_forever(reader)) for reader in (self._read_alerts, self._read_channels)
        ]

    async def stop(self) -> None:
        """End the readers."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.redis.aclose()
        self.view.redis.close()

    async def _read_forever(self, reader: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await reader()
            except (RedisError, OSError) as error:
                self._set_lost(type(error).__name__)
                await asyncio.sleep(RETRY_S)
            except Exception:  # an entry nobody thought of: the reader goes on with the next one
                log.exception("reader of site %s", self.site)
                await asyncio.sleep(RETRY_S)

    def _set_lost(self, error: str | None) -> None:
        if (self.lost is None) == (error is None):
            return
        log.warning("Redis of site %s: %s", self.site, error or "back")
        self.lost = error
        self._on_state(error)

    async def _read_alerts(self) -> None:
        clock = asyncio.get_running_loop()
        due_s = clock.time()
        while True:
            if clock.time() >= due_s:
                due_s = clock.time() + UNIT_READ_S
                self.units |= set(await run_in_threadpool(self.view.units))
                for unit in self.units:
                    await self._follow(self.keys.alerts(unit))
                self._set_lost(None)
                if not self._units_read:
                    self._units_read = True
                    self._on_state(None)  # a snapshot from before the cursors lacks what came since
            if not self._cursors:
                await asyncio.sleep(READ_BLOCK_MS / 1000)
                continue
            answer = await self.redis.xread(self._cursors, count=500, block=READ_BLOCK_MS)
            for stream, entries in entries_by_stream(answer):
                unit = stream.removeprefix(self.keys.alerts(""))
                for entry_id, fields in entries:
                    self._cursors[stream] = text(entry_id)
                    self._emit_document("alert", alert_of, fields.get(b"doc"), text(entry_id), unit)

    async def _follow(self, stream: str) -> None:
        """Set the cursor of a stream that is new, or that Redis has lost and begun again."""
        newest: Any = await self.redis.xrevrange(stream, count=1)
        newest_id = text(newest[0][0]) if newest else "0-0"
        if stream not in self._cursors:  # a unit that appears later is read from its beginning
            self._cursors[stream] = "0-0" if self._units_read else newest_id
        elif entry_order(newest_id) < entry_order(self._cursors[stream]):
            seconds, _ = await self.redis.time()  # type: ignore[misc]
            long = await self.redis.xlen(stream) > WHOLE_STREAM
            self._cursors[stream] = f"{seconds * 1000 - MISSED_MS}-0" if long else "0-0"

    async def _read_channels(self) -> None:
        async with self.redis.pubsub() as channel:
            await channel.psubscribe(self.keys.live("*"))
            while True:
                message = await channel.get_message(ignore_subscribe_messages=True, timeout=CHANNEL_WAIT_S)
                if message is None:
                    continue
                unit = text(message["channel"]).removeprefix(self.keys.live(""))
                self.units.add(unit)
                data = message["data"]
                kind = data[:32].split(b'"')[3:4] if isinstance(data, bytes) else []  # {"type":"vitals",…
                if kind == [b"bed"]:
                    self._emit_document("bed", bed_of, data, unit, unit)
                elif kind == [b"vitals"]:
                    self._emit_document("vitals", vitals_of, data, unit, unit)  # alerts come by their stream

    def _emit_document(
        self, kind: str, read: Callable[[Any, str, str], Json | Fault], data: Any, name: str, unit: str
    ) -> None:
        found = read(data, self.site, name)
        entry_id = name if kind == "alert" else ""
        if isinstance(found, Fault):
            log.error("%s of %s cannot be read: %s", kind, name, found.reason)
            self._emit(SiteEvent("unreadable", self.site, unit, found.to_json(self.site), entry_id))
        else:
            self._emit(SiteEvent(kind, self.site, unit, found, entry_id))

    def snapshot(self, units: Iterable[str], after_ms: int | None) -> Json:
        """Beds, newest vitals, alerts that are not off or went off lately, and the documents that cannot be read.

        Parameters
        ----------
        units : iterable of str
            Units to read.
        after_ms : int or None
            Time of the browser's last event, Redis clock: alerts that came and went since then are included.
        """
        out: Json = {"beds": [], "vitals": [], "alerts": [], "unreadable": []}
        for unit in sorted(units):
            self._add_beds(out, unit)
            self._add_alerts(out, unit, after_ms)
        return out

    def now_ms(self) -> int:
        """Time of Redis: the clock of the ids of stream entries."""
        seconds, micros = self.view.redis.time()  # type: ignore[misc]
        return int(seconds) * 1000 + int(micros) // 1000

    def _add_beds(self, out: Json, unit: str) -> None:
        client = self.view.redis
        names = sorted(text(name) for name in client.smembers(self.keys.beds(unit)))  # type: ignore[union-attr]
        for name in names:
            doc, vitals = client.hmget(self.keys.bed(name), "doc", "vitals")  # type: ignore[misc]
            if doc is not None:
                self._add(out, "beds", bed_of(doc, self.site, name))
            if vitals is not None:
                self._add(out, "vitals", vitals_of(vitals, self.site, name))

    def _add_alerts(self, out: Json, unit: str, after_ms: int | None) -> None:
        client = self.view.redis
        ids = [text(name) for name in client.zrange(self.keys.active(unit), 0, -1)]  # type: ignore[union-attr]
        for alert_id in dict.fromkeys(ids + self._lately_off(unit, after_ms)):
            doc: Any = client.hget(self.keys.alert(alert_id), "doc")
            if doc is not None:
                self._add(out, "alerts", alert_of(doc, self.site, alert_id))

    def _lately_off(self, unit: str, after_ms: int | None) -> list[str]:
        """Ids of alerts whose newest version among the last entries is off, newest first."""
        now_ms = self.now_ms()
        since_ms = max(min(now_ms - RECENT_MS, (after_ms or now_ms) - OVERLAP_MS), now_ms - MISSED_MS)
        entries: Any = self.view.redis.xrevrange(self.keys.alerts(unit), min=max(0, since_ms), count=RECENT_ENTRIES)
        states: dict[str, str] = {}
        for _, fields in entries:
            states.setdefault(text(fields.get(b"id", b"")), text(fields.get(b"state", b"")))
        return [alert_id for alert_id, state in states.items() if state == "off"]

    def _add(self, out: Json, place: str, found: Json | Fault) -> None:
        if isinstance(found, Fault):
            out["unreadable"].append(found.to_json(self.site))
        else:
            out[place].append(found)

"""Server-sent events of the station: a snapshot for each browser, then every change, and a beat on a clock.

Input: the Redis keys of one or more sites (docs/consume.md). Output: one stream of server-sent events for each browser;
docs/station-feed.md describes it for other programs.

============ ============================================================== =====================================
event        data                                                           sent
============ ============================================================== =====================================
`snapshot`   ``{at, sites, beds, vitals, alerts, unreadable}``              at the start, after Redis was lost,
                                                                            and after events were dropped
`alert`      alert document; ``id`` of the event: its entry in the stream   for each version of each alert
`bed`        bed document                                                   for each change of a bed
`vitals`     vitals document                                                once a second for each bed
`unreadable` ``{site, kind, name, bed_stream, reason}``                     for each document that cannot be read
`beat`       ``{at, redis_lost}``; the name of the error, null: none        each second, whatever else is sent
============ ============================================================== =====================================

Each document has the field ``site``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from station.scope import Scope
from station.site_reader import SiteEvent, SiteReader
from streams.document import rfc3339
from streams.redis_access import RedisAccess, access_of

BEAT_S = 1.0  # a browser cannot tell a quiet site from a lost server without it; the page alarms after 3.5 s
MAX_QUEUED_EVENTS = 1000  # of one browser: half a minute of 32 beds; without it a slow browser takes all memory


class Browser:
    """The queue of one browser, and what it may see; None in the queue: send a snapshot."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.queue: asyncio.Queue[str | None] = asyncio.Queue(MAX_QUEUED_EVENTS)

    def put(self, message: str | None) -> None:
        """Add an event; a browser that is too slow gets a fresh snapshot in place of what it has not received."""
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            while not self.queue.empty():
                self.queue.get_nowait()
            self.queue.put_nowait(None)


class EventBroadcaster:
    """One reader of Redis for each site, for all browsers of this server.

    Parameters
    ----------
    address : RedisAccess or str
        Redis or Valkey.
    sites : sequence of str
        Sites whose keys are read.
    """

    def __init__(self, address: RedisAccess | str, sites: tuple[str, ...]) -> None:
        access = access_of(address)
        self.readers = {site: SiteReader(access, site, self._send, self._site_changed) for site in sites}
        self._browsers: set[Browser] = set()
        self._running = False

    async def start(self) -> None:
        """Start the readers in the background."""
        self._running = True
        for reader in self.readers.values():
            reader.start()

    async def stop(self) -> None:
        """End the event stream of every browser, then the readers."""
        self._running = False
        self._send_snapshots()
        for reader in self.readers.values():
            await reader.stop()

    @property
    def redis_lost(self) -> str | None:
        """Name of the error where Redis is lost."""
        return next((reader.lost for reader in self.readers.values() if reader.lost), None)

    async def events(self, scope: Scope, last_event_id: str = "") -> AsyncIterator[str]:
        """Server-sent events for one browser: a snapshot, then every change, and a beat every second.

        Parameters
        ----------
        scope : Scope
            Sites and units that the browser gets.
        last_event_id : str
            ``id`` of the last alert event that the browser received: the snapshot has what it missed since then.
        """
        browser = Browser(scope)
        self._browsers.add(browser)
        clock = asyncio.get_running_loop()
        beat_due_s = clock.time() + BEAT_S
        needs_snapshot = True
        after_ms = _milliseconds(last_event_id)
        try:
            while True:
                if needs_snapshot and (snapshot := await self._snapshot_event(scope, after_ms)) is not None:
                    yield snapshot
                    needs_snapshot = False
                    beat_due_s = clock.time()  # a browser that comes back clears its alarm at once
                if clock.time() >= beat_due_s:
                    yield self._beat()
                    beat_due_s = clock.time() + BEAT_S
                try:
                    async with asyncio.timeout_at(beat_due_s):
                        message = await browser.queue.get()
                except TimeoutError:
                    continue
                if message is not None:
                    yield message
                elif not self._running:
                    return
                else:
                    needs_snapshot, after_ms = True, None
        finally:
            self._browsers.discard(browser)

    async def snapshot(self, scope: Scope, after_ms: int | None = None) -> dict[str, Any]:
        """All beds, their newest vitals, alerts that are not off or went off lately, and what cannot be read."""
        return await run_in_threadpool(self._snapshot, scope, after_ms)

    def sites(self, scope: Scope) -> list[dict[str, Any]]:
        """Sites with their units, as far as the scope allows."""
        return [
            {"site": site, "units": sorted(unit for unit in reader.units if scope.allows(site, unit))}
            for site, reader in self.readers.items()
            if scope.allows(site, None)
        ]

    def _snapshot(self, scope: Scope, after_ms: int | None) -> dict[str, Any]:
        out: dict[str, Any] = {"beds": [], "vitals": [], "alerts": [], "unreadable": []}
        for site, reader in self.readers.items():
            reader.units |= set(reader.view.units())
            units = [unit for unit in reader.units if scope.allows(site, unit)]
            for place, found in reader.snapshot(units, after_ms).items():
                out[place] += found
        return {"at": _now(), "sites": self.sites(scope)} | out

    async def _snapshot_event(self, scope: Scope, after_ms: int | None) -> str | None:
        """None while Redis is lost."""
        with contextlib.suppress(RedisError, OSError):
            return event("snapshot", json.dumps(await self.snapshot(scope, after_ms), separators=(",", ":")))
        return None

    def _beat(self) -> str:
        return event("beat", json.dumps({"at": _now(), "redis_lost": self.redis_lost}))

    def _site_changed(self, error: str | None) -> None:
        for browser in self._browsers:
            browser.put(self._beat())
            if error is None:
                browser.put(None)

    def _send(self, found: SiteEvent) -> None:
        message = event(found.kind, found.text, found.entry_id)
        for browser in self._browsers:
            if browser.scope.allows(found.site, found.unit):
                browser.put(message)

    def _send_snapshots(self) -> None:
        for browser in self._browsers:
            browser.put(None)


def _now() -> str:
    return rfc3339(datetime.now(UTC))


def _milliseconds(event_id: str) -> int | None:
    """Time of a stream entry id; None where there is none."""
    ms = event_id.partition("-")[0]
    return int(ms) if ms.isascii() and ms.isdigit() and len(ms) <= 15 else None


def event(kind: str, data: str, event_id: str = "") -> str:
    r"""One server-sent event; ``data`` is JSON on one line.

    >>> event("beat", '{"redis_lost":null}')
    'event: beat\ndata: {"redis_lost":null}\n\n'
    """
    identity = f"id: {event_id}\n" if event_id else ""
    return f"{identity}event: {kind}\ndata: {data}\n\n"

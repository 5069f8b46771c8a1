"""Server-sent events of the station: a snapshot for each browser, then every change of the site, and a heartbeat.

Input: the Redis keys of one site (docs/consume.md). Output: one stream of server-sent events for each browser.

=========== ==================================================== =====================================
event       data                                                 sent
=========== ==================================================== =====================================
`snapshot`  ``{site, beds, vitals, alerts}``                     at the start, after Redis was lost,
                                                                 and after events were dropped
`alert`     alert document                                       for each version of each alert
`bed`       bed document                                         for each change of a bed
`vitals`    vitals document                                      once a second for each bed
`heartbeat` ``{redis_lost}``, null or the name of the error      every 2 s, whatever else is sent
=========== ==================================================== =====================================

Alert versions are read from the streams ``alerts:<unit>``, so that none is missed between two reads. Beds and vitals
are read from the channels ``live:<unit>`` and may be dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from streams.keys import Keys
from streams.redis_access import RedisAccess, access_of
from streams.redis_values import entries_by_stream, entry_order, text
from streams.ward_view import WardView

HEARTBEAT_S = 2.0  # a browser cannot tell a quiet site from a lost server without it; the page alarms after 6 s
UNIT_SCAN_S = 2.0  # interval of the search for new units; their alerts are not displayed before it
READ_BLOCK_MS = 1000  # longest wait for alerts; a new unit waits for its end
RETRY_S = 0.5  # pause before Redis is tried again; without it a lost Redis keeps a core busy
SOCKET_TIMEOUT_S = 5.0  # without it a Redis that hangs blocks a browser's request for ever
MAX_QUEUED_EVENTS = 1000  # of one browser: half a minute of 32 beds; without it a slow browser takes all memory

log = logging.getLogger(__name__)


class EventBroadcaster:
    """One reader of Redis for all browsers of this server.

    Parameters
    ----------
    address : RedisAccess or str
        Redis or Valkey.
    site : str
        Site whose keys are read.
    """

    def __init__(self, address: RedisAccess | str, site: str) -> None:
        access = access_of(address)
        self.site = site
        self.keys = Keys(site)
        self.redis = access.async_client(health_check_interval=5)
        self.view = WardView(access.client(socket_timeout=SOCKET_TIMEOUT_S), site)
        self.redis_lost: str | None = None
        self._queues: set[asyncio.Queue[str | None]] = set()  # one for each browser; None: send a snapshot
        self._tasks: list[asyncio.Task[None]] = []
        self._last_entries: dict[Any, Any] = {}  # alert stream → id of the last entry read
        self._units_scanned = False  # once at least

    async def start(self) -> None:
        """Start the readers in the background."""
        self._tasks = [
            asyncio.create_task(self._read_forever(reader)) for reader in (self._read_alerts, self._read_channels)
        ]

    async def stop(self) -> None:
        """End the readers and the event stream of every browser."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._send_snapshots()
        await self.redis.aclose()
        self.view.redis.close()

    async def events(self) -> AsyncIterator[str]:
        """Server-sent events for one browser: a snapshot, then every change, and a heartbeat every 2 s."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(MAX_QUEUED_EVENTS)
        self._queues.add(queue)
        clock = asyncio.get_running_loop()
        heartbeat_due_s = clock.time() + HEARTBEAT_S
        snapshot: str | None
        needs_snapshot = True
        try:
            while True:
                if needs_snapshot and (snapshot := await self._snapshot_event()) is not None:
                    yield snapshot
                    needs_snapshot = False
                    heartbeat_due_s = clock.time()  # a browser that reconnects clears its alarm at once
                if clock.time() >= heartbeat_due_s:
                    yield self._heartbeat()
                    heartbeat_due_s = clock.time() + HEARTBEAT_S
                try:
                    async with asyncio.timeout_at(heartbeat_due_s):
                        message = await queue.get()
                except TimeoutError:
                    continue
                if message is not None:
                    yield message
                elif not self._tasks or self._tasks[0].done():
                    return
                else:
                    needs_snapshot = True
        finally:
            self._queues.discard(queue)

    async def snapshot(self) -> dict[str, Any]:
        """All beds, their newest vitals, and every alert that is not off."""
        return await run_in_threadpool(self._snapshot)

    def _snapshot(self) -> dict[str, Any]:
        beds, vitals, alerts = [], [], []
        for unit in self.view.units():
            for view in self.view.beds(unit):
                beds.append(view.bed.model_dump(mode="json", by_alias=True, exclude={"alerts", "applied_ids"}))
                vitals += [] if view.vitals is None else [view.vitals.model_dump(mode="json", by_alias=True)]
            alerts += [alert.model_dump(mode="json", by_alias=True) for alert in self.view.open_alerts(unit)]
        return {"site": self.site, "beds": beds, "vitals": vitals, "alerts": alerts}

    async def _snapshot_event(self) -> str | None:
        """None while Redis is lost."""
        with contextlib.suppress(RedisError, OSError):
            return event("snapshot", json.dumps(await self.snapshot(), separators=(",", ":")))
        return None

    def _heartbeat(self) -> str:
        return event("heartbeat", json.dumps({"redis_lost": self.redis_lost}))

    async def _read_forever(self, reader: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await reader()
            except (RedisError, OSError) as error:
                if self.redis_lost is None:
                    log.error("Redis lost: %s", error)
                self.redis_lost = type(error).__name__
                self._send(self._heartbeat())
                await asyncio.sleep(RETRY_S)

    def _redis_answered(self) -> None:
        if self.redis_lost is not None:
            log.warning("Redis is back")
            self.redis_lost = None
            self._send_snapshots()

    async def _read_alerts(self) -> None:
        units: list[str] = []
        clock = asyncio.get_running_loop()
        scan_due_s = clock.time()
        while True:
            if clock.time() >= scan_due_s:
                scan_due_s = clock.time() + UNIT_SCAN_S
                units = await run_in_threadpool(self.view.units)
                for stream in map(self.keys.alerts, units):
                    newest = await self._newest(stream)
                    if stream not in self._last_entries:  # a unit that appears later is read from its beginning
                        self._last_entries[stream] = "0-0" if self._units_scanned else newest
                    elif entry_order(newest) < entry_order(self._last_entries[stream]):
                        self._last_entries[stream] = "0-0"  # Redis lost the stream; its new entries may have lower ids
                self._units_scanned = True
                self._redis_answered()
            if not units:
                await asyncio.sleep(UNIT_SCAN_S)
                continue
            answer = await self.redis.xread(self._last_entries, count=500, block=READ_BLOCK_MS)
            for stream, entries in entries_by_stream(answer):
                for entry_id, fields in entries:
                    self._last_entries[stream] = text(entry_id)
                    doc = _json(fields.get(b"doc"))
                    if doc is None:
                        log.error("entry %s of %s is no alert", text(entry_id), stream)
                        continue
                    self._send(event("alert", doc))

    async def _newest(self, stream: str) -> str:
        newest: Any = await self.redis.xrevrange(stream, count=1)
        return text(newest[0][0]) if newest else "0-0"

    async def _read_channels(self) -> None:
        async with self.redis.pubsub() as channel:
            await channel.psubscribe(self.keys.live("*"))
            while True:
                message = await channel.get_message(ignore_subscribe_messages=True, timeout=HEARTBEAT_S)
                if message is None:
                    continue
                doc = _json(message["data"])
                kind = None if doc is None else json.loads(doc).get("type")
                if doc is not None and kind in ("bed", "vitals"):  # alerts come by their stream
                    self._send(event(kind, doc))

    def _send(self, message: str) -> None:
        for queue in self._queues:
            _put(queue, message)

    def _send_snapshots(self) -> None:
        for queue in self._queues:
            _put(queue, None)


def _json(data: Any) -> str | None:
    """The text of a JSON object on one line; None where the bytes hold none."""
    try:
        found = data.decode()
        return found if isinstance(json.loads(found), dict) and "\n" not in found else None
    except (AttributeError, ValueError, RecursionError):
        return None


def _put(queue: asyncio.Queue[str | None], message: str | None) -> None:
    try:
        queue.put_nowait(message)
    except asyncio.QueueFull:  # a slow browser: a fresh snapshot replaces what it has not received
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)


def event(kind: str, data: str) -> str:
    r"""One server-sent event; ``data`` is JSON on one line.

    >>> event("heartbeat", '{"redis_lost":null}')
    'event: heartbeat\ndata: {"redis_lost":null}\n\n'
    """
    return f"event: {kind}\ndata: {data}\n\n"

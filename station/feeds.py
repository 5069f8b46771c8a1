"""What the station reads from Redis: a snapshot, and then everything that changes, for any number of browsers.

Alert versions come from the streams ``alerts:<unit>`` (nothing is lost between two reads); beds and vitals from the
channels ``live:<unit>`` (volatile). A lost Redis is said to every browser with the next beat, and after it is back each
browser gets a fresh snapshot. A browser that cannot keep up gets a fresh snapshot too, instead of an endless backlog.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import redis
import redis.asyncio as aioredis
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from streams.keys import Keys
from streams.redis_values import entries_by_stream
from streams.ward_view import WardView

BEAT_S = 2.0  # how often a browser hears that the server lives; it complains after 6 s of silence
UNITS_EVERY_S = 2.0  # how often new units are looked for
READ_BLOCK_MS = 1000
RETRY_S = 0.5  # pause before Redis is tried again
SOCKET_TIMEOUT_S = 5.0  # a Redis that hangs must not hold a browser's request for ever
QUEUE = 1000  # events that wait for one browser: half a minute of 32 beds

log = logging.getLogger(__name__)


class WardFeed:
    """One reader of Redis for all browsers of this server.

    Parameters
    ----------
    redis_url : str
        Redis or Valkey.
    site : str
        Whose keys are read.
    """

    def __init__(self, redis_url: str, site: str) -> None:
        self.site = site
        self.keys = Keys(site)
        self.redis = aioredis.Redis.from_url(redis_url, decode_responses=True, health_check_interval=5)
        self.view = WardView(redis.Redis.from_url(redis_url, socket_timeout=SOCKET_TIMEOUT_S), site)
        self.redis_lost: str | None = None
        self._browsers: set[asyncio.Queue[str | None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._cursors: dict[Any, Any] = {}  # alert stream → last entry read
        self._looked = False  # for units, once at least

    async def start(self) -> None:
        """Begin to read in the background."""
        self._tasks = [asyncio.create_task(self._keep(part)) for part in (self._follow_alerts, self._follow_live)]

    async def stop(self) -> None:
        """End the readers and let every browser go."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for queue in self._browsers:
            self._put(queue, None)
        await self.redis.aclose()
        self.view.redis.close()

    async def events(self) -> AsyncIterator[str]:
        """Server-sent events for one browser: a snapshot, then what changes, and a beat every 2 s."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(QUEUE)
        self._browsers.add(queue)
        needs_snapshot = True
        try:
            while True:
                if needs_snapshot:
                    with contextlib.suppress(RedisError, OSError):
                        yield event("snapshot", json.dumps(await self.snapshot(), separators=(",", ":")))
                        needs_snapshot = False
                try:
                    async with asyncio.timeout(BEAT_S):
                        said = await queue.get()
                except TimeoutError:
                    yield event("beat", json.dumps({"redis_lost": self.redis_lost}))
                    continue
                if said is None:
                    if not self._tasks or self._tasks[0].done():
                        return
                    needs_snapshot = True
                    continue
                yield said
        finally:
            self._browsers.discard(queue)

    async def snapshot(self) -> dict[str, Any]:
        """All beds, their newest vitals, and every alert that is not off."""
        return await run_in_threadpool(self._snapshot)

    def _snapshot(self) -> dict[str, Any]:
        beds, vitals, alerts = [], [], []
        for unit in self.view.units():
            for seen in self.view.beds(unit):
                beds.append(seen.bed.model_dump(mode="json", by_alias=True, exclude={"alerts", "applied_ids"}))
                vitals += [] if seen.vitals is None else [seen.vitals.model_dump(mode="json", by_alias=True)]
            alerts += [alert.model_dump(mode="json", by_alias=True) for alert in self.view.open_alerts(unit)]
        return {"site": self.site, "beds": beds, "vitals": vitals, "alerts": alerts}

    async def _keep(self, part: Any) -> None:
        """Run one reader for ever; when Redis comes back, everybody gets a fresh snapshot."""
        while True:
            try:
                await part()
            except (RedisError, OSError) as lost:
                if self.redis_lost is None:
                    log.error("Redis lost: %s", lost)
                self.redis_lost = f"{type(lost).__name__}"
                self._say(event("beat", json.dumps({"redis_lost": self.redis_lost})))
                await asyncio.sleep(RETRY_S)

    def _back(self) -> None:
        if self.redis_lost is not None:
            log.warning("Redis is back")
            self.redis_lost = None
            for queue in self._browsers:
                self._put(queue, None)

    async def _follow_alerts(self) -> None:
        units: list[str] = []
        looked = -UNITS_EVERY_S
        clock = asyncio.get_running_loop()
        while True:
            if clock.time() - looked >= UNITS_EVERY_S:
                looked = clock.time()
                units = await run_in_threadpool(self.view.units)
                for stream in map(self.keys.alerts, units):
                    if stream not in self._cursors:  # a unit that appears later is read from its beginning
                        self._cursors[stream] = "0-0" if self._looked else await self._newest(stream)
                self._looked = True
                self._back()
            if not units:
                await asyncio.sleep(UNITS_EVERY_S)
                continue
            answer = await self.redis.xread(self._cursors, count=500, block=READ_BLOCK_MS)
            for stream, entries in entries_by_stream(answer):
                for entry_id, fields in entries:
                    self._cursors[stream] = entry_id
                    self._say(event("alert", fields["doc"]))

    async def _newest(self, stream: str) -> str:
        newest: Any = await self.redis.xrevrange(stream, count=1)
        return str(newest[0][0]) if newest else "0-0"

    async def _follow_live(self) -> None:
        async with self.redis.pubsub() as channel:
            await channel.psubscribe(self.keys.live("*"))
            while True:
                message = await channel.get_message(ignore_subscribe_messages=True, timeout=BEAT_S)
                if message is None:
                    continue
                kind = json.loads(message["data"]).get("type")
                if kind in ("bed", "vitals"):  # alerts come by their stream
                    self._say(event(kind, message["data"]))

    def _say(self, said: str) -> None:
        for queue in self._browsers:
            self._put(queue, said)

    @staticmethod
    def _put(queue: asyncio.Queue[str | None], said: str | None) -> None:
        try:
            queue.put_nowait(said)
        except asyncio.QueueFull:  # too slow: what waits is worthless by now, a fresh snapshot replaces it
            while not queue.empty():
                queue.get_nowait()
            queue.put_nowait(None)


def event(kind: str, data: str) -> str:
    """One server-sent event; JSON has no line breaks of its own."""
    return f"event: {kind}\ndata: {data}\n\n"

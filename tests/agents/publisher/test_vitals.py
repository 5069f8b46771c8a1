"""Vitals of many beds reach Redis in one round trip; one that cannot be read, or is late, takes none with it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from agents.clock import ManualClock
from agents.publisher import service
from agents.publisher.service import VITALS_S, Publisher
from agents.settings import Settings
from agents.worker.sender import Incoming
from streams.bed import Vitals
from streams.document import time_of_ns

NOW_NS = 1_760_000_000_000_000_000


def vitals(k: int, append_ns: int = NOW_NS) -> Incoming:
    """Vitals of bed ``k``."""
    name = f"icu-3/{k:02d}"
    value = Vitals(bed_stream=name, at=time_of_ns(append_ns), hr=70.0 + k).to_json()
    return Incoming("ecg.vitals", 0, k, append_ns, name.encode(), value)


class Sent:
    """What was dead-lettered."""

    def __init__(self) -> None:
        self.rejected: list[str] = []

    async def reject(self, message: Incoming, reason: str) -> None:
        self.rejected.append(reason)


@pytest.fixture
async def publisher(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A publisher that is filled up, without Kafka."""
    made = Publisher(Settings(redis=redis_url), ManualClock(NOW_NS))
    made.sender = Sent()
    made.round_trips = []
    plain = made.bus.publish_each

    async def publish(entries: Sequence[Any]) -> Any:
        made.round_trips.append(len(entries))
        return await plain(entries)

    monkeypatch.setattr(made.bus, "publish_each", publish)
    made._filled.set()
    publishing = asyncio.create_task(made._publish_vitals_forever())
    yield made
    publishing.cancel()
    await made.redis.aclose()


async def held(publisher: Any, beds: int) -> set[int]:
    """Beds whose vitals Redis holds, once ``beds`` of them are there."""
    for _ in range(400):
        keys = {k: f"ecg:{{main}}:bed:icu-3/{k:02d}" for k in range(40)}
        found = {k for k, key in keys.items() if await publisher.redis.type(key) == b"hash"}
        if len(found) >= beds:
            return found
        await asyncio.sleep(0.02)
    return found


async def test_vitals_of_32_beds_take_one_round_trip(publisher: Any) -> None:
    for k in range(32):
        await publisher._queue_vitals(vitals(k))

    assert await held(publisher, 32) == set(range(32))
    assert publisher.round_trips == [32]


async def test_a_broken_one_and_a_late_one_hold_no_other_back(publisher: Any) -> None:
    late_ns = NOW_NS - round((VITALS_S + 0.1) * 1e9)
    for message in (vitals(0), replace(vitals(1), value=b"\xff"), vitals(2, late_ns), vitals(3)):
        await publisher._queue_vitals(message)

    assert await held(publisher, 2) == {0, 3}
    assert len(publisher.sender.rejected) == 1 and "offset 1" in publisher.sender.rejected[0]


async def test_one_that_redis_refuses_is_dead_lettered_alone(publisher: Any) -> None:
    await publisher.redis.set("ecg:{main}:bed:icu-3/01", "no hash")
    for k in range(4):
        await publisher._queue_vitals(vitals(k))

    assert await held(publisher, 3) == {0, 2, 3}
    while not publisher.sender.rejected:
        await asyncio.sleep(0.01)
    assert [("WRONGTYPE" in reason) for reason in publisher.sender.rejected] == [True]
    assert publisher.round_trips == [4]


async def test_while_redis_is_away_the_newest_wait_and_the_oldest_are_dropped(
    publisher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "WAIT_S", 0.01)
    plain, tried, back = publisher.bus.publish_each, asyncio.Event(), asyncio.Event()

    async def publish(entries: Sequence[Any]) -> Any:
        if not back.is_set():
            tried.set()
            raise RedisConnectionError("away")
        return await plain(entries)

    monkeypatch.setattr(publisher.bus, "publish_each", publish)
    await publisher._queue_vitals(vitals(0))
    await tried.wait()  # in vain
    publisher.clock.advance_s(VITALS_S + 1.0)
    await publisher._queue_vitals(vitals(1, publisher.clock.now_ns()))
    back.set()

    assert await held(publisher, 1) == {1}

"""The inbox of actions: none is lost, none that cannot be read stops the others."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import redis
from redis.asyncio import Redis

from streams import action_inbox
from streams.action_inbox import ActionInbox, submit_action
from tests.streams.documents import acknowledge


@pytest.fixture
def station(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url)


@pytest.fixture
async def publisher(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


async def test_an_action_is_read_and_leaves_the_inbox_when_kafka_has_it(station: redis.Redis, publisher: Redis) -> None:
    inbox = ActionInbox(publisher, "main", "publisher-1")
    assert await inbox.read(block_s=0.05) == []
    submit_action(station, "main", acknowledge("a1"))
    submit_action(station, "main", acknowledge("a2", args={"seconds": 60}))
    items = await inbox.read(block_s=0.05)
    assert [item.action for item in items] == [acknowledge("a1"), acknowledge("a2", args={"seconds": 60})]
    assert await inbox.read(block_s=0.05) == []  # handed out, not again while it lives
    await inbox.ack(*items)
    assert station.xlen("ecg:{main}:actions") == 0


async def test_actions_given_before_the_first_publisher_wait_for_it(station: redis.Redis, publisher: Redis) -> None:
    submit_action(station, "main", acknowledge("early"))
    inbox = ActionInbox(publisher, "main", "publisher-1")
    await inbox.read(block_s=0.05)
    assert [item.action.id for item in await inbox.read(block_s=0.05) if item.action] == ["early"]


async def test_actions_of_a_publisher_that_died_go_on(
    station: redis.Redis, publisher: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(action_inbox, "RECLAIM_IDLE_MS", 50)
    dead, living = ActionInbox(publisher, "main", "a"), ActionInbox(publisher, "main", "b")
    await dead.read(block_s=0.05)
    submit_action(station, "main", acknowledge("a1"))
    assert len(await dead.read(block_s=0.05)) == 1
    taken = []
    while not taken:
        taken = await living.read(block_s=0.05)
    assert taken[0].action == acknowledge("a1")


async def test_what_is_no_action_says_why(station: redis.Redis, publisher: Redis) -> None:
    inbox = ActionInbox(publisher, "main", "a")
    await inbox.read(block_s=0.05)
    station.xadd("ecg:{main}:actions", {"doc": b'{"id": "x", "action": "explode", "bed_stream": "icu-3/07"}'})
    station.xadd("ecg:{main}:actions", {"doc": b"\xff"})
    submit_action(station, "main", acknowledge("a1"))
    broken, unreadable, good = await inbox.read(block_s=0.05)
    assert broken.action is None and broken.reason is not None
    assert "action 'explode'" in broken.reason
    assert "by " in broken.reason  # the field that is missing
    assert broken.raw.startswith(b'{"id": "x"')
    assert unreadable.reason is not None and unreadable.raw == b"\xff"
    assert good.action == acknowledge("a1")


async def test_an_entry_may_hold_the_actions_own_keys(station: redis.Redis, publisher: Redis) -> None:
    inbox = ActionInbox(publisher, "main", "a")
    await inbox.read(block_s=0.05)
    station.xadd(
        "ecg:{main}:actions",
        {
            "id": "s1",
            "action": "silence",
            "bed_stream": "icu-3/07",
            "by": "rn-12",
            "at": "2026-11-18T11:06:40.000000Z",
            "args": '{"seconds": 60}',
        },
    )
    (item,) = await inbox.read(block_s=0.05)
    assert item.action == acknowledge("s1", action="silence", alert_id=None, args={"seconds": 60})

"""The inbox of actions: none is lost, none that cannot be read stops the others."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import redis
from redis.asyncio import Redis

from streams import action_inbox
from streams.action_inbox import ActionInbox, submit_action
from streams.bed import Action
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
    assert "action: Input should be 'acknowledge'" in broken.reason and "explode" not in broken.reason
    assert "by: " in broken.reason  # the field that is missing
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


ACTION = {"id": "s1", "action": "silence", "bed_stream": "icu-3/07", "by": "rn-12", "at": "2026-11-18T11:06:40Z"}
BROKEN: dict[str, tuple[dict[bytes, bytes], str]] = {
    "3 MB of args": ({b"doc": json.dumps(ACTION | {"args": {"x": "y" * 3_000_000}}).encode()}, "more than 65536"),
    "5 KB of args": ({b"doc": json.dumps(ACTION | {"args": {"x": "y" * 5000}}).encode()}, "more than 4096"),
    "a bed stream of 1 kB": ({b"doc": json.dumps(ACTION | {"bed_stream": "b" * 1000}).encode()}, "at most 64"),
    "a field name that is no UTF-8": ({b"\xff\xfe": b"1"}, "action"),
    "a value that is no UTF-8": ({k.encode(): v.encode() for k, v in ACTION.items()} | {b"by": b"\xff" * 200}, "by"),
    "args nested 20,000 deep": (
        {k.encode(): v.encode() for k, v in ACTION.items()} | {b"args": b"[" * 20_000},
        "arg",
    ),
    "a document nested 20,000 deep": ({b"doc": b"[" * 20_000}, "doc"),
    "a time in the year 10000": ({b"doc": json.dumps(ACTION | {"at": "10000-01-01T00:00:00Z"}).encode()}, "at: "),
    "a number of 5,000 digits": ({b"doc": json.dumps(ACTION).encode()[:-1] + b', "schema": ' + b"9" * 5000 + b"}"}, ""),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_or_large_action_is_named_and_the_next_one_goes_on(
    station: redis.Redis, publisher: Redis, name: str
) -> None:
    inbox = ActionInbox(publisher, "main", "a")
    await inbox.read(block_s=0.05)
    fields, why = BROKEN[name]
    station.xadd("ecg:{main}:actions", fields)  # type: ignore[arg-type]
    submit_action(station, "main", acknowledge("a1"))
    broken, good = await inbox.read(block_s=0.05)
    assert broken.action is None and broken.reason is not None
    assert why in broken.reason and len(broken.reason) < 1500
    assert good.action == acknowledge("a1")
    await inbox.ack(broken, good)
    assert station.xlen("ecg:{main}:actions") == 0


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+01:00"])
async def test_any_time_that_can_be_written_is_read_and_written_again(
    station: redis.Redis, publisher: Redis, at: str
) -> None:
    inbox = ActionInbox(publisher, "main", "a")
    await inbox.read(block_s=0.05)
    station.xadd("ecg:{main}:actions", {"doc": json.dumps(ACTION | {"at": at})})
    (item,) = await inbox.read(block_s=0.05)
    assert item.action is not None
    assert Action.from_json(item.action.to_json()) == item.action

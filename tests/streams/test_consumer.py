"""A station's consumer: every version at least once, over its own restart and the death of a colleague."""

from __future__ import annotations

import asyncio

import pytest
import redis
from redis.asyncio import Redis

from streams.alert import State
from streams.alert_bus import AlertBus
from streams.consumer import AlertConsumer, Received, UnreadableEntry
from tests.streams.documents import alert
from tests.streams.publishing import publish_alert

PLACE = "ecg.alerts/2"


@pytest.fixture(params=[{"protocol": 2}, {"protocol": 3}, {"protocol": 3, "decode_responses": True}])
def client(request: pytest.FixtureRequest, redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url, **request.param)


STREAM = "ecg:{main}:alerts:icu-3"


def versions(read: list[Received | UnreadableEntry]) -> list[int]:
    """Versions of the alerts; an unreadable entry among them fails the test."""
    assert not [x for x in read if isinstance(x, UnreadableEntry)]
    return [x.alert.version for x in read if isinstance(x, Received)]


async def publish(redis_url: str, *versions: int, first_offset: int = 0) -> None:
    writer = Redis.from_url(redis_url)
    bus = AlertBus(writer)
    for k, version in enumerate(versions):
        await publish_alert(bus, alert(version), PLACE, first_offset + k, 1)
    await writer.aclose()


async def test_a_station_reads_and_acknowledges_each_version_once(client: redis.Redis, redis_url: str) -> None:
    await publish(redis_url, 1, 2)
    station = AlertConsumer(client, "main", "icu-3", "desk", "desk-1")
    got = station.read(block_s=0.05)
    assert got == [Received(x.entry_id, alert(n)) for n, x in enumerate(got, 1)]
    assert isinstance(got[0], Received) and got[0].alert.state is State.ON
    station.ack(*got)
    assert station.read(block_s=0.05) == []
    await publish(redis_url, 3, first_offset=2)
    assert versions(station.read(block_s=0.05)) == [3]


async def test_a_station_that_restarts_gets_again_what_it_had_not_acknowledged(
    client: redis.Redis, redis_url: str
) -> None:
    await publish(redis_url, 1, 2)
    before = AlertConsumer(client, "main", "icu-3", "desk", "desk-1")
    got = before.read(block_s=0.05)
    before.ack(got[0])
    after = AlertConsumer(client, "main", "icu-3", "desk", "desk-1")
    again = after.read(block_s=0.05)
    assert versions(again) == [2]
    after.ack(*again)
    assert after.read(block_s=0.05) == []


async def test_pending_entries_are_given_once_a_start_in_pieces_and_then_what_is_new(
    client: redis.Redis, redis_url: str
) -> None:
    await publish(redis_url, 1, 2, 3)
    AlertConsumer(client, "main", "icu-3", "desk", "desk-1").read(block_s=0.05)
    await publish(redis_url, 4, first_offset=3)
    after = AlertConsumer(client, "main", "icu-3", "desk", "desk-1")
    pieces = [after.read(block_s=0.05, count=2) for _ in range(4)]  # nothing is acknowledged in between
    assert [versions(piece) for piece in pieces] == [[1, 2], [3], [4], []]


async def test_each_group_gets_everything_and_a_group_shares(client: redis.Redis, redis_url: str) -> None:
    await publish(redis_url, 1, 2, 3)
    first = AlertConsumer(client, "main", "icu-3", "desk", "a")
    second = AlertConsumer(client, "main", "icu-3", "desk", "b")
    other = AlertConsumer(client, "main", "icu-3", "corridor", "a")
    shares = first.read(block_s=0.05, count=2), second.read(block_s=0.05), other.read(block_s=0.05)
    assert [versions(share) for share in shares] == [[1, 2], [3], [1, 2, 3]]


async def test_a_new_group_may_begin_with_what_comes_next(client: redis.Redis, redis_url: str) -> None:
    await publish(redis_url, 1)
    station = AlertConsumer(client, "main", "icu-3", "desk", "a", from_start=False)
    await publish(redis_url, 2, first_offset=1)
    assert versions(station.read(block_s=0.05)) == [2]


async def test_what_was_trimmed_while_pending_is_named_not_hidden(client: redis.Redis, redis_url: str) -> None:
    await publish(redis_url, 1, 2)
    station = AlertConsumer(client, "main", "icu-3", "desk", "a")
    ids = [x.entry_id for x in station.read(block_s=0.05)]
    client.xtrim("ecg:{main}:alerts:icu-3", maxlen=0)
    again = AlertConsumer(client, "main", "icu-3", "desk", "a")
    assert again.read(block_s=0.05) == []
    assert again.lost == ids
    other = AlertConsumer(client, "main", "icu-3", "desk", "b")
    assert other.reclaim(idle_s=0) == []


async def test_a_redis_that_lost_the_stream_is_joined_again(client: redis.Redis, redis_url: str) -> None:
    station = AlertConsumer(client, "main", "icu-3", "desk", "a")
    client.flushall()
    assert station.read(block_s=0.05) == []
    await publish(redis_url, 1)
    assert versions(station.read(block_s=0.05)) == [1]


@pytest.mark.parametrize("from_start", [True, False])
async def test_a_lost_stream_is_read_on_after_the_last_entry_and_nothing_after_it_is_missed(
    client: redis.Redis, redis_url: str, from_start: bool
) -> None:
    station = AlertConsumer(client, "main", "icu-3", "desk", "a", from_start=from_start)
    await publish(redis_url, 1, 2)
    station.ack(*station.read(block_s=0.05))
    client.delete(STREAM)
    await publish(redis_url, 3, first_offset=2)  # before the station looks again
    assert station.read(block_s=0.05) == []
    await publish(redis_url, 4, first_offset=3)
    assert versions(station.read(block_s=0.05)) == [3, 4]
    assert station.rejoined == 1


async def test_a_lost_group_alone_gives_no_entry_twice(client: redis.Redis, redis_url: str) -> None:
    await publish(redis_url, 1, 2)
    station = AlertConsumer(client, "main", "icu-3", "desk", "a")
    station.read(block_s=0.05)
    client.xgroup_destroy(STREAM, "desk")
    await publish(redis_url, 3, first_offset=2)
    assert station.reclaim(idle_s=0) == []  # the first to meet the lost group
    assert versions(station.read(block_s=0.05)) == [3]


async def test_a_stream_lost_while_the_station_waits_is_joined_again(client: redis.Redis, redis_url: str) -> None:
    station = AlertConsumer(client, "main", "icu-3", "desk", "a")
    await publish(redis_url, 1)
    station.read(block_s=0.05)
    station.read(block_s=0.05)
    reading = asyncio.create_task(asyncio.to_thread(station.read, block_s=5))
    other = redis.Redis.from_url(redis_url)
    while not other.client_list(_type="normal") or not any("xreadgroup" in c["cmd"] for c in other.client_list()):
        await asyncio.sleep(0.01)
    other.delete(STREAM)
    assert await reading == []
    await publish(redis_url, 2, first_offset=1)
    assert versions(station.read(block_s=0.05)) == [2]


async def test_entries_of_a_redis_whose_clock_went_back_are_not_missed(client: redis.Redis, redis_url: str) -> None:
    client.xadd(STREAM, {"doc": alert(1).to_json()}, id="99999999999999-0")  # the clock of the Redis that was lost
    station = AlertConsumer(client, "main", "icu-3", "desk", "a")
    assert versions(station.read(block_s=0.05)) == [1]
    client.delete(STREAM)
    station.read(block_s=0.05)
    await publish(redis_url, 2)
    assert versions(station.read(block_s=0.05)) == [2]


GARBAGE = [
    {b"doc": b"{"},
    {b"doc": b"\xff\xfe"},
    {b"nothing": b"here"},
    {b"\xff\xfe": b"\xfd", b"doc": b"{}"},
    {b"doc": alert(1).to_json().replace(b"2026-", b"20266-")},
]


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_an_unreadable_entry_is_returned_as_such_and_the_others_of_its_batch_arrive(
    client: redis.Redis, redis_url: str, garbage: dict[bytes, bytes]
) -> None:
    station = AlertConsumer(client, "main", "icu-3", "desk", "a")
    await publish(redis_url, 1)
    bad = client.xadd(STREAM, garbage)  # type: ignore[arg-type]
    await publish(redis_url, 2, first_offset=1)
    first, unreadable, last = station.read(block_s=0.05)
    assert versions([first, last]) == [1, 2]
    assert isinstance(unreadable, UnreadableEntry)
    assert unreadable.entry_id == (bad if isinstance(bad, str) else bad.decode())
    assert unreadable.fields == garbage
    assert unreadable.error
    assert station.unreadable == 1
    station.ack(first, last)
    await publish(redis_url, 3, first_offset=2)
    assert versions(station.read(block_s=0.05)) == [3]
    again = AlertConsumer(client, "main", "icu-3", "desk", "a")
    assert versions(again.read(block_s=0.05)) == [3]  # the unreadable one was acknowledged

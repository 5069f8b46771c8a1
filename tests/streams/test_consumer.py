"""A station's consumer: every version at least once, over its own restart and the death of a colleague."""

from __future__ import annotations

import pytest
import redis
from redis.asyncio import Redis

from streams.alert import State
from streams.alert_bus import AlertBus
from streams.consumer import AlertConsumer
from tests.streams.documents import alert
from tests.streams.publishing import publish_alert

PLACE = "ecg.alerts/2"


@pytest.fixture(params=[{"protocol": 2}, {"protocol": 3}, {"protocol": 3, "decode_responses": True}])
def client(request: pytest.FixtureRequest, redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url, **request.param)


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
    assert [x.alert for x in got] == [alert(1), alert(2)]
    assert got[0].alert.state is State.ON
    station.ack(*got)
    assert station.read(block_s=0.05) == []
    await publish(redis_url, 3, first_offset=2)
    assert [x.alert.version for x in station.read(block_s=0.05)] == [3]


async def test_a_station_that_restarts_gets_again_what_it_had_not_acknowledged(
    client: redis.Redis, redis_url: str
) -> None:
    await publish(redis_url, 1, 2)
    before = AlertConsumer(client, "main", "icu-3", "desk", "desk-1")
    got = before.read(block_s=0.05)
    before.ack(got[0])
    after = AlertConsumer(client, "main", "icu-3", "desk", "desk-1")
    again = after.read(block_s=0.05)
    assert [x.alert.version for x in again] == [2]
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
    assert [[x.alert.version for x in piece] for piece in pieces] == [[1, 2], [3], [4], []]


async def test_each_group_gets_everything_and_a_group_shares(client: redis.Redis, redis_url: str) -> None:
    await publish(redis_url, 1, 2, 3)
    first = AlertConsumer(client, "main", "icu-3", "desk", "a")
    second = AlertConsumer(client, "main", "icu-3", "desk", "b")
    other = AlertConsumer(client, "main", "icu-3", "corridor", "a")
    shares = first.read(block_s=0.05, count=2), second.read(block_s=0.05), other.read(block_s=0.05)
    assert [[x.alert.version for x in share] for share in shares] == [[1, 2], [3], [1, 2, 3]]


async def test_a_new_group_may_begin_with_what_comes_next(client: redis.Redis, redis_url: str) -> None:
    await publish(redis_url, 1)
    station = AlertConsumer(client, "main", "icu-3", "desk", "a", from_start=False)
    await publish(redis_url, 2, first_offset=1)
    assert [x.alert.version for x in station.read(block_s=0.05)] == [2]


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
    assert [x.alert.version for x in station.read(block_s=0.05)] == [1]

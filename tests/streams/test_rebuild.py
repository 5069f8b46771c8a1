"""Redis out of Kafka again: the same hashes, sets and strips, nothing added to a stream, nothing published."""

from __future__ import annotations

from collections.abc import Mapping

import redis
from kafka import KafkaConsumer, TopicPartition
from redis.asyncio import Redis

from streams.alert import Alert, State
from streams.alert_bus import AlertBus
from streams.bed import Bed, Vitals
from streams.document import time_of_ns
from streams.rebuild import rebuild
from streams.telemetry import KeyedProducer
from streams.topics import Topics, ensure_topics
from streams.wire import encode_window
from tests.conftest import Broker
from tests.streams.documents import alert, bed, vitals
from tests.streams.publishing import publish_alert, publish_bed, publish_strip, publish_vitals
from tests.streams.test_wire import window

SOON = time_of_ns(4_000_000_000_000_000_000)  # published in the future, so that no expiry depends on today's date


def record_of_a_shift(address: str, topics: Topics) -> None:
    """What monitors write in a shift: alerts that begin, are updated and end, on several beds, with a
    change of worker.
    """
    with KeyedProducer(address) as kafka:
        for n in range(6):
            name = f"icu-3/{n:02d}"
            own = {"bed_stream": name, "bed": f"{n:02d}", "id": f"{n:032x}", "published": SOON, "unit": f"icu-{n % 2}"}
            for generation in (1, 2):
                kafka.send_bytes(topics.beds, name, bed(**_of_bed(own), generation=generation).to_json())
            for version, state in (
                (1, State.ON),
                (2, State.LATCHED),
                (2, State.ON),
                (3, State.OFF if n % 3 else State.ON),
            ):
                doc = alert(version, state=state, generation=2 if version > 1 else 1, **own)
                kafka.send_bytes(topics.alerts, name, doc.to_json())
            late = alert(9, generation=1, **own)  # a worker that lost its partition and did not know yet
            kafka.send_bytes(topics.alerts, name, late.to_json())
            kafka.send_bytes(
                topics.strips, name, encode_window(window(bed_stream=name)), [("alert_id", own["id"].encode())]
            )
            kafka.send_bytes(topics.vitals, name, vitals(bed_stream=name, hr=60.0 + n).to_json())


def _of_bed(own: Mapping[str, object]) -> dict[str, object]:
    return {name: own[name] for name in ("bed_stream", "bed", "unit")}


async def publish_all(address: str, topics: Topics, bus: AlertBus) -> None:
    """What the publisher does: each record to Redis, from the offset that Redis has."""
    applied = await bus.applied_offsets()
    consumer = KafkaConsumer(bootstrap_servers=address, enable_auto_commit=False)
    for topic in (topics.beds, topics.alerts, topics.strips, topics.vitals):
        for partition in range(topics.partitions):
            place = TopicPartition(topic, partition)
            name = f"{topic}/{partition}"
            consumer.assign([place])
            consumer.seek(place, applied.get(name, -1) + 1)
            end = consumer.end_offsets([place])[place]
            while consumer.position(place) < end:
                for r in consumer.poll(timeout_ms=500).get(place, ()):
                    if topic == topics.beds:
                        doc = Bed.from_json(r.value)
                        await publish_bed(bus, doc, name, r.offset, doc.generation)
                    elif topic == topics.alerts:
                        version = Alert.from_json(r.value)
                        await publish_alert(bus, version, name, r.offset, version.generation)
                    elif topic == topics.strips:
                        strip_of = dict(r.headers)["alert_id"].decode()
                        await publish_strip(bus, strip_of, r.value, name, r.offset, r.timestamp)
                    else:
                        await publish_vitals(bus, Vitals.from_json(r.value), name, r.offset)
    consumer.close()


def contents(client: redis.Redis) -> dict[str, object]:
    """Everything but the streams: values, and when they expire."""
    out: dict[str, object] = {}
    for key in client.keys("*"):
        kind = client.type(key)
        if kind == "stream":
            continue
        read = {"hash": client.hgetall, "set": client.smembers, "string": client.get}
        value = client.zrange(key, 0, -1, withscores=True) if kind == "zset" else read[kind](key)
        if kind == "hash":
            value.pop("trend", None)  # the running minute of a stream, to which a rebuild adds nothing
        out[key] = (value, client.pexpiretime(key))
    return out


async def test_a_rebuilt_redis_equals_the_original(kafka: Broker, redis_url: str, topic_prefix: str) -> None:
    topics = Topics(topic_prefix, partitions=2)
    ensure_topics(kafka.address, topics)
    record_of_a_shift(kafka.address, topics)
    writer = Redis.from_url(redis_url)
    await publish_all(kafka.address, topics, AlertBus(writer))
    client = redis.Redis.from_url(redis_url, decode_responses=True, encoding_errors="surrogateescape")
    original = contents(client)
    assert len([key for key in original if ":alert:" in key]) == 6
    assert [client.zcard(f"ecg:{{main}}:active:icu-{n}") for n in (0, 1)] == [1, 1]
    streams = {key: client.xlen(key) for key in client.keys("*alerts:*")}

    lost = [key for key in original if not key.endswith((":offsets", ":generations"))]
    client.delete(*lost)
    client.hset(f"ecg:{{main}}:alert:{0:032x}", mapping={"version": "3", "doc": "damaged"})
    with redis.Redis.from_url(redis_url).pubsub(ignore_subscribe_messages=True) as listener:
        listener.psubscribe("ecg:*")
        listener.get_message(timeout=1)
        written = rebuild(redis.Redis.from_url(redis_url), "main", kafka.address, topics)
        assert listener.get_message(timeout=0.2) is None

    assert written["unreadable"] == 0
    assert contents(client) == original
    assert {key: client.xlen(key) for key in client.keys("*alerts:*")} == streams
    await writer.aclose()


async def test_a_redis_that_rolled_back_is_filled_from_its_own_offsets(
    tansu: Broker, redis_url: str, topic_prefix: str
) -> None:
    topics = Topics(topic_prefix, partitions=2)
    ensure_topics(tansu.address, topics)
    record_of_a_shift(tansu.address, topics)
    writer = Redis.from_url(redis_url)
    await publish_all(tansu.address, topics, AlertBus(writer))
    client = redis.Redis.from_url(redis_url, decode_responses=True, encoding_errors="surrogateescape")
    original = contents(client)
    client.flushall()
    await publish_all(tansu.address, topics, AlertBus(writer))
    assert contents(client) == original
    await writer.aclose()


async def test_what_the_publisher_writes_during_a_rebuild_stays(
    tansu: Broker, redis_url: str, topic_prefix: str
) -> None:
    topics = Topics(topic_prefix, partitions=1)
    ensure_topics(tansu.address, topics)
    with KeyedProducer(tansu.address) as kafka:
        kafka.send_bytes(topics.beds, "icu-3/07", bed(patient="p-0001").to_json())
        kafka.send_bytes(topics.alerts, "icu-3/07", alert(1).to_json())
    writer = Redis.from_url(redis_url)
    bus = AlertBus(writer)
    await publish_all(tansu.address, topics, bus)
    client = redis.Redis.from_url(redis_url)
    held = client.hgetall("ecg:{main}:offsets")
    await publish_bed(bus, bed(patient="p-0002"), f"{topics.beds}/0", 1, 1)
    await publish_alert(bus, alert(2), f"{topics.alerts}/0", 1, 1)

    class AtItsStart(redis.Redis):
        """A client of the rebuild that asked for the offsets just before the publisher went on."""

        def hgetall(self, name: str) -> object:  # type: ignore[override]
            return held

    rebuild(AtItsStart.from_url(redis_url), "main", tansu.address, topics)
    assert b"p-0002" in (client.hget("ecg:{main}:bed:icu-3/07", "doc") or b"")
    assert client.hget(f"ecg:{{main}}:alert:{alert().id}", "version") == b"2"
    await writer.aclose()

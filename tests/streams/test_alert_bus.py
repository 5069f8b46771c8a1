"""The alert bus: one script applies a message once, whatever comes twice, late, out of order or from an old worker."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis
from redis.asyncio import Redis, RedisCluster
from redis.crc import key_slot
from redis.exceptions import ClusterDownError

from deploy.local import LocalRedis, LocalServer, free_port
from streams.alert import State
from streams.alert_bus import AlertBus, PublishOutcome, RolledBack, alert_entry, bed_entry, strip_entry, vitals_entry
from streams.document import ns_of_time, time_of_ns
from streams.keys import Keys
from streams.ward_view import WardView
from streams.wire import encode_window
from tests.streams.documents import ONSET, alert, bed, vitals
from tests.streams.publishing import publish_alert, publish_bed, publish_strip, publish_vitals
from tests.streams.test_wire import window

ALERTS, BEDS, VITALS, STRIPS = "ecg.alerts/2", "ecg.beds/2", "ecg.vitals/2", "ecg.strips/2"
NOW_MS = 4_000_000_000_000  # past every clock of a test: expiries lie ahead


@pytest.fixture
async def bus(redis_url: str) -> AsyncIterator[AlertBus]:
    client = Redis.from_url(redis_url)
    yield AlertBus(client)
    await client.aclose()


@pytest.fixture
def plain(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url, decode_responses=True)


@pytest.fixture
def view(redis_url: str) -> WardView:
    return WardView(redis.Redis.from_url(redis_url))


def recent(version: int = 1, **changes: object) -> object:
    """An alert published in the far future, so that its expiry does not depend on today's date."""
    return alert(version, published=time_of_ns(NOW_MS * 1_000_000), **changes)


async def test_an_alert_is_where_the_contract_says(bus: AlertBus, plain: redis.Redis) -> None:
    first = alert()
    assert await publish_alert(bus, first, ALERTS, 7, 1) is PublishOutcome.APPLIED
    entry = plain.xrange("ecg:{main}:alerts:icu-3")[0][1]
    expected = {
        "id": first.id,
        "version": "1",
        "phase": "start",
        "state": "on",
        "code": "ASYSTOLE",
        "priority": "PH",
        "bed_stream": "icu-3/07",
        "bed": "07",
        "sounding": "1",
        "doc": first.to_json().decode(),
    }
    assert entry == expected
    assert plain.hgetall(f"ecg:{{main}}:alert:{first.id}") == expected
    assert plain.zrange("ecg:{main}:active:icu-3", 0, -1, withscores=True) == [(first.id, ns_of_time(ONSET) / 1e6)]
    assert plain.hgetall("ecg:{main}:offsets") == {ALERTS: "7"}
    assert plain.ttl(f"ecg:{{main}}:alert:{first.id}") == -1


async def test_a_bed_its_vitals_and_a_strip_are_where_the_contract_says(
    bus: AlertBus, plain: redis.Redis, view: WardView
) -> None:
    await publish_bed(bus, bed(), BEDS, 0, 1)
    await publish_vitals(bus, vitals(), VITALS, 0)
    await publish_strip(bus, "4f1c", encode_window(window()), STRIPS, 0, NOW_MS)
    held = plain.hgetall("ecg:{main}:bed:icu-3/07")
    doc = json.loads(held["doc"])
    assert "alerts" not in doc
    assert (doc["bed"], doc["patient"], doc["status"]) == ("07", "p-81f3", "monitored")
    assert json.loads(held["vitals"])["hr"] == 72.0
    assert held["last_seen"] == "2026-11-18T11:06:40.000000Z"
    assert plain.smembers("ecg:{main}:beds:icu-3") == {"icu-3/07"}
    assert plain.pexpiretime("ecg:{main}:strip:4f1c") == NOW_MS + 72 * 3_600_000
    strip = view.strip("4f1c")
    assert strip is not None and strip.leads == ("II", "V")
    assert view.strip("unknown") is None  # noqa: B005  (a strip of ECG, not of a string)


async def test_alert_off_leaves_the_active_set_and_expires_after_30_days(bus: AlertBus, plain: redis.Redis) -> None:
    await publish_alert(bus, recent(1), ALERTS, 0, 1)  # type: ignore[arg-type]
    await publish_alert(bus, recent(2, state=State.OFF, sounding=False), ALERTS, 1, 1)  # type: ignore[arg-type]
    assert plain.zcard("ecg:{main}:active:icu-3") == 0
    assert plain.pexpiretime(f"ecg:{{main}}:alert:{alert().id}") == NOW_MS + 30 * 86_400_000
    # An interpretation that comes later is an update with state off: nothing becomes active again.
    await publish_alert(bus, recent(3, state=State.OFF, sounding=False), ALERTS, 2, 1)  # type: ignore[arg-type]
    assert plain.zcard("ecg:{main}:active:icu-3") == 0
    assert plain.hget(f"ecg:{{main}}:alert:{alert().id}", "version") == "3"
    assert plain.xlen("ecg:{main}:alerts:icu-3") == 3


async def test_the_same_message_again_changes_nothing(bus: AlertBus, plain: redis.Redis) -> None:
    await publish_alert(bus, alert(), ALERTS, 7, 1)
    before = _everything(plain)
    assert await publish_alert(bus, alert(), ALERTS, 7, 1) is PublishOutcome.OLD_OFFSET
    assert _everything(plain) == before


async def test_the_same_version_sent_again_changes_only_the_offset(bus: AlertBus, plain: redis.Redis) -> None:
    await publish_alert(bus, alert(), ALERTS, 7, 1)
    assert await publish_alert(bus, alert(title="Other"), ALERTS, 8, 1) is PublishOutcome.OLD_VERSION
    assert plain.xlen("ecg:{main}:alerts:icu-3") == 1
    assert json.loads(plain.hget(f"ecg:{{main}}:alert:{alert().id}", "doc") or "")["title"] == "Asystole"
    assert plain.hget("ecg:{main}:offsets", ALERTS) == "8"


async def test_versions_out_of_order_leave_the_newest(bus: AlertBus, plain: redis.Redis) -> None:
    outcomes = [await publish_alert(bus, alert(version), ALERTS, k, 1) for k, version in enumerate([1, 3, 2, 3, 4])]
    applied, old = PublishOutcome.APPLIED, PublishOutcome.OLD_VERSION
    assert outcomes == [applied, applied, old, old, applied]
    assert [fields["version"] for _, fields in plain.xrange("ecg:{main}:alerts:icu-3")] == ["1", "3", "4"]


async def test_a_worker_that_lost_its_partition_is_not_heard(bus: AlertBus, plain: redis.Redis) -> None:
    await publish_alert(bus, alert(1), ALERTS, 0, 11)
    await publish_bed(bus, bed(), BEDS, 0, 12)
    assert await publish_alert(bus, alert(2), ALERTS, 1, 11) is PublishOutcome.APPLIED  # the gate is a topic's own
    assert await publish_alert(bus, alert(3), ALERTS, 2, 12) is PublishOutcome.APPLIED
    assert await publish_alert(bus, alert(4), ALERTS, 3, 11) is PublishOutcome.OLD_GENERATION
    assert await publish_alert(bus, alert(4), "ecg.alerts/3", 0, 11) is PublishOutcome.APPLIED  # and a partition's own
    assert await publish_bed(bus, bed(patient="p-0000"), BEDS, 1, 11) is PublishOutcome.OLD_GENERATION
    assert plain.hget("ecg:{main}:offsets", ALERTS) == "3"
    assert json.loads(plain.hget("ecg:{main}:bed:icu-3/07", "doc") or "")["patient"] == "p-81f3"


async def test_a_batch_is_applied_in_order_in_one_go(bus: AlertBus, plain: redis.Redis) -> None:
    keys = bus.keys
    outcomes = await bus.publish(
        [
            bed_entry(keys, bed(), BEDS, 0, 1),
            alert_entry(keys, alert(1), ALERTS, 0, 1),
            alert_entry(keys, alert(1), ALERTS, 1, 1),
            alert_entry(keys, alert(2), ALERTS, 2, 1),
            vitals_entry(keys, vitals(), VITALS, 0),
            strip_entry(keys, alert().id, b"", STRIPS, 0, NOW_MS),
        ]
    )
    assert [o.value for o in outcomes] == ["applied", "applied", "version", "applied", "applied", "applied"]
    assert await bus.applied_offsets() == {BEDS: 0, ALERTS: 2, VITALS: 0, STRIPS: 0}


async def test_stations_hear_alerts_beds_and_vitals_live(bus: AlertBus, plain: redis.Redis) -> None:
    listener = plain.pubsub(ignore_subscribe_messages=True)
    listener.subscribe("ecg:{main}:live:icu-3")
    listener.get_message(timeout=1)
    await publish_vitals(bus, vitals(), VITALS, 0)  # before its bed is known: kept, published to no channel
    await publish_bed(bus, bed(), BEDS, 0, 1)
    await publish_vitals(bus, vitals(hr=73.0), VITALS, 1)
    await publish_alert(bus, alert(), ALERTS, 0, 1)
    await publish_alert(bus, alert(), ALERTS, 1, 1)
    received = []
    while message := listener.get_message(timeout=0.5):
        received.append(json.loads(message["data"]))
    assert [x["type"] for x in received] == ["bed", "vitals", "alert"]
    assert received[1]["hr"] == 73.0
    assert received[2] == {"type": "alert"} | json.loads(alert().to_json())


async def test_a_bed_that_moves_to_another_unit_leaves_the_first(bus: AlertBus, view: WardView) -> None:
    await publish_bed(bus, bed(), BEDS, 0, 1)
    await publish_bed(bus, bed(unit="imc-1"), BEDS, 1, 1)
    assert view.beds("icu-3") == []
    assert [b.bed.bed_stream for b in view.beds("imc-1")] == ["icu-3/07"]
    assert view.units() == ["icu-3", "imc-1"]  # the first one's history is there still


async def test_the_trend_of_a_bed_has_one_point_in_half_a_minute(bus: AlertBus, plain: redis.Redis) -> None:
    # Given heart rates of 72 s: 70 to 99 in the first period, one of 40 among them, none in the second
    rates = [40.0 if k == 10 else 70.0 + k for k in range(30)] + [None] * 30 + [80.0] * 12
    start_s = ns_of_time(ONSET) // 10**9 // 30 * 30
    for k, hr in enumerate(rates):
        at = time_of_ns((start_s + k) * 10**9)
        await publish_vitals(bus, vitals(at=at, hr=hr, pvc_per_min=3.0, st={"II": -0.12}), VITALS, k)
    # Then each finished period has its lowest and highest rate, with the values at its end
    points = [fields for _, fields in plain.xrange("ecg:{main}:trend:icu-3/07")]
    assert [(p["hr"], p["hr_min"], p["hr_max"]) for p in points] == [("", "40", "99"), ("80", "", "")]
    assert (points[0]["pvc"], json.loads(points[0]["st"]), points[0]["rhythm"]) == ("3", {"II": -0.12}, "N")
    assert int(points[0]["at"]) == (start_s + 30) * 1000
    # And it is gone a day after the last point
    assert 24 * 3600 < plain.ttl("ecg:{main}:trend:icu-3/07") <= 25 * 3600


async def test_old_entries_of_the_stream_are_trimmed_by_age(redis_url: str, plain: redis.Redis) -> None:
    client = Redis.from_url(redis_url)
    bus = AlertBus(client)
    for k in range(250):  # trimming is by whole nodes of 100 entries
        plain.xadd("ecg:{main}:alerts:icu-3", {"id": f"old{k}"}, id=f"{k + 1}-0")
    await publish_alert(bus, alert(), ALERTS, 0, 1)
    left = [fields["id"] for _, fields in plain.xrange("ecg:{main}:alerts:icu-3")]
    assert left[-1] == alert().id
    assert len(left) <= 100
    await client.aclose()


async def test_scripts_that_were_flushed_are_loaded_again(bus: AlertBus, plain: redis.Redis) -> None:
    await publish_alert(bus, alert(1), ALERTS, 0, 1)
    plain.script_flush()
    assert await publish_alert(bus, alert(2), ALERTS, 1, 1) is PublishOutcome.APPLIED


async def test_a_redis_that_was_rolled_back_is_noticed_and_filled_again(bus: AlertBus, plain: redis.Redis) -> None:
    log = [alert(version) for version in (1, 2, 3, 4)]
    await publish_alert(bus, log[0], ALERTS, 0, 1)
    held = plain.hgetall("ecg:{main}:alert:" + log[0].id)
    await publish_alert(bus, log[1], ALERTS, 1, 1)
    await publish_alert(bus, log[2], ALERTS, 2, 1)
    plain.hset("ecg:{main}:offsets", ALERTS, "0")  # as a replica with a lag takes over
    plain.hset("ecg:{main}:alert:" + log[0].id, mapping=held)
    with pytest.raises(RolledBack, match=r"ecg\.alerts/2 up to offset 0, but 2 was applied before") as rolled_back:
        await publish_alert(bus, log[3], ALERTS, 3, 1)
    assert (rolled_back.value.offset, plain.hget("ecg:{main}:alert:" + log[0].id, "version")) == (0, "1")
    start = (await bus.applied_offsets())[ALERTS] + 1
    for offset in range(start, 4):
        assert await publish_alert(bus, log[offset], ALERTS, offset, 1) is PublishOutcome.APPLIED
    assert plain.hget("ecg:{main}:alert:" + log[0].id, "version") == "4"


async def test_an_empty_redis_is_filled_from_the_beginning(bus: AlertBus, plain: redis.Redis) -> None:
    await publish_alert(bus, alert(1), ALERTS, 5, 1)
    plain.flushall()
    with pytest.raises(RolledBack) as rolled_back:
        await publish_alert(bus, alert(2), ALERTS, 6, 1)
    assert rolled_back.value.offset == -1
    assert await bus.applied_offsets() == {}


async def test_a_log_that_was_replaced_starts_anew(bus: AlertBus) -> None:
    await publish_alert(bus, alert(1), ALERTS, 900, 12)
    await bus.reset(ALERTS)
    assert await publish_alert(bus, alert(2), ALERTS, 0, 1) is PublishOutcome.APPLIED


async def test_open_alerts_are_read_back_whole(bus: AlertBus, view: WardView) -> None:
    await publish_alert(bus, alert(1), ALERTS, 0, 1)
    assert view.open_alerts("icu-3") == [alert(1)]
    assert view.alert("nobody") is None
    assert view.bed("nobody") is None


def test_all_keys_of_a_site_share_one_slot() -> None:
    keys = Keys("main")
    names = [keys.alerts("a"), keys.alert("b"), keys.active("c"), keys.strip("d"), keys.bed("e/{f}"), keys.beds("g")]
    slots = {key_slot(name.encode()) for name in [*names, keys.actions, keys.offsets, keys.generations]}
    assert slots == {key_slot(b"main")}


async def test_the_script_runs_on_a_cluster(tmp_path: Path) -> None:
    with LocalRedis(tmp_path, None, "--cluster-enabled", "yes", "--cluster-port", str(free_port())) as server:
        _cover_all_slots(server)
        client = RedisCluster.from_url(f"redis://{server.address}")
        bus = AlertBus(client)
        assert await publish_bed(bus, bed(), BEDS, 0, 1) is PublishOutcome.APPLIED
        assert await publish_bed(bus, bed(unit="imc-1"), BEDS, 1, 1) is PublishOutcome.APPLIED
        assert await publish_vitals(bus, vitals(), VITALS, 0) is PublishOutcome.APPLIED
        assert await publish_strip(bus, "x", b"1", STRIPS, 0, NOW_MS) is PublishOutcome.APPLIED
        assert await publish_alert(bus, alert(), ALERTS, 0, 1) is PublishOutcome.APPLIED
        assert await bus.applied_offsets() == {BEDS: 1, VITALS: 0, STRIPS: 0, ALERTS: 0}
        await client.aclose()


def _cover_all_slots(server: LocalServer) -> None:
    client = redis.Redis.from_url(f"redis://{server.address}/0")
    client.execute_command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
    while True:  # the node takes a while to report a whole cluster
        with contextlib.suppress(ClusterDownError):
            client.get("any")
            break
    client.close()


def _everything(plain: redis.Redis) -> dict[str, object]:
    out: dict[str, object] = {}
    for key in plain.keys("*"):
        match plain.type(key):
            case "hash":
                out[key] = plain.hgetall(key)
            case "zset":
                out[key] = plain.zrange(key, 0, -1, withscores=True)
            case "set":
                out[key] = plain.smembers(key)
            case "stream":
                out[key] = plain.xrange(key)
    return out

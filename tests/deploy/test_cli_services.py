"""The commands that speak to Kafka and Redis: what they print, what they leave there, how they end."""

from __future__ import annotations

import json

import pytest
import redis

from streams.alert import Alert
from tests.conftest import Broker
from tests.deploy.command import DONE, FAILED, MISSING, WRONG_USE, gem_bedside
from tests.station.ward import BED, WardInRedis

NOBODY = "127.0.0.1:1"  # a port on which nobody listens


@pytest.fixture
def ward(redis_url: str) -> WardInRedis:
    """A bed with an open asystole, as the publisher writes it."""
    ward = WardInRedis(redis_url)
    ward.bed()
    ward.vitals(72.0)
    ward.alert()
    return ward


def test_topics_creates_then_checks_and_rejects_another_partition_count(tansu: Broker, topic_prefix: str) -> None:
    settings = {"kafka": tansu.address, "topic_prefix": topic_prefix, "partitions": 3}
    first = gem_bedside("topics", "--json", **settings)
    assert first.status == DONE, first.err
    assert {line["topic"] for line in first.lines} >= {f"{topic_prefix}windows", f"{topic_prefix}dead-letter"}
    assert all(line["created"] and line["partitions"] == 3 for line in first.lines)
    again = gem_bedside("topics", "--json", **settings)
    assert not any(line["created"] for line in again.lines)
    other = gem_bedside("topics", "--json", **settings | {"partitions": 4})
    assert (other.status, other.out) == (FAILED, "")
    assert "must have 4 partitions" in other.err


@pytest.mark.parametrize("command", [("topics",), ("replay", __file__, "--bed", "icu-1/01")])
def test_kafka_that_is_not_there_is_status_3(command: tuple[str, ...], redis_url: str) -> None:
    ran = gem_bedside(*command, kafka=NOBODY, redis=redis_url)
    assert ran.status == MISSING
    assert NOBODY in ran.err


@pytest.mark.parametrize("command", [("alerts", "list"), ("beds", "list"), ("alerts", "ack", "4f1c", "--by", "rn-12")])
def test_redis_that_is_not_there_is_status_3(command: tuple[str, ...]) -> None:
    ran = gem_bedside(*command, redis=f"redis://{NOBODY}/0")
    assert ran.status == MISSING
    assert NOBODY in ran.err


def test_alerts_list_prints_the_open_ones_as_documents(ward: WardInRedis) -> None:
    ran = gem_bedside("alerts", "list", "--json", redis=ward.url)
    assert ran.status == DONE
    (line,) = ran.out.splitlines()
    alert = Alert.from_json(line)
    assert (alert.code, alert.version, alert.bed_stream) == ("ASYSTOLE", 1, BED)
    # And when it is off, it is listed with --all alone
    ward.alert(2, state="off", phase="end", sounding=False)
    assert gem_bedside("alerts", "list", "--json", redis=ward.url).out == ""
    assert [line["state"] for line in gem_bedside("alerts", "list", "--all", "--json", redis=ward.url).lines] == ["off"]


def test_alerts_tail_prints_every_version_in_order(ward: WardInRedis) -> None:
    ward.alert(2)
    ran = gem_bedside("alerts", "tail", "--from-start", "--count", 2, "--json", redis=ward.url)
    assert [(line["version"], line["phase"]) for line in ran.lines] == [(1, "start"), (2, "update")]


def test_ack_puts_the_action_into_the_inbox_and_says_that_nobody_took_it(ward: WardInRedis) -> None:
    identity = gem_bedside("alerts", "list", "--json", redis=ward.url).lines[0]["id"]
    ran = gem_bedside("alerts", "ack", identity[:8], "--by", "rn-12", "--json", redis=ward.url)
    assert ran.status == DONE
    (line,) = ran.lines
    assert (line["action"], line["alert_id"], line["by"], line["applied"]) == ("acknowledge", identity, "rn-12", False)
    ((_, fields),) = redis.Redis.from_url(ward.url, decode_responses=True).xrange("ecg:{main}:actions")
    assert json.loads(fields["doc"])["id"] == line["id"]
    assert gem_bedside("alerts", "ack", "ffff", "--by", "rn-12", redis=ward.url).status == FAILED
    assert gem_bedside("alerts", "ack", identity, redis=ward.url).status == WRONG_USE  # --by is missing


def test_beds_list_and_actions_on_beds(ward: WardInRedis) -> None:
    (bed,) = gem_bedside("beds", "list", "--json", redis=ward.url).lines
    assert (bed["bed_stream"], bed["status"], bed["vitals"]["hr"]) == (BED, "monitored", 72.0)
    unknown = gem_bedside("beds", "standby", "icu-9/99", "--by", "rn-12", redis=ward.url)
    assert (unknown.status, "no bed icu-9/99" in unknown.err) == (FAILED, True)
    rejected = gem_bedside("beds", "limits", BED, "ASYSTOLE", "--off", "--by", "rn-12", redis=ward.url)
    assert (rejected.status, "rejected" in rejected.err) == (FAILED, True)
    assert gem_bedside("beds", "limits", BED, "BRADY", "--by", "rn-12", redis=ward.url).status == WRONG_USE
    (set_,) = gem_bedside("beds", "limits", BED, "brady", "--rate", 45, "--by", "rn-12", "--json", redis=ward.url).lines
    assert set_["args"] == {"BRADY": {"rate": 45.0}}


def test_doctor_names_each_check_and_says_when_weights_are_random(redis_url: str, tansu: Broker) -> None:
    ran = gem_bedside("doctor", "--json", redis=redis_url, kafka=tansu.address)
    (answer,) = ran.lines
    assert answer.keys() == {"ok", "checks"}
    checks = {check["name"]: check for check in answer["checks"]}
    names = {"python", "packages", "kafka", "redis", "onnxruntime", "encoder", "gem", "disk", "clock"}
    assert checks.keys() == names
    assert all(check.keys() == {"name", "ok", "detail"} for check in answer["checks"])
    assert answer["ok"] == all(check["ok"] for check in answer["checks"])
    assert ran.status == (DONE if answer["ok"] else FAILED)
    assert tansu.address in checks["kafka"]["detail"]
    assert "trained" in checks["encoder"]["detail"] or "RANDOM" in checks["encoder"]["detail"]

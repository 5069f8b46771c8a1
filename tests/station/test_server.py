"""The station's server: events, strips, actions, and rejected requests."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import datetime
from itertools import islice

import httpx
import numpy as np
import pytest
import redis

from tests.station.conftest import serving
from tests.station.ward import BED, NASTY, WardInRedis, asystole

OURS = {"Content-Type": "application/json", "X-Station": "1"}


def _events(url: str) -> Iterator[tuple[str, dict[str, object]]]:
    """Kind and data of each event of a new browser."""
    with httpx.stream("GET", f"{url}/events", timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        for line in lines:
            if line.startswith("event: "):
                yield line.removeprefix("event: "), json.loads(next(lines).removeprefix("data: "))


def _first_event(url: str, kind: str) -> dict[str, object]:
    return next(data for received, data in _events(url) if received == kind)


def test_a_new_browser_gets_a_snapshot_of_the_site(station_url: str, ward: WardInRedis) -> None:
    ward.bed()
    ward.vitals(72.0)
    ward.alert()
    snapshot = _first_event(station_url, "snapshot")
    assert snapshot.keys() == {"at", "sites", "beds", "vitals", "alerts", "unreadable"}
    assert snapshot["sites"] == [{"site": "main", "units": ["icu-3"]}]
    (alert,) = snapshot["alerts"]  # type: ignore[misc]
    assert (alert["code"], alert["title"]) == ("ASYSTOLE", f"Asystole {NASTY}")  # the page escapes it
    assert [bed["bed_stream"] for bed in snapshot["beds"]] == [BED]  # type: ignore[attr-defined]


def test_a_beat_comes_on_a_clock_while_nothing_else_does(station_url: str, ward: WardInRedis) -> None:
    received = list(islice(_events(station_url), 4))
    assert [kind for kind, _ in received] == ["snapshot", "beat", "beat", "beat"]
    times = [datetime.fromisoformat(str(data["at"])) for _, data in received]
    assert times == sorted(times)
    assert received[-1][1]["redis_lost"] is None


def test_the_beat_comes_while_vitals_are_sent_every_second(station_url: str, ward: WardInRedis) -> None:
    # Given a bed whose vitals arrive at 1 Hz
    ward.bed()
    with ward.vitals_every_second():
        # When a browser has received five of them
        received: list[str] = []
        for kind, _ in _events(station_url):
            received.append(kind)
            if received.count("vitals") == 5:
                break
    # Then it has received as many beats
    assert received.count("beat") >= 4


def test_a_strip_is_served_as_integers_with_their_microvolts(station_url: str, ward: WardInRedis) -> None:
    ward.strip()
    ward.alert()
    strip = httpx.get(f"{station_url}/api/strips/{asystole(ward.start).id}").json()
    units = np.frombuffer(base64.b64decode(strip["samples"]), "<i2").reshape(len(strip["leads"]), strip["n_samples"])
    mv = units * np.array(strip["lsb_uv"])[:, None] / 1000
    assert (strip["leads"], strip["sampling_rate"], strip["n_samples"]) == (["II", "V1"], 250.0, 2500)
    assert mv[0, 200] == pytest.approx(1.0, abs=0.05)
    assert httpx.get(f"{station_url}/api/strips/{'0' * 32}").status_code == 404
    assert httpx.get(f"{station_url}/api/strips/..%2f..%2fetc").status_code == 404


def test_an_action_from_the_page_reaches_the_inbox_once_written(station_url: str, ward: WardInRedis) -> None:
    ward.bed()
    body = {"id": "a-1", "action": "silence", "bed_stream": BED, "by": "rn-12", "args": {"seconds": 120}}
    answer = httpx.post(f"{station_url}/api/actions", json=body, headers=OURS)
    assert (answer.status_code, answer.json()["id"], answer.json()["by"]) == (202, "a-1", "rn-12")
    ((_, fields),) = redis.Redis.from_url(ward.url, decode_responses=True).xrange("ecg:{main}:actions")
    action = json.loads(fields["doc"])
    assert (action["action"], action["by"], action["args"]) == ("silence", "rn-12", {"seconds": 120})
    assert action["at"].endswith("Z")


@pytest.mark.parametrize(
    ("change", "headers", "status"),
    [
        ({}, {"Content-Type": "application/json"}, 403),  # a form of another page cannot set our header
        ({}, OURS | {"Origin": "http://evil.example"}, 403),
        ({}, {"Content-Type": "text/plain", "X-Station": "1"}, 403),
        ({"action": "reboot"}, OURS, 422),
        ({"by": "  "}, OURS, 422),
        ({"by": "dr house; drop"}, OURS, 422),
        ({"by": "x" * 9000}, OURS, 413),
        ({"alert_id": None}, OURS, 422),
        ({"alert_id": "0" * 32}, OURS, 404),
        ({"bed_stream": "icu-9/99"}, OURS, 404),
        ({"action": "silence", "args": {"seconds": 99_999}}, OURS, 422),
        ({"action": "silence", "args": {"seconds": -1}}, OURS, 422),
        ({"action": "discharge", "args": {"why": "none"}}, OURS, 422),
        ({"action": "admit", "args": {}}, OURS, 422),
        ({"site": "other"}, OURS, 404),
    ],
)
def test_actions_that_cannot_be_taken_are_rejected_with_the_reason(
    change: dict[str, object], headers: dict[str, str], status: int, station_url: str, ward: WardInRedis
) -> None:
    ward.bed()
    alert = ward.alert()
    body = {"id": "a-1", "action": "acknowledge", "bed_stream": BED, "alert_id": alert.id, "by": "rn-12"} | change
    answer = httpx.post(f"{station_url}/api/actions", content=json.dumps(body), headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json().keys() == {"error"}
    assert redis.Redis.from_url(ward.url).xlen("ecg:{main}:actions") == 0


def test_a_second_acknowledgement_is_told_who_was_first(station_url: str, ward: WardInRedis) -> None:
    ward.bed()
    first = {"at": "2026-11-22T22:11:00Z", "by": "rn-44"}
    alert = ward.alert(2, state="acknowledged", sounding=False, acknowledged=first)
    body = {"id": "a-1", "action": "acknowledge", "bed_stream": BED, "alert_id": alert.id, "by": "rn-12"}
    answer = httpx.post(f"{station_url}/api/actions", json=body, headers=OURS)
    assert answer.status_code == 409
    assert answer.json()["acknowledged"]["by"] == "rn-44"
    assert "rn-44" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/page/base.css", "/report", "/healthz", "/readyz"])
def test_no_file_of_the_page_loads_anything_from_another_origin(path: str, station_url: str) -> None:
    answer = httpx.get(station_url + path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in answer.text


def test_without_redis_the_page_is_still_served_and_its_feed_says_so() -> None:
    # Given a station whose Redis cannot be reached
    with serving("redis://127.0.0.1:1/0") as url:
        # Then the probe does not take the station away, and each page is told
        assert httpx.get(f"{url}/").status_code == 200
        while "Redis is lost" not in (answer := httpx.get(f"{url}/readyz")).text:  # the test's time limit ends it
            assert answer.status_code == 200
        assert answer.status_code == 200
        assert httpx.get(f"{url}/api/strips/{'0' * 32}").status_code == 503
        assert _first_event(url, "beat")["redis_lost"]


def test_garbage_in_redis_and_a_lost_stream_end_no_feed(station_url: str, ward: WardInRedis, redis_url: str) -> None:
    # Given a browser, and a site whose Redis holds documents that nobody can read
    client = redis.Redis.from_url(redis_url)
    stream = "ecg:{main}:alerts:icu-3"
    ward.bed()
    client.sadd("ecg:{main}:beds:icu-3", "icu-3/99")
    client.hset("ecg:{main}:bed:icu-3/99", "doc", b"\xff{")
    client.xadd(stream, {"doc": b"{}"}, id="99999999999999-0")  # of a Redis whose clock was ahead
    events = _events(station_url)
    kind, snapshot = next(events)
    # Then the snapshot says which document cannot be read
    assert kind == "snapshot"
    (fault,) = snapshot["unreadable"]  # type: ignore[misc]
    assert (fault["kind"], fault["name"]) == ("bed", "icu-3/99")
    # When garbage is published and appended, then the stream is lost, and one alert arrives with a lower id
    client.publish("ecg:{main}:live:icu-3", b"\xff no JSON")
    client.publish("ecg:{main}:live:icu-3", b"[]")
    client.xadd(stream, {"doc": b"\xff"}, id="99999999999999-1")
    client.xadd(stream, {b"\xff\xfe": b"\xfd"}, id="99999999999999-2")
    client.delete(stream)
    ward.alert()
    # Then the browser gets it, and vitals too
    received = set()
    for kind, data in events:
        received.add(kind if kind != "alert" else data["code"])
        if kind == "alert":
            ward.vitals(72.0)
        if {"ASYSTOLE", "vitals"} <= received:
            break

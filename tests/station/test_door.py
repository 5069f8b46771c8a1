"""The station's door on a real server: hosts, logins, roles, bodies, connections, rates, and the audit of it all."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import redis

from station.access import StationAccess
from station.door import DoorLimits, Rate, allowed_hosts
from station.people import COOKIE, Doorkeeper
from station.tokens import TokenKeys
from streams.audit import read_entries
from tests.station.conftest import serving
from tests.station.ward import BED, WardInRedis

OURS = {"Content-Type": "application/json", "X-Station": "1"}
ROLES = {"rn-12": {"icu-3": "nurse"}, "dr-1": {"*": "admin"}, "guest": {"icu-3": "viewer"}, "rn-9": {"icu-9": "nurse"}}
ACK = {"id": "a-1", "action": "acknowledge", "bed_stream": BED, "alert_id": "x", "by": "dr-house"}


def behind_a_proxy(limits: DoorLimits | None = None) -> StationAccess:
    keeper = Doorkeeper("proxy", ROLES, "127.0.0.1")
    return StationAccess(keeper, allowed_hosts("127.0.0.1", "ward.example"), limits or DoorLimits())


def as_(name: str) -> dict[str, str]:
    return OURS | {"X-Forwarded-User": name}


def audit(ward: WardInRedis) -> list[dict[str, str]]:
    return list(read_entries(redis.Redis.from_url(ward.url), "main"))


def inbox(ward: WardInRedis) -> list[dict[str, Any]]:
    entries = redis.Redis.from_url(ward.url, decode_responses=True).xrange("ecg:{main}:actions")
    return [json.loads(fields["doc"]) for _, fields in entries]


def test_by_is_who_logged_in_whatever_the_body_says(redis_url: str, ward: WardInRedis) -> None:
    ward.bed()
    ack = ACK | {"alert_id": ward.alert().id}
    with serving(redis_url, behind_a_proxy()) as url:
        answer = httpx.post(f"{url}/api/actions", json=ack | {"at": "2001-01-01T00:00:00Z"}, headers=as_("rn-12"))
    assert (answer.status_code, answer.json()["by"]) == (202, "rn-12")
    (action,) = inbox(ward)
    assert action["by"] == "rn-12" and action["at"].startswith("20") and not action["at"].startswith("2001")
    (entry,) = audit(ward)
    assert (entry["event"], entry["who"], entry["role"], entry["action"]) == ("action", "rn-12", "nurse", "acknowledge")
    assert (entry["bed_stream"], entry["id"], entry["from"], entry["via"]) == (BED, "a-1", "127.0.0.1", "station")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (OURS, 401),
        (as_("mallory"), 401),
        (as_("guest"), 403),  # sees the unit, and does not act
        (as_("rn-9"), 403),  # acts in another unit
        (as_("rn-12") | {"Host": "evil.example"}, 403),
        (as_("rn-12") | {"Origin": "http://evil.example"}, 403),
        ({"X-Forwarded-User": "rn-12", "Content-Type": "application/json"}, 403),
    ],
)
def test_nobody_acts_without_the_role(headers: dict[str, str], status: int, redis_url: str, ward: WardInRedis) -> None:
    ward.bed()
    with serving(redis_url, behind_a_proxy()) as url:
        answer = httpx.post(f"{url}/api/actions", json=ACK, headers=headers)
        assert answer.status_code == status
        assert answer.json().keys() <= {"error", "auth"}
    assert inbox(ward) == []
    assert all(entry["event"] == "refused" and entry["reason"] for entry in audit(ward))


def test_limits_are_an_admins(redis_url: str, ward: WardInRedis) -> None:
    ward.bed()
    change = {"id": "a-2", "action": "limits", "bed_stream": BED, "args": {"BRADY": {"rate": 45}}}
    with serving(redis_url, behind_a_proxy()) as url:
        assert httpx.post(f"{url}/api/actions", json=change, headers=as_("rn-12")).status_code == 403
        for code, parts in (("BRADY", {"rate": 5}), ("ASYSTOLE", {"on": False}), ("NO_SUCH", {"on": False})):
            wrong = httpx.post(f"{url}/api/actions", json=change | {"args": {code: parts}}, headers=as_("dr-1"))
            assert (wrong.status_code, wrong.json().keys()) == (422, {"error"})
        assert httpx.post(f"{url}/api/actions", json=change, headers=as_("dr-1")).status_code == 202
    assert [(entry["event"], entry["who"]) for entry in audit(ward)] == [("refused", "rn-12"), ("action", "dr-1")]


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/events", "/api/strips/" + "0" * 32])
def test_nothing_is_shown_to_who_is_not_logged_in(path: str, redis_url: str) -> None:
    with serving(redis_url, behind_a_proxy()) as url:
        assert httpx.get(url + path).status_code == 401
        assert httpx.get(url + path, headers={"Host": "evil.example"}).status_code == 403
        assert httpx.get(url + "/healthz", headers={"Host": "evil.example"}).status_code == 200
        assert httpx.get(url + "/", headers=as_("guest") | {"Host": "ward.example:8443"}).status_code == 200


@pytest.fixture
def with_tokens(redis_url: str, tmp_path: Path) -> Iterator[tuple[str, TokenKeys]]:
    file = tmp_path / "keys"
    file.write_text("k" * 32)
    keys = TokenKeys(file)
    with serving(redis_url, StationAccess(Doorkeeper("token", ROLES, keys=keys))) as url:
        yield url, keys


def test_a_token_becomes_a_cookie_that_no_script_can_read(
    with_tokens: tuple[str, TokenKeys], ward: WardInRedis
) -> None:
    url, keys = with_tokens
    ward.bed()
    with httpx.Client(base_url=url, headers=OURS) as browser:
        assert browser.get("/").status_code == 200  # the page holds no data
        assert browser.get("/events").status_code == 401
        assert browser.get("/api/login").json() == {"auth": "token", "user": None, "roles": {}, "expires": None}
        assert browser.post("/api/login", json={"token": "x.y.z"}).status_code == 401
        token = keys.signed("rn-12", [], hours=1)
        assert browser.post("/api/login", json={"token": token}, headers={"X-Station": "0"}).status_code == 403
        answer = browser.post("/api/login", json={"token": token})
        assert (answer.status_code, answer.json()["user"]) == (200, "rn-12")
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith(f"{COOKIE}=") and "HttpOnly" in cookie and "SameSite=strict" in cookie
        assert browser.get("/api/login").json()["roles"] == {"icu-3": "nurse"}
        ack = ACK | {"alert_id": ward.alert().id}
        assert browser.post("/api/actions", json=ack).json()["by"] == "rn-12"
        assert browser.post("/api/logout").status_code == 200
        assert browser.post("/api/actions", json=ACK).status_code == 401
    entries = audit(ward)
    assert [entry["event"] for entry in entries] == ["refused", "login", "action", "logout", "refused"]
    assert token not in json.dumps(entries)


def test_an_event_stream_ends_with_its_login(with_tokens: tuple[str, TokenKeys]) -> None:
    url, keys = with_tokens
    token = keys.signed("rn-12", [], hours=2.5 / 3600)
    began = time.monotonic()
    with httpx.stream("GET", f"{url}/events", headers={"Authorization": f"Bearer {token}"}, timeout=60) as answer:
        assert answer.status_code == 200
        received = list(answer.iter_lines())
    assert received and time.monotonic() - began < 30


def test_the_demos_station_works_as_before_and_says_that_nobody_is_logged_in(
    station_url: str, ward: WardInRedis
) -> None:
    ward.bed()
    assert httpx.get(f"{station_url}/api/login").json() == {
        "auth": "none", "user": None, "roles": {"*": "nurse"}, "expires": None,
    }  # fmt: skip
    ack = ACK | {"alert_id": ward.alert().id}
    answer = httpx.post(f"{station_url}/api/actions", json=ack, headers=OURS | {"X-Forwarded-User": "spoofed"})
    assert (answer.status_code, answer.json()["by"]) == (202, "dr-house")
    (entry,) = audit(ward)
    assert entry.get("who", "") == "" and entry["by"] == "dr-house"


# ---- limits --------------------------------------------------------------------------------------------------------


def raw(url: str) -> socket.socket:
    place = urlsplit(url)
    assert place.hostname is not None and place.port is not None
    return socket.create_connection((place.hostname, place.port), timeout=30)


def closed_by_the_server(connection: socket.socket) -> bool:
    """Waits for the end of the connection."""
    with contextlib.suppress(ConnectionError):
        while connection.recv(65536):
            pass
    return True


def test_a_body_is_refused_by_its_announced_size_and_while_it_arrives(station_url: str) -> None:
    head = "POST /api/actions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nX-Station: 1\r\n"
    for announced in (
        "Content-Length: 400000000\r\n\r\n",
        "Content-Length: -1\r\n\r\n",
        "Content-Length: 8193\r\n\r\n",
    ):
        with raw(station_url) as connection:
            connection.sendall((head + announced).encode())
            assert connection.recv(100).startswith((b"HTTP/1.1 413", b"HTTP/1.1 400"))  # before any byte of the body
            assert closed_by_the_server(connection)
    # Without a length: chunks, refused when there are more than allowed
    with raw(station_url) as connection:
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        sent = 0
        with contextlib.suppress(ConnectionError):
            for _ in range(4096):
                connection.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                sent += 65536
        assert sent < 64_000_000
    assert httpx.get(f"{station_url}/healthz").status_code == 200


def test_a_request_that_is_half_sent_is_closed(redis_url: str) -> None:
    with serving(redis_url, header_s=0.5) as url:
        silent, half, second = raw(url), raw(url), raw(url)
        half.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Sl")
        second.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert second.recv(4096).startswith(b"HTTP/1.1 200")
        second.sendall(b"GET /healthz HTTP/1.1\r\n")  # the next request on the same connection
        for connection in (silent, half, second):
            assert closed_by_the_server(connection)
            connection.close()


def test_connections_over_the_limit_are_closed_and_the_others_served(redis_url: str) -> None:
    with serving(redis_url, StationAccess(connections=20)) as url:
        opened = [raw(url) for _ in range(60)]
        closed = 0
        for connection in opened:
            connection.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                closed += closed_by_the_server(connection)
        assert closed >= 40
        for connection in opened:
            connection.close()
        deadline = time.monotonic() + 30
        while True:  # the server notices that they are gone
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{url}/healthz").status_code == 200:
                    break
            assert time.monotonic() < deadline


def test_event_streams_requests_and_actions_of_one_person_are_limited(redis_url: str, ward: WardInRedis) -> None:
    ward.bed()
    with serving(redis_url, behind_a_proxy(DoorLimits(requests=6, actions=1, feeds=2))) as url:
        with (
            httpx.stream("GET", f"{url}/events", headers=as_("guest")) as a,
            httpx.stream("GET", f"{url}/events", headers=as_("guest")) as b,
        ):
            assert a.status_code == b.status_code == 200
            assert httpx.get(f"{url}/events", headers=as_("guest")).status_code == 429
            with httpx.stream("GET", f"{url}/events", headers=as_("rn-12")) as other:
                assert other.status_code == 200
        pause = {"action": "silence", "bed_stream": BED, "args": {"seconds": 60}}
        statuses = [
            httpx.post(f"{url}/api/actions", json=pause | {"id": f"a{k}"}, headers=as_("rn-12")).status_code
            for k in range(2)
        ]
        assert statuses == [202, 429]
        for _ in range(100):  # a slow machine earns some while it asks
            answer = httpx.get(f"{url}/", headers=as_("dr-1"))
            if answer.status_code == 429:
                break
        assert int(answer.headers["retry-after"]) >= 1
        assert httpx.get(f"{url}/", headers=as_("rn-12")).status_code == 200  # another person is not affected


def test_a_rate_is_a_minutes_worth_at_once_then_even() -> None:
    now = [0.0]
    rate = Rate(60, lambda: now[0])
    assert [rate.wait_s("a") for _ in range(60)] == [0.0] * 60
    assert rate.wait_s("a") == pytest.approx(1.0)
    assert rate.wait_s("b") == 0.0
    now[0] = 1.0
    assert rate.wait_s("a") == 0.0 and rate.wait_s("a") > 0

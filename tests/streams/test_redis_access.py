"""Access to Redis: TLS with a private authority, ACL users with least privilege, passwords that rotate and are not
printed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import redis
import redis.asyncio as aioredis

from deploy.doctor import check_redis
from deploy.local import LocalRedis
from streams.access import redis_rules
from streams.keys import Keys
from streams.redis_access import RedisAccess
from streams.tls import TlsFiles
from tests.certificates import Authority
from tests.deploy.command import MISSING, gem_bedside
from tests.secured_redis import SecuredRedis
from tests.station.conftest import serving
from tests.station.ward import BED, WardInRedis

SECRET = "s3cret-of-the-ward"


@pytest.mark.parametrize(
    "values",
    [
        {"url": "http://127.0.0.1"},
        {"url": "redis://:x@127.0.0.1", "password_file": Path("p")},
        {"url": "redis://127.0.0.1", "username": "station"},
        {"url": "redis://127.0.0.1", "tls": TlsFiles(ca=Path("ca.pem"))},
        {"url": "rediss://127.0.0.1?ssl_cert_reqs=none"},
    ],
)
def test_an_access_that_does_not_fit_together_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="Redis"):
        RedisAccess(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "command", [("alerts", "list"), ("beds", "list"), ("alerts", "ack", "4f1c", "--by", "rn-12"), ("doctor", "--json")]
)
def test_no_command_prints_the_password_of_a_url(command: tuple[str, ...]) -> None:
    ran = gem_bedside(*command, redis=f"redis://ward:{SECRET}@127.0.0.1:1/0", kafka="127.0.0.1:1")
    assert SECRET not in ran.out + ran.err
    assert "redis://127.0.0.1:1/0" in ran.out + ran.err
    if command[0] != "doctor":
        assert ran.status == MISSING


def test_a_secret_in_the_environment_or_in_both_places_is_refused_without_being_printed(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(SECRET)
    for settings in (
        {"kafka_sasl_password": SECRET},
        {"redis": f"redis://:{SECRET}@127.0.0.1/0", "redis_password_file": file},
    ):
        ran = gem_bedside("beds", "list", **settings)
        assert ran.status == 2
        assert SECRET not in ran.out + ran.err
        assert "PASSWORD_FILE" in ran.err or "file" in ran.err


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRedis]:
    """Valkey with the ACL users of every program; the default user is off."""
    with LocalRedis(tmp_path_factory.mktemp("guarded")) as server:
        with redis.Redis.from_url(server.url) as admin:
            for program in ("publisher", "station", "operator", "reader"):
                admin.execute_command("ACL", "SETUSER", program, "reset", "on", f">{program}-{SECRET}",
                                      *redis_rules(program, "main"))  # type: ignore[no-untyped-call]  # fmt: skip
            admin.execute_command("ACL", "SETUSER", "admin", "on", ">admin", "~*", "&*", "+@all")  # type: ignore[no-untyped-call]
            admin.execute_command("ACL", "SETUSER", "default", "off")  # type: ignore[no-untyped-call]
        yield server


def login(server: LocalRedis, folder: Path, program: str) -> RedisAccess:
    file = folder / f"{program}.password"
    file.write_text(f"{program}-{SECRET}\n")
    return RedisAccess(server.url, program, file)


@pytest.mark.parametrize(
    ("program", "allowed", "forbidden"),
    [
        ("station",
         [("XADD", "ecg:{main}:actions", "*", "a", "b"), ("XADD", "ecg:{main}:audit", "*", "a", "b"),
          ("HGETALL", "ecg:{main}:bed:icu-3/07"), ("XREAD", "STREAMS", "ecg:{main}:alerts:icu-3", "0")],
         [("XRANGE", "ecg:{main}:audit", "-", "+"), ("DEL", "ecg:{main}:audit"),
          ("XTRIM", "ecg:{main}:audit", "MAXLEN", 0),
          ("XADD", "ecg:{main}:alerts:icu-3", "*", "a", "b"), ("HSET", "ecg:{main}:bed:icu-3/07", "doc", "x"),
          ("XRANGE", "ecg:{main}:actions", "-", "+"), ("HGETALL", "ecg:{other}:bed:icu-3/07"), ("FLUSHALL",),
          ("CONFIG", "GET", "*"), ("PUBLISH", "ecg:{main}:live:icu-3", "x"), ("KEYS", "*")]),
        ("publisher",
         [("HSET", "ecg:{main}:offsets", "a", "1"), ("XADD", "ecg:{main}:alerts:icu-3", "*", "a", "b")],
         [("XADD", "ecg:{main}:audit", "*", "a", "b"), ("HGETALL", "ecg:{other}:offsets"), ("FLUSHALL",),
          ("DEL", "ecg:{main}:alerts:icu-3"), ("CONFIG", "SET", "maxmemory", "1")]),
        ("operator",
         [("XRANGE", "ecg:{main}:audit", "-", "+"), ("XADD", "ecg:{main}:actions", "*", "a", "b")],
         [("DEL", "ecg:{main}:audit"), ("XTRIM", "ecg:{main}:audit", "MAXLEN", 0), ("FLUSHALL",)]),
        ("reader",
         [("XGROUP", "CREATE", "ecg:{main}:alerts:icu-3", "g", "0", "MKSTREAM")],
         [("HSET", "ecg:{main}:bed:icu-3/07", "doc", "x"), ("XADD", "ecg:{main}:audit", "*", "a", "b")]),
    ],
)  # fmt: skip
def test_each_program_may_do_its_own_work_and_nothing_else(
    program: str, allowed: list[tuple[object, ...]], forbidden: list[tuple[object, ...]], guarded: LocalRedis,
    tmp_path: Path,
) -> None:  # fmt: skip
    access = login(guarded, tmp_path, program)
    assert check_redis(_Settings(access)).ok  # type: ignore[arg-type]
    with access.client() as client:
        for command in allowed:
            client.execute_command(*command)  # type: ignore[no-untyped-call]
        for command in forbidden:
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command)  # type: ignore[no-untyped-call]


async def answered(client: aioredis.Redis) -> bool:
    """The client of asyncio reports a lost connection once, and connects anew at the next command."""
    with contextlib.suppress(redis.exceptions.ConnectionError):
        await client.ping()  # type: ignore[misc]
    return bool(await client.ping())  # type: ignore[misc]


class _Settings:
    def __init__(self, access: RedisAccess) -> None:
        self.redis_access = access


async def test_a_rotated_password_is_used_by_the_next_connection(guarded: LocalRedis, tmp_path: Path) -> None:
    # Given two clients that have logged in
    access = login(guarded, tmp_path, "station")
    with redis.Redis.from_url(guarded.url, username="admin", password="admin") as admin:
        blocking, waiting = access.client(), access.async_client()
        assert blocking.ping() and await waiting.ping()  # type: ignore[misc]
        # When the password changes in Redis and in the file, and Redis drops every connection of the user
        admin.execute_command("ACL", "SETUSER", "station", "resetpass", ">new-password")  # type: ignore[no-untyped-call]
        assert access.password_file is not None
        access.password_file.write_text("new-password")
        admin.client_kill_filter(user="station")
        # Then both log in again with the new one
        assert blocking.ping()
        assert await answered(waiting)
        # And a wrong one is a clear error, without the password
        access.password_file.write_text("wr0ng")
        found = check_redis(_Settings(access))  # type: ignore[arg-type]
        assert not found.ok and "REDIS_PASSWORD_FILE" in found.detail and "wr0ng" not in found.detail
        admin.execute_command("ACL", "SETUSER", "station", "resetpass", f">station-{SECRET}")  # type: ignore[no-untyped-call]
        blocking.close()
        await waiting.aclose()


async def test_redis_is_reached_over_tls_with_a_private_authority(tmp_path: Path) -> None:
    with SecuredRedis(tmp_path) as server:
        access = server.access("publisher")
        key = Keys("main").alerts("icu-3")
        with access.client() as client:
            assert client.xadd(key, {"a": "1"})
        waiting = access.async_client()
        assert await waiting.xadd(key, {"a": "2"})
        # A client that trusts another authority, and one without a certificate, get nowhere
        foreign = Authority(tmp_path / "foreign")
        for tls in (TlsFiles(foreign.ca, server.client.cert, server.client.key), server.authority.files()):
            other = replace(access, tls=tls)
            with pytest.raises(redis.exceptions.ConnectionError), other.client() as client:
                client.ping()
            assert not check_redis(_Settings(other)).ok  # type: ignore[arg-type]
        # And a client goes on when its certificate is replaced and the connection is lost
        server.client.replace(server.authority.issue("client-2"))
        with server.admin.client() as admin:
            admin.client_kill_filter(user="publisher")
        assert await answered(waiting)
        await asyncio.wait_for(waiting.aclose(), 10)


def test_the_station_runs_with_its_own_user(guarded: LocalRedis, tmp_path: Path) -> None:
    with redis.Redis.from_url(guarded.url, username="admin", password="admin") as admin:
        admin.delete("ecg:{main}:actions", "ecg:{main}:audit")
        WardInRedis(f"redis://admin:admin@{guarded.address}/0").bed()
        body = {"id": "a-1", "action": "standby", "bed_stream": BED, "by": "rn-12"}
        with serving(login(guarded, tmp_path, "station")) as url:
            with httpx.stream("GET", f"{url}/events", timeout=60) as answer:
                assert next(answer.iter_lines()) == "event: snapshot"
            sent = httpx.post(f"{url}/api/actions", json=body, headers={"X-Station": "1"})
            assert sent.status_code == 202, sent.text
            assert httpx.get(f"{url}/readyz").status_code == 200
        assert (admin.xlen("ecg:{main}:actions"), admin.xlen("ecg:{main}:audit")) == (1, 1)

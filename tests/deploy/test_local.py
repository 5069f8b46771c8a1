"""The embedded stack starts, answers, survives what it promises to survive, and leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import redis
from kafka import KafkaAdminClient

from deploy.local import LocalRedis, LocalServer, LocalStack, StartError


def test_the_stack_answers_on_loopback_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with LocalStack(tmp_path) as stack:
        pids = [server.process.pid for server in (stack.kafka, stack.redis) if server.process]
        for pid in pids:
            addresses = {c.laddr.ip for c in psutil.Process(pid).net_connections() if c.status == psutil.CONN_LISTEN}
            assert addresses == {"127.0.0.1"}
        with KafkaAdminClient(bootstrap_servers=stack.kafka.address) as admin:
            assert admin.list_topics() == []
        with redis.Redis.from_url(stack.redis.url) as client:
            assert client.ping()
        assert stack.environment["GEM_BEDSIDE_KAFKA"] == stack.kafka.address
    assert len(pids) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_redis_that_is_killed_comes_back_with_its_data(tmp_path: Path) -> None:
    with LocalRedis(tmp_path) as server:
        client = redis.Redis.from_url(server.url)
        client.set("bed", "07")
        time.sleep(1.3)  # the append-only file is flushed every second
        server.kill()
        server.start()
        assert client.get("bed") == b"07"


def test_a_paused_redis_is_silent_until_it_goes_on(tmp_path: Path) -> None:
    with LocalRedis(tmp_path) as server:
        client = redis.Redis.from_url(server.url, socket_timeout=0.3, retry=None)
        server.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        server.resume()
        assert redis.Redis.from_url(server.url).ping()
        server.pause()  # and it still ends when it is stopped


def test_a_server_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = (
        f"import time; from pathlib import Path; from deploy.local import LocalRedis\n"
        f"s = LocalRedis(Path({str(tmp_path)!r})).start(); print(s.process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert psutil.pid_exists(child)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 5
    while _alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _alive(child)


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    class Broken(LocalServer):
        def _answers(self) -> bool:
            return False

    server = Broken("broken", [sys.executable, "-c", "raise SystemExit('no such disk')"], 1, tmp_path)
    with pytest.raises(StartError, match="no such disk"):
        server.start()


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

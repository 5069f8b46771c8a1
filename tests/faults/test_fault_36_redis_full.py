"""Fault 36: Redis takes no writes (memory full, disk full, read-only). The publisher waits; no alert is set aside."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from tests.agents.signals import S, ecg, messages
from tests.agents.stack import Stack, until
from tests.conftest import Broker
from tests.history.faults import disk_full, memory_full
from tests.history.site import HistoryRedis

Full = Callable[[HistoryRedis, contextlib.ExitStack], None]


def read_only(server: HistoryRedis, undo: contextlib.ExitStack) -> None:
    """A fail-over left the publisher with a replica."""
    with redis.Redis.from_url(server.url) as client:
        client.replicaof("127.0.0.1", 1)

    def lead() -> None:
        with redis.Redis.from_url(server.url) as client:
            client.replicaof("NO", "ONE")

    undo.callback(lead)


@contextmanager
def during(full: Full, server: HistoryRedis) -> Iterator[None]:
    with contextlib.ExitStack() as undo:
        full(server, undo)
        yield


def test_a_redis_without_room_gets_every_alert_when_it_has_room_again(
    tansu: Broker, topic_prefix: str, tmp_path: Path
) -> None:
    faults: list[Full] = [memory_full, disk_full, read_only]
    silent = [(12.0 + 25 * k, 21.0 + 25 * k) for k in range(len(faults))]
    windows = messages(ecg(100, silent=silent, start_ns=time.time_ns() // S * S))
    with HistoryRedis(tmp_path / "redis") as server, Stack(tansu, server.url, topic_prefix, tmp_path) as stack:
        _monitor, publisher = stack.start("monitor", "publisher")
        stack.send([windows], 0, 10, a_second=6)
        for k, full in enumerate(faults):
            with during(full, server):
                stack.send([windows], 10 + 25 * k, 30 + 25 * k, a_second=6)  # an asystole begins and ends meanwhile
                until(lambda known=2 * k: publisher.text.count("Redis is away") > known, 30, "the publisher to wait")
            stack.send([windows], 30 + 25 * k, 35 + 25 * k, a_second=6)
            stack.drained()
            raised = [a.id for a in stack.published() if a.code == "ASYSTOLE" and a.version == 1]
            assert len(raised) == len(set(raised)) == k + 1, full.__name__
        assert publisher.process.poll() is None
        assert stack.dead_letters() == [], "no alert is set aside"


@pytest.mark.parametrize("text", ["WRONGTYPE Operation against a key", "ERR user_script:12: cjson"])
def test_an_error_of_a_document_is_not_waited_for(text: str) -> None:
    from agents.publisher.service import _of_redis

    assert not _of_redis(redis.ResponseError(text))

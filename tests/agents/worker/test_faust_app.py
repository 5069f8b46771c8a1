"""Options of a worker's consumers: fetches wait for more than one message, and who leads a partition is asked often."""

from __future__ import annotations

import subprocess
import sys

import pytest

from agents.settings import Settings
from agents.worker.faust_app import faust_app
from agents.worker.log_reader import METADATA_AGE_MS, plain_consumer

PROGRAM = """
import asyncio
import aiokafka
from agents.settings import Settings
from agents.worker.faust_app import FETCH_MAX_WAIT_MS, FETCH_MIN_BYTES, faust_app
async def main():
    faust_app(Settings(), "publisher")
    faust_app(Settings(), "monitor")
    own = aiokafka.AIOKafkaConsumer(partition_assignment_strategy=(), group_id="g", fetch_max_wait_ms=1500)
    assert (own._fetch_min_bytes, own._fetch_max_wait_ms) == (FETCH_MIN_BYTES, FETCH_MAX_WAIT_MS)
    beside = aiokafka.AIOKafkaConsumer(fetch_max_wait_ms=20)
    assert (beside._fetch_min_bytes, beside._fetch_max_wait_ms) == (1, 20)
asyncio.run(main())
"""


def test_the_apps_of_workers_share_fetches_and_no_other_consumer_does() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_partition_whose_leader_moved_is_asked_of_the_new_one_within_the_bound_of_an_alarm() -> None:
    app = faust_app(Settings(), "publisher")
    assert app.conf.consumer_metadata_max_age_ms == METADATA_AGE_MS <= 3000  # aiokafka's own: five minutes


async def test_so_it_is_of_the_consumers_beside_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}

    class Consumer:
        def __init__(self, **options: object) -> None:
            given.update(options)

        async def start(self) -> None: ...

        async def stop(self) -> None: ...

    monkeypatch.setattr("agents.worker.log_reader.AIOKafkaConsumer", Consumer)
    async with plain_consumer(Settings()):
        assert given["metadata_max_age_ms"] == METADATA_AGE_MS

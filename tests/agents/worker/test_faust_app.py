"""A worker's fetches wait for more than one message; consumers beside the app keep their own wait."""

from __future__ import annotations

import subprocess
import sys

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

"""Fault 37: a nurse station dies with alerts that it read and did not acknowledge. Another takes them over."""

from __future__ import annotations

import subprocess
import sys
import time

import redis
from redis.asyncio import Redis

from streams.alert_bus import AlertBus
from streams.consumer import AlertConsumer, Received
from tests.streams.documents import alert
from tests.streams.publishing import publish_alert

STATION = """
import sys, time, redis
from streams.consumer import AlertConsumer
station = AlertConsumer(redis.Redis.from_url(sys.argv[1]), "main", "icu-3", "desk", "desk-1")
got = station.read(block_s=5)
station.ack(got[0])
print(len(got), flush=True)
time.sleep(60)
"""


async def test_a_colleague_takes_over_what_a_killed_station_had_pending(redis_url: str) -> None:
    writer = Redis.from_url(redis_url)
    bus = AlertBus(writer)
    for version in (1, 2, 3):
        await publish_alert(bus, alert(version), "ecg.alerts/2", version, 1)
    dying = subprocess.Popen([sys.executable, "-c", STATION, redis_url], stdout=subprocess.PIPE, text=True)
    assert dying.stdout is not None
    assert dying.stdout.readline() == "3\n"
    dying.kill()
    dying.wait()

    colleague = AlertConsumer(redis.Redis.from_url(redis_url), "main", "icu-3", "desk", "desk-2")
    assert colleague.read(block_s=0.05) == []  # nothing new: all was given to the dead one
    assert colleague.reclaim(idle_s=30) == []  # and it may still be at it
    time.sleep(0.3)
    taken = colleague.reclaim(idle_s=0.2)
    assert [x.alert.version for x in taken if isinstance(x, Received)] == [2, 3]
    colleague.ack(*taken)
    assert colleague.reclaim(idle_s=0) == []

    await publish_alert(bus, alert(4), "ecg.alerts/2", 4, 1)
    await writer.aclose()
    again = AlertConsumer(redis.Redis.from_url(redis_url), "main", "icu-3", "desk", "desk-1")  # the desk is back
    assert [x.alert.version for x in again.read(block_s=0.05) if isinstance(x, Received)] == [4]

"""Events of the station's feed at its start, over a real Redis."""

from __future__ import annotations

import asyncio

from station.broadcaster import EventBroadcaster
from station.scope import Scope
from tests.station.ward import WardInRedis


async def test_an_alert_between_the_first_snapshot_and_the_start_of_the_reader_is_sent(
    redis_url: str, ward: WardInRedis
) -> None:
    # Given a ward, and a browser that has its snapshot before the reader of alerts has begun
    ward.bed()
    broadcaster = EventBroadcaster(redis_url, ("main",))
    events = broadcaster.events(Scope())
    assert "ASYSTOLE" not in await anext(events)
    # When an alert comes, and then the reader begins at the newest entry of the stream
    ward.alert()
    await broadcaster.start()
    # Then the browser gets it
    try:
        async with asyncio.timeout(60):
            while "ASYSTOLE" not in await anext(events):
                pass
    finally:
        await events.aclose()
        await broadcaster.stop()

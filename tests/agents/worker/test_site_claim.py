"""The renewal of the claim reads no records."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from agents.settings import Settings
from agents.worker.site_claim import keep_claim
from streams.topics import Topics, ensure_topics
from tests.conftest import Broker


async def test_the_consumer_that_holds_the_claim_fetches_nothing(
    tansu: Broker, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_topics(tansu.address, Topics(topic_prefix, 2))
    settings = Settings(kafka=tansu.address, topic_prefix=topic_prefix, partitions=2, embedded=True)
    made: list[Any] = []
    plain = AIOKafkaConsumer.assign

    def assign(consumer: Any, places: Any) -> None:
        plain(consumer, places)
        made.append(consumer)

    monkeypatch.setattr(AIOKafkaConsumer, "assign", assign)
    keeping = asyncio.create_task(keep_claim(settings, renew_s=0.2))
    while not made:
        await asyncio.sleep(0.01)
    requests: list[str] = []
    send = made[0]._client.send

    async def counted(node: int, request: Any, **more: Any) -> Any:
        requests.append(type(request).__name__)
        return await send(node, request, **more)

    monkeypatch.setattr(made[0]._client, "send", counted)
    await asyncio.sleep(1.0)  # 50 fetches, where it reads
    keeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeping

    assert any("Commit" in name for name in requests)  # the claim is renewed
    assert not [name for name in requests if "Fetch" in name and "Offset" not in name]

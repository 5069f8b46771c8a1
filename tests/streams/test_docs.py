"""The guides' examples run as they stand, one after the other, against a real broker and a real Redis."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import redis
from redis.asyncio import Redis

from streams.alert_bus import AlertBus
from streams.bed import Action
from streams.topics import Topics, ensure_topics
from streams.wire import decode_window, encode_window
from tests.conftest import Broker
from tests.streams.documents import alert, citation
from tests.streams.publishing import publish_alert, publish_strip
from tests.streams.test_telemetry import all_records
from tests.streams.test_wire import window

DOCS = Path(__file__).resolve().parents[2] / "docs"


def run_examples(name: str) -> dict[str, object]:
    """All Python blocks of a guide in one namespace; what they left in it."""
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / name).read_text(encoding="utf-8"), flags=re.M | re.S)
    assert len(blocks) >= 2
    space: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, name, "exec"), space)
    return space


def test_the_producers_guide_sends_windows_that_can_be_read(
    tansu: Broker, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = Topics(topic_prefix)
    ensure_topics(tansu.address, topics)
    monkeypatch.setenv("GEM_BEDSIDE_KAFKA", tansu.address)
    monkeypatch.setenv("GEM_BEDSIDE_TOPIC_PREFIX", topic_prefix)
    run_examples("produce.md")
    got = [
        decode_window(r.value, topic=r.topic, partition=r.partition, offset=r.offset, key=r.key, n_partitions=8)
        for r in all_records(tansu.address, topics.windows, 8)
    ]
    assert sorted((w.bed_stream, w.leads) for w in got) == [("icu-3/07", ("II", "V1")), ("icu-3/08", ("II",))]


async def test_the_stations_guide_reads_alerts_and_acknowledges(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = Redis.from_url(redis_url)
    bus = AlertBus(writer)
    await publish_alert(bus, alert(1), "ecg.alerts/2", 0, 1)
    await publish_alert(bus, alert(2, citations=[citation(), citation(n=2)]), "ecg.alerts/2", 1, 1)
    await publish_strip(bus, alert().id, encode_window(window()), "ecg.strips/2", 0, 4_000_000_000_000)
    await writer.aclose()
    monkeypatch.setenv("GEM_BEDSIDE_REDIS", redis_url)
    space = run_examples("consume.md")
    printed = capsys.readouterr().out
    assert "PH Asystole 07 on sounds" in printed
    assert "2 RR 4.62 s ['II']" in printed
    assert "ASYSTOLE 200 samples from 0.06 to 0.56 mV" in printed
    assert [received.alert.version for received in space["received"]] == [1, 2]  # type: ignore[attr-defined]
    (entry,) = redis.Redis.from_url(redis_url, decode_responses=True).xrange("ecg:{main}:actions")
    action = Action.from_json(entry[1]["doc"])
    assert (action.action, action.alert_id, action.by) == ("acknowledge", alert().id, "rn-12")


def test_the_guide_lists_every_rule_by_its_field() -> None:
    from tests.streams.test_wire import REJECTED_MESSAGES

    guide = (DOCS / "produce.md").read_text(encoding="utf-8")
    assert {field for _, field, _ in REJECTED_MESSAGES if f"`{field}`" not in guide} == set()

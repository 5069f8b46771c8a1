"""Fault 36: Redis goes away, and comes back empty. The publisher waits, and fills it up again from Kafka."""

from __future__ import annotations

import time
from pathlib import Path

from deploy.local import LocalRedis
from streams.action_inbox import submit_action
from streams.bed import Action
from streams.document import time_of_ns
from tests.agents.signals import S, ecg, messages
from tests.agents.stack import Stack, until
from tests.conftest import Broker


def test_a_redis_that_lost_everything_holds_every_alert_again_and_no_action_is_lost(
    tansu: Broker, topic_prefix: str, tmp_path: Path
) -> None:
    windows = messages(ecg(60, silent=[(10.0, 20.0), (35.0, 45.0)], start_ns=time.time_ns() // S * S))
    with LocalRedis(tmp_path / "redis") as server, Stack(tansu, server.url, topic_prefix, tmp_path) as stack:
        _monitor, publisher = stack.start("monitor", "publisher")
        stack.send([windows], 0, 25, a_second=6)
        stack.wait_for("ASYSTOLE", 1)
        before = {a.id for a in stack.published()}
        server.kill()
        for file in (tmp_path / "redis").rglob("appendonly*"):
            if file.is_file():
                file.unlink()
        stack.send([windows], 25, 40, a_second=6)
        assert publisher.process.poll() is None, "it waits"
        server.start()
        stack.send([windows], 40, 55, a_second=6)
        until(lambda: before <= {a.id for a in stack.published()}, 40, "what Redis lost")
        stack.drained()
        assert len([a for a in stack.published() if a.code == "ASYSTOLE" and a.version == 1]) == 2
        alert = next(a for a in stack.published() if a.code == "ASYSTOLE")
        action = Action(
            id="ack-1",
            action="acknowledge",
            bed_stream=alert.bed_stream,
            alert_id=alert.id,
            by="rn-12",
            at=time_of_ns(time.time_ns()),
        )
        submit_action(stack.redis, "main", action)
        until(lambda: stack.document(alert.id).acknowledged is not None, 20, "the acknowledgement")

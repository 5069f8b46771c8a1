"""Fault 32: partitions change hands while a heart stands still. The alarm goes on, the same one, sounding once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from streams.alert import State
from tests.agents.signals import S, ecg, messages
from tests.agents.stack import Stack, no_version_is_missing_or_different, until
from tests.conftest import Broker

BEDS = ("01", "02", "03", "04")


@pytest.fixture
def reference(request: pytest.FixtureRequest) -> Broker:
    """Apache Kafka where it is found, else the embedded broker: this one takes three quarters of a minute."""
    try:
        broker = request.getfixturevalue("apache_kafka")
    except pytest.skip.Exception:
        broker = request.getfixturevalue("tansu")
    assert isinstance(broker, Broker)
    return broker


def test_a_monitor_that_freezes_during_an_asystole_is_replaced_and_ends_before_it_writes(
    reference: Broker, redis_url: str, topic_prefix: str, tmp_path: Path
) -> None:
    start_ns = time.time_ns() // S * S
    beds = [messages(ecg(80, silent=[(10.0, 70.0)], start_ns=start_ns, seed=k), bed=bed) for k, bed in enumerate(BEDS)]
    with Stack(reference, redis_url, topic_prefix, tmp_path) as stack:
        first, _publisher = stack.start("monitor", "publisher")
        stack.send(beds, 0, 20, a_second=6)
        stack.wait_for("ASYSTOLE", len(BEDS))
        stack.start("monitor")  # a rebalance: both hold some of the beds now
        stack.send(beds, 20, 30, a_second=4)
        first.pause()  # as a machine that stands still: no heartbeat, no farewell
        frozen = time.monotonic()
        stack.send(beds, 30, 60, a_second=2)
        until(lambda: time.monotonic() - frozen > 12, 15, "the session to end")
        first.resume()
        until(lambda: first.process.poll() is not None, 30, "the first monitor to end")
        assert first.process.returncode == 1, "it lost its session, and says so"
        stack.send(beds, 60, 80, a_second=4)
        stack.drained()
        log = stack.alert_log()
        no_version_is_missing_or_different(log)
        asystoles = {i: versions for i, versions in log.items() if versions[0].code == "ASYSTOLE"}
        assert len(asystoles) == len(BEDS), "one alarm a bed, whoever held it"
        for alert_id in asystoles:
            sounding = [a.sounding for a in stack.published() if a.id == alert_id]
            assert sum(b and not a for a, b in zip([False, *sounding], sounding, strict=False)) == 1
            assert stack.document(alert_id).state in (State.ON, State.LATCHED)

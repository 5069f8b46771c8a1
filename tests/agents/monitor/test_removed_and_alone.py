"""A monitor that its group has removed, while no other one took its partitions: it joins again and monitors on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import MemberToRemove
from kafka.errors import NoError

from streams.beacon import Beacon
from tests.agents.signals import S, ecg, messages
from tests.agents.stack import Stack, no_version_is_missing_or_different, until
from tests.conftest import Broker

REMOVALS = 2


@pytest.fixture
def stack(kafka: Broker, redis_url: str, topic_prefix: str, tmp_path: Path) -> Stack:
    return Stack(kafka, redis_url, topic_prefix, tmp_path)


def test_a_monitor_that_was_removed_and_is_alone_goes_on_with_the_same_alarm(stack: Stack) -> None:
    with stack, KafkaAdminClient(bootstrap_servers=stack.broker.address) as admin:
        monitor, _ = stack.start("monitor", "publisher")
        group = stack.settings.group("monitor")
        now_ns = time.time_ns() // S * S
        beds = [messages(ecg(80, start_ns=now_ns, silent=[(8.0, 80.0)]), bed=f"{k:02}") for k in range(6)]
        stack.send(beds, 0, 14, a_second=2.0)
        stack.wait_for("ASYSTOLE", 6)
        for k in range(REMOVALS):
            # When the group forgets it, as after an outage that was longer than its session
            before = newest_beacon(stack, group)
            removed = admin.remove_group_members(group, [MemberToRemove(member_id=before.member)])
            assert set(removed.values()) == {NoError}
            held = before.generation
            until(lambda held=held: newest_beacon(stack, group).generation > held, 30, "held again")
            stack.send(beds, 14 + 4 * k, 18 + 4 * k, a_second=2.0)
        newest = 14 + 4 * REMOVALS
        stack.send(beds, newest, newest + 4, a_second=2.0)
        stack.drained()
        log = stack.alert_log()
        # Then the process is the same one, and each bed has the one alarm, which goes on
        assert monitor.process.poll() is None, monitor.text[-3000:]
    no_version_is_missing_or_different(log)
    asystoles = [versions for versions in log.values() if versions[0].code == "ASYSTOLE"]
    assert len(asystoles) == 6
    assert all(versions[-1].end is None and versions[-1].sounding for versions in asystoles)


def newest_beacon(stack: Stack, group: str) -> Beacon:
    """The newest beacon of a member of a group."""
    beacons = [Beacon.from_json(record.value) for record in stack.records(stack.topics.workers)]
    return next(beacon for beacon in reversed(beacons) if beacon.group == group)

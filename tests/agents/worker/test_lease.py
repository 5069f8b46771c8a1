"""A monitor that lost its partitions writes nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import pytest

from agents.clock import SystemClock
from agents.interpreter.service import Interpreter
from agents.settings import Settings
from agents.worker.faust_app import consumer_of
from agents.worker.lease import Lease, SessionLost
from streams.topics import Topics, ensure_topics
from tests.conftest import Broker


class Group:
    """What an app shows of its consumer group, and a clock."""

    def __init__(self) -> None:
        self.asked = 0
        self.coordinator = SimpleNamespace(generation=4, _do_heartbeat=self.heartbeat)
        self.still_a_member = True
        thread = SimpleNamespace(_consumer=SimpleNamespace(_coordinator=self.coordinator), call_thread=self.call)
        consumer = SimpleNamespace(_thread=thread)
        self.app = SimpleNamespace(consumer=consumer, consumer_generation_id=4)
        self.now_s = 100.0
        self.lease = Lease(self.app, 2.5, lambda: self.now_s)

    async def call(self, function: Callable[[], Awaitable[bool]]) -> bool:
        return await function()

    async def heartbeat(self) -> bool:
        """The answer of the group, as aiokafka takes it."""
        self.asked += 1
        if not self.still_a_member:
            self.coordinator.generation = -1
        return self.still_a_member

    def stand_still(self, seconds: float) -> None:
        """The process is stopped for so long, and goes on."""
        self.now_s += seconds


def test_it_may_write_in_the_generation_in_which_it_holds_its_partitions() -> None:
    group = Group()
    assert group.lease.taken() == 4
    group.now_s += 5
    group.lease.check()


@pytest.mark.parametrize("generation", [5, -1], ids=["another generation", "no member any more"])
def test_it_may_not_once_the_group_has_moved_on(generation: int) -> None:
    group = Group()
    group.lease.taken()
    group.coordinator.generation = generation
    with pytest.raises(SessionLost, match=f"generation 4 of the group, which is in {generation}"):
        group.lease.check()


async def test_while_its_beacons_are_acknowledged_it_writes_without_asking() -> None:
    group = Group()
    group.lease.taken()
    for _ in range(50):
        group.stand_still(0.4)
        group.lease.acknowledged(group.now_s)
        await group.lease.hold()
    assert group.asked == 0


async def test_after_a_pause_it_waits_for_a_beacon_and_then_asks_whether_it_is_a_member() -> None:
    group = Group()
    group.lease.taken()
    group.stand_still(2.0)  # peers may remove it after 2.5 s; the lease has ended before
    writing = asyncio.create_task(group.lease.hold())
    await asyncio.sleep(0.1)
    assert not writing.done() and group.asked == 0, "no beacon has been acknowledged"
    group.lease.acknowledged(group.now_s)
    await asyncio.wait_for(writing, 5)
    assert group.asked == 1
    await group.lease.hold()
    assert group.asked == 1, "the lease goes on from there"


async def test_a_worker_that_was_removed_while_it_stood_still_writes_nothing() -> None:
    group = Group()
    group.lease.taken()
    group.stand_still(4.0)
    group.still_a_member = False
    group.lease.acknowledged(group.now_s)
    with pytest.raises(SessionLost, match="generation 4 of the group, which is in -1"):
        await group.lease.hold()


async def test_a_gap_between_two_beacons_is_not_forgotten_by_the_next_ones() -> None:
    group = Group()
    group.lease.taken()
    group.stand_still(2.0)
    for _ in range(10):  # nothing was written meanwhile
        group.lease.acknowledged(group.now_s)
        group.stand_still(0.4)
    group.still_a_member = False
    with pytest.raises(SessionLost):
        await group.lease.hold()


def test_a_new_assignment_is_a_new_lease() -> None:
    group = Group()
    group.lease.taken()
    group.now_s += 30
    group.coordinator.generation = group.app.consumer_generation_id = 5
    assert group.lease.taken() == 5
    group.lease.check()


async def test_the_pinned_faust_and_aiokafka_show_the_generation_that_the_lease_reads(
    tansu: Broker, topic_prefix: str
) -> None:
    """`consumer_of(app)._coordinator.generation` is private: another version may rename it."""
    settings = Settings(kafka=tansu.address, topic_prefix=topic_prefix, partitions=1, embedded=True, gem=False)
    ensure_topics(tansu.address, Topics(topic_prefix, 1))
    worker = Interpreter(settings, SystemClock())
    await worker.start()
    try:
        await worker.ready.wait()
        lease = Lease(worker.app, settings.stopped_after_s)
        generation = lease.taken()
        assert generation >= 0
        assert consumer_of(worker.app)._coordinator.generation == generation
        lease.check()
        lease.generation += 1
        with pytest.raises(SessionLost):
            lease.check()
    finally:
        await worker.stop()

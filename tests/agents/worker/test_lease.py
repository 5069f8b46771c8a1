"""A monitor that lost its partitions writes nothing more."""

from __future__ import annotations

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
        self.coordinator = SimpleNamespace(generation=4)
        consumer = SimpleNamespace(_thread=SimpleNamespace(_consumer=SimpleNamespace(_coordinator=self.coordinator)))
        self.app = SimpleNamespace(consumer=consumer, consumer_generation_id=4)
        self.now_s = 100.0
        self.lease = Lease(self.app, 6.0, lambda: self.now_s)


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


def test_it_may_not_after_the_process_stood_still_for_longer_than_its_session() -> None:
    group = Group()
    group.lease.taken()
    group.now_s += 6.5
    with pytest.raises(SessionLost, match=r"stood still for 6\.5 s"):
        group.lease.check()


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
        lease = Lease(worker.app, settings.session_timeout_s)
        generation = lease.taken()
        assert generation >= 0
        assert consumer_of(worker.app)._coordinator.generation == generation
        lease.check()
        lease.generation += 1
        with pytest.raises(SessionLost):
            lease.check()
    finally:
        await worker.stop()

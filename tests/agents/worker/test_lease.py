"""A monitor that lost its partitions writes nothing more."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from agents.worker.lease import Lease, SessionLost


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

"""A standby keeps the signal state of a partition that another worker holds; the takeover has nothing to replay."""

from __future__ import annotations

from agents.monitor.standby import Replica, Standby
from agents.monitor.state_replay import StateReplay
from agents.worker.sender import Incoming
from tests.agents.monitor.memory_log import SETTINGS, TOPICS, MemoryLog, PartitionUnderTest, seconds
from tests.agents.signals import T0_NS, S, ecg, messages


class Holder:
    """Another worker, which has finished the windows before an offset and rejected some."""

    def __init__(self, stop: int, *rejected: int) -> None:
        self._stop, self._rejected = stop, frozenset(rejected)

    def finished(self, partition: int) -> int:
        return self._stop

    def rejected(self, partition: int) -> frozenset[int]:
        return self._rejected


def replica_of(partition: PartitionUnderTest, stop: int) -> Replica:
    """The replica of another worker, at the window before offset ``stop``."""
    standby = Standby(SETTINGS, partition.clock, Holder(stop), lambda: 0.0, StateReplay(SETTINGS))
    replica = standby.replica(0)
    for offset, message in enumerate(m for m in partition.sender.sent if m.topic == TOPICS.beds):
        replica.take_document(Incoming(TOPICS.beds, 0, offset, T0_NS, message.key.encode(), message.value))
    for message in partition.log.windows[:stop]:
        replica.take_window(message)
    return replica


async def test_a_takeover_inside_an_asystole_finds_it_with_its_onset_and_replays_nothing() -> None:
    log = MemoryLog()
    log.append(messages(ecg(60, silent=[(20.0, 45.0)])))
    first = await PartitionUnderTest(log).restore()
    await first.feed(log.windows[:23])  # the heart has stood still for 3 s, and nothing is raised yet
    assert first.starts() == []
    replica = replica_of(first, 23)
    log.read_from.clear()
    second = PartitionUnderTest(log, now_ns=T0_NS + 26 * S, generation=2)
    await second.restore(committed=23, replica=replica)
    assert log.read_from == [], "nothing is replayed"
    await second.feed(log.windows[23:30])
    (alert,) = second.starts()
    expected = await PartitionUnderTest(MemoryLog()).restore()
    await expected.feed(expected.log.append(messages(ecg(60, silent=[(20.0, 45.0)])))[:30])
    assert alert.id == expected.starts()[0].id and alert.sounding
    assert second.processor.beds["icu-3/07"].bed.generation == 2


async def test_the_windows_that_the_standby_lacks_are_replayed_and_no_others() -> None:
    log = MemoryLog()
    log.append(messages(ecg(60, silent=[(20.0, 45.0)])))
    first = await PartitionUnderTest(log).restore()
    await first.feed(log.windows[:27])
    (alert,) = first.starts()
    log.read_from.clear()
    second = PartitionUnderTest(log, now_ns=T0_NS + 27 * S, generation=2)
    await second.restore(committed=27, replica=replica_of(first, 18))
    assert log.read_from == [(18, 27)]
    await second.feed(log.windows[27:50])
    assert {a.id for a in second.alerts()} == {alert.id}, "the alert goes on"
    assert second.alerts()[-1].end is not None and seconds(second.alerts()[-1]) == seconds(alert)


async def test_a_bed_whose_standby_fails_is_replayed_as_without_one() -> None:
    log = MemoryLog()
    log.append(messages(ecg(60, silent=[(20.0, 45.0)])))
    first = await PartitionUnderTest(log).restore()
    await first.feed(log.windows[:23])
    replica = replica_of(first, 23)
    replica.beds["icu-3/07"].check = broken  # type: ignore[method-assign]
    log.read_from.clear()
    second = PartitionUnderTest(log, now_ns=T0_NS + 26 * S, generation=2)
    await second.restore(committed=23, replica=replica)
    assert log.read_from == [(0, 23)]
    await second.feed(log.windows[23:30])
    assert [int(seconds(a)) for a in second.starts()] == [19]


async def test_a_standby_follows_the_limits_that_a_person_sets() -> None:
    log = MemoryLog()
    log.append(messages(ecg(40)))
    first = await PartitionUnderTest(log).restore()
    await first.feed(log.windows[:10])
    replica = replica_of(first, 10)
    bed = first.bed.changed(limits={"BRADY": {"rate": 41}})
    replica.take_document(Incoming(TOPICS.beds, 0, 99, T0_NS, b"icu-3/07", bed.to_json()))
    replica.take_window(log.windows[10])
    assert replica.beds["icu-3/07"].live.limits["BRADY"].rate == 41
    old = first.bed.changed(generation=0, limits={})
    replica.take_document(Incoming(TOPICS.beds, 0, 100, T0_NS, b"icu-3/07", old.to_json()))
    replica.take_window(log.windows[11])
    assert replica.beds["icu-3/07"].live.limits["BRADY"].rate == 41, "a worker that lost its partition changes nothing"


async def test_a_standby_takes_no_window_that_its_holder_has_not_finished_or_that_ended_workers() -> None:
    log = MemoryLog()
    log.append(messages(ecg(20)))
    partition = PartitionUnderTest(log)
    standby = Standby(SETTINGS, partition.clock, Holder(12, 5, 6), lambda: 0.0, StateReplay(SETTINGS))
    standby.watch([0])
    replica = standby.replicas[0]
    replica.next_offset = 0
    taken = []
    replica.take_window = lambda message: taken.append(message.offset)  # type: ignore[method-assign]
    replica.queue.extend(log.windows)
    await standby.advance(replica)
    assert taken == [0, 1, 2, 3, 4, 7, 8, 9, 10, 11], "5 and 6 would end this worker as well"


def broken() -> None:
    raise ValueError("as by a fault")

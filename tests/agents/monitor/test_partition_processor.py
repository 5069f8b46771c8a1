"""One partition under injected time: RESTORING, LIVE, CATCHING_UP, the backfill, REVOKED."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agents.monitor.partition_state import PartitionState
from agents.monitor.skip import TAIL_S
from agents.worker.lease import SessionLost
from agents.worker.sender import Incoming
from streams.bed import Action, Skipped
from streams.document import time_of_ns
from tests.agents.monitor.memory_log import TOPICS, MemoryLog, PartitionUnderTest, seconds
from tests.agents.signals import T0_NS, S, ecg, messages

OUTAGE = messages(ecg(150, silent=[(40.0, 52.0), (138.0, 150.0)]))  # offsets 20 to 149 arrive while no worker runs


async def after_outage() -> PartitionUnderTest:
    """A worker that takes over 130 s after the last one stopped at offset 20."""
    log = MemoryLog()
    log.append(OUTAGE)
    before = await PartitionUnderTest(log).restore()
    await before.feed(log.windows[:20])
    return await PartitionUnderTest(log, now_ns=T0_NS + 150 * S, generation=2).restore(committed=20)


async def test_messages_wait_until_the_partition_is_restored() -> None:
    log = MemoryLog()
    (first, *_) = log.append(messages(ecg(5)))
    partition = PartitionUnderTest(log)
    assert partition.processor.state is PartitionState.RESTORING
    waiting = asyncio.create_task(partition.processor.on_window(first))
    await asyncio.sleep(0)
    assert not waiting.done() and partition.processor.next_offset == 0
    await partition.restore()
    await waiting
    assert partition.processor.state is PartitionState.LIVE and partition.processor.next_offset == 1


async def test_a_restored_partition_publishes_its_alerts_again_and_goes_on_with_the_same_alert() -> None:
    log = MemoryLog()
    log.append(messages(ecg(40, silent=[(10.0, 40.0)])))
    first = await PartitionUnderTest(log).restore()
    await first.feed(log.windows[:20])
    (alert,) = first.starts()
    second = await PartitionUnderTest(log, now_ns=T0_NS + 20 * S, generation=2).restore(committed=20)
    assert [(a.id, a.version, a.generation) for a in second.alerts()] == [(alert.id, first.alerts()[-1].version, 2)]
    strips = [m for m in second.sender.sent if m.topic == TOPICS.strips]
    assert alert.id in [dict(m.headers)["alert_id"].decode() for m in strips], "its strip may have been lost"
    await second.feed(log.windows[20:30])
    assert {a.id for a in second.alerts()} == {alert.id}
    assert second.alerts()[-1].sounding


async def test_windows_before_the_next_offset_change_nothing() -> None:
    log = MemoryLog()
    log.append(messages(ecg(30, silent=[(10.0, 30.0)])))
    partition = await PartitionUnderTest(log).restore()
    await partition.feed(log.windows)
    known = len(partition.alerts())
    await partition.feed(log.windows[:10])
    assert len(partition.alerts()) == known


async def test_after_an_outage_the_latest_signal_is_processed_before_the_gap() -> None:
    partition = await after_outage()
    processor = partition.processor
    await processor.on_window(partition.log.windows[20])
    assert processor.state is PartitionState.CATCHING_UP
    assert partition.bed.skipped == [Skipped(first=20, last=149)], "recorded before a window is skipped"
    await partition.feed(partition.log.windows[21:149])
    assert processor.state is PartitionState.CATCHING_UP and partition.alerts() == []
    await partition.feed(partition.log.windows[149:])
    assert processor.state is PartitionState.LIVE
    assert partition.bed.skipped == [Skipped(first=20, last=149 - round(TAIL_S))], "the tail is processed live"
    (alert,) = partition.starts()
    assert seconds(alert) > 130 and alert.sounding and not alert.late
    assert (partition.clock.now_ns() - T0_NS) / S < 151, "no time passed in between"


async def test_the_backfill_records_what_happened_in_the_gap_as_late() -> None:
    partition = await after_outage()
    await partition.feed(partition.log.windows[20:])
    await partition.backfilled()
    now, late = partition.starts()
    assert seconds(now) > 130 and now.sounding
    assert 39 < seconds(late) < 45 and late.late and not late.sounded
    assert partition.bed.skipped == []
    # Then each window is counted once, as live or as backfilled
    windows, metrics = len(partition.log.windows) - 20, partition.processor.metrics
    counted = [metrics.registry.get_sample_value(f"gem_bedside_windows{kind}_total") for kind in ("", "_backfilled")]
    assert sum(filter(None, counted)) == windows and counted[1] == windows - round(TAIL_S)


async def test_unreadable_windows_of_the_gap_are_dead_lettered_once() -> None:
    partition = await after_outage()
    windows = partition.log.windows
    # Given unreadable windows: of the bed, of a key that names no bed, and of the bed among the latest
    for offset, key in ((60, b"icu-3/07"), (70, b"icu-3/99"), (71, b"\xff"), (147, b"icu-3/07")):
        windows[offset] = replace(windows[offset], key=key, value=b"\xff")
    await partition.feed(windows[20:])
    await partition.backfilled()
    assert len(partition.sender.rejected) == 4
    assert partition.bed.skipped == []


async def test_what_a_second_gap_leaves_is_counted_and_dead_lettered_once_though_the_first_one_reads_into_it() -> None:
    partition = await after_outage()
    await partition.feed(partition.log.windows[20:])
    while not partition.log.read_from[1:]:
        await asyncio.sleep(0)  # the backfill has begun with the first gap
    # Given a second gap meanwhile, with an unreadable window at its beginning
    partition.log.append(messages(ecg(166))[150:])
    partition.log.windows[152] = replace(partition.log.windows[152], value=b"\xff")
    partition.clock.set_ns(T0_NS + 166 * S)
    await partition.feed(partition.log.windows[150:])
    assert len(partition.bed.skipped) == 2
    # When both are analysed
    await partition.backfilled()
    # Then each of the 146 windows is accounted for once
    count = partition.processor.metrics.registry.get_sample_value
    counted = [count(f"gem_bedside_windows{kind}_total") for kind in ("", "_backfilled")]
    assert sum(filter(None, counted)) == 145 and len(partition.sender.rejected) == 1


async def test_an_asystole_that_ends_after_the_gap_is_recorded_once_with_its_end() -> None:
    """The live analysis has the last second of the silence only; the backfill reads past the end of its range."""
    log = MemoryLog()
    windows = messages(ecg(190, silent=[(136.5, 142.2)]))
    log.append(windows[:150])
    before = await PartitionUnderTest(log).restore()
    await before.feed(log.windows[:20])
    partition = await PartitionUnderTest(log, now_ns=T0_NS + 150 * S, generation=2).restore(committed=20)
    await partition.feed(log.windows[20:])
    await partition.feed(log.append(windows[150:]))
    await partition.backfilled()
    (alert,) = partition.starts()
    assert int(seconds(alert)) == 136
    assert partition.alerts()[-1].end is not None and partition.bed.skipped == []


async def test_the_backfill_goes_on_with_the_next_worker() -> None:
    partition = await after_outage()
    await partition.feed(partition.log.windows[20:])
    partition.processor.discard()
    rest = partition.bed.skipped
    assert rest
    after = await PartitionUnderTest(partition.log, T0_NS + 155 * S, generation=3).restore(committed=150)
    await after.backfilled()
    assert [int(seconds(a)) for a in after.starts() if a.late] == [39]
    assert after.bed.skipped == []


async def test_the_backfill_waits_while_the_newest_signal_lags() -> None:
    partition = await after_outage()
    await partition.feed(partition.log.windows[20:])
    partition.processor.lag_s = 3.0
    for _ in range(200):
        await asyncio.sleep(0)
    assert len(partition.starts()) == 1
    partition.processor.lag_s = 0.0
    await partition.backfilled()
    assert len(partition.starts()) == 2


async def test_a_few_waiting_windows_are_processed_not_skipped() -> None:
    log = MemoryLog()
    log.append(messages(ecg(12)))
    partition = await PartitionUnderTest(log, now_ns=T0_NS + 60 * S).restore()
    await partition.feed(log.windows)
    assert partition.processor.state is PartitionState.LIVE and partition.bed.skipped == []


async def test_a_revoked_partition_writes_nothing_until_it_is_held_again() -> None:
    log = MemoryLog()
    log.append(messages(ecg(30, silent=[(10.0, 30.0)])))
    partition = await PartitionUnderTest(log).restore()
    await partition.feed(log.windows[:12])
    await partition.processor.revoke()
    sent = len(partition.sender.sent)
    waiting = asyncio.create_task(partition.feed(log.windows[12:]))
    for _ in range(20):
        await asyncio.sleep(0)
    assert partition.processor.state is PartitionState.REVOKED and len(partition.sender.sent) == sent
    partition.processor.reassign(2)
    await waiting
    assert partition.processor.state is PartitionState.LIVE
    assert {a.generation for a in partition.starts()} == {2}


async def test_revoke_returns_when_the_step_in_progress_is_delivered() -> None:
    log = MemoryLog()
    (first, *_) = log.append(messages(ecg(5)))
    partition = await PartitionUnderTest(log).restore()
    step, revoked = asyncio.create_task(partition.processor.on_window(first)), None
    async with partition.processor.exclusive():
        revoked = asyncio.create_task(partition.processor.revoke())
        await asyncio.sleep(0)
        assert not revoked.done()
    await revoked
    partition.processor.discard()
    await step
    assert partition.processor.next_offset == 0, "a discarded partition takes nothing"


async def test_a_step_without_a_session_discards_the_partition_and_ends_no_worker() -> None:
    """The next assignment finds in Kafka what was written, and the alarm goes on in it."""
    lost = False

    async def may_write() -> None:
        if lost:
            raise SessionLost("partitions were held in generation 1 of the group, which is in -1 by now")

    log = MemoryLog()
    log.append(messages(ecg(30, silent=[(10.0, 30.0)])))
    partition = await PartitionUnderTest(log, may_write=may_write).restore()
    await partition.feed(log.windows[:12])
    sent, lost = len(partition.sender.sent), True
    taken = [await partition.processor.on_window(window) for window in log.windows[12:20]]
    written = [message for message in partition.sender.sent[sent:] if message.topic != TOPICS.vitals]
    assert written == [] and partition.failures == []
    k = taken.index(False)  # the step that had something to write
    assert taken[k:] == [False] * len(taken[k:]) and len(partition.sessions_lost) == 1
    assert not partition.processor.restored and partition.processor.state is PartitionState.REVOKED
    # When it is held again, from the window that was not processed
    later = PartitionUnderTest(log, now_ns=partition.clock.now_ns(), generation=3)
    await later.restore(committed=12 + k)
    await later.feed(log.windows[12 + k :])
    (alert,) = later.starts()
    assert 9 < seconds(alert) < 11 and alert.sounding


@pytest.mark.parametrize(
    ("generation", "written", "held"), [(7, 6, 7), (1, 7, 8)], ids=["the group's own", "a group that was forgotten"]
)
async def test_documents_carry_a_generation_that_readers_do_not_drop(generation: int, written: int, held: int) -> None:
    log = MemoryLog()
    log.append(messages(ecg(5)))
    await (await PartitionUnderTest(log, generation=written).restore()).feed(log.windows)
    partition = await PartitionUnderTest(log, generation=generation).restore(committed=5)
    assert partition.processor.generation == held
    assert partition.processor.beds["icu-3/07"].bed.generation == held


async def test_an_action_on_an_unknown_bed_is_rejected_unless_it_admits() -> None:
    partition = await PartitionUnderTest().restore()
    for offset, name in enumerate(("standby", "admit")):
        action = Action.model_validate(
            {
                "id": f"a{offset}",
                "action": name,
                "bed_stream": "icu-3/07",
                "by": "rn-12",
                "at": time_of_ns(T0_NS),
                "args": {"patient": "p-81f3"},
            }
        )
        message = Incoming(TOPICS.actions, 0, offset, T0_NS, b"icu-3/07", action.to_json())
        await partition.processor.on_action(message)
    (reason,) = partition.sender.rejected
    assert reason.startswith("bed_stream 'icu-3/07' is no bed here") and reason.endswith("(ecg.actions/0 offset 0)")
    assert partition.bed.patient == "p-81f3"

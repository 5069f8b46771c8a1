"""A message that ends the worker process is taken twice, never a third time; the next bed's asystole is in time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from agents.monitor.attempts import REASON, Attempts
from agents.worker.commit_metadata import Committed
from agents.worker.sender import Incoming
from streams.consumer import AlertConsumer
from streams.partition import partition_of
from tests.agents.stack import PARTITIONS, Stack, WorkerProcess, until
from tests.agents.test_edges_on_a_stack import PARTITION, STREAM, asystole_in_time, live_bed
from tests.conftest import Broker
from tests.streams.test_wire import message

WINDOWS = ("ecg.windows", 3)
DEADLY = """
import os, sys
from agents.monitor import bed as bed_module
from agents.run import run_worker

whole = bed_module.BedMonitor.apply_window

def apply_window(self, window, offset, append_ns, *, replay=False):
    if window.bed_stream.startswith("icu-3/deadly"):
        print(f"taken {offset}", file=sys.stderr, flush=True)
        os._exit(137)
    return whole(self, window, offset, append_ns, replay=replay)

bed_module.BedMonitor.apply_window = apply_window
sys.exit(run_worker(sys.argv[1]))
"""

_names = (f"icu-3/deadly-{k}" for k in range(1000))
DEADLY_BED = next(name for name in _names if partition_of(name.encode(), PARTITIONS) == PARTITION)


class Group:
    """The committed offsets of a consumer group."""

    def __init__(self, end: int) -> None:
        self.offset, self.metadata, self.end = 100, "", end
        self.commits = 0

    async def owner(self) -> Attempts:
        """A worker that takes the partition."""

        async def commit(offsets: Mapping[tuple[str, int], int]) -> None:
            self.commits += 1
            self.offset, self.metadata = offsets[WINDOWS], attempts.metadata(*WINDOWS)

        attempts = Attempts(commit)
        await attempts.take({WINDOWS: Committed(self.offset, self.metadata, self.end)})
        return attempts


def window(offset: int) -> Incoming:
    return Incoming(topic=WINDOWS[0], partition=3, offset=offset, append_ns=0, key=b"k", value=b"v")


async def run(group: Group, deadly: int, attempts: Attempts) -> list[int]:
    """Process messages until the worker ends on one, or the log ends. The offsets taken."""
    taken = []
    for offset in range(group.offset, group.end):
        message = attempts.marked(window(offset))
        if message.batch_error:
            continue
        taken.append(offset)
        async with attempts.attempt(message):
            if offset == deadly:
                return taken  # the process is gone: nothing after this runs in it
    return taken


async def test_the_third_owner_refuses_the_message_and_goes_on() -> None:
    group = Group(110)
    taken = [await run(group, 104, await group.owner()) for _ in range(3)]
    assert taken == [[100, 101, 102, 103, 104], [100, 101, 102, 103, 104], [105, 106, 107, 108, 109]]
    third = await group.owner()
    assert third.marked(window(104)).batch_error == REASON  # also in the replay of the owners after it
    assert third.marked(window(103)) == window(103)


async def test_two_deadly_messages_cost_two_more_owners() -> None:
    group = Group(120)
    for deadly in (104, 104, 110):
        await run(group, deadly, await group.owner())
    fourth = await group.owner()
    assert [o for o in range(100, 120) if fourth.marked(window(o)).batch_error] == [104, 110]


async def test_an_owner_after_a_released_one_records_nothing() -> None:
    group = Group(110)
    first = await group.owner()
    await run(group, -1, first)
    await first.release({WINDOWS: 110})
    assert (group.offset, group.metadata) == (110, "{}")
    group.end, group.commits = 200, 0
    second = await group.owner()
    await run(group, -1, second)
    assert group.commits == 1  # that it is held; nothing for a message


async def test_new_messages_after_a_crash_are_not_recorded_and_foreign_metadata_is_ignored() -> None:
    group = Group(110)
    group.metadata = '["another program"]'
    await group.owner()
    second = await group.owner()
    group.commits = 0
    async with second.attempt(window(110)):
        pass
    assert group.commits == 0


async def test_a_worker_that_takes_its_partition_again_has_not_ended_on_a_message() -> None:
    group = Group(110)
    await group.owner()
    second = await group.owner()
    async with second.attempt(window(101)):  # revoked and assigned again meanwhile, as in two quick rebalances
        assert '"begun":[101]' in group.metadata
        await second.take({WINDOWS: Committed(group.offset, group.metadata, group.end)})
    assert second.marked(window(101)) == window(101)
    await run(group, 105, second)  # it ends on this one
    third = await group.owner()
    assert [o for o in range(100, 110) if third.marked(window(o)).batch_error] == [105]


async def test_a_message_that_was_finished_before_a_rebalance_is_no_reason_to_refuse_it() -> None:
    group = Group(110)
    await group.owner()
    second = await group.owner()
    async with second.attempt(window(101)):
        pass
    assert '"begun":[101]' in group.metadata  # until a commit
    await second.hand_over()
    assert group.metadata == '{"held":true}'
    third = await group.owner()
    assert third.marked(window(101)) == window(101)
    await run(group, 104, third)  # which takes the backlog with the same care
    fourth = await group.owner()
    assert fourth.marked(window(104)).batch_error == REASON


async def test_a_backfill_never_moves_the_offset_back() -> None:
    group = Group(110)
    await group.owner()
    second = await group.owner()
    second.committed(*WINDOWS, 108)
    async with second.attempt(window(101)):
        assert (group.offset, '"begun":[101]' in group.metadata) == (108, True)


@pytest.mark.kafka  # the embedded broker keeps no metadata of an offset
def test_a_message_that_kills_the_process_is_skipped_by_the_third_monitor(
    apache_kafka: Broker, redis_url: str, topic_prefix: str, tmp_path: Path
) -> None:
    with Stack(apache_kafka, redis_url, topic_prefix, tmp_path, session_timeout_s=6) as stack:
        stack.start("publisher")

        def monitor(number: int) -> WorkerProcess:
            log = tmp_path / f"monitor-{number}.log"
            stack.workers.append(WorkerProcess("monitor", stack.environment, log, DEADLY))
            return stack.workers[-1]

        consumer = AlertConsumer(stack.redis, "main", "icu-3", "desk", "desk-1")
        # Given a message on which the process of each monitor ends, at once
        owners = [monitor(1).wait_ready()]
        now_ns = time.time_ns()
        deadly = message(bed_stream=DEADLY_BED, device_time_ns=now_ns, gateway_time_ns=now_ns + 10**9)
        poison = stack.producer.send_bytes(stack.topics.windows, DEADLY_BED, deadly).result(10).offset
        # When one monitor after the other is started
        for number in (2, 3):
            until(lambda: owners[-1].process.poll() is not None, 40, "the monitor ends on the message")
            assert owners[-1].process.returncode == 137
            owners.append(monitor(number))
        third = owners[-1].wait_ready()
        # Then the third goes on past the message, and the asystole of another bed on the partition is in time
        with live_bed(stack) as start_ns:
            asystole_in_time(stack, consumer, start_ns)
        assert third.process.poll() is None
        assert [owner.text.count("\ntaken ") for owner in owners] == [1, 1, 0]
        (letter,) = stack.dead_letters()
        assert int(letter["offset"]) == poison
        assert REASON in letter["reason"]
        # And a fourth, which replays the two minutes before its offset, does not take it either
        third.stop()
        fourth = monitor(4).wait_ready()
        until(lambda: STREAM in stack.beds(), 10, "the bed is restored")
        assert fourth.process.poll() is None and "\ntaken " not in fourth.text

"""Recorded beds replayed under injected time: the same alert log for any number of workers and any restart point.

    python -m benchmarks.replay_log RECORDS [--beds 64] [--hours 24] [--workers 1,2] [--restarts 0,12] [--write]

Each bed repeats one recording of the folder RECORDS, from a place of its own, and sends a message a second. Its windows
go through a partition's processor with its life cycle and documents, as in a monitor, without Kafka: the clock is moved
to each message's time, twice a second the beds' clock ticks, and no time is waited for. The alert log is every version
of every alert as bytes, in order, by bed. A restart drops a partition's processor at a random second, and a new one
restores its beds from their documents and the windows before a committed offset that lies up to ten seconds back, as
after SIGKILL. What a restart publishes again (the same version of the same alert) counts once.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random

from agents.worker.sender import Incoming
from benchmarks.capacity_table import code_hash
from deploy.ward_telemetry import loop_slice
from models.ecg import Ecg
from models.records import open_record
from streams.window import window_of_ecg
from streams.wire import encode_window
from tests.agents.monitor.memory_log import TOPICS, MemoryLog, PartitionUnderTest
from tests.agents.signals import T0_NS, S

TABLE = Path(__file__).with_suffix(".md")
UNIT = "replay"
PARTITIONS = 8
TICKS = 2  # a second
REDELIVERED_S = 10  # the committed offset lies up to this far back
SEED = 18
HOUR_S = 3600
Key = tuple[str, str, int]  # bed stream, alert, version


@dataclass(frozen=True)
class Bedside:
    """One bed: the recording that it repeats, and the sample at which it begins."""

    name: str
    ecg: Ecg
    first: int

    def message(self, second: int, offset: int) -> Incoming:
        """The message of a second, at the offset of its partition."""
        fs = self.ecg.fs_hz
        start, stop = round(second * fs), round((second + 1) * fs)
        ecg = loop_slice(self.ecg, self.first + start, self.first + stop)
        gateway_ns = T0_NS + (second + 1) * S
        window = window_of_ecg(
            replace(ecg, start_ns=T0_NS + round(start / fs * S)),
            bed_stream=f"{UNIT}/{self.name}",
            unit=UNIT,
            bed=self.name,
            patient=f"p-81{self.name}",
            epoch=1,
            sequence=second,
            gateway_time_ns=gateway_ns,
        )
        return Incoming(TOPICS.windows, 0, offset, gateway_ns, window.bed_stream.encode(), encode_window(window))


class RecordedLog(MemoryLog):
    """The log of a partition whose windows are made when they are read; it ends where the replay stands."""

    def __init__(self, beds: Sequence[Bedside]) -> None:
        super().__init__()
        self._beds = beds
        self.length = 0

    def message(self, offset: int) -> Incoming:
        """The message at an offset: the beds take turns, once a second."""
        second, k = divmod(offset, len(self._beds))
        return self._beds[k].message(second, offset)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[RecordedLog]:
        """The log itself."""
        yield self

    def end(self) -> int | None:
        """Its end."""
        return self.length

    async def current_end(self) -> int:
        """Its end."""
        return self.length

    async def offset_before(self, offset: int, seconds: float) -> int:
        """The offset ``seconds`` before another one."""
        return max(0, offset - round(seconds) * len(self._beds))

    async def read_windows(self, start: int, stop: int) -> AsyncIterator[list[Incoming]]:
        """The messages from ``start`` to ``stop`` (exclusive), one by one."""
        for offset in range(start, stop):
            yield [self.message(offset)]


@dataclass(frozen=True)
class Plan:
    """One replay: the folder of recordings, beds and seconds of signal, restarts of each partition."""

    records: Path
    beds: int
    seconds: int
    restarts: int

    def bedsides(self, partition: int) -> list[Bedside]:
        """The beds of a partition."""
        paths = sorted(path.with_suffix("") for path in self.records.glob("*.hea"))
        found = []
        for k in range(partition, self.beds, PARTITIONS):
            source = open_record(paths[k % len(paths)])
            ecg = source.slice(0, source.n_samples)
            found.append(Bedside(f"{k + 1:02}", ecg, Random(f"{SEED}/{k}").randrange(ecg.n_samples)))
        return found

    def restart_seconds(self, partition: int) -> set[int]:
        """Seconds at which the partition is taken over."""
        drawn = Random(f"{SEED}/restart/{partition}")
        return {drawn.randrange(60, self.seconds) for _ in range(self.restarts)}


class AlertLog:
    """Every version of every alert of some beds, as it was first written."""

    def __init__(self) -> None:
        self.lines: dict[Key, bytes] = {}

    def take(self, partition: PartitionUnderTest) -> None:
        """Take what a partition has sent since the last call; ValueError where a message was rejected."""
        if partition.sender.rejected:
            raise ValueError(f"a message was rejected: {partition.sender.rejected[0]}")
        for message in partition.sender.sent:
            if message.topic == TOPICS.alerts:
                document = json.loads(message.value)
                del document["generation"]
                line = json.dumps(document, ensure_ascii=False).encode()
                self.lines.setdefault((message.key, document["id"], document["version"]), line)
        partition.sender.sent.clear()
        partition.sender.sent_ns.clear()


def replayed(plan: Plan, partition: int) -> dict[Key, bytes]:
    """The alert log of one partition."""
    beds, drawn = plan.bedsides(partition), Random(f"{SEED}/back/{partition}")
    restarts = {second: drawn.randrange(REDELIVERED_S * len(beds)) for second in plan.restart_seconds(partition)}
    return asyncio.run(alert_log(beds, plan.seconds, restarts)) if beds else {}


async def alert_log(beds: Sequence[Bedside], seconds: int, restarts: Mapping[int, int]) -> dict[Key, bytes]:
    """The alert log of the beds of a partition, by bed stream, alert and version.

    Parameters
    ----------
    beds : sequence of Bedside
    seconds : int
        Of signal.
    restarts : mapping
        Seconds at which the partition is taken over to the number of windows that come again.
    """
    log, alerts = RecordedLog(beds), AlertLog()
    held = await PartitionUnderTest(log).restore()
    for second in range(seconds):
        if second in restarts:
            held = await _taken_over(held, log, restarts[second])
        for tick in range(1, TICKS):
            held.clock.set_ns(T0_NS + second * S + tick * S // TICKS)
            await held.processor.tick()
        for _ in beds:
            message = log.message(log.length)
            log.length += 1
            held.clock.set_ns(message.append_ns)
            await held.processor.on_window(message)
        await held.processor.tick()
        alerts.take(held)
    return alerts.lines


async def _taken_over(held: PartitionUnderTest, log: RecordedLog, back: int) -> PartitionUnderTest:
    """A new processor in the next generation; the last ``back`` windows come again."""
    committed = max(0, log.length - back)
    generation = held.processor.generation + 1
    held.processor.discard()
    taken = await PartitionUnderTest(log, held.clock.now_ns(), generation).restore(committed)
    for offset in range(committed, log.length):
        await taken.processor.on_window(log.message(offset))
    return taken


def digest_of(lines: dict[Key, bytes]) -> str:
    """Hash of an alert log, by bed, alert and version."""
    found = hashlib.sha256()
    for key in sorted(lines):
        found.update(lines[key] + b"\n")
    return found.hexdigest()


def run(plan: Plan, workers: int) -> tuple[dict[Key, bytes], float]:
    """The alert log of all partitions, shared out to so many processes, and the seconds that it took."""
    began, lines = time.monotonic(), dict[Key, bytes]()
    with ProcessPoolExecutor(workers) as pool:
        for found in pool.map(partial(replayed, plan), range(PARTITIONS)):
            lines |= found
    return lines, time.monotonic() - began


def differences(first: dict[Key, bytes], other: dict[Key, bytes]) -> list[str]:
    """The alert versions in which two logs differ."""
    return [
        f"{key[0]} {named(lines[key])} version {key[2]}: {what}"
        for what, lines, keys in (
            ("only in the first", first, first.keys() - other.keys()),
            ("only in the other", other, other.keys() - first.keys()),
            ("other bytes", first, {key for key in first.keys() & other.keys() if first[key] != other[key]}),
        )
        for key in sorted(keys)
    ]


def named(line: bytes) -> str:
    """Code and onset of an alert."""
    document = json.loads(line)
    return f"{document['code']} {document['onset']}"


def main() -> None:
    """Replay with each number of workers and of restarts, and compare the logs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", type=Path, help="folder of WFDB recordings")
    parser.add_argument("--beds", type=int, default=64)
    parser.add_argument("--hours", type=float, default=24.0, help="of signal")
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--restarts", default="0,12", help="of each partition")
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name}")
    arguments = parser.parse_args()
    first: dict[Key, bytes] | None = None
    rows = []
    for restarts in map(int, arguments.restarts.split(",")):
        for workers in map(int, arguments.workers.split(",")):
            plan = Plan(arguments.records, arguments.beds, round(arguments.hours * HOUR_S), restarts)
            lines, took_s = run(plan, workers)
            first = lines if first is None else first
            differ = differences(first, lines)
            print("\n".join(differ), flush=True)
            rows.append(
                f"| {workers} | {restarts * PARTITIONS} | {len({key[:2] for key in lines})} | {len(lines)} "
                f"| `{digest_of(lines)[:16]}` | {len(differ)} | {plan.seconds / took_s:.1f} |"
            )
            print(rows[-1], flush=True)
    if arguments.write:
        TABLE.write_text(_table(arguments, rows), encoding="utf-8")


def _table(arguments: argparse.Namespace, rows: Sequence[str]) -> str:
    beds_and_hours = f"--beds {arguments.beds} --hours {arguments.hours:g}"
    head = [
        "# Replay of recorded beds: the same alert log",
        "",
        f"`python -m benchmarks.replay_log … {beds_and_hours} "
        f"--workers {arguments.workers} --restarts {arguments.restarts} --write`, {os.cpu_count()} cores, code "
        f"{code_hash()}. {arguments.beds} beds in {PARTITIONS} partitions, {arguments.hours:g} h of signal each; the "
        "beginning of the benchmark's file says what is compared.",
        "",
        "| workers | restarts | alerts | versions | SHA-256 of the log | versions that differ from the first row's "
        "| times real time |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows]) + "\n"


if __name__ == "__main__":
    main()

"""Malformed messages through a running monitor: none ends it, all are accounted for, and a bed beside them is judged.

A process of its own sends random bytes, and valid windows of twenty beds with bits turned, parts cut out, doubled or
replaced, to ``ecg.windows`` as fast as Kafka takes them, beside broker and monitor on one machine. One in twenty can
still be read: these are analysed. On the same partitions one bed sends good windows in real time, and its heart stands
still for 15 s of every 40 s. Each message must be one dead letter, or a window that was processed once, live or by the
backfill.

    python -m benchmarks.malformed [--messages 1000000] [--senders 1] [--seed 0] [--write]
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import psutil
from kafka import KafkaConsumer, TopicPartition

from deploy.local import LocalKafka, LocalRedis, free_port
from streams.alert import Alert
from streams.telemetry import TelemetryProducer
from streams.topics import Topics
from streams.wire import EcgWindow, encode_window
from tests.agents.signals import S, ecg, messages
from tests.agents.stack import PARTITIONS, Stack, until
from tests.brokers import ApacheKafka
from tests.conftest import Broker
from tests.streams.test_fuzzed_decoders import edited

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "benchmarks" / "malformed.md"
BEDS = 20  # whose windows are mutilated
PREFIX = "ecg."
CYCLE_S, FIRST_S, SILENCE_S = 40, 25, 15  # of the good bed
LONGEST_S = 3600
IN_FLIGHT = 2000  # messages, of two or three times as many that Kafka has not acknowledged
FLOOD_NICE = 10  # the sender is another machine's program: it takes no computing time from broker and monitor
REST_S = 3600.0
LETTERS = "gem_bedside_dead_letters_total"
WINDOWS = ("gem_bedside_windows_total", "gem_bedside_windows_backfilled_total")
WAITING, SKIPS = "gem_bedside_messages_waiting", "gem_bedside_skipped_to_latest_total"


def malformed(rng: random.Random, valid: bytes) -> bytes:
    """One message."""
    if rng.random() < 0.3:
        return rng.randbytes(rng.randrange(400))
    kinds = ("turn", "cut", "double", "insert")
    changes = [
        (rng.choice(kinds), rng.randrange(2**16), rng.randrange(1, 64), rng.randbytes(rng.randrange(12)))
        for _ in range(rng.randrange(1, 7))
    ]
    return edited(valid, changes)


def flood(address: str, number: int, seed: int) -> None:
    """Send so many messages as fast as Kafka takes them."""
    topics, rng = Topics(PREFIX, PARTITIONS), random.Random(seed)
    keys = [f"icu-3/{k:02d}" for k in range(BEDS)]
    valid = [encode_window(messages(ecg(1, start_ns=time.time_ns()), bed=key[-2:])[0]) for key in keys]
    with TelemetryProducer(address, topics) as producer:
        earlier, last = None, None
        for k in range(number):
            bed = rng.randrange(BEDS)
            future = producer.send_bytes(topics.windows, keys[bed], malformed(rng, valid[bed]))
            if k % IN_FLIGHT == 0:  # Kafka has taken all but the last messages: the sender holds no others
                if earlier is not None:
                    earlier.result(REST_S)
                earlier, last = last, future
        producer.flush()


def _start_flood(address: str, number: int, seed: int) -> subprocess.Popen[bytes]:
    command = ["nice", "-n", str(FLOOD_NICE), sys.executable, "-m", "benchmarks.malformed", "--flood", address]
    return subprocess.Popen([*command, "--messages", str(number), "--seed", str(seed)])


def _cpu_s(process: psutil.Process) -> float:
    used = process.cpu_times()
    return used.user + used.system


class GoodBed:
    """A bed in real time, until it is stopped; its heart stands still once in `CYCLE_S`."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._over = threading.Event()
        self.silences_ns: list[int] = []  # beginnings, to about a second
        self.sent = 0
        self.thread = threading.Thread(target=self._send, daemon=True)

    def _send(self) -> None:
        silent = [(float(k), float(k + SILENCE_S)) for k in range(FIRST_S, LONGEST_S, CYCLE_S)]
        windows, start_ns = messages(ecg(LONGEST_S, silent=silent, start_ns=0), bed="good"), time.time_ns()
        with TelemetryProducer(self._address, Topics(PREFIX, PARTITIONS)) as producer:
            for k, window in enumerate(windows):
                time.sleep(max(0.0, (start_ns + (k + 1) * S - time.time_ns()) / S))
                in_cycle = (k - FIRST_S) % CYCLE_S
                if self._over.is_set() and in_cycle > SILENCE_S:
                    break
                if in_cycle == SILENCE_S - 1:
                    self.silences_ns.append(start_ns + (k + 1 - SILENCE_S) * S)
                producer.send(self._now(window, start_ns))
                self.sent += 1
            producer.flush()

    def _now(self, window: EcgWindow, start_ns: int) -> EcgWindow:
        device, gateway = window.device_time_ns + start_ns, window.gateway_time_ns + start_ns
        return replace(window, device_time_ns=device, gateway_time_ns=gateway)

    def stop(self) -> None:
        """Stop, after the silence in progress."""
        self._over.set()
        self.thread.join()


def run(number: int, seed: int, senders: int, kafka_home: Path | None) -> dict[str, object]:
    """Send so many messages; the row of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker = ApacheKafka(kafka_home, folder / "kafka") if kafka_home else LocalKafka(folder / "kafka")
        with (
            broker,
            LocalRedis(folder / "redis") as redis,
            Stack(Broker(broker.address, kafka_home is None), redis.url, PREFIX, folder) as stack,
        ):
            return _measure(stack, number, seed, senders)


def _measure(stack: Stack, number: int, seed: int, senders: int) -> dict[str, object]:
    port = free_port()
    stack.environment["GEM_BEDSIDE_METRICS_PORT"] = str(port)
    (monitor,) = stack.start("monitor")
    stack.environment["GEM_BEDSIDE_METRICS_PORT"] = "0"
    stack.start("publisher")
    good = GoodBed(stack.broker.address)
    good.thread.start()
    began, most_waiting, usage = time.monotonic(), 0.0, psutil.Process(monitor.process.pid)
    cpu_s = _cpu_s(usage)
    floods = [_start_flood(stack.broker.address, number // senders, seed + k) for k in range(senders)]
    while any(sender.poll() is None for sender in floods):
        time.sleep(0.5)
        most_waiting = max(most_waiting, _metric(port, WAITING))
    number = number // senders * senders
    a_second = round(number / (time.monotonic() - began))
    until(lambda: _accounted(port) >= number, REST_S, "the flood to be accounted for")
    seconds, cpu_s = time.monotonic() - began, _cpu_s(usage) - cpu_s
    good.stop()
    sent = number + good.sent
    until(lambda: _accounted(port) >= sent, REST_S, "every message to be accounted for")
    until(lambda: len(_delays_s(stack)) >= len(good.silences_ns), 60.0, "the alarm of each asystole")
    assert monitor.process.poll() is None, monitor.text[-3000:]
    delays_s = _delays_s(stack)
    return {
        "messages": number,
        "seed": seed,
        "broker": "embedded" if stack.settings.embedded else "Apache Kafka",
        "senders": senders,
        "sent a second": a_second,
        "accounted for after, s": round(seconds),
        "CPU of the monitor, s": round(cpu_s),
        "most waiting": round(most_waiting),
        "skips to latest": round(_metric(port, SKIPS)),
        "dead letters": _letters(stack),
        "windows processed": round(_metric(port, WINDOWS[0])),
        "windows backfilled": round(_metric(port, WINDOWS[1])),
        "unaccounted": sent - _letters(stack) - round(sum(_metric(port, name) for name in WINDOWS)),
        "monitor ended": monitor.process.poll() is not None,
        "asystoles beside them": len(good.silences_ns),
        "alarms": len(delays_s),
        "onset to Redis, worst, s": round(max(delays_s, default=float("nan")), 2),
    }


def _delays_s(stack: Stack) -> list[float]:
    """From the onset of each asystole of the good bed to its first version in Redis."""
    delays = []
    for entry, fields in stack.redis.xrange("ecg:{main}:alerts:icu-3"):  # type: ignore[union-attr]
        alert = Alert.from_json(fields[b"doc"])
        if (alert.bed, alert.code, alert.version) == ("good", "ASYSTOLE", 1):
            delays.append(int(entry.split(b"-")[0]) / 1000 - alert.onset.timestamp())
    return delays


def _letters(stack: Stack) -> int:
    """Messages on the dead-letter topic."""
    consumer = KafkaConsumer(bootstrap_servers=stack.broker.address)
    places = [TopicPartition(stack.topics.dead_letter, p) for p in range(stack.topics.partitions)]
    ends = consumer.end_offsets(places)
    consumer.close()
    return sum(ends.values())


def _accounted(port: int) -> float:
    return sum(_metric(port, name) for name in (LETTERS, *WINDOWS))


def _metric(port: int, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30.0) as answer:
        lines = answer.read().decode().splitlines()
    return float(next((line.split()[1] for line in lines if line.startswith(f"{name} ")), "nan"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--senders", type=int, default=1, help="processes that send them")
    parser.add_argument("--embedded", action="store_true", help="the embedded broker instead of Apache Kafka")
    parser.add_argument("--write", action="store_true", help=f"append to {TABLE.name}")
    parser.add_argument("--flood", metavar="ADDRESS", help="only send the messages (the benchmark starts this itself)")
    arguments = parser.parse_args()
    if arguments.flood:
        flood(arguments.flood, arguments.messages, arguments.seed)
        sys.exit(0)
    home = Path(os.environ.get("GEM_BEDSIDE_TEST_KAFKA_HOME", ROOT.parent / "shared" / "kafka")).resolve()
    row = run(arguments.messages, arguments.seed, arguments.senders, None if arguments.embedded else home)
    line = f"| {' | '.join(map(str, row.values()))} |"
    print(f"| {' | '.join(row)} |\n|{'---|' * len(row)}\n{line}")
    if arguments.write:
        head = (
            "# Malformed messages\n\nWritten by `python -m benchmarks.malformed --write`.\n\n"
            f"| {' | '.join(row)} |\n|{'---|' * len(row)}\n"
        )
        before = TABLE.read_text(encoding="utf-8") if TABLE.is_file() else head
        TABLE.write_text(f"{before}{line}\n", encoding="utf-8")

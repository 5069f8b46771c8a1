"""Malformed messages through a running monitor: none ends it, all are accounted for, and a bed beside them is judged.

Random bytes, and valid windows with bits turned, parts cut out, doubled or replaced, go to ``ecg.windows`` as fast as
Kafka takes them, while one bed sends good windows in real time and its heart stands still. Each message must be a dead
letter or a window that was processed, live or by the backfill.

    python -m benchmarks.malformed [--messages 1000000] [--seed 0] [--write]
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from deploy.local import LocalKafka, LocalRedis, free_port
from streams.wire import encode_window
from tests.agents.signals import ecg, messages
from tests.agents.stack import Stack, until
from tests.brokers import ApacheKafka
from tests.conftest import Broker
from tests.streams.test_fuzzed_decoders import edited

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "benchmarks" / "malformed.md"
CHUNK = 2000  # messages between two looks at the monitor
WAITING_MOST = 20_000  # messages that the monitor may be behind before the sender waits
REST_S = 3600.0
WINDOWS = ("gem_bedside_windows_total", "gem_bedside_windows_backfilled_total")


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


def run(number: int, seed: int, kafka_home: Path | None) -> dict[str, object]:
    """Send so many messages; the row of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker = ApacheKafka(kafka_home, folder / "kafka") if kafka_home else LocalKafka(folder / "kafka")
        with (
            broker,
            LocalRedis(folder / "redis") as redis,
            Stack(Broker(broker.address, kafka_home is None), redis.url, "ecg.", folder) as stack,
        ):
            return _measure(stack, number, seed)


def _measure(stack: Stack, number: int, seed: int) -> dict[str, object]:
    port = free_port()
    stack.environment["GEM_BEDSIDE_METRICS_PORT"] = str(port)
    (monitor,) = stack.start("monitor")
    stack.environment["GEM_BEDSIDE_METRICS_PORT"] = "0"
    stack.start("publisher")
    good = messages(ecg(60, silent=[(25.0, 34.0)], start_ns=time.time_ns()), bed="good")
    feed = threading.Thread(target=lambda: stack.send([good], 0, 60, a_second=1.0), daemon=True)
    feed.start()
    rng, valid, began = random.Random(seed), encode_window(messages(ecg(1))[0]), time.monotonic()
    for k in range(number):
        stack.producer.send_bytes(stack.topics.windows, f"icu-3/{rng.randrange(20):02d}", malformed(rng, valid))
        if k % CHUNK == CHUNK - 1:
            stack.producer.flush()
            handled = k + 1 - WAITING_MOST
            until(lambda handled=handled: _accounted(port) >= handled, REST_S, "the monitor to come near")
    stack.producer.flush()
    feed.join()
    sent = number + len(good)
    until(lambda: _accounted(port) >= sent, REST_S, "every message to be accounted for")
    seconds = time.monotonic() - began
    assert monitor.process.poll() is None, monitor.text[-3000:]
    alerts = [a for a in stack.published() if a.bed == "good" and a.code == "ASYSTOLE"]
    delay_s = (alerts[0].published - alerts[0].onset).total_seconds() if alerts else float("nan")
    return {
        "messages": number,
        "seed": seed,
        "broker": "embedded" if stack.settings.embedded else "Apache Kafka",
        "dead letters": round(_metric(port, "gem_bedside_dead_letters_total")),
        "windows processed": round(_metric(port, WINDOWS[0])),
        "windows backfilled": round(_metric(port, WINDOWS[1])),
        "unaccounted": sent - round(_accounted(port)),
        "monitor ended": monitor.process.poll() is not None,
        "asystole beside them, onset to alert, s": round(delay_s, 2),
        "messages a second": round(sent / seconds),
    }


def _accounted(port: int) -> float:
    return sum(_metric(port, name) for name in ("gem_bedside_dead_letters_total", *WINDOWS))


def _metric(port: int, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30.0) as answer:
        lines = answer.read().decode().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--embedded", action="store_true", help="the embedded broker instead of Apache Kafka")
    parser.add_argument("--write", action="store_true", help=f"append to {TABLE.name}")
    arguments = parser.parse_args()
    home = Path(os.environ.get("GEM_BEDSIDE_TEST_KAFKA_HOME", ROOT.parent / "shared" / "kafka")).resolve()
    row = run(arguments.messages, arguments.seed, None if arguments.embedded else home)
    line = f"| {' | '.join(map(str, row.values()))} |"
    print(f"| {' | '.join(row)} |\n|{'---|' * len(row)}\n{line}")
    if arguments.write:
        head = (
            "# Malformed messages\n\nWritten by `python -m benchmarks.malformed --write`.\n\n"
            f"| {' | '.join(row)} |\n|{'---|' * len(row)}\n"
        )
        before = TABLE.read_text(encoding="utf-8") if TABLE.is_file() else head
        TABLE.write_text(f"{before}{line}\n", encoding="utf-8")

"""Benchmark of a ward in real time through the whole stack: lag of the vitals, and delay of the alerts in Redis.

Every bed sends 12 leads at 500 Hz, one message per second, with one asystole. The monitor, the interpreter and the
publisher run as processes. The benchmark measures in Redis: the age of the newest vitals of a bed (the lag, s), and the
time from the onset of each asystole to its alert (s).

    python -m benchmarks.ward --beds 32 --seconds 180 [--kafka-home ../shared/kafka] [--out benchmarks/ward.md]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import psutil
import redis

from deploy.local import LocalKafka, LocalRedis
from models.leads import STANDARD_12
from streams.document import ns_of_time
from streams.telemetry import TelemetryProducer
from streams.topics import Topics, ensure_topics
from streams.wire import EcgWindow
from tests.agents.signals import S, ecg, messages
from tests.brokers import ApacheKafka

RUN = "import sys; from agents.run import run_worker; sys.exit(run_worker(sys.argv[1]))"
WORKERS = ("monitor", "interpreter", "publisher")
BIN_S = 15
STANDSTILL_S = 9.0
SETTLE_S = 20.0  # of the beat detector, and of the ward as a whole


@dataclass
class Arrivals:
    """Documents that arrived in Redis."""

    lags: list[tuple[float, float]] = field(default_factory=list)  # seconds since the start, age of the vitals
    onset_to_alert: dict[str, float] = field(default_factory=dict)
    vitals: int = 0


def listen(url: str, unit: str, began: float, arrivals: Arrivals, stop: threading.Event) -> None:
    """Read the unit's live channel as a nurse station does."""
    channel = redis.Redis.from_url(url).pubsub(ignore_subscribe_messages=True)
    channel.subscribe(f"ecg:{{main}}:live:{unit}")
    while not stop.is_set():
        message = channel.get_message(timeout=0.2)
        if message is None:
            continue
        now_ns, doc = time.time_ns(), json.loads(message["data"])
        if doc["type"] == "vitals":
            arrivals.vitals += 1
            arrivals.lags.append((time.monotonic() - began, (now_ns - _ns(doc["at"])) / S))
        elif doc["type"] == "alert" and doc["code"] == "ASYSTOLE" and doc["version"] == 1:
            arrivals.onset_to_alert[doc["id"]] = (now_ns - _ns(doc["onset"])) / S


def _ns(text: str) -> int:
    return ns_of_time(datetime.fromisoformat(text))


def beds(n: int, seconds: int, start_ns: int) -> list[list[EcgWindow]]:
    """The beds' messages; their hearts stand still one after the other."""
    out = []
    for k in range(n):
        at = SETTLE_S + (seconds - SETTLE_S - 2 * STANDSTILL_S) * k / max(1, n - 1)
        spread_ns = k * S // n  # the beds' seconds end one after the other
        signal = ecg(
            seconds,
            60 + k,
            leads=STANDARD_12,
            fs_hz=500.0,
            silent=[(at, at + STANDSTILL_S)],
            start_ns=start_ns + spread_ns,
            seed=k,
        )
        out.append(messages(signal, bed=f"{k:02d}", unit="ward", patient=f"p-{k:04d}"))
    return out


def run(n: int, seconds: int, kafka_home: Path | None, monitors: int, kill_at: int | None, tail_s: float = 5.0) -> str:
    """The table, as Markdown."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker = ApacheKafka(kafka_home, folder / "kafka") if kafka_home else LocalKafka(folder / "kafka")
        with broker, LocalRedis(folder / "redis") as store:
            return _measure(n, seconds, broker, store.url, folder, kafka_home is None, monitors, kill_at, tail_s)


def _measure(
    n: int,
    seconds: int,
    broker: ApacheKafka | LocalKafka,
    url: str,
    folder: Path,
    embedded: bool,
    monitors: int,
    kill_at: int | None,
    tail_s: float,
) -> str:
    topics = Topics()
    ensure_topics(broker.address, topics)
    environment = os.environ | {
        "GEM_BEDSIDE_KAFKA": broker.address,
        "GEM_BEDSIDE_REDIS": url,
        "GEM_BEDSIDE_EMBEDDED": str(int(embedded)),
        "OMP_NUM_THREADS": "1",
    }
    names = ["monitor"] * monitors + list(WORKERS[1:])
    logs = [folder / f"{k}-{name}.log" for k, name in enumerate(names)]
    workers = [
        subprocess.Popen([sys.executable, "-c", RUN, name], env=environment, stderr=log.open("wb"))
        for name, log in zip(names, logs, strict=True)
    ]
    try:
        while not all(b"\nready\n" in b"\n" + log.read_bytes() for log in logs):
            time.sleep(0.2)
            assert all(worker.poll() is None for worker in workers), [log.read_text()[-2000:] for log in logs]
        arrivals, stop = Arrivals(), threading.Event()
        start_ns = time.time_ns() // S * S + 5 * S
        ward = beds(n, seconds, start_ns)
        while time.time_ns() < start_ns:
            time.sleep(0.05)
        processes = [psutil.Process(worker.pid) for worker in workers]
        before = [sum(p.cpu_times()[:2]) for p in processes]
        began = time.monotonic()
        thread = threading.Thread(target=listen, args=(url, "ward", began, arrivals, stop))
        thread.start()
        sent = 0
        with TelemetryProducer(broker.address, topics) as producer:
            for k in range(seconds):
                if k == kill_at:
                    workers[0].kill()
                    log = (folder / "again.log").open("wb")
                    workers.append(subprocess.Popen([sys.executable, "-c", RUN, names[0]], env=environment, stderr=log))
                for j, windows in enumerate(ward):
                    due_ns = start_ns + (k + 1) * S + j * S // n
                    time.sleep(max(0.0, (due_ns - time.time_ns()) / S))
                    producer.send(windows[k])
                    sent += 1
        time.sleep(tail_s)
        alive = [p for p in processes if p.status() != psutil.STATUS_ZOMBIE]
        cpu = [sum(p.cpu_times()[:2]) - c if p in alive else 0.0 for p, c in zip(processes, before, strict=True)]
        stop.set()
        thread.join()
    finally:
        for worker in workers:
            worker.terminate()
        statuses = [worker.wait(60) for worker in workers]
        for log in folder.glob("*.log"):
            text = log.read_text(errors="replace")
            if " ERROR " in text or " CRITICAL " in text:
                print(f"{log.name}:\n{text[-4000:]}", file=sys.stderr)
    return table(
        n,
        seconds,
        sent,
        arrivals,
        dict(zip([f"{w} {k}" for k, w in enumerate(names)], cpu, strict=True)),
        statuses,
        embedded,
    )


def table(
    n: int, seconds: int, sent: int, arrivals: Arrivals, cpu: dict[str, float], statuses: list[int], embedded: bool
) -> str:
    """Result tables in Markdown."""
    lag = np.array(arrivals.lags)
    alerts = np.array(sorted(arrivals.onset_to_alert.values()))
    load = os.getloadavg()
    lines = [
        f"{n} beds, 12 leads at 500 Hz, 1-s messages, {seconds} s in real time; "
        f"{'embedded broker' if embedded else 'Apache Kafka'}; {os.cpu_count()} cores; "
        f"load average of the machine at the end {load[0]:.1f}.",
        "",
        "| | |",
        "|---|---|",
        f"| windows sent | {sent} |",
        f"| vitals read in Redis | {arrivals.vitals} |",
        f"| asystoles raised | {len(alerts)} of {n} |",
        f"| onset to alert in Redis, s: p50, p99, max | {_q(alerts, 50)}, {_q(alerts, 99)}, {_q(alerts, 100)} |",
        f"| workers' exit statuses | {statuses} |",
    ]
    lines += [f"| CPU of {name}, cores | {used / seconds:.2f} |" for name, used in cpu.items()]
    lines += [
        "",
        "Age of a bed's newest vitals in Redis (signal's end to station), s:",
        "",
        "| time, s | p50 | p99 |",
        "|---|---|---|",
    ]
    for start in range(0, seconds, BIN_S):
        part = lag[(lag[:, 0] >= start) & (lag[:, 0] < start + BIN_S), 1] if len(lag) else np.zeros(0)
        if len(part):
            lines.append(f"| {start}–{start + BIN_S} | {np.percentile(part, 50):.2f} | {np.percentile(part, 99):.2f} |")
    return "\n".join(lines) + "\n"


def _q(values: np.ndarray, q: float) -> str:
    return f"{np.percentile(values, q):.2f}" if len(values) else "none"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beds", type=int, default=32)
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--monitors", type=int, default=1)
    parser.add_argument("--kill-at", type=int, help="kill the first monitor after so many seconds, and start another")
    parser.add_argument("--tail", type=float, default=5.0, help="seconds to go on after the last window")
    parser.add_argument("--kafka-home", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    text = run(
        arguments.beds,
        arguments.seconds,
        arguments.kafka_home,
        arguments.monitors,
        arguments.kill_at,
        arguments.tail,
    )
    print(text)
    if arguments.out:
        arguments.out.write_text(f"# A ward in real time\n\nWritten by `python -m benchmarks.ward`.\n\n{text}")

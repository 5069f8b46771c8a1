"""Workers as processes, a producer, and what the topics and Redis hold in the end: for tests that kill things."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

import redis
from kafka import KafkaConsumer, TopicPartition

from agents.settings import Settings
from streams.alert import Alert
from streams.bed import Bed
from streams.telemetry import TelemetryProducer
from streams.topics import Topics, ensure_topics
from streams.wire import EcgWindow
from tests.conftest import Broker

ROOT = Path(__file__).resolve().parents[2]
PARTITIONS = 4
READY_S = 90.0
BUSY = 3.0
RUN = "import sys; from agents.run import run_worker; sys.exit(run_worker(sys.argv[1]))"


class WorkerProcess:
    """One worker, as `gem-bedside worker NAME` runs it."""

    def __init__(self, name: str, environment: dict[str, str], log: Path, program: str = RUN) -> None:
        self.name, self.log = name, log
        with log.open("ab") as out:
            command = [sys.executable, "-c", program, name]
            self.process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=out, stderr=out)

    def wait_ready(self) -> Self:
        until(lambda: "\nready\n" in f"\n{self.text}" or self.process.poll() is not None, READY_S, f"{self.name} ready")
        assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}:\n{self.text[-3000:]}"
        return self

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.terminate()
        return self.process.wait(40 * BUSY)

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)


class Stack:
    """A site of its own on a shared broker and Redis."""

    def __init__(self, broker: Broker, redis_url: str, prefix: str, folder: Path, **settings: Any) -> None:
        self.broker, self.folder = broker, folder
        values = {
            "kafka": broker.address,
            "redis": redis_url,
            "topic_prefix": prefix,
            "partitions": PARTITIONS,
            "embedded": broker.embedded,
            "gem": False,
        } | settings
        self.settings = Settings(**values)
        self.topics = Topics(prefix, self.settings.partitions)
        self.environment = os.environ | {f"GEM_BEDSIDE_{k.upper()}": str(v) for k, v in values.items()}
        self.environment |= {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        self.redis = redis.Redis.from_url(redis_url)
        self.workers: list[WorkerProcess] = []
        self.programs: dict[str, str] = {}  # of workers that are not run as usual
        self._started = 0

    def __enter__(self) -> Self:
        ensure_topics(self.broker.address, self.topics, replication=self.settings.replication)
        self.producer = TelemetryProducer(self.broker.address, self.topics)
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.resume()
                worker.kill()
        self.producer.close()
        self.redis.close()

    def start(self, *names: str) -> list[WorkerProcess]:
        """Start workers and wait until they hold their partitions."""
        return [worker.wait_ready() for worker in [self.launch(name) for name in names]]

    def launch(self, name: str) -> WorkerProcess:
        """Start a worker without waiting."""
        self._started += 1
        log = self.folder / f"{name}-{self._started}.log"
        worker = WorkerProcess(name, self.environment, log, self.programs.get(name, RUN))
        self.workers.append(worker)
        return worker

    def send(self, beds: Iterable[list[EcgWindow]], start: int, stop: int, *, a_second: float) -> None:
        """The messages ``start`` to ``stop`` of every bed, so many a second."""
        beds = list(beds)
        began = time.monotonic()
        for k in range(start, stop):
            for windows in beds:
                self.producer.send(windows[k])
            time.sleep(max(0.0, began + (k - start + 1) / a_second - time.monotonic()))
        self.producer.flush()

    def records(self, topic: str) -> list[Any]:
        """Everything on a topic, in order of each partition."""
        consumer = KafkaConsumer(bootstrap_servers=self.broker.address, enable_auto_commit=False)
        try:
            places = [TopicPartition(topic, p) for p in range(self.topics.partitions)]
            consumer.assign(places)
            ends = consumer.end_offsets(places)
            consumer.seek_to_beginning(*places)
            found: list[Any] = []
            deadline = time.monotonic() + 20 * BUSY
            while any(consumer.position(p) < ends[p] for p in places) and time.monotonic() < deadline:
                for batch in consumer.poll(timeout_ms=500).values():
                    found += batch
            return found
        finally:
            consumer.close()

    def alert_log(self) -> dict[str, list[Alert]]:
        """The versions of each alert as they were written, in order."""
        out: dict[str, list[Alert]] = defaultdict(list)
        for record in self.records(self.topics.alerts):
            alert = Alert.from_json(record.value)
            out[alert.id].append(alert)
        return out

    def beds(self) -> dict[str, Bed]:
        """The newest document of each bed."""
        return {
            bed.bed_stream: bed for record in self.records(self.topics.beds) if (bed := Bed.from_json(record.value))
        }

    def published(self, unit: str = "icu-3") -> list[Alert]:
        """The stream that nurse stations read."""
        entries: Any = self.redis.xrange(f"ecg:{{main}}:alerts:{unit}")
        return [Alert.from_json(fields[b"doc"]) for _, fields in entries]

    def dead_letters(self) -> list[dict[str, str]]:
        return [{k: v.decode() for k, v in record.headers} for record in self.records(self.topics.dead_letter)]

    def wait_for(self, code: str, beds: int, seconds: float = 60.0) -> None:
        """Until so many beds have published a code."""
        until(lambda: len({a.bed for a in self.published() if a.code == code}) >= beds, seconds, f"{code} in Redis")

    def drained(self, seconds: float = 60.0) -> None:
        """Until the station's stream holds every alert that was written."""

        def same() -> bool:
            written = {(a.id, a.version) for versions in self.alert_log().values() for a in versions}
            return written == {(a.id, a.version) for a in self.published()}

        until(same, seconds, "everything published")

    def document(self, alert_id: str) -> Alert:
        """An alert as a station reads it."""
        raw: Any = self.redis.hget(f"ecg:{{main}}:alert:{alert_id}", "doc")
        return Alert.from_json(raw)

    def offsets(self) -> dict[str, int]:
        held: Any = self.redis.hgetall("ecg:{main}:offsets")
        return {k.decode(): int(v) for k, v in held.items()}


def until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until something holds; ``seconds`` are those of an idle machine, a busy one gets `BUSY` times as many."""
    seconds *= BUSY
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)


def no_version_is_missing_or_different(log: dict[str, list[Alert]]) -> None:
    """Each alert's versions count from 1 without a gap, and one that was written twice says the same twice."""
    for versions in log.values():
        texts: dict[int, str] = {}
        for alert in versions:
            body = json.loads(alert.to_json())
            del body["generation"]
            text = json.dumps(body, sort_keys=True)
            assert texts.setdefault(alert.version, text) == text, f"{alert.code} version {alert.version} has two texts"
        assert sorted(texts) == list(range(1, len(texts) + 1)), f"{versions[0].code}: versions {sorted(texts)}"

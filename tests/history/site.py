"""A site as processes: one broker and Redis behind a proxy, two monitors and two publishers under a supervisor.

Of several brokers each advertises its own address, so that only Redis is behind the proxy there.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any, Self

from deploy.local import LocalRedis, free_port
from streams.telemetry import TelemetryProducer
from streams.topics import Topics, ensure_topics
from tests.agents.stack import READY_S, WorkerProcess
from tests.brokers import ApacheKafka
from tests.history.log import UnitLog
from tests.history.plan import PlannedWard
from tests.toxiproxy import Toxiproxy

PARTITIONS = 4
WORKERS = ("monitor", "monitor", "publisher", "publisher")
RESTART_S = 0.5  # a supervisor starts a worker that has ended again
GATEWAY_S = 600.0  # the gateway keeps a message so long until Kafka takes it
QUICK = {"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500"}  # a dead broker is known in 3 s


class HistoryRedis(LocalRedis):
    """Redis that outlives a full disk, which tests make with a limit on the size of its files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.command = ["sh", "-c", 'trap "" XFSZ; exec "$@"', "redis", *self.command]

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid


class Site:
    """The processes of a site.

    Parameters
    ----------
    folder : Path
        For data and logs.
    kafka_home : Path
        Of Apache Kafka.
    nodes : int
        Brokers, one or three.
    proxy : Path or None
        The program of Toxiproxy; None: workers and stations reach their servers directly.
    settings
        Of the workers.
    """

    def __init__(
        self, folder: Path, kafka_home: Path, nodes: int = 1, proxy: Path | None = None, **settings: Any
    ) -> None:
        self.folder = folder
        self.redis = HistoryRedis(folder / "redis")
        self.proxy = None if proxy is None else Toxiproxy(proxy, folder)
        through, brokers = free_port(), QUICK
        if self.proxy is not None and nodes == 1:
            brokers = QUICK | {"advertised.listeners": f"PLAINTEXT://127.0.0.1:{through}"}
        self.kafka = ApacheKafka(kafka_home, folder / "kafka", nodes=nodes, settings=brokers)
        self.kafka_address, self._redis_address = self.kafka.address, self.redis.address
        if self.proxy is not None:
            self._redis_address = self.proxy.route("redis", self.redis.address)
            if nodes == 1:
                self.kafka_address = self.proxy.route("kafka", self.kafka.address, through)
        self.workers: list[WorkerProcess | None] = [None] * len(WORKERS)
        self.ended: list[str] = []  # workers that ended by themselves, with their status
        self.topics = Topics("ecg.", PARTITIONS)
        self._values = {"partitions": PARTITIONS, "gem": False, "replication": nodes} | settings
        self._started = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)

    @property
    def redis_url(self) -> str:
        """As workers and stations reach it."""
        return f"redis://{self._redis_address}/0"

    def __enter__(self) -> Self:
        try:
            self.redis.start()
            if self.proxy is not None:
                self.proxy.start()
            self.kafka.start()
            ensure_topics(self.kafka_address, self.topics, replication=self._values["replication"])
            for k in range(len(WORKERS)):
                self._launch(k)
            for worker in self.workers:
                assert worker is not None
                worker.wait_ready()
            self._supervisor.start()
            self.producer = TelemetryProducer(self.kafka_address, self.topics, delivery_timeout_s=GATEWAY_S)
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._supervisor.ident is not None:
            self._supervisor.join(10.0)
        for worker in self.workers:
            if worker is not None and worker.process.poll() is None:
                worker.resume()
                worker.kill()
        for server in (self.proxy, self.redis):
            if server is not None:
                server.kill()
        self.kafka.stop()

    def worker(self, index: int) -> WorkerProcess:
        """The process that runs at this place now."""
        found = self.workers[index]
        assert found is not None
        return found

    def wait_until_ready(self, seconds: float = READY_S) -> bool:
        """Wait until every worker holds its partitions."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with self._lock:
                if all(worker is not None and _is_ready(worker) for worker in self.workers):
                    return True
            time.sleep(0.2)
        return False

    def feed(self, ward: PlannedWard, start_ns: int, stop: threading.Event) -> threading.Thread:
        """Send a ward's messages in real time, each when its last sample is there."""

        def run() -> None:
            for k in range(ward.seconds):
                for j, windows in enumerate(ward.messages):
                    due_ns = start_ns + (k + 1) * 1_000_000_000 + j * 1_000_000_000 // len(ward.messages)
                    if stop.wait(max(0.0, (due_ns - time.time_ns()) / 1e9)):
                        return
                    self.producer.send(windows[k])

        thread = threading.Thread(target=run, name="telemetry", daemon=True)
        thread.start()
        return thread

    def log(self, unit: str) -> UnitLog:
        """What is written about a unit."""
        return UnitLog(self.kafka_address, self.topics, unit, f"{self.topics.prefix}main-monitor")

    # ---- processes -----------------------------------------------------------------------------------------------

    def _environment(self) -> dict[str, str]:
        values = self._values | {"kafka": self.kafka_address, "redis": self.redis_url}
        settings = {f"GEM_BEDSIDE_{name.upper()}": str(value) for name, value in values.items()}
        return os.environ | settings | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}

    def start_extra(self, name: str) -> WorkerProcess:
        """One more worker; whoever starts it ends it."""
        self._started += 1
        return WorkerProcess(name, self._environment(), self.folder / f"{name}-{self._started}.log")

    def _launch(self, index: int) -> None:
        self.workers[index] = self.start_extra(WORKERS[index])

    def _supervise(self) -> None:
        while not self._stop.wait(RESTART_S):
            for index, worker in enumerate(self.workers):
                if worker is not None and (status := worker.process.poll()) is not None:
                    self.ended.append(f"{worker.name} {status}")
                    with self._lock:
                        self._launch(index)


def _is_ready(worker: WorkerProcess) -> bool:
    return worker.process.poll() is None and "\nready\n" in f"\n{worker.text}"

"""The demo's stack: embedded Kafka and Redis, the topics, the three workers and the station, started and stopped.

Everything listens on 127.0.0.1 on free ports, and ends with this process, also when it is killed.
"""

from __future__ import annotations

import shutil
import tempfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from kafka import KafkaConsumer, TopicPartition
from redis import Redis

from agents.settings import Settings
from deploy.local import LocalStack, free_port
from deploy.processes import Program
from deploy.services import topics_of
from deploy.ward import QT_CONFIRM_S
from streams.topics import ensure_topics
from streams.ward_view import WardView

WORKERS = ("monitor", "interpreter", "publisher")
READY_S = 60.0  # a worker on a busy two-core machine: imports, models, and the group's join (5 to 15 s)
METRICS_S = 2.0
ANALYSED_METRIC = "gem_bedside_windows_total "


class DemoStack:
    """Kafka, Redis, workers and station.

    Parameters
    ----------
    folder : Path
        Logs and Redis's file; emptied at the start.
    settings : mapping
        Environment for the workers, beside the stack's own.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.data = Path(tempfile.mkdtemp(prefix="gem-bedside-"))
        self.local = LocalStack(self.data)
        self.metrics_port = free_port()
        self._given = dict(settings)
        self.programs: list[Program] = []
        self.station_url = ""

    @property
    def kafka(self) -> str:
        return self.local.kafka.address

    @property
    def redis_url(self) -> str:
        return self.local.redis.url

    @property
    def environment(self) -> dict[str, str]:
        """The settings of the workers."""
        return {
            "GEM_BEDSIDE_QT_CONFIRM_S": f"{QT_CONFIRM_S:g}",
            "OMP_NUM_THREADS": "1",  # three workers share the machine: a pool of threads each would only get in the way
            **self._given,
            **self.local.environment,
        }

    def start(self) -> Self:
        """Start all and wait until the workers hold their partitions; stops what runs when something fails."""
        for old in self.folder.glob("*.log"):
            old.unlink()
        try:
            self.local.start()
            self.settings = Settings(kafka=self.kafka, redis=self.redis_url)
            ensure_topics(self.kafka, topics_of(self.settings))
            for worker in WORKERS:
                extra = {"GEM_BEDSIDE_METRICS_PORT": str(self.metrics_port)} if worker == "monitor" else {}
                self.programs.append(self._program(worker, ["worker", worker], extra, r"\bready\b"))
            station = self._program("station", ["station", "--port", "0"], {}, r"station (http://\S+)")
            self.programs.append(station)
            for program in self.programs:
                said = program.wait_ready(READY_S)
                if program is station:
                    self.station_url = said.group(1)
        except BaseException:
            self.stop()
            raise
        self.redis = Redis.from_url(self.redis_url)
        self.view = WardView(self.redis, self.settings.site)
        return self

    def _program(self, name: str, arguments: list[str], extra: Mapping[str, str], ready: str) -> Program:
        return Program(name, arguments, {**self.environment, **extra}, self.folder / f"{name}.log", ready)

    def stop(self) -> None:
        """Stop the workers, let them finish what they took, then the station, Redis and Kafka."""
        for program in self.programs:
            program.stop()
        for program in self.programs:
            program.wait_stopped()
        self.local.stop()
        shutil.rmtree(self.data, ignore_errors=True)

    def ended(self) -> Program | None:
        """A program that ended by itself."""
        return next((program for program in self.programs if not program.running), None)

    def windows_in(self) -> int:
        """Messages that Kafka holds on ``ecg.windows``."""
        return self._messages(topics_of(self.settings).windows)

    def dead_letters(self) -> int:
        """Messages that Kafka holds on ``ecg.dead-letter``."""
        return self._messages(topics_of(self.settings).dead_letter)

    def windows_analysed(self) -> int:
        """Windows that the monitor has judged, by its own count."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=METRICS_S) as answer:
            lines = answer.read().decode().splitlines()
        return round(sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(ANALYSED_METRIC)))

    def _messages(self, topic: str) -> int:
        consumer = KafkaConsumer(bootstrap_servers=self.kafka, group_id=None, enable_auto_commit=False)
        try:
            places = [TopicPartition(topic, p) for p in range(self.settings.partitions)]
            return sum(consumer.end_offsets(places).values())
        finally:
            consumer.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

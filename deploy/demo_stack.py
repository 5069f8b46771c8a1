"""The demo's stack: embedded Kafka and Redis, the topics, the workers (a monitor a core) and the station.

All programs listen on free ports of 127.0.0.1, and end with this process, also when it is killed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from kafka import KafkaConsumer, TopicPartition
from redis import Redis

from agents.settings import Settings
from deploy.local import LocalStack, free_port
from deploy.processes import Program, ProgramEnded
from deploy.services import topics_of
from deploy.ward import QT_CONFIRM_S
from streams.partition import partition_of
from streams.topics import ensure_topics
from streams.ward_view import WardView

BESIDE_MONITORS = ("interpreter", "publisher")
READY_S = 60.0  # a worker on a busy two-core machine: imports, models, and the group's join (5 to 15 s)
RESTARTS = 5  # a worker that stood still for longer than its session ends by itself; more restarts mean a fault


def monitor_names(settings: Settings, cores: int | None = None) -> list[str]:
    """``monitor-1``, ``monitor-2``, …: one a core, or as many as the settings say; never more than partitions.

    Parameters
    ----------
    cores : int, optional
        Those that this process may use by default.

    >>> monitor_names(Settings(partitions=8), cores=2)
    ['monitor-1', 'monitor-2']
    """
    if cores is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [f"monitor-{k + 1}" for k in range(min(settings.monitors or cores, settings.partitions))]


class DemoStack:
    """Kafka, Redis, workers and station.

    Parameters
    ----------
    folder : Path
        Folder of the logs; those of the last run are removed at the start.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = Path(tempfile.mkdtemp(prefix="gem-bedside-"))
        self.local = LocalStack(self.data)
        self.station_port = free_port()
        self.programs: list[Program] = []
        self._recipes: dict[str, tuple[str, list[str], str]] = {}
        self._restarts = 0

    @property
    def kafka(self) -> str:
        """``127.0.0.1:port`` of the broker."""
        return self.local.kafka.address

    @property
    def redis_url(self) -> str:
        """URL of Redis."""
        return self.local.redis.url

    @property
    def station_url(self) -> str:
        """URL of the nurse-station page."""
        return f"http://127.0.0.1:{self.station_port}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings of the workers."""
        return {
            "GEM_BEDSIDE_QT_CONFIRM_S": f"{QT_CONFIRM_S:g}",
            "GEM_BEDSIDE_STANDBY": "false",  # a takeover replays the few beds of a demo; a standby analyses them twice
            "OMP_NUM_THREADS": "1",  # the workers share the machine: a thread pool in each would slow all
            **self.local.environment,
        }

    def start(self) -> Self:
        """Start all programs and wait until the workers hold their partitions; a failure stops all of them."""
        for old in self.folder.glob("*.log"):
            old.unlink()
        try:
            self.local.start()
            self.settings = Settings(kafka=self.kafka, redis=self.redis_url)
            ensure_topics(self.kafka, topics_of(self.settings))
            for name in (*monitor_names(self.settings), *BESIDE_MONITORS):
                self._recipes[name] = (name, ["worker", name.partition("-")[0]], r"\bready\b")
            self._recipes["station"] = (
                "station",
                ["station", "--port", str(self.station_port)],
                r"station (http://\S+)",
            )
            self.programs += [self._program(*recipe) for recipe in self._recipes.values()]
            for program in self.programs:
                program.wait_ready(READY_S)
        except BaseException:
            self.stop()
            raise
        self.redis = Redis.from_url(self.redis_url)
        self.view = WardView(self.redis, self.settings.site)
        return self

    def _program(self, name: str, arguments: list[str], ready: str) -> Program:
        return Program(name, arguments, self.environment, self.folder / f"{name}.log", ready)

    def stop(self) -> None:
        """Stop the workers, which finish their messages first, then the station, Redis and Kafka."""
        for program in self.programs:
            program.stop()
        for program in self.programs:
            program.wait_stopped()
        self.local.stop()
        shutil.rmtree(self.data, ignore_errors=True)

    def restart_ended(self) -> Program | None:
        """Restart a program that ended by itself, as Kubernetes would.

        Returns
        -------
        Program or None
            The program that ended.

        Raises
        ------
        ProgramEnded
            A program ended after `RESTARTS` restarts.
        """
        for k, ended in enumerate(self.programs):
            if ended.running:
                continue
            self._restarts += 1
            if self._restarts > RESTARTS:
                status = ended.process.returncode
                raise ProgramEnded(
                    f"{ended.name} ended with status {status} after {RESTARTS} restarts; "
                    f"{ended.log} ends with:\n{ended.log_end()}"
                )
            self.programs[k] = self._program(*self._recipes[ended.name])
            return ended
        return None

    def window_ends(self) -> dict[int, int]:
        """Number of windows in Kafka, by partition."""
        return self._ends(topics_of(self.settings).windows)

    def windows_analysed(self, ends: Mapping[int, int]) -> int:
        """Number of windows before ``ends`` that the monitor has analysed.

        Those are the windows before its committed offsets, less the skipped ones that wait for backfill
        (`streams.bed.Bed.skipped`).
        """
        waiting: set[tuple[int, int]] = set()
        for unit in self.view.units():
            for bed in (view.bed for view in self.view.beds(unit)):
                p = partition_of(bed.bed_stream.encode(), self.settings.partitions)
                for skipped in bed.skipped:
                    waiting.update((p, k) for k in range(skipped.first, skipped.last + 1) if k < ends[p])
        topic = topics_of(self.settings).windows
        with self._consumer() as consumer:
            done = sum(min(consumer.committed(TopicPartition(topic, p)) or 0, end) for p, end in ends.items())
        return done - len(waiting)

    def dead_letters(self) -> int:
        """Number of messages on ``ecg.dead-letter``."""
        return sum(self._ends(topics_of(self.settings).dead_letter).values())

    def _ends(self, topic: str) -> dict[int, int]:
        with self._consumer() as consumer:
            places = [TopicPartition(topic, p) for p in range(self.settings.partitions)]
            return {place.partition: end for place, end in consumer.end_offsets(places).items()}

    @contextmanager
    def _consumer(self) -> Iterator[KafkaConsumer]:
        """Consumer that reads the offsets of the monitor's group and never joins it."""
        consumer = KafkaConsumer(
            bootstrap_servers=self.kafka, group_id=self.settings.group("monitor"), enable_auto_commit=False
        )
        try:
            yield consumer
        finally:
            consumer.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

"""A whole site that has nothing but TLS, logins and least privilege: workers with their own users on secured servers.

The monitor and the interpreter log in to Kafka with SCRAM, the publisher with a client certificate.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

from streams.access import kafka_grants
from streams.telemetry import TelemetryProducer
from streams.topics import Topics
from tests.agents.stack import PARTITIONS, WorkerProcess
from tests.deploy.command import DONE, gem_bedside
from tests.secured_kafka import SecuredKafka
from tests.secured_redis import SecuredRedis

WORKERS = ("monitor", "interpreter", "publisher")


class SecuredSite:
    """Start with `with`; ``workers`` are restarted by `revive`, as Kubernetes would."""

    def __init__(self, kafka_home: Path, folder: Path) -> None:
        self.kafka = SecuredKafka(kafka_home, folder / "kafka")
        (folder / "redis").mkdir()
        self.redis = SecuredRedis(folder / "redis")
        self.folder, self.topics = folder, Topics("ecg.", PARTITIONS)
        self.workers: dict[str, WorkerProcess] = {}
        self.restarts = 0

    def __enter__(self) -> Self:
        self.kafka.start()
        self.redis.start()
        for program in ("topics", "telemetry", "monitor", "interpreter"):
            self.kafka.add_user(program, f"{program}-first")
            self.kafka.allow(program, kafka_grants(program, self.topics, "main"))
        self.kafka.allow("CN=publisher", kafka_grants("publisher", self.topics, "main"))
        made = gem_bedside("topics", partitions=PARTITIONS, **self._kafka_settings("topics"))
        assert made.status == DONE, made.err
        telemetry = self.kafka.login("telemetry", self.kafka.folder / "telemetry.password")
        self.producer = TelemetryProducer(self.kafka.sasl_ssl, self.topics, **telemetry.client_options())
        for name in WORKERS:
            self.start(name)
        for worker in self.workers.values():
            worker.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers.values():
            if worker.process.poll() is None:
                worker.kill()
        self.producer.close()
        self.redis.stop()
        self.kafka.stop()

    def start(self, name: str) -> None:
        """Start a worker as its own user."""
        values: dict[str, Any] = {"partitions": PARTITIONS, "gem": False} | self._kafka_settings(name)
        if name == "publisher":
            values |= self.redis.settings("publisher")
        environment = os.environ | {f"GEM_BEDSIDE_{k.upper()}": str(v) for k, v in values.items()}
        environment |= {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        self.workers[name] = WorkerProcess(name, environment, self.folder / f"{name}-{self.restarts}.log")

    def revive(self) -> None:
        """Start each worker again that has ended."""
        for name, worker in list(self.workers.items()):
            if worker.process.poll() is not None:
                self.restarts += 1
                self.start(name)

    def _kafka_settings(self, program: str) -> dict[str, object]:
        if program == "publisher":
            own = self.kafka.authority.issue("publisher")
            return {
                "kafka": self.kafka.ssl, "kafka_protocol": "SSL", "kafka_ca_file": self.kafka.authority.ca,
                "kafka_cert_file": own.cert, "kafka_key_file": own.key,
            }  # fmt: skip
        return self.kafka.settings(self.kafka.login(program, self.kafka.folder / f"{program}.password"))

    def rotate(self, turn: int) -> None:
        """New passwords in Kafka, Redis and the files, a new certificate; every connection to Redis is ended."""
        for program in ("monitor", "interpreter", "telemetry"):
            self.kafka.add_user(program, f"{program}-{turn}")
        self.kafka.authority.issue("publisher")  # writes a new certificate and key in place of the old ones
        with self.redis.admin.client() as admin:
            admin.execute_command("ACL", "SETUSER", "publisher", "resetpass", f">publisher-{turn}")  # type: ignore[no-untyped-call]
            self.redis.access("publisher", f"publisher-{turn}")
            self.redis.client.replace(self.redis.authority.issue(f"client-{turn}"))
            admin.client_kill_filter(user="publisher")

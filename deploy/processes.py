"""The demo's programs as processes: each says when it is ready, logs into a file, and never outlives the demo."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local import die_with_parent

STOP_S = 10.0  # SIGTERM to exit: a worker finishes what it took; then SIGKILL, so that no process stays behind


class ProgramEnded(RuntimeError):  # noqa: N818  (what happened: the program ended)
    """A program ended or did not become ready; the message carries the end of its log."""


class Program:
    """One ``gem-bedside`` command as a process of a session of its own (Ctrl-C reaches the demo alone, which stops it).

    Start it from a thread that lives as long as it does: the kernel ends it with that thread.

    Parameters
    ----------
    name : str
        Names the log file.
    arguments : sequence of str
        Of ``gem-bedside``.
    environment : mapping
        Settings beside those of this process.
    log : Path
        Takes its standard error.
    ready : str
        Regular expression of the line on standard error that says that it is ready.
    """

    def __init__(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path, ready: str
    ) -> None:
        self.name, self.log = name, log
        self.said: re.Match[str] | None = None
        self._ready = threading.Event()
        self._pattern = re.compile(ready)
        log.parent.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deploy.cli", *arguments],
            env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=die_with_parent(),
        )
        self._reader = threading.Thread(target=self._read, name=f"log of {name}", daemon=True)
        self._reader.start()

    @property
    def is_ready(self) -> bool:
        return self.said is not None

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def wait_ready(self, timeout_s: float) -> re.Match[str]:
        """The match of its line; `ProgramEnded` when it ended before, or says nothing in time."""
        until = time.monotonic() + timeout_s
        while not self._ready.wait(0.1):
            if not self.running:
                raise ProgramEnded(f"{self.name} ended with status {self.process.returncode}:\n{self.log_end()}")
            if time.monotonic() > until:
                raise ProgramEnded(f"{self.name} is not ready after {timeout_s:g} s:\n{self.log_end()}")
        assert self.said is not None
        return self.said

    def stop(self) -> None:
        """Ask it to end (SIGTERM); `wait_stopped` sees to it."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)

    def wait_stopped(self, timeout_s: float = STOP_S) -> int:
        """Its exit status; killed with all its children where it does not end."""
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._reader.join(1.0)
        return self.process.returncode

    def log_end(self, lines: int = 15) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.log.open("ab") as log:
            for line in self.process.stderr:
                log.write(line)
                log.flush()
                if not self._ready.is_set():
                    said = self._pattern.search(line.decode(errors="replace"))
                    if said is not None:
                        self.said = said
                        self._ready.set()

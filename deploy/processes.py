"""The demo's programs as processes: each reports readiness, logs into a file, and ends with the demo."""

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

STOP_S = 10.0  # from SIGTERM to SIGKILL: a worker finishes its messages; without the limit a stuck one blocks the end


class ProgramEnded(RuntimeError):  # noqa: N818  (an event that callers handle)
    """A program ended or did not become ready; the message carries the end of its log."""


class Program:
    """One ``gem-bedside`` command as a process.

    The process has a session of its own: Ctrl-C reaches the demo alone, which then stops its programs. The thread that
    starts it must live as long as the process, because the kernel ends the process with that thread.

    Parameters
    ----------
    name : str
        Name in messages.
    arguments : sequence of str
        Arguments of ``gem-bedside``.
    environment : mapping
        Settings added to those of this process.
    log : Path
        File for its standard error.
    ready : str
        Regular expression of the line on standard error that reports readiness.
    """

    def __init__(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path, ready: str
    ) -> None:
        self.name, self.log = name, log
        self.ready_line: re.Match[str] | None = None
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
        """True from the ready line on."""
        return self.ready_line is not None

    @property
    def running(self) -> bool:
        """True until the process has ended."""
        return self.process.poll() is None

    def wait_ready(self, timeout_s: float) -> re.Match[str]:
        """Wait for the ready line; `ProgramEnded` where the program ended before it, or the time is over."""
        until = time.monotonic() + timeout_s
        while not self._ready.wait(0.1):
            if not self.running:
                raise ProgramEnded(f"{self.name} ended with status {self.process.returncode}:\n{self.log_end()}")
            if time.monotonic() > until:
                raise ProgramEnded(f"{self.name} is not ready after {timeout_s:g} s:\n{self.log_end()}")
        assert self.ready_line is not None
        return self.ready_line

    def stop(self) -> None:
        """Send SIGTERM; `wait_stopped` waits for the end."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)

    def wait_stopped(self, timeout_s: float = STOP_S) -> int:
        """Wait for the end; exit status. A process that does not end is killed with its children."""
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._reader.join(1.0)
        return self.process.returncode

    def log_end(self, lines: int = 15) -> str:
        """The last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.log.open("ab") as log:
            for line in self.process.stderr:
                log.write(line)
                log.flush()
                if not self._ready.is_set():
                    match = self._pattern.search(line.decode(errors="replace"))
                    if match is not None:
                        self.ready_line = match
                        self._ready.set()

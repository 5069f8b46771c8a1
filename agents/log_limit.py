"""Limits the log: a cause that repeats is written a few times a minute, then counted.

During an outage a client logs the same line for each of its connections, several times a second. The cause of a line
is its logger, its level and its text without numbers and ids.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

WINDOW_S = 60.0
LINES = 5  # of one cause in a window
CAUSES = 500  # that are remembered; a log that names more of them is limited as a whole
_NUMBERS = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8}-[0-9a-f-]{27}|\d+(?:\.\d+)?")


@dataclass(slots=True)
class _Cause:
    since_s: float
    lines: int = 0
    left_out: int = 0


class LimitedLog(logging.Filter):
    """A filter for a handler.

    Parameters
    ----------
    monotonic : callable
        Seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._causes: dict[tuple[str, int, str], _Cause] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a line that is left out; the next one of its cause says how many were."""
        now_s = self._monotonic()
        key = record.name, record.levelno, _NUMBERS.sub("#", record.getMessage())[:200]
        if key not in self._causes and len(self._causes) >= CAUSES:
            self._causes = {k: c for k, c in self._causes.items() if now_s - c.since_s < WINDOW_S}
            if len(self._causes) >= CAUSES:
                key = record.name, record.levelno, ""
        cause = self._causes.setdefault(key, _Cause(now_s))
        if now_s - cause.since_s >= WINDOW_S:
            if cause.left_out:
                record.msg = f"{record.getMessage()} (and {cause.left_out} more like it)"
                record.args = ()
            self._causes[key] = cause = _Cause(now_s)
        cause.lines += 1
        if cause.lines > LINES:
            cause.left_out += 1
            return False
        return True

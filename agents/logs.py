"""Logs of the long-running programs: lines for people, or one JSON object a line for a log store.

The JSON keys are ``time`` (RFC 3339, UTC), ``level``, ``logger``, ``program``, ``message`` and, where there is one,
``exception``. No log line names a patient. A cause that repeats is limited (`agents.log_limit`).
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from agents.log_limit import LimitedLog
from agents.settings import Settings

TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
CHATTY = ("kafka", "aiokafka", "faust", "mode")  # they log every step of a rebalance at INFO


class JsonFormatter(logging.Formatter):
    """One JSON object a line.

    Parameters
    ----------
    program : str
        Worker or command that logs.
    """

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record, without its end."""
        line: dict[str, str] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "program": self._program,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure_logs(program: str, settings: Settings) -> None:
    """Log to standard error as the settings say; the loggers of the Kafka clients report warnings alone."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(program) if settings.log_format == "json" else logging.Formatter(TEXT_FORMAT))
    handler.addFilter(LimitedLog())
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)

"""JSON log lines: one object a line, with the exception in it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from agents.settings import Settings

PROGRAM = """
import logging
from agents.logs import configure_logs
from agents.settings import Settings
configure_logs("monitor", Settings())
log = logging.getLogger("agents.monitor")
log.info("partitions %s held", [1, 2])
try:
    1 / 0
except ZeroDivisionError:
    log.exception("bed icu-1/01: \\n two lines")
logging.getLogger("aiokafka").info("chatty")
"""


def _lines(monkeypatch: pytest.MonkeyPatch, **settings: str) -> list[str]:
    for name, value in settings.items():
        monkeypatch.setenv(f"GEM_BEDSIDE_{name.upper()}", value)
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    return done.stderr.splitlines()


def test_each_json_line_is_an_object_with_time_level_program_and_message(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = map(json.loads, _lines(monkeypatch, log_format="json"))
    assert first["time"].endswith("+00:00")
    assert {k: v for k, v in first.items() if k != "time"} == {
        "level": "INFO", "logger": "agents.monitor", "program": "monitor", "message": "partitions [1, 2] held",
    }  # fmt: skip
    assert "ZeroDivisionError" in second["exception"]


def test_the_level_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = _lines(monkeypatch, log_level="error")
    assert "held" not in lines[0]
    assert "ERROR agents.monitor: bed icu-1/01" in lines[0]


def test_lines_for_people_are_the_default() -> None:
    assert Settings().log_format == "text"

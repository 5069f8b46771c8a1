"""A cause that repeats is written a few times a minute, then counted; another cause is not held back by it."""

from __future__ import annotations

import logging

from agents.log_limit import CAUSES, LINES, WINDOW_S, LimitedLog


class Log:
    """Lines that pass the filter, and a clock."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.lines: list[str] = []
        self._filter = LimitedLog(lambda: self.now_s)

    def write(self, text: str, *args: object, name: str = "kafka", level: int = logging.WARNING) -> None:
        record = logging.LogRecord(name, level, "", 0, text, args, None)
        if self._filter.filter(record):
            self.lines.append(record.getMessage())


def test_an_outage_writes_a_few_lines_a_minute_and_says_how_many_it_left_out() -> None:
    log = Log()
    for k in range(8200):
        log.now_s = k * 80.0 / 8200
        log.write("node %d at 127.0.0.1:%d: connection refused, correlation id %d", k % 3, 9092, k)
    assert len(log.lines) == 2 * LINES
    left_out = [int(line.split("(and ")[1].split()[0]) for line in log.lines if "(and " in line]
    assert left_out == [round(8200 * WINDOW_S / 80.0) - LINES]


def test_other_causes_loggers_and_levels_pass() -> None:
    log = Log()
    for _ in range(100):
        log.write("heartbeat failed")
    log.write("coordinator dead")
    log.write("heartbeat failed", name="aiokafka")
    log.write("heartbeat failed", level=logging.ERROR)
    assert log.lines == ["heartbeat failed"] * LINES + ["coordinator dead", "heartbeat failed", "heartbeat failed"]


def test_texts_that_are_all_different_are_limited_too() -> None:
    log = Log()
    for k in range(5 * CAUSES):
        log.write(f"bed {chr(97 + k % 26)}{chr(97 + k // 26 % 26)}{chr(97 + k // 676)} is odd")
    assert len(log.lines) <= CAUSES + LINES

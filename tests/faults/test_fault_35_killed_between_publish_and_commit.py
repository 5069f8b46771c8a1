"""Fault 35: the monitor is killed between any two of the messages that it sends. Nothing is lost, nothing sounds twice.

Every place at which it can die in half a minute with an asystole is tried: Kafka is what was sent so far, the next
worker takes over from that (docs/delivery.md). Processes that are really killed:
tests/agents/monitor/test_delivery.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from streams.alert import Alert
from streams.bed import Bed
from streams.wire import EcgWindow
from tests.agents.signals import ecg, messages
from tests.agents.ward import BedUnderTest

WINDOWS = messages(ecg(34, silent=[(14.0, 24.0)]))


@dataclass
class Record:
    """What Kafka holds: the bed's newest document, the alerts, the windows' committed offset."""

    bed: Bed | None = None
    alerts: list[Alert] = field(default_factory=list)
    committed: int = 0


class Killed(Exception):  # noqa: N818  (what happened)
    """The worker died here."""


def run(record: Record, windows: list[EcgWindow], budget: int | None) -> int:
    """A worker that takes over from the record, until the end or until it has sent ``budget`` messages."""
    sent = 0

    def send() -> None:
        nonlocal sent
        if budget is not None and sent >= budget:
            raise Killed
        sent += 1

    worker = BedUnderTest(record.bed)
    if record.bed is not None:
        for alert in record.bed.alerts:
            send()
            record.alerts.append(alert)
    worker.feed(windows[: record.committed], replay=True)
    for window in windows[record.committed :]:
        worker.outputs.clear()
        worker.feed([window])
        for output in worker.outputs:
            if output.bed is not None:
                send()
                record.bed = output.bed
            for alert in output.alerts:
                send()
                record.alerts.append(alert)
        send()
        record.committed += 1
    return sent


def outcomes(alerts: list[Alert]) -> list[tuple[str, int, str, bool]]:
    """What a reader that drops versions it has makes of them, in its order."""
    newest: dict[str, int] = {}
    out = []
    for alert in alerts:
        if alert.version > newest.get(alert.id, 0):
            newest[alert.id] = alert.version
            out.append((alert.id, alert.version, alert.state.value, alert.sounding))
    return out


def test_wherever_it_dies_the_next_worker_makes_the_same_alerts_of_it() -> None:
    whole = Record()
    total = run(whole, WINDOWS, None)
    interesting = [k for k in range(total) if 15 <= k <= total]
    for budget in interesting[:: max(1, len(interesting) // 24)]:
        record = Record()
        with pytest.raises(Killed):
            run(record, WINDOWS, budget)
        run(record, WINDOWS, None)
        assert outcomes(record.alerts) == outcomes(whole.alerts), f"killed after {budget} of {total} messages"

"""One segment's failure is that segment's: the interpreter goes on with the next one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from agents.clock import ManualClock
from agents.interpreter import service
from agents.interpreter.service import Interpreter
from agents.settings import Settings
from agents.worker.sender import Incoming, Outgoing
from models.grounding.interpretation import ModelIdentity
from streams.alert import InterpretationMessage
from streams.wire import FlaggedSegment, encode_flagged
from tests.agents.signals import T0_NS, S, ecg, messages


class Sent:
    """In place of the sender."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.rejected: list[str] = []

    async def send(self, messages: Sequence[Outgoing]) -> None:
        self.sent += messages

    async def reject(self, message: Incoming, reason: str) -> None:
        self.rejected.append(reason)


class Message:
    """A message as Faust passes it on."""

    topic, partition, offset, timestamp, key, headers = "ecg.flagged", 0, 7, T0_NS / S, b"icu-3/07", ()

    def __init__(self, value: bytes) -> None:
        self.value = value


class Event:
    """A message of Faust that counts its acknowledgements."""

    def __init__(self, value: bytes) -> None:
        self.message = Message(value)
        self.acked = 0

    def ack(self) -> None:
        self.acked += 1


class Raises:
    """A GEM that raises on every segment."""

    identity = ModelIdentity("none", "sha256:0", "fp32", "cpu")
    independent_leads = 1

    async def read(self, *_: Any, **__: Any) -> tuple[str, float]:
        raise ZeroDivisionError("page")

    async def close(self) -> None:
        """Nothing to stop."""


SEGMENT = FlaggedSegment(
    window=messages(ecg(10), message_s=10.0)[0],
    alert_id="4f" * 16,
    code="TACHY",
    priority="PM",
    reason="alarm",
    start_ns=T0_NS,
    deadline_ns=T0_NS + 30 * S,
)


@pytest.fixture
async def interpreter() -> Any:
    worker = Interpreter(Settings(), ManualClock(T0_NS), gem=Raises())
    worker.sender = Sent()  # type: ignore[assignment]
    yield worker
    worker._threads.shutdown()


async def test_a_segment_on_which_gem_raises_gets_a_rule_based_report(interpreter: Any) -> None:
    event = Event(encode_flagged(SEGMENT))
    await interpreter._with_gem(Raises(), SEGMENT, event, 30.0)
    (sent,) = interpreter.sender.sent
    interpretation = InterpretationMessage.from_json(sent.value).interpretation
    assert (interpretation.source, interpretation.reason) == (
        "measured",
        "GEM failed on this segment: ZeroDivisionError",
    )
    assert event.acked == 1 and interpreter._why_no_gem == ""


async def test_a_segment_without_any_report_is_dead_lettered(interpreter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.grounding.segment_measurements.measure_segment", lambda *_, **__: 1 / 0)
    event = Event(encode_flagged(SEGMENT))
    await interpreter._send_rule_based(SEGMENT, event, "GEM is switched off")
    assert interpreter.sender.rejected == ["interpretation failed: ZeroDivisionError (ecg.flagged/0 offset 7)"]
    assert interpreter.sender.sent == [] and event.acked == 1


async def test_a_message_that_is_no_segment_is_dead_lettered(interpreter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "decode_flagged", lambda *_, **__: 1 / 0)

    class Stream:
        def noack(self) -> Stream:
            return self

        async def events(self) -> Any:
            yield event

    event = Event(b"")
    await interpreter._take(Stream())
    assert interpreter.sender.rejected == ["no segment: ZeroDivisionError"] and event.acked == 1

"""Fault 40: GEM is late, silent, speaks another language, contradicts the signal or invents an interval.

The interpretation that comes back is then the measured one, with the reason, or the text without the contradicted
claim, which is counted.
What GEM says is scripted here; everything around it is real.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import pytest

from agents.clock import SystemClock
from agents.interpreter.service import Interpreter
from agents.settings import Settings
from agents.worker.log_reader import plain_consumer
from models.ecg import Ecg
from models.evidence import Evidence
from models.gem.errors import GemUnavailable
from models.grounding.interpretation import ModelIdentity
from models.grounding.segment_measurements import SegmentMeasurements
from models.leads import INDEPENDENT_8
from streams.alert import InterpretationMessage
from streams.telemetry import KeyedProducer
from streams.topics import Topics, ensure_topics
from streams.wire import FlaggedSegment, encode_flagged
from tests.agents.signals import S, ecg, messages
from tests.conftest import Broker

PARTITIONS = 2


class ScriptedGem:
    """Answers with what the test says."""

    identity = ModelIdentity("scripted", "sha256:0", "fp32", "cpu")
    independent_leads = 8

    def __init__(self, text: str = "", seconds: float = 0.0, gone: str = "") -> None:
        self.text, self.seconds, self.gone = text, seconds, gone

    async def read(
        self,
        ecg: Ecg,
        given: Sequence[Evidence],
        measured: SegmentMeasurements,
        *,
        deadline_s: float,
        priority: str,
        tokens: int,
        code: str = "",
    ) -> tuple[str, float]:
        await asyncio.sleep(self.seconds)
        if self.gone:
            raise GemUnavailable(self.gone, lasting=True)
        return self.text, self.seconds

    async def close(self) -> None:
        pass


def flagged(n: int, leads: Sequence[str], deadline_s: float, priority: str = "PM") -> FlaggedSegment:
    now_ns = time.time_ns()
    (window,) = messages(ecg(10, leads=leads, fs_hz=500.0, start_ns=now_ns // S * S), message_s=10.0)
    return FlaggedSegment(
        window=window,
        alert_id=f"{n:032x}",
        code="INTERPRETATION",
        priority=priority,
        reason="a test",
        start_ns=window.device_time_ns,
        deadline_ns=now_ns + round(deadline_s * S),
    )


async def interpretations(
    broker: Broker, prefix: str, gem: ScriptedGem | None, make: Callable[[], list[FlaggedSegment]]
) -> list[InterpretationMessage]:
    """What the interpreter sends for segments that are flagged once it is ready, in its order."""
    topics = Topics(prefix, PARTITIONS)
    ensure_topics(broker.address, topics)
    settings = Settings(
        kafka=broker.address, topic_prefix=prefix, partitions=PARTITIONS, embedded=broker.embedded, gem=gem is not None
    )
    worker = Interpreter(settings, SystemClock(), gem)
    out: list[InterpretationMessage] = []
    await worker.start()
    try:
        await worker.ready.wait()
        segments = make()
        with KeyedProducer(broker.address) as producer:
            for segment in segments:
                producer.send_bytes(topics.flagged, segment.window.bed_stream, encode_flagged(segment))
        async with plain_consumer(settings) as consumer:
            consumer.subscribe([topics.interpretations])
            async with asyncio.timeout(60):
                while len(out) < len(segments):
                    for records in (await consumer.getmany(timeout_ms=200)).values():
                        found = [InterpretationMessage.from_json(r.value) for r in records]
                        out += [m for m in found if m.bed_stream != "_system"]
    finally:
        await worker.stop()
    return out


@pytest.mark.parametrize(
    ("gem", "deadline_s", "reason"),
    [
        (ScriptedGem("Sinus rhythm.", seconds=30), 2.0, "did not answer within"),
        (ScriptedGem(""), 20.0, "GEM gave no text"),
        (ScriptedGem("Sinusrhythmus, Lagetyp normal, sonst unauffälliges EKG."), 20.0, "not answer in English"),
        (ScriptedGem(gone="out of memory"), 20.0, "out of memory"),
    ],
    ids=["late", "empty", "another language", "no memory"],
)
async def test_the_measurements_speak_in_its_place_and_say_why(
    tansu: Broker, topic_prefix: str, gem: ScriptedGem, deadline_s: float, reason: str
) -> None:
    (message,) = await interpretations(tansu, topic_prefix, gem, lambda: [flagged(1, INDEPENDENT_8, deadline_s)])
    interpretation = message.interpretation
    assert interpretation.source == "measured"
    assert reason in (interpretation.reason or "")
    assert interpretation.text and all(claim.verdict == "supported" for claim in interpretation.claims)


async def test_a_rate_that_the_signal_contradicts_is_left_out_and_counted(tansu: Broker, topic_prefix: str) -> None:
    gem = ScriptedGem("Sinus tachycardia with a heart rate of 140 bpm. The rhythm is regular.")
    (message,) = await interpretations(tansu, topic_prefix, gem, lambda: [flagged(1, INDEPENDENT_8, 20.0)])
    interpretation = message.interpretation
    assert interpretation.source == "gem"
    wrong = [claim for claim in interpretation.claims if "140" in claim.text]
    assert [claim.verdict for claim in wrong] == ["contradicted"]
    assert interpretation.counts.contradicted >= 1
    assert all(claim.start is None for claim in wrong) and "140" not in interpretation.text


async def test_a_bed_with_few_leads_is_read_from_its_measurements(tansu: Broker, topic_prefix: str) -> None:
    (message,) = await interpretations(
        tansu, topic_prefix, ScriptedGem("Sinus rhythm."), lambda: [flagged(1, ("II", "V1"), 20.0)]
    )
    assert message.interpretation.source == "measured"
    assert "8 independent leads, the bed has 2" in (message.interpretation.reason or "")

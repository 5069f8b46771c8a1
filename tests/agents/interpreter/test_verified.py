"""Each interpretation carries the mark of the verifier; a text of GEM's in which it finds a fault is not sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from agents.clock import ManualClock
from agents.interpreter.service import Interpreter
from agents.interpreter.verified import FAULT_FOUND, Report, finished
from agents.lifecycle.citation_documents import citation_of
from agents.settings import Settings
from models.evidence import Criterion, Evidence
from models.grounding.draft import Draft
from models.grounding.interpretation import GroundedInterpretation, ModelIdentity
from models.grounding.segment_measurements import measure_segment
from streams.alert import Interpretation, InterpretationMessage
from streams.wire import FlaggedSegment, encode_flagged
from tests.agents.interpreter.test_isolation import SEGMENT, Event, Sent
from tests.agents.signals import T0_NS, ecg, messages


class Says:
    """A GEM that says one sentence."""

    identity = ModelIdentity("double", "sha256:0", "fp32", "cpu")
    independent_leads = 1

    async def read(self, *_: Any, **__: Any) -> tuple[str, float]:
        return "The rhythm is regular.", 0.1

    async def close(self) -> None:
        """Nothing to stop."""


def tachycardia(value: float) -> FlaggedSegment:
    """A segment of 130 bpm, whose alert cites ``value``."""
    window = messages(ecg(10, 130), message_s=10.0)[0]
    rule = Criterion("mean of 8 beats over 120 bpm", 120.0, "test")
    r = [round(60 / 130 * window.fs_hz * k) for k in range(1, 20)]
    cited = Evidence("HR", value, ("II",), r[2], r[10], criterion=rule, method="beats 1")
    return replace(SEGMENT, window=window, citations=(citation_of(cited, 1, T0_NS, window.fs_hz),))


@pytest.fixture
def workers() -> Iterator[Any]:
    made: list[Interpreter] = []

    def worker(**settings: Any) -> Interpreter:
        made.append(Interpreter(Settings(**settings), ManualClock(T0_NS), gem=Says()))
        made[-1].sender = Sent()  # type: ignore[assignment]
        return made[-1]

    yield worker
    for one in made:
        one._threads.shutdown()


async def interpreted(worker: Any, segment: FlaggedSegment) -> Interpretation:
    await worker._with_gem(Says(), segment, Event(encode_flagged(segment)), 30.0)
    (sent,) = worker.sender.sent
    return InterpretationMessage.from_json(sent.value).interpretation


def counted(worker: Interpreter, outcome: str) -> float:
    return worker.metrics.registry.get_sample_value("gem_bedside_verified_total", {"outcome": outcome}) or 0.0


async def test_a_true_text_carries_the_mark(workers: Any) -> None:
    worker = workers()
    words = await interpreted(worker, tachycardia(130.0))
    assert words.source == "gem"
    assert words.verified is not None and words.verified.ok and words.verified.checked >= 3
    assert counted(worker, "ok") == 1 and counted(worker, "wrong") == 0


async def test_a_false_citation_of_the_alarm_is_marked(workers: Any) -> None:
    worker = workers()
    words = await interpreted(worker, tachycardia(190.0))
    assert words.verified is not None and not words.verified.ok
    assert counted(worker, "wrong") == 1


def report(*, sentence: str = "right", wrong: tuple[int, ...] = (), numbers: int = 0) -> Report:
    """A report of the verifier on citations 1 to ``numbers`` and one sentence."""
    citations = [
        {"n": n, "verdict": "wrong" if n in wrong else "right", "why": "measured inf" if n in wrong else ""}
        for n in range(1, numbers + 1)
    ]
    ok = sentence == "right" and not wrong
    sentences = [{"text": "", "verdict": sentence, "why": ""}]
    return {"id": "1", "ok": ok, "alert": [], "citations": citations, "sentences": sentences}


def test_a_sentence_of_gems_that_is_wrong_gives_way_to_the_rule_based_report() -> None:
    draft = Draft(measured=measure_segment(ecg(10)), text="The rhythm is regular.", model=Says.identity)
    words, mark = finished(draft, lambda i: report(sentence="wrong" if i.source == "gem" else "right"))
    assert (words.source, words.reason, mark.ok) == ("measured", FAULT_FOUND, True)


def test_a_measurement_that_is_not_confirmed_is_left_out_with_those_that_depend_on_it() -> None:
    draft = Draft(measured=measure_segment(ecg(10)), reason="test")

    def check(words: GroundedInterpretation) -> Report:
        rates = tuple(c.n for c in words.evidence if c.evidence.measure == "HR")
        return report(wrong=rates, numbers=len(words.evidence))

    assert " bpm" in draft.written().text and "egular rhythm" in draft.written().text
    words, mark = finished(draft, check)
    assert mark.ok and " bpm" not in words.text and "egular rhythm" not in words.text
    assert "The rhythm cannot be named." in words.text and "QRS" in words.text


def test_a_sentence_of_the_report_that_is_wrong_is_left_out_with_its_measurement() -> None:
    draft = Draft(measured=measure_segment(ecg(10)), reason="test")

    def check(words: GroundedInterpretation) -> Report:
        found = [s for s in words.text.split(". ") if "QRS" in s and " ms" in s]
        out = report(sentence="wrong" if found else "right", numbers=len(words.evidence))
        out["sentences"][0]["text"] = found[0] if found else ""
        return out

    words, mark = finished(draft, check)
    assert mark.ok and "QRS" not in words.text and "egular rhythm" in words.text


def test_what_stays_wrong_is_sent_with_a_mark_that_says_so() -> None:
    draft = Draft(measured=measure_segment(ecg(10)), reason="test")
    words, mark = finished(draft, lambda _: report(sentence="wrong"))
    assert words.source == "measured" and not mark.ok


async def test_without_a_share_nothing_is_verified(workers: Any) -> None:
    worker = workers(verify_share=0.0)
    words = await interpreted(worker, tachycardia(190.0))
    assert (words.source, words.verified) == ("gem", None)
    assert counted(worker, "ok") + counted(worker, "wrong") == 0

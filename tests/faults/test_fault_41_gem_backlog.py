"""Fault 41: GEM has more to read than it can. The alarm is out long before; the most urgent and newest go first."""

from __future__ import annotations

from agents.interpreter.interpretation_queue import InterpretationQueue, Waiting
from models.leads import INDEPENDENT_8
from tests.agents.signals import ecg, messages
from tests.agents.ward import BedUnderTest
from tests.conftest import Broker
from tests.faults.test_fault_40_gem_answers_badly import ScriptedGem, flagged, interpretations


def test_the_alarm_has_sounded_while_its_reading_is_still_to_come() -> None:
    bed = BedUnderTest().feed(messages(ecg(30, silent=[(12.0, 30.0)])))
    first = bed.of("ASYSTOLE")[0]
    assert first.sounding and first.interpretation is None


def test_the_most_urgent_goes_first_then_the_newest_and_the_last_gives_way() -> None:
    queue: InterpretationQueue[str] = InterpretationQueue(3)
    given_way = [
        queue.put(Waiting(name, priority, start, deadline_ns=100))
        for name, priority, start in (("old PM", "PM", 1), ("PL", "PL", 5), ("new PM", "PM", 4), ("PH", "PH", 0))
    ]
    assert [w.item for w in given_way if w] == ["PL"]
    order = [w.item for _ in range(3) if (w := queue.next()) is not None]
    assert order == ["PH", "new PM", "old PM"]


def test_what_waits_past_its_deadline_is_taken_out() -> None:
    queue: InterpretationQueue[str] = InterpretationQueue(9)
    queue.put(Waiting("soon", "PM", 1, deadline_ns=10))
    queue.put(Waiting("later", "PM", 1, deadline_ns=20))
    assert [w.item for w in queue.overdue(10)] == ["soon"]
    assert len(queue) == 1


async def test_a_backlog_is_worded_from_the_measurements_by_its_deadline_and_none_is_forgotten(
    tansu: Broker, topic_prefix: str
) -> None:
    gem = ScriptedGem("Regular rhythm, 75 bpm.", seconds=6.0)  # two rounds of eight within the deadline, not three
    messages_back = await interpretations(
        tansu, topic_prefix, gem, lambda: [flagged(n, INDEPENDENT_8, 14.0, "PH" if n > 17 else "PM") for n in range(20)]
    )
    assert {m.alert_id for m in messages_back} == {f"{n:032x}" for n in range(20)}
    by_gem = [m for m in messages_back if m.interpretation.source == "gem"]
    assert by_gem and by_gem[0].interpretation.counts.supported >= 1
    assert {m.interpretation.source for m in messages_back} == {"gem", "measured"}

"""Isolation: what one bed sends, and what its analysis raises, changes nothing for another bed and ends no worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from agents.monitor import bed as bed_module
from agents.monitor.analysis import Analysis
from agents.monitor.partition_state import PartitionState
from agents.worker.sender import Incoming
from streams.alert import Alert, Interpretation, InterpretationMessage
from streams.bed import Action, Bed
from streams.document import time_of_ns
from streams.wire import EcgWindow
from tests.agents.law import violations, vitals_gaps
from tests.agents.monitor.memory_log import TOPICS, MemoryLog, PartitionUnderTest
from tests.agents.signals import T0_NS, S, ecg, messages

SICK, WELL = "icu-3/07", "icu-3/08"
CODE = "CANNOT_ANALYZE"
TEXT = "sampling rate 250.02 Hz of p-81f3"  # as an exception might read


def raises(*_: Any, **__: Any) -> Any:
    raise ValueError(TEXT)


@contextmanager
def failing(name: str, when: Callable[[Any], bool] = lambda argument: True) -> Iterator[None]:
    """A method of the analysis raises for the bed that is sick, where ``when`` says so of its first argument."""
    before = getattr(Analysis, name)

    def method(analysis: Analysis, argument: Any, *more: Any, **named: Any) -> Any:
        if getattr(analysis, "sick", True) and when(argument):
            raises()
        return before(analysis, argument, *more, **named)

    setattr(Analysis, name, method)
    try:
        yield
    finally:
        setattr(Analysis, name, before)


def of_sick(window: EcgWindow) -> bool:
    return window.bed_stream == SICK


def interleaved(seconds: float, silent: tuple[float, float]) -> tuple[MemoryLog, list[Incoming]]:
    """Two beds in one partition; the heart of the bed that is well stands still."""
    log = MemoryLog()
    sick = messages(ecg(seconds, seed=1), bed="07")
    well = messages(ecg(seconds, silent=[silent], seed=2), bed="08")
    incoming = []
    for one, other in zip(sick, well, strict=True):
        incoming += log.append([one, other])
    return log, incoming


def failed_steps(partition: PartitionUnderTest, kind: str) -> float:
    value = partition.metrics.registry.get_sample_value("gem_bedside_failed_steps_total", {"kind": kind})
    return value or 0.0


def newest(partition: PartitionUnderTest, code: str, bed: str) -> list[Alert]:
    return list({a.id: a for a in partition.alerts(code) if a.bed_stream == bed}.values())


def lawful(partition: PartitionUnderTest, bed: str) -> bool:
    """The law, and vitals once a second, in what the partition wrote of a bed."""
    written = partition.written(bed)
    stop_ns = partition.clock.now_ns()
    return violations(written, stop_ns) == [] and vitals_gaps(written, stop_ns) == []


async def test_an_analysis_that_raises_on_every_message_takes_no_other_bed_down() -> None:
    log, incoming = interleaved(50, (20.0, 50.0))
    partition = await PartitionUnderTest(log).restore()
    with failing("add", of_sick):
        await partition.feed(incoming)
    (asystole,) = newest(partition, "ASYSTOLE", WELL)
    assert asystole.sounding and (asystole.detected - asystole.onset).total_seconds() < 5
    (cannot,) = newest(partition, CODE, SICK)
    assert cannot.citations[0].reason == "analysis failed" and cannot.state == "on"
    assert (cannot.detected.timestamp() - T0_NS / S) <= 11
    assert len(partition.sender.rejected) == 50 and failed_steps(partition, "message") == 50
    assert all("analysis failed: ValueError: sampling rate 250.02 Hz of …" in r for r in partition.sender.rejected)
    assert newest(partition, CODE, WELL) == [] and newest(partition, "SILENT_FEED", SICK) == []
    assert partition.failures == []
    assert lawful(partition, SICK) and lawful(partition, WELL)


async def test_one_message_that_raises_costs_the_bed_seconds_and_none_of_its_alerts() -> None:
    log = MemoryLog()
    incoming = log.append(messages(ecg(60, silent=[(20.0, 60.0)]), bed="07"))
    partition = await PartitionUnderTest(log).restore()
    await partition.feed(incoming[:30])
    (alert,) = partition.starts()
    with failing("add"):
        await partition.feed(incoming[30:31])
    assert len(partition.sender.rejected) == 1
    await partition.feed(incoming[31:])
    assert {a.id for a in partition.alerts()} == {alert.id} and partition.alerts()[-1].state == "on"
    assert newest(partition, CODE, SICK) == [] and lawful(partition, SICK)
    assert partition.bed.applied[TOPICS.windows] >= 30


async def test_a_step_that_raises_half_way_writes_nothing_of_itself() -> None:
    """Two steps in one message: the first raises an alarm, the second an exception. No version is ever skipped."""
    log = MemoryLog()
    incoming = log.append(messages(ecg(60, silent=[(20.0, 60.0)]), bed="07", message_s=10.0))
    partition = await PartitionUnderTest(log).restore()
    await partition.feed(incoming[:2])
    monitor = partition.processor.beds[SICK]
    monitor._transitions, before = raises, monitor._transitions  # type: ignore[method-assign]
    await partition.feed(incoming[2:3])
    monitor._transitions = before  # type: ignore[method-assign]
    await partition.feed(incoming[3:])
    versions: dict[str, int] = {}
    for alert in partition.alerts():
        assert alert.version == versions.get(alert.id, 0) + 1
        versions[alert.id] = alert.version
    assert versions


async def test_a_document_that_cannot_be_encoded_is_one_beds_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    log, incoming = interleaved(40, (20.0, 40.0))
    partition = await PartitionUnderTest(log).restore()
    to_json = Bed.to_json

    def broken(bed: Bed) -> bytes:
        if bed.bed_stream == SICK and T0_NS + 10 * S < partition.clock.now_ns() < T0_NS + 20 * S:
            raises()
        return to_json(bed)

    monkeypatch.setattr(Bed, "to_json", broken)
    await partition.feed(incoming)
    assert newest(partition, "ASYSTOLE", WELL) and partition.failures == []
    assert lawful(partition, WELL)


async def test_a_tick_that_raises_stops_no_other_beds_tick() -> None:
    log, incoming = interleaved(20, (30.0, 40.0))
    partition = await PartitionUnderTest(log).restore()
    await partition.feed(incoming)
    with failing("release", lambda _: True):  # of both; then nothing arrives any more
        for _ in range(40):
            await partition.wait(0.5)
    assert newest(partition, CODE, SICK)[0].citations[0].reason == "analysis failed"
    assert newest(partition, CODE, WELL) and failed_steps(partition, "tick") > 0
    assert lawful(partition, SICK) and lawful(partition, WELL)


async def test_an_action_that_raises_is_dead_lettered(monkeypatch: pytest.MonkeyPatch) -> None:
    log, incoming = interleaved(20, (30.0, 40.0))
    partition = await PartitionUnderTest(log).restore()
    await partition.feed(incoming)
    at = time_of_ns(partition.clock.now_ns())
    action = Action(id="a1", action="standby", bed_stream=SICK, by="rn-12", at=at)
    monkeypatch.setattr(bed_module.actions, "apply_action", raises)
    await partition.processor.on_action(partition.incoming(TOPICS.actions, SICK, action.to_json()))
    (reason,) = partition.sender.rejected
    assert reason.startswith("analysis failed: ValueError") and "p-81f3" not in reason
    assert partition.log.beds[SICK].status == "monitored" and failed_steps(partition, "action") == 1


async def test_an_interpretation_that_raises_leaves_the_analysis_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    log, incoming = interleaved(40, (20.0, 40.0))
    partition = await PartitionUnderTest(log).restore()
    await partition.feed(incoming)
    (alert,) = newest(partition, "ASYSTOLE", WELL)
    interpretation = Interpretation(source="measured", at=time_of_ns(partition.clock.now_ns()), text="", seconds=0.1)
    message = InterpretationMessage(id="i1", alert_id=alert.id, bed_stream=WELL, interpretation=interpretation)
    live = partition.processor.beds[WELL].live
    monkeypatch.setattr(bed_module.state_machine, "apply_interpretation", raises)
    await partition.processor.on_interpretation(partition.incoming(TOPICS.interpretations, WELL, message.to_json()))
    assert len(partition.sender.rejected) == 1 and partition.processor.beds[WELL].live is live


async def test_an_encoder_result_that_raises_leaves_the_analysis_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    log, incoming = interleaved(20, (30.0, 40.0))
    partition = await PartitionUnderTest(log).restore()
    await partition.feed(incoming)
    monkeypatch.setattr(bed_module.encoder_flags, "decide_flag", raises)
    live = partition.processor.beds[SICK].live
    await partition.processor.on_encoder_result(SICK, ecg(10), {"MI": 0.9})
    assert failed_steps(partition, "encoder") == 1 and partition.processor.beds[SICK].live is live


async def test_a_replay_that_raises_does_not_keep_the_partition_from_being_restored() -> None:
    log, incoming = interleaved(60, (50.0, 60.0))
    before = await PartitionUnderTest(log).restore()
    await before.feed(incoming[:80])
    after = PartitionUnderTest(log, now_ns=T0_NS + 40 * S, generation=2)
    with failing("add", of_sick):
        await after.restore(committed=80)
    assert after.processor.state is PartitionState.LIVE
    assert after.sender.rejected == [], "these messages were handled by the worker before"
    assert failed_steps(after, "replay") > 0
    await after.feed(incoming[80:])
    assert newest(after, "ASYSTOLE", WELL) and lawful(after, WELL)


async def test_the_backfill_dead_letters_what_raises_and_goes_on() -> None:
    log = MemoryLog()
    windows = messages(ecg(150, silent=[(60.0, 72.0)]))
    log.append(windows)
    first = await PartitionUnderTest(log).restore()
    await first.feed(log.windows[:20])
    partition = await PartitionUnderTest(log, now_ns=T0_NS + 150 * S, generation=2).restore(committed=20)
    await partition.feed(log.windows[20:])
    with failing("add", lambda window: window.sequence == 30):
        await partition.backfilled()
    (reason,) = partition.sender.rejected
    assert reason.startswith("analysis failed") and partition.bed.skipped == []
    assert [a.late for a in partition.starts()] == [True], "the asystole after it is found"


# ---- documents ------------------------------------------------------------------------------------------------------


def broken_documents(bed: Bed) -> dict[str, Bed]:
    """Documents that are valid JSON of the right form, and cannot be used."""
    alert = bed.alerts[0]
    return {
        "limits that cross": bed.changed(limits={"BRADY": {"rate": 30}, "EXTREME_BRADY": {"rate": 50}}),
        "a limit that does not exist": bed.changed(limits={"NEVER_HEARD_OF": {"rate": 30}}),
        "an alert with an unknown code": bed.changed(
            alerts=[*bed.alerts, alert.changed(code="NEVER_HEARD_OF", id="0" * 32)]
        ),
    }


@pytest.mark.parametrize("what", ["limits that cross", "a limit that does not exist", "an alert with an unknown code"])
async def test_a_document_that_cannot_be_used_is_used_in_part(what: str) -> None:
    log, incoming = interleaved(60, (10.0, 20.0))
    before = await PartitionUnderTest(log).restore()
    await before.feed(incoming[:80])
    (alert,) = newest(before, "ASYSTOLE", WELL)
    log.beds[WELL] = broken_documents(log.beds[WELL])[what]
    after = await PartitionUnderTest(log, now_ns=T0_NS + 40 * S, generation=2).restore(committed=80)
    await after.feed(incoming[80:])
    restored = after.processor.beds[WELL].bed
    assert alert.id in {a.id for a in restored.alerts}, "the alerts that can be used stay"
    assert restored.changes[-1].by == "monitor" and "not usable" in restored.changes[-1].what
    assert failed_steps(after, "document") > 0 and after.failures == []
    assert lawful(after, SICK) and lawful(after, WELL)


async def test_a_document_that_breaks_while_it_is_used_is_repaired_at_the_next_tick() -> None:
    log, incoming = interleaved(60, (10.0, 20.0))
    partition = await PartitionUnderTest(log).restore()
    await partition.feed(incoming[:80])
    monitor = partition.processor.beds[WELL]
    monitor.bed = broken_documents(monitor.bed)["an alert with an unknown code"]
    await partition.feed(incoming[80:])
    assert partition.failures == [] and newest(partition, CODE, SICK) == []
    assert {a.code for a in partition.processor.beds[WELL].bed.alerts} >= {"ASYSTOLE", "PAUSE"}
    assert "NEVER_HEARD_OF" not in {a.code for a in partition.processor.beds[WELL].bed.alerts}


# ---- restoring, catching up -----------------------------------------------------------------------------------------


async def test_a_bed_is_watched_while_its_partition_catches_up() -> None:
    log = MemoryLog()
    windows = messages(ecg(200))
    log.append(windows)
    before = await PartitionUnderTest(log).restore()
    await before.feed(log.windows[:20])
    partition = await PartitionUnderTest(log, now_ns=T0_NS + 200 * S, generation=2).restore(committed=20)
    for message in log.windows[20:150]:  # slowly: a tenth of a second for each
        await partition.processor.on_window(message)
        await partition.wait(0.1)
    assert partition.processor.state is PartitionState.CATCHING_UP
    (alert,) = newest(partition, CODE, SICK)
    assert alert.citations[0].reason == "no samples"
    assert (alert.detected.timestamp() - T0_NS / S) == pytest.approx(203, abs=1)
    await partition.feed(log.windows[150:])
    await partition.wait(0.5)
    assert newest(partition, CODE, SICK)[0].state == "off", "the tail was judged"


async def test_a_bed_is_watched_while_its_partition_waits_for_the_replay_of_another() -> None:
    log = MemoryLog()
    log.append(messages(ecg(40)))
    before = await PartitionUnderTest(log).restore()
    await before.feed(log.windows)
    partition = PartitionUnderTest(log, now_ns=T0_NS + 55 * S, generation=2)
    await partition.processor.restore_beds(log)
    for _ in range(8):
        await partition.wait(0.5)
    assert partition.processor.state is PartitionState.RESTORING
    assert newest(partition, CODE, SICK) and vitals_gaps(partition.written(SICK), partition.clock.now_ns()) == []


async def test_a_fail_over_of_twelve_seconds_raises_nothing_where_the_backlog_is_read_at_once() -> None:
    log = MemoryLog()
    windows = messages(ecg(60))
    before = await PartitionUnderTest(log).restore()
    await before.feed(log.append(windows[:30]))
    waiting = log.append(windows[30:41])
    partition = await PartitionUnderTest(log, now_ns=T0_NS + 42 * S, generation=2).restore(committed=30)
    await partition.wait(0.5)
    await partition.feed(waiting)
    for window in windows[41:]:
        await partition.feed(log.append([window]))
    assert partition.bed.skipped == []
    assert newest(partition, CODE, SICK) == []


async def test_steps_in_progress_do_not_starve_the_watchdog() -> None:
    log = MemoryLog()
    log.append(messages(ecg(20)))
    partition = await PartitionUnderTest(log).restore()
    await partition.feed(log.windows)
    lock = partition.processor._steps.lock
    ticks = len(partition.vitals())
    await lock.acquire()
    partition.clock.advance_s(5)
    await partition.processor.tick()
    assert len(partition.vitals()) == ticks, "left out once"
    lock.release()
    await partition.processor.tick()
    assert len(partition.vitals()) == ticks + 1

"""Fault 23: the producer starts again and counts anew in a new epoch: nothing is raised by it, and nothing ends."""

from __future__ import annotations

from dataclasses import replace

from streams.alert import State
from streams.bed import Action
from streams.wire import EcgWindow
from tests.agents.signals import ecg, messages
from tests.agents.ward import BedUnderTest


def restarted(windows: list[EcgWindow], epoch: int) -> list[EcgWindow]:
    return [replace(w, epoch=epoch, sequence=k) for k, w in enumerate(windows)]


def test_a_restart_in_a_steady_rhythm_raises_nothing() -> None:
    windows = messages(ecg(90))
    bed = BedUnderTest().feed(windows[:30] + restarted(windows[30:60], 2) + restarted(windows[60:], 3))
    assert bed.alerts == []


def test_an_asystole_goes_on_through_a_restart_and_an_acknowledgement_stands() -> None:
    windows = messages(ecg(80, silent=[(20.0, 60.0)]))
    bed = BedUnderTest().feed(windows[:28])
    acknowledge(bed)
    bed.feed(restarted(windows[28:58], 2))
    asystoles = bed.of("ASYSTOLE")
    assert len({a.id for a in asystoles}) == 1
    assert asystoles[-1].state is State.ACKNOWLEDGED
    assert not any(a.sounding for a in bed.monitor.bed.alerts)


def test_an_asystole_that_ends_after_the_restart_ends_once() -> None:
    windows = messages(ecg(90, silent=[(20.0, 35.0)]))
    bed = BedUnderTest().feed(windows[:28])
    acknowledge(bed)
    bed.feed(restarted(windows[28:], 2))
    last = bed.of("ASYSTOLE")[-1]
    assert (last.state, last.phase.value) == (State.OFF, "end")


def test_what_the_old_producer_still_had_under_way_is_no_second_source() -> None:
    windows = messages(ecg(60))
    again = restarted(windows[30:], 2)
    bed = BedUnderTest().feed([*windows[:29], again[0], windows[29], *again[1:]])
    assert bed.of("DUPLICATE_SOURCE") == []


def acknowledge(bed: BedUnderTest) -> None:
    alert = bed.of("ASYSTOLE")[-1]
    ack = Action(id="a", action="acknowledge", bed_stream="icu-3/07", alert_id=alert.id, by="rn-1", at=bed.clock_time)
    outputs, outcome = bed.monitor.apply_action(ack, 0)
    assert outcome.applied
    bed.outputs += outputs

"""Fault 22: the device's clock jumps by an hour (daylight saving set by hand) and back. The jump has a name; the bed's
time goes on, nothing sounds that is not so, and what is so is found.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from streams.document import ns_of_time
from streams.wire import EcgWindow
from tests.agents.signals import T0_NS, S, ecg, messages
from tests.agents.ward import BedUnderTest


def shifted(windows: list[EcgWindow], seconds: float) -> list[EcgWindow]:
    return [replace(w, device_time_ns=w.device_time_ns + round(seconds * S)) for w in windows]


@pytest.mark.parametrize("hours", [1, -1])
def test_a_jump_is_named_and_raises_nothing_else(hours: int) -> None:
    windows = messages(ecg(60))
    bed = BedUnderTest().feed(windows[:20] + shifted(windows[20:], hours * 3600))
    assert {a.code for a in bed.alerts} == {"CLOCK_JUMP"}
    first = bed.of("CLOCK_JUMP")[0]
    assert (first.kind, first.priority) == ("technical", "PL")
    assert ns_of_time(first.onset) - T0_NS == pytest.approx(20 * S, abs=0.1 * S)


def test_a_jump_and_back_is_named_and_the_bed_is_where_it_was() -> None:
    windows = messages(ecg(90))
    bed = BedUnderTest().feed(windows[:20] + shifted(windows[20:50], 3600) + windows[50:])
    assert {a.code for a in bed.alerts} == {"CLOCK_JUMP"}
    assert len({a.id for a in bed.alerts}) == 2
    assert bed.monitor.bed.clock_offset_s == pytest.approx(0.0, abs=0.01)


def test_an_asystole_across_the_jump_has_its_true_place_and_sounds_once() -> None:
    windows = messages(ecg(70, silent=[(26.0, 50.0)]))
    bed = BedUnderTest().feed(windows[:38] + shifted(windows[38:], 3600))
    asystoles = bed.of("ASYSTOLE")
    assert len({a.id for a in asystoles}) == 1
    assert ns_of_time(asystoles[0].onset) - T0_NS == pytest.approx(25.2 * S, abs=0.1 * S), "the last beat"
    assert all(not a.late for a in asystoles)


def test_no_silence_is_heard_in_a_clock_that_jumps() -> None:
    windows = messages(ecg(40))
    bed = BedUnderTest().feed(windows[:20] + shifted(windows[20:], -3600))
    assert bed.of("SILENT_FEED") == []

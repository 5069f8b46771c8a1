"""Fault 21: a sequence number is missing. What was not seen is neither a beat nor a pause."""

from __future__ import annotations

import pytest

from streams.alert import State
from tests.agents.signals import ecg, messages
from tests.agents.ward import BedUnderTest


@pytest.mark.parametrize("lost", [1, 3, 6, 20])
def test_lost_messages_in_a_steady_rhythm_raise_no_asystole_and_no_pause(lost: int) -> None:
    windows = messages(ecg(70))
    bed = BedUnderTest().feed([*windows[:25], *windows[25 + lost :]])
    assert {a.kind for a in bed.alerts} <= {"technical"}


def test_an_asystole_is_found_though_a_message_of_it_was_lost() -> None:
    windows = messages(ecg(60, silent=[(20.0, 45.0)]))
    bed = BedUnderTest().feed([*windows[:23], *windows[24:]])
    (first, *_) = bed.of("ASYSTOLE")
    assert first.sounding
    assert (first.published - first.onset).total_seconds() <= 10.0


def test_a_gap_inside_an_asystole_does_not_end_it() -> None:
    windows = messages(ecg(70, silent=[(20.0, 60.0)]))
    bed = BedUnderTest().feed([*windows[:30], *windows[38:55]])
    assert {a.id for a in bed.of("ASYSTOLE")} == {bed.of("ASYSTOLE")[0].id}
    assert bed.of("ASYSTOLE")[-1].state is State.ON

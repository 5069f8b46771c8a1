"""Fault 20: windows arrive out of order. Within the second that a missing one is waited for, order does not matter."""

from __future__ import annotations

import random

import pytest

from streams.wire import EcgWindow
from tests.agents.signals import T0_NS, S, ecg, messages
from tests.agents.ward import BedUnderTest

STANDSTILL = messages(ecg(50, silent=[(20.0, 32.0)]), message_s=0.5)


def swapped(windows: list[EcgWindow], seed: int) -> list[EcgWindow]:
    """Neighbours change places at random: a window is half a second late at most."""
    chance, out = random.Random(seed), list(windows)
    k = 0
    while k + 1 < len(out):
        if chance.random() < 0.4:
            out[k], out[k + 1] = out[k + 1], out[k]
            k += 1
        k += 1
    return out


@pytest.mark.parametrize("seed", range(3))
def test_the_alerts_are_those_of_the_right_order(seed: int) -> None:
    ordered = BedUnderTest().feed(STANDSTILL)
    disorder = BedUnderTest().feed(swapped(STANDSTILL, seed))
    assert ordered.of("ASYSTOLE")
    assert {(a.id, a.code, a.sounded) for a in disorder.alerts} == {(a.id, a.code, a.sounded) for a in ordered.alerts}
    assert [(a.version, a.state) for a in disorder.of("ASYSTOLE")] == [
        (a.version, a.state) for a in ordered.of("ASYSTOLE")
    ]


def test_a_window_later_than_a_second_is_a_gap_and_is_not_put_where_it_does_not_belong() -> None:
    windows = messages(ecg(40))
    late = BedUnderTest().feed([*windows[:20], *windows[21:30], windows[20], *windows[30:]])
    assert late.alerts == [], "no beat is out of its place, and a gap of a second is no pause"


def test_the_time_of_the_alert_is_that_of_the_signal_whatever_the_order() -> None:
    bed = BedUnderTest().feed(swapped(STANDSTILL, 7))
    onset_s = (bed.of("ASYSTOLE")[0].onset.timestamp() * S - T0_NS) / S
    assert onset_s == pytest.approx(19.6, abs=0.05)

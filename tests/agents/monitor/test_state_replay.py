"""How far back a worker that takes over reads."""

from __future__ import annotations

import pytest

from agents.monitor.state_replay import LEAST_S, StateReplay
from agents.settings import Settings


def after(beds: int, cost_ms: float, **settings: float) -> float:
    replay = StateReplay(Settings(**settings))
    replay.begin()
    for _ in range(500):
        replay.add_cost(cost_ms / 1000, 1.0)
    replay.begin()
    return replay.seconds(beds)


def test_it_is_two_minutes_where_the_machine_can_afford_them() -> None:
    assert after(beds=4, cost_ms=5) == 120


def test_it_is_a_minute_more_than_the_longest_time_to_confirm() -> None:
    assert after(beds=1, cost_ms=5, af_confirm_s=300) == 360


def test_many_beds_on_a_slow_machine_go_live_with_what_can_be_afforded() -> None:
    assert after(beds=20, cost_ms=5) == pytest.approx(50, rel=0.05)


def test_it_is_never_less_than_what_a_condition_that_has_just_begun_needs() -> None:
    assert after(beds=32, cost_ms=25) == LEAST_S


def test_what_the_partitions_before_took_is_spent() -> None:
    replay = StateReplay(Settings())
    replay.begin()
    before = replay.seconds(10)
    replay.add_cost(4.9, 490.0)
    assert before == pytest.approx(50) and replay.seconds(10) == LEAST_S

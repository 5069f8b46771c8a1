"""Limits: the defaults and bounds of docs/alarms.md, and changes that are rejected."""

from __future__ import annotations

import pytest

from models.arrhythmia.codes import LETHAL
from models.arrhythmia.limits import RULES, DurationLimit, Limits, RhythmSettings, RunLimit


def test_the_defaults_are_those_of_the_table() -> None:
    limits = Limits()
    assert (limits["ASYSTOLE"].seconds, limits["VFIB"].seconds) == (4.0, 4.0)
    assert (limits["VTACH"].beats, limits["VTACH"].rate) == (5, 100.0)
    assert (limits["EXTREME_BRADY"].beats, limits["EXTREME_BRADY"].rate) == (5, 40.0)
    assert (limits["EXTREME_TACHY"].beats, limits["EXTREME_TACHY"].rate) == (17, 140.0)
    assert (limits["BRADY"].rate, limits["TACHY"].rate, limits["SVT"].rate) == (50.0, 120.0, 180.0)
    assert (limits["PAUSE"].seconds, limits["PVC_RATE"].rate) == (2.5, 10.0)
    assert (limits["ST_ELEVATION"].mv, limits["QT_LONG"].ms, limits["WIDE_QRS"].ms) == (0.1, 500.0, 120.0)


@pytest.mark.parametrize(
    ("code", "part", "low", "high"),
    [
        ("VFIB", "seconds", 3, 6),
        ("ASYSTOLE", "seconds", 3, 6),
        ("VTACH", "beats", 3, 10),
        ("VTACH", "rate", 90, 150),
        ("EXTREME_BRADY", "rate", 20, 50),
        ("EXTREME_TACHY", "rate", 120, 220),
        ("PVC_RATE", "rate", 1, 60),
        ("BRADY", "rate", 30, 60),
        ("TACHY", "rate", 100, 200),
        ("SVT", "rate", 130, 220),
        ("PAUSE", "seconds", 1.5, 3.5),
        ("AFIB", "seconds", 5, 300),
        ("ST_DEPRESSION", "mv", 0.05, 0.5),
        ("QT_LONG", "ms", 450, 600),
    ],
)
def test_a_value_outside_the_bounds_is_rejected_with_both_bounds(code: str, part: str, low: float, high: float) -> None:
    assert RULES[code].bounds[part] == (low, high)
    for value in (low * 0.99, high * 1.01) if part != "beats" else (low - 1, high + 1):
        with pytest.raises(ValueError, match=rf"{code} {part} .* is not in {low:g}…{high:g}"):
            Limits().with_changes({code: {part: value}})


def test_a_change_is_kept_and_null_resets_it() -> None:
    changed = Limits().with_changes({"ASYSTOLE": {"seconds": 3.5}, "BRADY": {"rate": 45, "on": False}})
    assert changed["ASYSTOLE"].seconds == 3.5 and not changed.is_on("BRADY")
    assert changed.changes() == {"ASYSTOLE": {"seconds": 3.5}, "BRADY": {"rate": 45.0, "on": False}}
    assert changed.with_changes({"ASYSTOLE": None, "BRADY": {"rate": None, "on": None}}) == Limits()


@pytest.mark.parametrize("code", LETHAL)
def test_a_lethal_alarm_cannot_be_switched_off(code: str) -> None:
    with pytest.raises(ValueError, match=f"{code} .* is lethal and cannot be switched off"):
        Limits().with_changes({code: {"on": False}})


def test_limits_that_cross_are_rejected() -> None:
    with pytest.raises(ValueError, match="limits cross: EXTREME_BRADY 50 bpm must stay below BRADY 50 bpm"):
        Limits().with_changes({"EXTREME_BRADY": {"rate": 50}})
    with pytest.raises(ValueError, match="limits cross: TACHY 150 bpm must stay below EXTREME_TACHY 140 bpm"):
        Limits().with_changes({"TACHY": {"rate": 150}})
    both = Limits().with_changes({"TACHY": {"rate": 150}, "EXTREME_TACHY": {"rate": 180}})
    assert both["TACHY"].rate == 150.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ASYSTOL": {"seconds": 4}}, "'ASYSTOL' is no alarm"),
        ({"ASYSTOLE": {"rate": 4}}, "no limit 'rate'"),
        ({"ASYSTOLE": {"seconds": "4"}}, "expected a number"),
        ({"ASYSTOLE": {"seconds": float("nan")}}, "is not in"),
        ({"VTACH": {"beats": 4.5}}, "not a whole number"),
        ({"BRADY": {"on": 0}}, "expected true or false"),
        ({"BRADY": 45}, "expected parts"),
    ],
)
def test_an_unreadable_change_is_named(changes: dict[str, dict[str, float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Limits().with_changes(changes)


def test_times_to_confirm_have_bounds() -> None:
    assert RhythmSettings(af_confirm_s=8).af_confirm_s == 8
    with pytest.raises(ValueError, match="af_confirm_s 4 is not in 5…300 s"):
        RhythmSettings(af_confirm_s=4)


def test_a_limit_needs_numbers_above_zero() -> None:
    with pytest.raises(ValueError, match=r"DurationLimit seconds -4\.0 is not a number above zero"):
        DurationLimit(-4.0)
    with pytest.raises(ValueError, match="RunLimit rate nan is not a number above zero"):
        RunLimit(5, rate=float("nan"))

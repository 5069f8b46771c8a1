"""The tables of docs/alarms.md equal the constants of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agents.lifecycle.rules import (
    ADVICE_STAYS_S,
    AUDIO_PAUSE_MAX_S,
    ESCALATE_AFTER_S,
    KEEP_CHANGES,
    KEEP_OFF_S,
    LATE_AFTER_S,
    REALARM_S,
    REMINDER_S,
)
from agents.monitor.encoder_flags import AGAIN_AFTER_S, RESULTS_IN_A_ROW
from agents.monitor.flags import ALL_MOST, BED_MOST, SAME_CODE_S
from models.arrhythmia.codes import ALARM_GROUPS, CODES
from models.arrhythmia.episodes import END_AFTER_S, INSTANT_STAYS_S
from models.arrhythmia.limits import RULES

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "alarms.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    """The cells of the table rows of a section."""
    lines = [line for line in section(title).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_code_has_its_priority_and_its_bounds() -> None:
    documented = {row[0].strip("`"): (row[1], row[3]) for row in rows("Codes") if row[0].startswith("`")}
    actual = {
        code: (
            alarm.priority,
            ", ".join(f"`{p}` {lo:g}–{hi:g}" for p, (lo, hi) in RULES[code].bounds.items()) if code in RULES else "",
        )
        for code, alarm in CODES.items()
    }
    assert documented == {code: (priority, bounds or "–") for code, (priority, bounds) in actual.items()}


def test_the_alarm_groups_are_those_of_the_code() -> None:
    documented = [tuple(re.findall(r"`(\w+)`", row[0])) for row in rows("Sounding") if row[0].startswith("`")]
    assert documented == list(ALARM_GROUPS)


def test_the_instants_are_named() -> None:
    named = re.search(r"\*\*Instants\*\* \(([^)]*)\)", PAGE)
    assert named is not None
    assert set(re.findall(r"`(\w+)`", named[1])) == {code for code, alarm in CODES.items() if alarm.instant}


@pytest.mark.parametrize(
    ("what", "documented"),
    [
        ("a condition is over", f"absent for {END_AFTER_S:g} s"),
        ("an instant stays on", f"{INSTANT_STAYS_S:g} s"),
        ("late", f"ended more than {LATE_AFTER_S:g} s before it was seen"),
        ("re-alarm PM, PL", f"{REALARM_S['PM']:g} s, {REALARM_S['PL']:g} s"),
        ("audio pause", f"at most {AUDIO_PAUSE_MAX_S:g} s"),
        ("reminder of an unacknowledged PH", f"every {REMINDER_S:g} s"),
        ("escalation mark", f"{ESCALATE_AFTER_S:g} s unacknowledged"),
        ("an alert stays in the bed document", f"{KEEP_OFF_S / 60:g} minutes after off"),
        ("advice stays on", f"{ADVICE_STAYS_S:g} s, or until acknowledged"),
        ("audit lines in the bed document", f"the last {KEEP_CHANGES}"),
    ],
)
def test_the_times_are_those_of_the_code(what: str, documented: str) -> None:
    assert {row[0]: row[1] for row in rows("Times")}[what] == documented


def test_the_budgets_are_those_of_the_code() -> None:
    table = {
        row[0]: [int(cell) for cell in row[1:]]
        for row in rows("GEM interpretations")
        if row[0].startswith("interpretations")
    }
    assert table == {
        "interpretations of one bed": [BED_MOST[p] for p in ("PH", "PM", "PL", "PN")],
        "interpretations of all beds of a worker": [ALL_MOST[p] for p in ("PH", "PM", "PL", "PN")],
    }
    text = section("GEM interpretations")
    assert f"after {SAME_CODE_S:g} s" in text
    assert f"for {AGAIN_AFTER_S / 60:g} minutes" in text
    assert (RESULTS_IN_A_ROW, "five results in a row" in text) == (5, True)

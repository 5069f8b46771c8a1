"""The benchmark of alarms: answers that are kept, and a page that is written from stored parts alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import wfdb

from benchmarks import alarm_answers, alarm_halves, alarm_phases, alarms
from benchmarks.alarm_answers import answers
from benchmarks.alarm_tables import PARTS, sounded_on_cinc2015, table
from tests.faults.recordings import real_ecg
from tests.models.arrhythmia.tracks import FS, track

DAY = datetime(2026, 11, 28, tzinfo=UTC)


def record_in(folder: Path, name: str, from_s: float) -> Path:
    ecg = real_ecg(12, start_s=from_s, leads=("II",))
    mv = np.asarray(ecg.mv.T, np.float64)
    folder.mkdir(exist_ok=True)
    wfdb.wrsamp(name, fs=ecg.fs_hz, units=["mV"], sig_name=["II"], p_signal=mv, fmt=["16"], write_dir=str(folder))
    return folder / name


def test_an_interrupted_run_asks_for_the_missing_records_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, first = tmp_path / "kept", record_in(tmp_path / "a", "first", 0.0)
    (known,) = answers([first], kept, fold="0")
    asked: list[str] = []
    plain = alarm_answers._asked
    monkeypatch.setattr(
        alarm_answers, "_asked", lambda records, *rest: asked.extend(r.name for r in records) or plain(records, *rest)
    )
    # Given the same signal under another name, and another one
    again = answers([record_in(tmp_path / "b", "r0", 0.0), record_in(tmp_path / "b", "r1", 5.0)], kept, fold="0")
    assert asked == ["r1"]
    assert again[0]["events"] == known["events"] and again[0]["record"].endswith("r0")
    # Given other weights, options or sources: none is reused
    answers([first], kept, fold="1")
    answers([first], kept, ("--until", "5"), fold="0")
    monkeypatch.setattr(alarm_answers, "code_hash", lambda: "other")
    answers([first], kept, fold="0")
    assert asked == ["r1", "first", "first", "first"]


def test_a_record_without_an_answer_is_an_error(tmp_path: Path) -> None:
    broken = record_in(tmp_path, "broken", 0.0)
    broken.with_suffix(".hea").write_text("broken 1 250 3000\nbroken.dat 16 nonsense\n")
    with pytest.raises(RuntimeError, match="no answer for broken"):
        answers([broken], tmp_path / "kept")


def test_a_part_that_runs_keeps_the_others_with_their_day_and_code(tmp_path: Path) -> None:
    page = tmp_path / "alarms.md"
    delays = {"delays": {"ASYSTOLE": [4.1, None], "VFIB": [3.0]}}
    alarms.store(page, "delays", delays, "aaaa", DAY)
    alarms.store(page, "burden_mitdb", {"seconds": 86400, "priority": {"PH": 2}, "code": {"VTACH": 2}}, "bbbb", DAY)
    alarms.store(page, "delays", {"delays": {"VFIB": [2.0]}}, "cccc", DAY)
    parts = alarms.stored(page)
    assert list(parts) == [name for name in PARTS if name in parts] and len(parts) == 2
    text = table(parts)
    assert "code `cccc`" in text and "`bbbb`" in text and "aaaa" not in text
    assert "| VFIB | 1 | 1 | 2.0 | 2.0 |" in text
    assert "| MIT-BIH | 24.0 | 2 | 0 | 0 | 2 | VTACH 2 |" in text


def test_alarms_that_sounded_on_cinc2015_are_counted_by_priority() -> None:
    result = {
        "records": 439,
        "burden_per_hour": {"VTACH": 2.0, "EXTREME_TACHY": 1.0, "VPAIR": 3.0},
        "technical_per_hour": {"NOISY_SIGNAL": 0.5},
    }
    at = sounded_on_cinc2015(result)
    hours = at["seconds"] / 3600
    assert {p: round(n / hours, 6) for p, n in at["priority"].items()} == {"PH": 3.0, "PL": 3.5}


def test_phases_of_a_record_are_analysed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    monkeypatch.setattr(
        alarm_phases, "events_at", lambda path, fold, phase: asked.append(phase) or [("VTACH", 10.0 + phase, 12.0)]
    )
    job = (tmp_path / "a1", "0", tmp_path / "a1.json")
    first, again = alarm_phases.phases_of(job), alarm_phases.phases_of(job)
    assert first == again and asked == list(alarm_phases.PHASES_S)
    assert alarm_phases.agreement(first[1]) == [("VTACH", 10.0, 4)]


def test_constants_are_chosen_on_one_half_and_reported_on_the_other() -> None:
    """A true bradycardia of 42.5 a minute in one half, such a rate without an alarm in the other."""
    rule = replace(alarm_halves.RULES[1], candidates={"BRADY_MARGIN_BPM": (1.0, 3.0)})
    slow = track([0.8] * 10 + [60 / 42.5] * 210)
    updates = [(now, slow.until(now)) for now in range(round(280 * FS), round(300 * FS), round(FS))]
    true = alarm_halves.Record(FS, updates, "b", True, 1)
    other = alarm_halves.Record(FS, updates, "v", False, 0)
    rows = alarm_halves.rows_of(rule, [[other], [true]])
    chosen = [row.split(" | ")[1:3] for row in rows if "chosen" not in row and row.startswith("| half")]
    assert chosen[0] == ["3", "half 1"] and chosen[2] == ["1", "half 0"]
    assert rows[4].split(" | ")[3:5] == ["1", "1"] and rows[5].split(" | ")[3:5] == ["1", "0"]

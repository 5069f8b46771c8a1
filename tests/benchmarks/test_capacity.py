"""The benchmark of capacity: its search, its rows, its stages, and the smallest run of it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from benchmarks import capacity, capacity_loop, capacity_table
from benchmarks.capacity_table import Rows, conditions, largest_passing, render
from benchmarks.capacity_ward import Options, conclude_beds, gap_after
from benchmarks.stage_sampler import BUFFER, StageClock, stage_of
from benchmarks.ward_run import STANDSTILL_S, WardPlan, make_beds, measure, standstill
from tests.conftest import Broker

OPTIONS = Options(kafka=None, beds=(8, 64), monitors=(1,), seconds=60)

LOADS = {"busy": (900.0, 900.0), "idle": (0.1, 0.2), "own load": (0.1, 900.0)}


@pytest.mark.parametrize("limit", [7, 8, 9, 100, 200, 511, 512, 600])
def test_the_search_brackets_the_limit_within_a_tenth(limit: int) -> None:
    tried: list[int] = []

    def passes(n: int) -> bool:
        tried.append(n)
        return n <= limit

    best, worst = largest_passing(8, 512, passes)

    if limit < 8:
        assert (best, worst, tried) == (0, 8, [8])
    elif limit >= 512:
        assert (best, worst) == (512, 513)
    else:
        assert best <= limit < worst <= best + max(1, round(0.1 * best))
    assert len(tried) == len(set(tried)) <= 12


def test_all_asystoles_lie_inside_the_run_one_after_the_other() -> None:
    plan = WardPlan(beds=40, seconds=60)

    starts = [standstill(plan, k)[0] for k in range(plan.beds)]

    assert starts == sorted(starts) and len(set(starts)) == 40
    assert starts[0] == plan.settle_s and starts[-1] + 2 * STANDSTILL_S <= plan.seconds


def test_the_gap_after_a_kill_is_the_longest_that_ends_after_it() -> None:
    times = [1.0, 2.0, 3.0, 9.5, 10.0, 11.0]

    assert gap_after(times, 3.2) == 6.5
    assert gap_after(times, 9.6) == 1.0
    assert gap_after(times, 11.5) == float("inf")  # nothing came after it
    assert gap_after([], 0.0) == float("inf")


def test_a_row_of_the_same_code_is_not_measured_again_and_one_of_other_code_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, part = tmp_path / "capacity.json", capacity.PARTS["beds"]
    key = {"monitors": 1, "beds": 8, "seconds": 60}
    monkeypatch.setattr(capacity_table, "code_hash", lambda: "aaaaaaaa")
    Rows(path).of("beds", part).keep(key | {"holds": "yes"} | conditions((0.1, 0.2), 0.0))

    later = Rows(path)

    assert later.of("beds", part).known(key) is not None
    assert later.of("beds", part).known(key | {"beds": 16}) is None
    assert later.of("beds", part, again=True).known(key) is None
    monkeypatch.setattr(capacity_table, "code_hash", lambda: "bbbbbbbb")
    assert later.of("beds", part).known(key) is None
    later.of("beds", part).keep(key | {"holds": "no"} | conditions((0.1, 0.2), 0.0))
    assert [row["holds"] for row in json.loads(path.read_text())["beds"]] == ["no"]


def test_a_row_without_a_count_of_other_programs_is_marked_by_the_load() -> None:
    rows = [{"client": name, "messages": 1} | conditions(load, None) for name, load in LOADS.items()]

    text = render(capacity.PARTS, {"loop": rows}, "python -m benchmarks.capacity")

    lines = {line.split(" | ")[0].removeprefix("| "): line for line in text.splitlines()}
    assert "*" in lines["busy"] and "*" not in lines["idle"] and "*" not in lines["own load"]


def test_the_table_marks_rows_of_a_busy_machine_and_names_the_command() -> None:
    rows = [
        {"monitors": 1, "beds": n, "seconds": 60, "holds": holds, "p99, s": 5.0} | conditions((3.0, 4.0), others)
        for n, holds, others in ((64, "no", 1.31), (8, "yes", 0.02))
    ]

    text = render(capacity.PARTS, {"beds": rows}, "python -m benchmarks.capacity")

    assert "1.31*" in text and "0.02*" not in text
    assert "`python -m benchmarks.capacity --part beds`" in text
    assert text.index("| 1 | 8 |") < text.index("| 1 | 64 |")
    assert conclude_beds(rows) == "1 monitor: **8 beds** (64 did not hold)."
    older = {"monitors": 1, "beds": 32, "holds": "no", "day": "2026-01-01 10:00", "code": "older"}
    assert conclude_beds([older, *rows]) == "1 monitor: **8 beds** (64 did not hold)."


@pytest.mark.parametrize(
    ("frames", "stage"),
    [
        (["onnxruntime/capi/x.py:Session.run", "models/networks/delineator.py:D.__call__", "faust/a.py:f"], "networks"),
        (["numpy/x.py:median", "models/signal/quality.py:lead_quality", "models/beats/detector.py:f"], "conditioning"),
        (["numpy/x.py:median", "models/arrhythmia/criteria/rate.py:f", "models/arrhythmia/tier.py:g"], "criteria"),
        (["numpy/x.py:concatenate", "agents/monitor/signal_buffer.py:SignalBuffer.add"], BUFFER),
    ],
)
def test_a_stack_counts_for_its_innermost_stage(frames: list[str], stage: str) -> None:
    assert stage_of(frames) == stage


def compute(seconds: float) -> None:
    """So many seconds of CPU time."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


class Steps:
    """A step with another one inside."""

    def outer(self) -> None:
        compute(0.05)
        self.inner()

    def inner(self) -> None:
        compute(0.1)


def test_an_inner_stage_is_taken_out_of_the_outer_one_and_the_rest_is_the_main_threads(tmp_path: Path) -> None:
    out = tmp_path / "worker.json"
    clock = StageClock(out, 0.0, "publisher")
    clock.clock(Steps, "outer", "decode")
    clock.clock(Steps, "inner", "life cycle and documents")
    Steps().outer()  # before it measures
    out.with_suffix(".go").touch()
    while clock.began is None:
        time.sleep(0.01)
    before = dict(clock.clocked)
    Steps().outer()
    compute(0.2)
    clock.stop()

    inner, outer = (clock.clocked[s] - before[s] for s in ("life cycle and documents", "decode"))
    assert inner == pytest.approx(0.1, abs=0.02) and outer == pytest.approx(0.05, abs=0.02)
    found = json.loads(out.read_text())["stages"]
    assert found["decode"] >= 0.04 and found["life cycle and documents"] >= 0.09
    assert found["Faust, asyncio, producer"] >= 0.12


def test_a_ward_of_two_beds_reaches_redis(tansu: Broker, redis_url: str, tmp_path: Path) -> None:
    plan = WardPlan(beds=2, seconds=6, interpreter=False, tail_s=1.0)

    result = measure(plan, tansu, redis_url, tmp_path)

    assert result.sent == 12 and result.statuses == [0, 0]
    assert len(result.arrivals.judged) == 2 and result.arrivals.vitals >= 6
    assert result.cpu["monitor-1"] > 0.0 and result.memory_mb["monitor-1"] > 50.0
    assert make_beds(plan)[1][0].n_samples == 500


def test_the_message_loops_pass_every_message_on(tmp_path: Path) -> None:
    rows = Rows(tmp_path / "capacity.json")

    capacity_loop.loop(OPTIONS, rows.of("loop", capacity.PARTS["loop"]), messages=64)

    measured = [row for row in rows.parts["loop"] if row["messages"]]
    assert {"bare aiokafka", "this worker's loop"} <= {row["client"] for row in measured}
    assert all(row["messages/s"] > 0 for row in measured)


def test_every_part_of_the_command_has_a_table() -> None:
    assert capacity.PARTS.keys() == capacity.RUN.keys()
    assert all(set(part.key) <= {*part.columns, "seconds"} for part in capacity.PARTS.values())

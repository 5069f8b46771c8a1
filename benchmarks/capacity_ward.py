"""The parts of benchmarks/capacity.py that run a whole ward: beds, stages, recovery."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.capacity_table import PartRows, Row, conditions, largest_passing
from benchmarks.stage_sampler import OVERHEAD, program_of
from benchmarks.ward_run import WardPlan, WardResult, run_ward
from tests.agents.stack import Stack
from tests.history.checker import percentile

PROMISED_S = 10.0  # onset to Redis, p99
LAST_S = 15.0  # the lag that counts is that of the last seconds: it must not grow
SAMPLED_AFTER_S = 12.0  # of the signal: the buffers are full


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line chose."""

    kafka: Path | str | None
    beds: tuple[int, ...]  # smallest and largest of the bisection; the sizes of recovery
    monitors: tuple[int, ...]
    seconds: int
    interpreter: bool = True
    outage_s: int = 600


def row_of(result: WardResult) -> Row:
    """The row of one run."""
    plan, delays = result.plan, result.delays_s
    end = [age for since, age in result.arrivals.lags if since > plan.seconds - LAST_S]
    return {
        "monitors": plan.monitors,
        "beds": plan.beds,
        "seconds": plan.seconds,
        "raised": f"{len(delays)} of {plan.beds}",
        "p50, s": percentile(delays, 50),
        "p99, s": percentile(delays, 99),
        "max, s": percentile(delays, 100),
        "age of vitals at the end, p99, s": percentile(end, 99),
        "monitor, cores": result.cores("monitor"),
        "interpreter": result.cores("interpreter"),
        "publisher": result.cores("publisher"),
        "holds": "yes" if holds(result) else "no",
        **conditions(result.load, result.others),
    }


def holds(result: WardResult) -> bool:
    """Every asystole was raised, the 99th percentile within the promise, and the vitals are not late in the end."""
    end = [age for since, age in result.arrivals.lags if since > result.plan.seconds - LAST_S]
    all_raised = len(result.delays_s) == result.plan.beds
    return all_raised and result.p99_s <= PROMISED_S and bool(end) and percentile(end, 99) <= PROMISED_S


def beds(options: Options, rows: PartRows) -> None:
    """Bisection for each number of monitors."""
    for monitors in options.monitors:

        def passes(n: int, monitors: int = monitors) -> bool:
            row = rows.known({"monitors": monitors, "beds": n, "seconds": options.seconds})
            if row is None:
                plan = WardPlan(
                    beds=n,
                    seconds=options.seconds,
                    monitors=monitors,
                    interpreter=options.interpreter,
                    settings={"standby": False},
                )
                row = row_of(run_ward(plan, options.kafka))
                rows.keep(row)
            return bool(row["holds"] == "yes")

        largest_passing(min(options.beds), max(options.beds), passes)


def conclude_beds(rows: list[Row]) -> str:
    """The largest number of beds that held, by monitors; of the code that was measured last."""
    lines = []
    for monitors in sorted({row["monitors"] for row in rows}):
        of_these = [row for row in rows if row["monitors"] == monitors]
        newest = max(of_these, key=lambda row: str(row.get("day")))
        of_these = [row for row in of_these if row.get("code") == newest.get("code")]
        held = max((row["beds"] for row in of_these if row["holds"] == "yes"), default=0)
        failed = min((row["beds"] for row in of_these if row["holds"] == "no" and row["beds"] > held), default=None)
        more = "the largest number tried" if failed is None else f"{failed} did not hold"
        lines.append(f"{monitors} monitor{'s' * (monitors > 1)}: **{held} beds** ({more}).")
    return "\n".join(lines)


def stages(options: Options, rows: PartRows) -> None:
    """CPU time of one monitor and the publisher by stage, a bed and second."""
    n = min(options.beds)
    with tempfile.TemporaryDirectory() as name:
        out = {worker: Path(name) / f"{worker}.json" for worker in ("monitor", "publisher")}
        programs = {worker: program_of(path, SAMPLED_AFTER_S) for worker, path in out.items()}

        def begin(stack: Stack) -> None:
            for path in out.values():
                path.with_suffix(".go").touch()

        plan = WardPlan(beds=n, seconds=options.seconds, interpreter=options.interpreter, programs=programs)
        result = run_ward(plan, options.kafka, begin)
        for worker, path in out.items():
            found = json.loads(path.read_text())
            cpu_s, bed_s = found["cpu_s"], found["seconds"] * n
            overhead = sum(s for stage, s in found["stages"].items() if stage in OVERHEAD)
            spent = [*found["stages"].items(), ("all", cpu_s)]
            if worker == "monitor":
                spent.append(("outside the analysis", overhead))
            for stage, seconds in spent:
                rows.keep(
                    {
                        "worker": worker,
                        "beds": n,
                        "stage": stage,
                        "ms a bed and second": 1000.0 * seconds / bed_s,
                        "share": f"{100.0 * seconds / cpu_s:.1f} %",
                        **conditions(result.load, result.others),
                    }
                )


def recovery(options: Options, rows: PartRows) -> None:
    """SIGKILL of one monitor: time until its beds have vitals of signal again."""
    for monitors in options.monitors:
        for n in options.beds:
            key = {"monitors": monitors, "beds": n}
            if rows.known(key) is not None:
                continue
            kill_at = options.seconds // 2
            plan = WardPlan(
                beds=n, seconds=options.seconds, monitors=monitors, kill_at=kill_at, tail_s=20.0, interpreter=False
            )
            result = run_ward(plan, options.kafka)
            gaps = [gap_after(times, float(kill_at)) for times in result.arrivals.judged.values()]
            rows.keep(
                {
                    **key,
                    "standby": "yes" if monitors > 1 else "no",
                    "beds judged again": f"{sum(g < float('inf') for g in gaps)} of {n}",
                    "longest gap, p50, s": percentile(gaps, 50),
                    "of all beds, s": percentile(gaps, 100),
                    "raised": f"{len(result.delays_s)} of {n}",
                    "onset to Redis p99, s": result.p99_s,
                    **conditions(result.load, result.others),
                }
            )


def gap_after(times: list[float], at_s: float) -> float:
    """The longest interval without vitals that ends after ``at_s``; infinite where none came after."""
    times = sorted(times)
    if not times or times[-1] <= at_s:
        return float("inf")
    return max((b - a for a, b in pairwise(times) if b > at_s), default=0.0)

"""Benchmark of a ward in real time through the whole stack: lag of the vitals, and delay of the alerts in Redis.

`benchmarks.ward_run` runs the ward; benchmarks/capacity.py finds how many beds it may have.

    python -m benchmarks.ward --beds 32 --seconds 180 [--kafka-home FOLDER] [--out benchmarks/ward.md]
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from benchmarks.ward_run import WardPlan, WardResult, run_ward
from tests.history.checker import percentile

BIN_S = 15


def table(result: WardResult) -> str:
    """Result tables in Markdown."""
    plan, lag, alerts = result.plan, np.array(result.arrivals.lags), result.delays_s
    delays = ", ".join(f"{percentile(alerts, q):.2f}" for q in (50, 99, 100)) if alerts else "none"
    lines = [
        f"{plan.beds} beds, 12 leads at 500 Hz, 1-s messages, {plan.seconds} s in real time; "
        f"{'embedded broker' if result.embedded else 'Apache Kafka'}; {os.cpu_count()} cores; "
        f"load average of the machine at the end {result.load[1]:.1f}.",
        "",
        "| | |",
        "|---|---|",
        f"| windows sent | {result.sent} |",
        f"| vitals read in Redis | {result.arrivals.vitals} |",
        f"| asystoles raised | {len(alerts)} of {plan.beds} |",
        f"| onset to alert in Redis, s: p50, p99, max | {delays} |",
        f"| workers' exit statuses | {result.statuses} |",
    ]
    lines += [f"| CPU of {name}, cores | {used:.2f} |" for name, used in result.cpu.items()]
    lines += [
        "",
        "Age of a bed's newest vitals in Redis (signal's end to station), s:",
        "",
        "| time, s | p50 | p99 |",
        "|---|---|---|",
    ]
    for start in range(0, plan.seconds, BIN_S):
        part = lag[(lag[:, 0] >= start) & (lag[:, 0] < start + BIN_S), 1] if len(lag) else np.zeros(0)
        if len(part):
            lines.append(f"| {start}–{start + BIN_S} | {np.percentile(part, 50):.2f} | {np.percentile(part, 99):.2f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beds", type=int, default=32)
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--monitors", type=int, default=1)
    parser.add_argument("--kill-at", type=int, help="kill the first monitor after so many seconds, and start another")
    parser.add_argument("--tail", type=float, default=5.0, help="seconds to go on after the last window")
    parser.add_argument("--kafka-home", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    plan = WardPlan(
        beds=arguments.beds,
        seconds=arguments.seconds,
        monitors=arguments.monitors,
        kill_at=arguments.kill_at,
        tail_s=arguments.tail,
    )
    text = table(run_ward(plan, arguments.kafka_home))
    print(text)
    if arguments.out:
        arguments.out.write_text(f"# A ward in real time\n\nWritten by `python -m benchmarks.ward`.\n\n{text}")

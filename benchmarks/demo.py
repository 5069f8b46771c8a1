"""Benchmark of the demo: delay from scripted onset to alert in Redis, lost windows, duplicate alarms.

    python -m benchmarks.demo [--beds 8] [--seconds 45] [--write]

Runs ``gem-bedside demo`` and prints its report as a table; ``--write`` writes the table to benchmarks/demo.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_suffix(".md")


def run_demo(beds: int, seconds: float) -> dict[str, Any]:
    """The report of one run."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "deploy.cli", "demo", "--beds", str(beds), "--seconds", str(seconds)]
        subprocess.run([*command, "--json", str(report)], check=True)
        found: dict[str, Any] = json.loads(report.read_text())
        return found


def table(report: dict[str, Any], seconds: float, load: float) -> str:
    """The report in Markdown."""
    alerts = {alert["id"]: alert for alert in report["alerts"]}
    busy = " (above the number of cores: other programs ran)" if load > (os.cpu_count() or 1) else ""
    lines = [
        "# The demo, measured",
        "",
        f"`python -m benchmarks.demo --beds {report['beds']} --seconds {seconds:g} --write`, "
        f"{datetime.now(UTC):%Y-%m-%d}; {os.cpu_count()} cores, "
        f"load {load:.1f} at the start{busy}. "
        "Embedded broker and Redis, three workers as processes, messages of 1 s.",
        "",
        "Latency: scripted onset to the alert's entry in the Redis stream, by Redis's clock.",
        "",
        "| bed | episode | latency, s | citations | interpretation |",
        "|---|---|---|---|---|",
    ]
    for row in report["episodes"]:
        alert = alerts.get(row["alert_id"])
        interpretation = alert and alert["interpretation"]
        late = "none" if row["latency_s"] is None else f"{row['latency_s']:.2f}"
        cited = len(alert["citations"]) if alert else 0
        source = interpretation["source"] if interpretation else "–"
        lines.append(f"| {row['bed']} | `{row['code']}` | {late} | {cited} | {source} |")
    latency, claims = report["latency_s"], report["claims"]
    lines += [
        "",
        "| | |",
        "|---|---|",
        f"| windows in, analysed, lost | {report['windows_in']}, {report['windows_analysed']}, {report['lost']} |",
        f"| duplicates, dead letters | {report['duplicates']}, {report['dead_letters']} |",
        f"| latency p50, p99, max, s | {latency['p50']}, {latency['p99']}, {latency['max']} |",
        f"| claims supported, unsupported, contradicted | {claims['supported']}, {claims['unsupported']}, "
        f"{claims['contradicted']} |",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the demo and print its table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo")
    parser.add_argument("--beds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=45.0)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    text = table(run_demo(options.beds, options.seconds), options.seconds, load)
    print(text)
    if options.write:
        TABLE.write_text(text)


if __name__ == "__main__":
    main()

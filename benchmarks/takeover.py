"""Benchmark of the takeover: one of two monitors is killed or stopped at a random instant, many times.

Beds send 12 leads at 500 Hz, one message a second; their hearts stand still again and again, so that every takeover has
onsets before, inside and after it. Measured: onset to the alert as a station reads it (Redis), of all onsets and of
those inside a takeover (from 6 s before the monitor ends to 10 s after), and the time from the assignment of the
partitions to the last of them being live.

    python -m benchmarks.takeover [--beds 16] [--rounds 12] [--seed 0] [--two-leads] [--write]
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from models.leads import STANDARD_12
from tests.history.checker import percentile
from tests.history.faults import Fault
from tests.history.run import run
from tests.history.site import Site

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "benchmarks" / "takeover.md"
SECONDS = 75
BEFORE_S, AFTER_S = 6.0, 10.0
EARLIEST_S, LATEST_S = 20.0, 42.0
RESTORED = re.compile(r"restored in ([0-9.]+) s")


@dataclass
class Takeovers:
    """Delays from onset to station, and durations of the restore; seconds."""

    all_s: list[float] = field(default_factory=list)
    inside_s: list[float] = field(default_factory=list)
    restores_s: list[float] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    rounds: int = 0


def measure(
    kafka: Path, beds: int, rounds: int, seed: int, leads: tuple[str, ...], fs_hz: float
) -> dict[str, Takeovers]:
    """Takeovers of killed and of stopped monitors."""
    found = {"SIGKILL": Takeovers(), "SIGSTOP": Takeovers()}
    with tempfile.TemporaryDirectory() as folder, Site(Path(folder), kafka) as site:
        for k in range(rounds):
            rng = np.random.default_rng(seed + k)
            number = ("SIGKILL", "SIGSTOP")[k % 2]
            at_s = float(rng.uniform(EARLIEST_S, LATEST_S))
            length_s = 0.0 if number == "SIGKILL" else float(rng.uniform(4, 12))
            kind = "kill monitor" if number == "SIGKILL" else "stop monitor"
            known = _restores(Path(folder))
            fault = Fault(kind, at_s, length_s, int(rng.integers(0, 2)))
            outcome = run(seed + k, site, faults=[fault], beds=beds, seconds=SECONDS, leads=leads, fs_hz=fs_hz)
            takeovers, happened = found[number], outcome.faults[0]
            takeovers.rounds += 1
            takeovers.violations += outcome.findings.violations
            takeovers.restores_s += (_restores(Path(folder)) - known).elements()
            for onset_s, delay_s in outcome.findings.in_time:
                takeovers.all_s.append(delay_s)
                if happened.at_s - BEFORE_S <= onset_s <= happened.at_s + AFTER_S:
                    takeovers.inside_s.append(delay_s)
            print(number, happened, f"worst {outcome.findings.worst_s:.1f} s", *outcome.findings.violations, flush=True)
    return found


def _restores(folder: Path) -> Counter[float]:
    """Durations in the logs of the monitors."""
    text = "".join(path.read_text(errors="replace") for path in folder.glob("monitor-*.log"))
    return Counter(float(x) for x in RESTORED.findall(text))


def table(found: dict[str, Takeovers], beds: int, leads: int, fs_hz: float) -> str:
    """The table, as Markdown."""
    lines = [
        f"{beds} beds, {leads} leads at {fs_hz:g} Hz, 1-s messages; Apache Kafka, one node; two monitors, "
        f"two publishers; {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}.",
        "",
        "| monitor | takeovers | onsets | p50, s | p99, s | longest, s | onsets inside | p50, s | p99, s | longest, s "
        "| restore p50, s | longest, s | violations |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for number, t in found.items():
        restores = _cells(t.restores_s)[1::2]
        cells = [number, t.rounds, *_cells(t.all_s), *_cells(t.inside_s), *restores, len(t.violations)]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def _cells(values: Sequence[float]) -> list[str]:
    return [str(len(values)), *(f"{percentile(values, q):.2f}" for q in (50, 99, 100))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beds", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--two-leads", action="store_true", help="II and V1 at 250 Hz, for many beds on a small machine"
    )
    parser.add_argument("--write", action="store_true", help=f"append to {TABLE.name}")
    arguments = parser.parse_args()
    home = Path(os.environ.get("GEM_BEDSIDE_TEST_KAFKA_HOME", ROOT.parent / "shared" / "kafka")).resolve()
    leads, fs_hz = (("II", "V1"), 250.0) if arguments.two_leads else (STANDARD_12, 500.0)
    found = measure(home, arguments.beds, arguments.rounds, arguments.seed, leads, fs_hz)
    text = table(found, arguments.beds, len(leads), fs_hz)
    print(text)
    if arguments.write:
        head = "# Takeover of a stopped monitor\n\nWritten by `python -m benchmarks.takeover --write`.\n"
        before = TABLE.read_text(encoding="utf-8") if TABLE.is_file() else head
        TABLE.write_text(f"{before}\n{text}", encoding="utf-8")

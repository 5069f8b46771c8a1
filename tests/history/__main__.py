"""`python -m tests.history`: seeded schedules by hand, resumable; ``--write`` makes benchmarks/history.md.

Outcomes are kept in ``.gem-bedside/history-<digest>.jsonl``, where the digest is that of the code under test: a run
that was stopped goes on where it was, and several processes may run different seeds side by side. ``--write`` puts the
rows of this digest into the committed table, each in the place of an earlier row of the same seed and brokers.
``--again WHY`` runs the schedules that had violations once more, for example alone on the machine; the table names
both runs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.history.run import run, summary
from tests.history.site import Site
from tests.history.table import before, markdown, rows_of
from tests.toxiproxy import PROGRAM

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "benchmarks" / "history.md"
A_SITE = 12  # schedules on one site; then it begins anew


def digest() -> str:
    """Of the code under test."""
    found = hashlib.sha256()
    for folder in ("models", "agents", "streams"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()[:12]


def _home(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable, ROOT.parent / "shared" / default)).resolve()


def _run(seeds: Iterable[int], nodes: int, store: Path, why: str = "") -> int:
    """Run seeds on one site after the other; the number of those with a violation. ``why`` they run again is noted."""
    kafka = _home("GEM_BEDSIDE_TEST_KAFKA_HOME", "kafka")
    proxy = _home("GEM_BEDSIDE_TEST_TOXIPROXY_HOME", "toxiproxy") / PROGRAM
    left, violated = list(seeds), 0
    while left:
        batch, left = left[:A_SITE], left[A_SITE:]
        with (
            tempfile.TemporaryDirectory() as folder,
            Site(Path(folder), kafka, nodes, proxy if proxy.is_file() else None) as site,
        ):
            for seed in batch:
                outcome = run(seed, site, log=lambda line: print(f"  {line}", flush=True))
                print(summary(outcome), *outcome.findings.violations, sep="\n  ", flush=True)
                violated += bool(outcome.findings.violations)
                with store.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(outcome.row() | {"ended": site.ended, "why": why}) + "\n")
                site.ended = []
                if outcome.findings.violations:
                    _keep_logs(Path(folder), store.parent / f"history-{seed}")
    return violated


def _keep_logs(folder: Path, to: Path) -> None:
    to.mkdir(parents=True, exist_ok=True)
    for log in folder.glob("*.log"):
        (to / log.name).write_bytes(log.read_bytes()[-200_000:])


def main() -> int:
    """Run what the command line asks for; status 1 where a guarantee did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.history", description=__doc__)
    parser.add_argument("--schedules", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--nodes", type=int, choices=(1, 3), default=1, help="brokers")
    parser.add_argument("--again", metavar="WHY", default="", help="run those that had violations; the table says both")
    parser.add_argument("--write", action="store_true", help=f"add the outcomes to {TABLE.name}")
    arguments = parser.parse_args()
    store = ROOT / ".gem-bedside" / f"history-{digest()}.jsonl"
    store.parent.mkdir(exist_ok=True)
    known = _rows(store)
    of_nodes = {row["seed"]: row for row in known if row["nodes"] == arguments.nodes}
    asked = range(arguments.seed, arguments.seed + arguments.schedules)
    seeds = [seed for seed in asked if seed not in of_nodes]
    if arguments.again:
        seeds = [seed for seed, row in sorted(of_nodes.items()) if row["violations"]]
    violated = _run(seeds, arguments.nodes, store, arguments.again)
    if arguments.write:
        rows = {(row["nodes"], row["seed"]): row for row in rows_of(TABLE)}
        rows |= {(row["nodes"], row["seed"]): row | {"code": digest()} for row in _rows(store)}
        TABLE.write_text(markdown([rows[key] for key in sorted(rows)]), encoding="utf-8")
    return 1 if violated else 0


def _rows(store: Path) -> list[dict[str, Any]]:
    if not store.is_file():
        return []
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for line in store.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        key = row["nodes"], row["seed"]
        found[key] = row | {"before": before(found[key], row.get("why", "")) if key in found else ""}
    return list(found.values())


if __name__ == "__main__":
    sys.exit(main())

"""The committed table of the fuzzer: parts, schedules, violations by kind, inputs by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.fuzz import oracle
from tests.fuzz.campaign import Outcome
from tests.fuzz.parts import Ledger, Part, Row


def row_of(outcome: Outcome) -> Row:
    """One outcome as a line of the progress file."""
    return {
        "seed": outcome.seed,
        "source": outcome.schedule.source,
        "demanded": outcome.demanded,
        "inputs": dict(outcome.schedule.inputs()),
        "records": dict(outcome.records),
        "violations": dict(Counter(v.kind for v in outcome.violations)),
        "text": [str(v) for v in outcome.violations],
        "schedule": repr(outcome.schedule) if outcome.violations else "",
    }


def markdown(ledger: Ledger) -> str:
    """The table as it is committed."""
    parts = ledger.parts
    records, kinds = _sum(parts, "records"), _sum(parts, "violations")
    inputs, affected = _sum(parts, "inputs"), _sum(parts, "affected")
    violating = {seed: texts for part in parts for seed, texts in part["violating"].items()}
    still = [seed for seed in violating if ledger.again.get(seed, {"violations": True})["violations"]]
    counts = {
        "schedules": sum(part["schedules"] for part in parts),
        "with an episode that must be raised": sum(part["demanded"] for part in parts),
        "sources": len({source for part in parts for source in part["sources"]}),
        **{f"{name} messages": count for name, count in records.items()},
        "schedules with a violation": len(violating),
        "of these, with a violation when run again with later code, or not run again": len(still),
    }
    lines = [
        "# Telemetry fuzzer",
        "",
        "Seeded producers, legal and illegal, against one partition under injected time, beside a clean bed with a",
        "planted asystole (`tests/fuzz/`). Made by `python -m tests.fuzz --schedules 10000 --write`, in parts:",
        "each seed was run once, with the code of the commit beside it. `--again` runs seeds with a violation again.",
        "",
        "## Schedules",
        "| | count |",
        "|---|---|",
        *(f"| {name} | {count:,} |" for name, count in counts.items()),
        "",
        "## Parts",
        "| commit | code | seeds | schedules | with a violation |",
        "|---|---|---|---|---|",
        *(_part_line(part) for part in parts),
        "",
        "## Violations",
        "| rule | violations |",
        "|---|---|",
        *(f"| {kind} | {kinds[kind]:,} |" for kind in oracle.KINDS),
        "",
        "## Schedules with a violation",
        "| seed | violation | run again |",
        "|---|---|---|",
        *(_seed_line(seed, texts, ledger.again.get(seed)) for seed, texts in violating.items()),
        "",
        "## Inputs",
        "| distortion | schedules with it | of these, with a violation |",
        "|---|---|---|",
        *(f"| {name} | {count:,} | {affected[name]:,} |" for name, count in sorted(inputs.items())),
        "",
    ]
    return "\n".join(lines)


def _sum(parts: Sequence[Part], name: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part[name])
    return total


def _part_line(part: Part) -> str:
    seeds = ", ".join(f"{first} to {last}" for first, last in part["seeds"])
    cells = (part["commit"], part["digest"], seeds, f"{part['schedules']:,}", len(part["violating"]))
    return f"| {' | '.join(map(str, cells))} |"


def _seed_line(seed: str, texts: Sequence[str], again: dict[str, Any] | None) -> str:
    later = "no" if again is None else f"{again['commit']}: {'; '.join(again['violations']) or 'none'}"
    return f"| {seed} | {'; '.join(texts)} | {later} |".replace("\n", " ")

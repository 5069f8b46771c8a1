"""The committed table of the fuzzer: schedules, inputs by kind, violations by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tests.fuzz import oracle
from tests.fuzz.campaign import Outcome

Row = dict[str, Any]


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


def markdown(rows: Iterable[Row], about: str) -> str:
    """The table as it is committed."""
    rows = list(rows)
    schedules: Counter[str] = Counter()
    inputs: Counter[str] = Counter()
    affected: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for row in rows:
        schedules["schedules"] += 1
        schedules["with an episode that must be raised"] += row["demanded"]
        schedules["sources"] = len({r["source"] for r in rows})
        for name, count in row["records"].items():
            schedules[f"{name} messages"] += count
        inputs.update(row["inputs"])
        kinds.update(row["violations"])
        if row["violations"]:
            schedules["schedules with a violation"] += 1
            affected.update(dict.fromkeys(row["inputs"], 1))
    schedules["schedules with a violation"] += 0
    seeds = [r["seed"] for r in rows]
    lines = [
        "# Telemetry fuzzer",
        "",
        "Seeded producers, legal and illegal, against one partition under injected time, beside a clean bed with a",
        "planted asystole (`tests/fuzz/`). Made by `python -m tests.fuzz --schedules N --jobs 2 --write`.",
        "",
        f"{about}; seeds {min(seeds, default=0)} to {max(seeds, default=0)}.",
        "",
        "## Schedules",
        "| | count |",
        "|---|---|",
        *(f"| {name} | {count:,} |" for name, count in schedules.items()),
        "",
        "## Violations",
        "| rule | violations |",
        "|---|---|",
        *(f"| {kind} | {kinds[kind]:,} |" for kind in oracle.KINDS),
        "",
        "## Inputs",
        "| distortion | schedules with it | of these, with a violation |",
        "|---|---|---|",
        *(f"| {name} | {count:,} | {affected[name]:,} |" for name, count in sorted(inputs.items())),
        "",
    ]
    return "\n".join(lines)


def by_seed(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """One row a seed, ascending."""
    return [dict(row) for _, row in sorted({row["seed"]: row for row in rows}.items())]

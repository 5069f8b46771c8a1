"""benchmarks/history.md: one row a schedule, which is read again to add others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.history.checker import IN_TIME_S, percentile

INTRODUCTION = """\
Written by `python -m tests.history --schedules N --seed S [--nodes 3] --write`: Apache Kafka, Valkey, two monitors and
two publishers as processes, six beds whose hearts stand still several times. The checker (`tests/history/checker.py`)
proves for each schedule that every planted asystole was delivered, sounded once and in time, that versions never went
backwards and that nothing late sounded. *Held back*: onsets inside a fault that keeps every alert from the station
(no broker, no Redis, no monitor); they must be delivered when it is over. *Code*: a digest of the product's sources; a
seed that runs again on later code replaces its row.""".splitlines()
KINDS = {
    "lost, or a version of it": r": 0 alerts|not delivered|was read after|the log holds|^not finished",
    "sounded other than once": r": [2-9] alerts were delivered|: sounded \d+ times$",
    "late, and sounded": r"late, and sounded|though late",
    "delivered too late": r"delivered after|notwithstanding",
    "not planted": r"was not planted",
    "two authors": r"says two things",
}
"""What a violation is; each is of the first kind whose pattern it has."""
HEAD = ("seed", "brokers", "code", "faults", "conditions", "in time", "worst, s", "held back", "late", "violations")


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table."""
    delays = [delay for row in rows for delay in row["delays_s"]]
    violations = [text for row in rows for text in row["violations"]]
    kinds = Counter(kind_of(text) for text in violations)
    held_back = [delay for row in rows for delay in row["held_back_s"]]
    faults = Counter(fault.partition("[")[0] for row in rows for fault in row["faults"])
    lines = [
        "# Histories under faults",
        "",
        *INTRODUCTION,
        "",
        "| | |",
        "|---|---|",
        f"| schedules, of these with three brokers | {len(rows)}, {sum(row['nodes'] > 1 for row in rows)} |",
        f"| faults | {sum(faults.values())} |",
        f"| planted asystoles | {sum(row['conditions'] for row in rows)} |",
        f"| onset to station without an outage, p50, s | {percentile(delays, 50):.2f} |",
        f"| p99, s | {percentile(delays, 99):.2f} |",
        f"| longest, s | {max(delays, default=0.0):.2f} |",
        f"| of these over {IN_TIME_S:g} s | {sum(delay > IN_TIME_S for delay in delays)} of {len(delays)} |",
        f"| held back by an outage, and delivered after it | {len(held_back)} |",
        f"| recorded late, and silent | {sum(row['late'] for row in rows)} |",
        *(f"| {kind} | {kinds[kind]} |" for kind in KINDS),
        f"| violations | {len(violations)} in {sum(bool(row['violations']) for row in rows)} schedules |",
        "",
        f"Faults by kind: {', '.join(f'{kind} {n}' for kind, n in faults.most_common()) or 'none'}.",
        "",
        f"| {' | '.join(HEAD)} |",
        f"|{'---|' * len(HEAD)}",
        *(_line(row) for row in rows),
    ]
    if violations:
        lines += ["", "## Violations", ""]
        lines += [
            f"* seed {row['seed']}, {row['nodes']}, {row['code']}: {text}" for row in rows for text in row["violations"]
        ]
    again = [f"* {row['seed']}, {row['nodes']}: {row['before']}" for row in rows if row.get("before")]
    if again:
        lines += [
            "",
            "## Run more than once",
            "",
            "What the earlier run of a seed had, and why it ran again.",
            "",
            *again,
        ]
    delays_of = [f"{row['seed']} {row['nodes']} {row['code']}: {_joined(row)}" for row in rows]
    return "\n".join([*lines, "", "## Delays, s (in time; held back)", "", "```", *delays_of, "```", ""])


def before(row: dict[str, Any], why: str) -> str:
    """What a row says that is replaced by another run of its seed."""
    kinds = Counter(map(kind_of, row["violations"]))
    found = ", ".join(f"{n} {kind}" for kind, n in kinds.items()) or "no violation"
    return "; ".join(filter(None, (row.get("before", ""), f"{found} ({why})" if why else found)))


def kind_of(violation: str) -> str:
    """Of `KINDS`; "other" where no pattern is in it."""
    return next((kind for kind, pattern in KINDS.items() if re.search(pattern, violation)), "other")


def _line(row: dict[str, Any]) -> str:
    cells = (
        row["seed"],
        row["nodes"],
        row["code"],
        ", ".join(row["faults"]) or "none",
        row["conditions"],
        len(row["delays_s"]),
        f"{max(row['delays_s'], default=0.0):.1f}",
        len(row["held_back_s"]),
        row["late"],
        len(row["violations"]),
    )
    return f"| {' | '.join(map(str, cells))} |"


def _joined(row: dict[str, Any]) -> str:
    return "; ".join(" ".join(f"{x:.2f}" for x in row[name]) for name in ("delays_s", "held_back_s"))


def rows_of(table: Path) -> list[dict[str, Any]]:
    """The rows of a table that was written before."""
    if not table.is_file():
        return []
    text = table.read_text(encoding="utf-8")
    delays = {}
    for line in text.split("```")[1].strip().splitlines() if "```" in text else []:
        key, _, values = line.partition(":")
        delays[key] = [[float(x) for x in part.split()] for part in values.split(";")]
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("* seed "):
            seed, _, rest = line.removeprefix("* seed ").partition(", ")
            nodes, _, rest = rest.partition(", ")
            code, _, what = rest.partition(": ")
            found.setdefault(f"{seed} {nodes} {code}", []).append(what)
    again = dict(line[2:].split(": ", 1) for line in text.splitlines() if re.match(r"\* \d+, \d+: ", line))
    rows = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != len(HEAD) or not cells[0].isdigit():
            continue
        on_time, held_back = delays[f"{cells[0]} {cells[1]} {cells[2]}"]
        rows.append(
            {
                "seed": int(cells[0]),
                "nodes": int(cells[1]),
                "code": cells[2],
                "faults": [] if cells[3] == "none" else cells[3].split(", "),
                "conditions": int(cells[4]),
                "delays_s": on_time,
                "held_back_s": held_back,
                "late": int(cells[8]),
                "violations": found.get(f"{cells[0]} {cells[1]} {cells[2]}", []),
                "before": again.get(f"{cells[0]}, {cells[1]}", ""),
            }
        )
    return rows

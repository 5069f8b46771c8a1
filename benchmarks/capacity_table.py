"""The rows of benchmarks/capacity.py: kept as JSON, so that a run goes on where the last one ended, and as Markdown.

Every row says when it was measured, under which load, and by which code (a hash over the sources): a row of other code
is measured anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("agents", "models", "streams")
IDLE_CORES = 0.2  # used by other programs: more, and the row is marked
BUSY_LOAD = 1.0  # load average a core, before and after: more, and a row without that count is marked

Row = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """One part of the benchmark.

    Parameters
    ----------
    title, text : str
        Heading, and the paragraph over the table.
    key : tuple of str
        Fields that identify a row.
    columns : tuple of str
        Fields of the table.
    conclude : callable, optional
        A sentence from the rows.
    """

    title: str
    text: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    conclude: Callable[[list[Row]], str] = field(default=lambda rows: "")


@cache
def code_hash() -> str:
    """Hash over the sources of the product, 8 hex digits."""
    digest = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".lua", ".onnx", ".json", ".npz") and path.is_file():
                digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()[:8]


def conditions(load: tuple[float, float], others: float | None) -> Row:
    """Fields of every row: day, code, load average before and after, priority, cores that other programs used."""
    return {
        "day": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        "code": code_hash(),
        "load": f"{load[0]:.1f} → {load[1]:.1f}",
        "nice": nice(),
        "others": None if others is None else round(others, 2),
    }


def nice() -> int:
    """Niceness of this process, or of its session where Linux schedules by sessions; negative: preferred."""
    own, group = os.getpriority(os.PRIO_PROCESS, 0), Path("/proc/self/autogroup")
    words = group.read_text().split() if group.is_file() else []  # the file is empty in a control group
    return own or (int(words[-1]) if words else 0)


class Rows:
    """Rows by part, in a JSON file that is written after each row."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parts: dict[str, list[Row]] = json.loads(path.read_text()) if path.is_file() else {}

    def of(self, name: str, part: Part, *, again: bool = False) -> PartRows:
        """The rows of one part; ``again``: none of them counts as measured."""
        return PartRows(self, name, part, again)


@dataclass(frozen=True)
class PartRows:
    """The rows of one part."""

    rows: Rows
    name: str
    part: Part
    again: bool = False

    def known(self, row: Row) -> Row | None:
        """The row with the same key, measured with this code."""
        same = [r for r in self.rows.parts.get(self.name, []) if _key(self.part, r) == _key(self.part, row)]
        return None if self.again else next((r for r in same if r.get("code") == code_hash()), None)

    def keep(self, row: Row) -> None:
        """Keep a row, in place of the one with the same key."""
        others = [r for r in self.rows.parts.get(self.name, []) if _key(self.part, r) != _key(self.part, row)]
        self.rows.parts[self.name] = [*others, row]
        self.rows.path.write_text(json.dumps(self.rows.parts, indent=1, ensure_ascii=False) + "\n")
        print(self.name, row, flush=True)


def _key(plan: Part, row: Row) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in plan.key)


def render(parts: dict[str, Part], rows: dict[str, list[Row]], command: str) -> str:
    """The whole table, as Markdown."""
    lines = [
        "# Capacity: beds end to end",
        "",
        f"Written by `{command}`; `--part NAME` remakes one part. {os.cpu_count()} cores. Each row has the load "
        "average of the machine before and after, the cores that other programs used meanwhile, the priority of the "
        "benchmark (nice; below 0 it was preferred to them) and the code's hash. "
        f"**Rows marked `*` were measured while other programs used more than {IDLE_CORES:g} core**: they are lower "
        "bounds; the command of the part remakes them on an idle machine.",
    ]
    for name, part in parts.items():
        found = rows.get(name)
        if not found:
            continue
        lines += ["", f"## {part.title}", "", part.text, f"`{command} --part {name}`", ""]
        columns = (*part.columns, "load", "others", "nice", "code")
        lines += [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
        ordered = sorted(found, key=lambda r: tuple(_order(r.get(k)) for k in part.key))
        lines += [f"| {' | '.join(_cell(row, column) for column in columns)} |" for row in ordered]
        if conclusion := part.conclude(found):
            lines += ["", conclusion]
    return "\n".join(lines) + "\n"


def _order(value: Any) -> tuple[int, Any]:
    return (0, value) if isinstance(value, int | float) else (1, str(value))


def _others(row: Row) -> str:
    """Cores that other programs used, marked where they were busy; by the load where nobody counted them."""
    value = row.get("others")
    if value is not None:
        return f"{value:.2f}{'*' if value > IDLE_CORES else ''}"
    loads = [float(text) for text in str(row["load"]).split(" → ")]
    return "*" if min(loads) > BUSY_LOAD * (os.cpu_count() or 1) else ""


def _cell(row: Row, column: str) -> str:
    value = row.get(column)
    if column == "others":
        return _others(row)
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def largest_passing(low: int, high: int, passes: Callable[[int], bool], resolution: float = 0.1) -> tuple[int, int]:
    """The largest number that passes and the smallest that fails, by doubling and then bisection.

    Parameters
    ----------
    low, high : int
        First number, and the largest one to try.
    passes : callable
        Is taken as monotone.
    resolution : float
        Bisection ends where both are this close, as a share.

    Returns
    -------
    tuple of int
        0 where already ``low`` fails; ``high`` + 1 where nothing failed.
    """
    best, worst, n = 0, high + 1, low
    while n < worst:
        if not passes(n):
            worst = n
            break
        best = n
        if n == high:
            break
        n = min(2 * n, high)
    while best and worst <= high and worst - best > max(1, round(resolution * best)):
        middle = (best + worst) // 2
        if passes(middle):
            best = middle
        else:
            worst = middle
    return best, worst

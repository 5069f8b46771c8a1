"""The long run in parts: what each commit was tried with, and the sum of all parts.

A run of thousands of schedules takes hours, and the code changes meanwhile. Each part therefore names its commit and
the digest of the code under test. No seed is in two parts. Seeds with a violation may be run again with later code; the
violations of their part stay in the sum, and the table has the later result beside them.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Part = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
CODE = ("models", "agents", "streams", "tests/fuzz")
SUMS = ("records", "inputs", "affected", "violations")


def digest() -> str:
    """Of the code under test and of the fuzzer."""
    found = hashlib.sha256()
    for room in CODE:
        for path in sorted((ROOT / room).rglob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()[:12]


def commit() -> str:
    """The commit that the code under test is of; with ``+`` where the code was changed since."""
    short = _git("rev-parse", "--short", "HEAD")
    return f"{short}+" if _git("status", "--porcelain", "--", *CODE) else short


def _git(*args: str) -> str:
    return subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def part_of(rows: Sequence[Row], code: str, made_of: str) -> Part:
    """The sums over the rows of one commit, as they are committed."""
    sums: dict[str, Counter[str]] = {name: Counter() for name in SUMS}
    for row in rows:
        for name in ("records", "inputs", "violations"):
            sums[name].update(row[name])
        if row["violations"]:
            sums["affected"].update(dict.fromkeys(row["inputs"], 1))
    return {
        "commit": made_of,
        "digest": code,
        "seeds": spans(row["seed"] for row in rows),
        "schedules": len(rows),
        "demanded": sum(row["demanded"] for row in rows),
        "sources": sorted({row["source"] for row in rows}),
        **{name: dict(sorted(counts.items())) for name, counts in sums.items()},
        "violating": {str(row["seed"]): row["text"] for row in rows if row["violations"]},
    }


def spans(seeds: Iterable[int]) -> list[list[int]]:
    """Numbers as spans with both ends.

    >>> spans([0, 1, 2, 7])
    [[0, 2], [7, 7]]
    """
    found: list[list[int]] = []
    for seed in sorted(seeds):
        if found and seed == found[-1][1] + 1:
            found[-1][1] = seed
        else:
            found.append([seed, seed])
    return found


class Ledger:
    """The committed parts and the seeds that were run again.

    Parameters
    ----------
    path : Path
        The file; one that does not exist has no parts.
    """

    def __init__(self, path: Path) -> None:
        known = json.loads(path.read_text()) if path.exists() else {"parts": [], "again": {}}
        self._path = path
        self.parts: list[Part] = known["parts"]
        self.again: dict[str, dict[str, Any]] = known["again"]  # seed to commit and violations

    def seeds(self, but: str = "") -> set[int]:
        """Seeds of all parts, except the part with a digest."""
        return {
            seed
            for part in self.parts
            if part["digest"] != but
            for first, last in part["seeds"]
            for seed in range(first, last + 1)
        }

    def violating(self) -> list[int]:
        """Seeds with a violation in their part or when they were run last."""
        return sorted(int(seed) for part in self.parts for seed in part["violating"])

    def put(self, part: Part) -> None:
        """Add a part, or replace the one of the same code."""
        self.parts = [p for p in self.parts if p["digest"] != part["digest"]]
        if part["schedules"]:
            self.parts.append(part)

    def run_again(self, seed: int, made_of: str, texts: Sequence[str]) -> None:
        """Note the violations of a seed with later code."""
        self.again[str(seed)] = {"commit": made_of, "violations": list(texts)}

    def write(self) -> None:
        """Write the file."""
        self._path.write_text(json.dumps({"parts": self.parts, "again": self.again}, indent=1) + "\n")

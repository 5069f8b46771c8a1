"""`python -m tests.fuzz`: thousands of schedules by hand, resumable; or one seed in full.

Outcomes are kept in ``.gem-bedside/fuzz-<digest>.jsonl``, where the digest is that of the code under test: a run that
was stopped goes on where it was. With ``--write`` they become a part of the committed table (`tests.fuzz.parts`); a run
with other code goes on with the seeds that no part has.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path

from tests.fuzz.campaign import Fuzzer
from tests.fuzz.parts import ROOT, Ledger, Row, commit, digest, part_of
from tests.fuzz.table import markdown, row_of

TABLE = ROOT / "benchmarks" / "telemetry_fuzzer.md"
PARTS = TABLE.with_suffix(".json")
CHUNK = 10


def data_folder() -> Path | None:
    """The recordings, where they are found."""
    folder = Path(os.environ.get("GEM_BEDSIDE_TEST_DATA", ROOT.parent / "shared" / "data"))
    return folder.resolve() if folder.is_dir() else None


@lru_cache(maxsize=1)
def _fuzzer() -> Fuzzer:
    logging.disable(logging.CRITICAL)
    return Fuzzer(data_folder())


def _rows(seeds: list[int]) -> list[str]:
    return [json.dumps(row_of(_fuzzer().outcome(seed))) for seed in seeds]


def main() -> int:
    """Run what the command line asks for; status 1 where a rule was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--schedules", type=int, default=200, help="how many, from --first on, with those of all parts")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name} and its parts")
    parser.add_argument("--again", action="store_true", help="run the seeds with a violation in a part again")
    parser.add_argument("--seed", type=int, help="one schedule: its violations and the smallest schedule with each")
    parser.add_argument("--until", help="stop at this time of day, HH:MM")
    asked = parser.parse_args()
    if asked.seed is not None:
        return _explain(asked.seed)
    ledger, code, made_of = Ledger(PARTS), digest(), commit()
    progress = ROOT / ".gem-bedside" / f"fuzz-{code}.jsonl"
    progress.parent.mkdir(exist_ok=True)
    done = {row["seed"] for row in _read(progress)}
    elsewhere = ledger.seeds(but=code)
    wanted = [s for s in range(asked.first, asked.first + asked.schedules) if s not in done | elsewhere]
    if asked.again:
        wanted = ledger.violating()
    rows = list(_run(wanted, progress, asked))
    if asked.again:
        for row in rows:
            ledger.run_again(row["seed"], made_of, row["text"])
    else:
        rows = [row for row in _read(progress) if row["seed"] not in elsewhere]
        ledger.put(part_of(rows, code, made_of))
    table = markdown(ledger)
    print(table)
    if asked.write:
        ledger.write()
        TABLE.write_text(table)
    return 1 if any(row["violations"] for row in rows) else 0


def _read(progress: Path) -> list[Row]:
    """One row a seed, ascending."""
    lines = progress.read_text().splitlines() if progress.exists() else []
    return [row for _, row in sorted({row["seed"]: row for row in map(json.loads, lines)}.items())]


def _run(seeds: list[int], progress: Path, asked: argparse.Namespace) -> Iterator[Row]:
    """The rows of the seeds as far as there is time; each is kept as soon as it is there."""
    chunks = [seeds[k : k + CHUNK] for k in range(0, len(seeds), CHUNK)]
    with progress.open("a") as out, ProcessPoolExecutor(asked.jobs) as pool:
        for chunk in _timely(chunks, asked.until, asked.jobs):
            for lines in pool.map(_rows, chunk):
                for line in lines:
                    out.write(line + "\n")
                    _print(line)
                    yield json.loads(line)
                out.flush()


def _timely(chunks: list[list[int]], until: str | None, jobs: int) -> Iterator[list[list[int]]]:
    """The chunks, as many at a time as there are processes, up to a time of day."""
    for k in range(0, len(chunks), jobs):
        if until is not None and time.strftime("%H:%M") >= until:
            return
        yield chunks[k : k + jobs]


def _print(line: str) -> None:
    row = json.loads(line)
    for text in row["text"]:
        print(f"seed {row['seed']}: {text}", file=sys.stderr, flush=True)


def _explain(seed: int) -> int:
    fuzzer = _fuzzer()
    outcome = fuzzer.outcome(seed)
    print(outcome.schedule)
    for kind in sorted({v.kind for v in outcome.violations}):
        smallest = fuzzer.smallest(outcome.schedule, kind)
        fewer = f"{len(smallest.distortions)} of {len(outcome.schedule.distortions)} distortions"
        print(f"\n{kind}, with {fewer}:\n  {smallest}")
        for violation in fuzzer.run(smallest)[2]:
            print(f"    {violation}")
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.fuzz`: thousands of schedules by hand, resumable; or one seed in full.

Outcomes are kept in ``.gem-bedside/fuzz-<digest>.jsonl``, where the digest is that of the code under test: a run that
was stopped goes on where it was, and outcomes of other code are not counted.
"""

from __future__ import annotations

import argparse
import hashlib
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
from tests.fuzz.table import by_seed, markdown, row_of

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "benchmarks" / "telemetry_fuzzer.md"
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


def digest() -> str:
    """Of the code under test and of the fuzzer."""
    found = hashlib.sha256()
    for room in ("models", "agents", "streams", "tests/fuzz"):
        for path in sorted((ROOT / room).rglob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()[:12]


def main() -> int:
    """Run what the command line asks for; status 1 where a rule was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--schedules", type=int, default=200, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name}")
    parser.add_argument("--seed", type=int, help="one schedule: its violations and the smallest schedule with each")
    parser.add_argument("--until", help="stop at this time of day, HH:MM")
    asked = parser.parse_args()
    if asked.seed is not None:
        return _explain(asked.seed)
    progress = ROOT / ".gem-bedside" / f"fuzz-{digest()}.jsonl"
    progress.parent.mkdir(exist_ok=True)
    known = [json.loads(line) for line in progress.read_text().splitlines()] if progress.exists() else []
    done = {row["seed"] for row in known}
    wanted = [s for s in range(asked.first, asked.first + asked.schedules) if s not in done]
    chunks = [wanted[k : k + CHUNK] for k in range(0, len(wanted), CHUNK)]
    with progress.open("a") as out, ProcessPoolExecutor(asked.jobs) as pool:
        for chunk in _timely(chunks, asked.until, asked.jobs):
            for lines in pool.map(_rows, chunk):
                for line in lines:
                    out.write(line + "\n")
                    _print(line)
                out.flush()
    rows = by_seed(json.loads(line) for line in progress.read_text().splitlines())
    table = markdown(rows, f"Code {digest()}")
    print(table)
    if asked.write:
        TABLE.write_text(table)
    return 1 if any(row["violations"] for row in rows) else 0


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

"""Benchmark of the update grid: lethal events of records cut at four sub-second phases. Writes alarm_phases.md.

    python benchmarks/alarm_phases.py [--data DIR] [--folds DIR] [--records N] [--jobs N] [--kept DIR] [--out FILE]

The rhythm tier decides once a second. N records of CinC 2015, evenly spaced, are analysed as they are and without their
first 0.25, 0.5 and 0.75 s, each with the weights that never saw its fold. An event is a lethal condition with its
onset. It is found in a phase that has an event of the same code with an onset within 1 s of it. The last updates of
the phases lie up to a second apart: an event that is not in all of them, and was detected in the last two seconds only,
is left out. The events of each record are kept in ``--kept`` under the code's hash: a run that was interrupted goes on,
and ``--records 0`` writes the table of the records that are kept.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import Counter
from datetime import UTC, datetime
from multiprocessing import Pool
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.capacity_table import code_hash  # noqa: E402

PHASES_S = (0.0, 0.25, 0.5, 0.75)
WITHIN_S = 1.0
UNTIL_S = 300.0
LETHAL = ("ASYSTOLE", "VFIB", "VTACH", "EXTREME_BRADY", "EXTREME_TACHY")
EDGE_S = 2.0
Event = tuple[str, float, float]


def events_at(path: Path, fold: str, phase_s: float) -> list[Event]:
    """Lethal events of a record without its first ``phase_s``: code, onset and detection in s of the whole record."""
    from models.arrhythmia.tier import find_episodes
    from models.records import read_record

    ecg = read_record(path)
    cut = round(phase_s * ecg.fs_hz)
    ecg = ecg.slice(cut, min(ecg.n_samples, round(UNTIL_S * ecg.fs_hz)))
    found = (e for e in find_episodes(ecg, fold=fold) if e.code in LETHAL)
    return [(e.code, (e.onset + cut) / ecg.fs_hz, (e.detected + cut) / ecg.fs_hz) for e in found]


def phases_of(job: tuple[Path, str, Path]) -> tuple[str, list[list[Event]]]:
    """Name of the record, and its events in each phase, kept in a file."""
    path, fold, kept = job
    if not kept.exists():
        kept.write_text(json.dumps([events_at(path, fold, phase) for phase in PHASES_S]))
    return path.name, [[(code, onset, at) for code, onset, at in phase] for phase in json.loads(kept.read_text())]


def agreement(phases: list[list[Event]]) -> list[tuple[str, float, int]]:
    """Code, first onset and number of phases of each event; events of one code within `WITHIN_S` are one."""
    left = [list(events) for events in phases]
    out: list[tuple[str, float, int]] = []
    for k, events in enumerate(left):
        while events:
            code, onset, detected = events.pop(0)
            found = 1
            for other in left[k + 1 :]:
                same = [e for e in other if e[0] == code and abs(e[1] - onset) <= WITHIN_S]
                if same:
                    nearest = min(same, key=lambda e: abs(e[1] - onset))
                    other.remove(nearest)
                    detected = min(detected, nearest[2])
                    found += 1
            if found < len(phases) and detected > UNTIL_S - EDGE_S:
                continue
            out.append((code, onset, found))
    return out


def table(results: dict[str, list[list[Event]]]) -> str:
    """The committed page."""
    every, all_four, odd = Counter[str](), Counter[str](), []
    for name, phases in sorted(results.items()):
        for code, onset, found in agreement(phases):
            every[code] += 1
            all_four[code] += found == len(PHASES_S)
            if found < len(PHASES_S):
                odd.append(f"{name} {code} {onset:.1f} s ({found})")
    lines = [
        "# Lethal alarms at four phases of the update grid",
        "",
        f"`python benchmarks/alarm_phases.py`: {len(results)} records of CinC 2015, cut at 0, 0.25, 0.5 and 0.75 s;",
        f"each record by weights that never saw its fold. Measured {datetime.now(UTC):%Y-%m-%d}, code `{code_hash()}`.",
        "",
        "| code | events | found in all four, onset within 1 s | share |",
        "|---|---|---|---|",
    ]
    rows = [*((code, every[code], all_four[code]) for code in LETHAL), ("**all**", every.total(), all_four.total())]
    lines += [f"| {code} | {n} | {same} | {100 * same / n if n else 100:.1f} % |" for code, n, same in rows]
    lines += ["", "Not in all four (phases that have it): " + ("; ".join(odd) or "none") + "."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run all phases, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--folds", type=Path, default=HERE.parent.parent / "shared" / "score" / "folds")
    parser.add_argument("--records", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--kept", type=Path, default=HERE.parent / ".gem-bedside" / "benchmarks" / "phases")
    parser.add_argument("--out", type=Path, default=HERE / "alarm_phases.md")
    options = parser.parse_args()
    with (options.folds / "cinc2015.csv").open() as f:
        rows = sorted(csv.DictReader(f), key=lambda row: row["record"])
    folder = options.kept / code_hash()
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [rows[k * len(rows) // options.records] for k in range(min(options.records, len(rows)))]
    if not options.records:
        chosen = [row for row in rows if (folder / f"{row['record']}.json").exists()]
    records = options.data / "cinc2015" / "records"
    jobs = [(records / row["record"], row["fold"], folder / f"{row['record']}.json") for row in chosen]
    with Pool(options.jobs) as pool:
        results = dict(pool.imap_unordered(phases_of, jobs))
    options.out.write_text(table(results))
    print(options.out.read_text())


if __name__ == "__main__":
    main()

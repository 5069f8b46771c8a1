"""Stories of real and simulated records: what was measured of them and their labels.

Measuring takes some 100 ms a record, so measurements are kept in the work folder
(`models.corpus.measurement_cache`).
`python -m models.training.labelled_records` writes them in ECG-Grounding's layout (``ecg-grounding.json``).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from models.corpus.datasets import REPORT, TRAIN, TUNE, Record, real_records, twelve
from models.corpus.measurement_cache import SETS, Measured, measure_records
from models.training.report_text import Story, grounding_record
from models.training.simulate import simulate

MEASURED = "measured.json"  # in the training folder: the measurements of the corpus


@dataclass(frozen=True, eq=False)
class Told:
    """One record to be told of."""

    key: str
    split: str
    ecg: NDArray[np.float32]  # [12, 5000] mV
    story: Story
    report: str


def tell(record: Record, found: Measured) -> Told:
    """The story of a record whose measurements are known."""
    story = Story(found.told, found.shown, dict(record.labels))
    return Told(record.key, record.split, twelve(record.ecg)[0], story, record.report)


def real_stories(records: Iterable[Record], kept: Path) -> list[Told]:
    """Stories of the twelve-lead records; what was measured is kept in ``kept`` and read from there the next time."""
    wanted = [r for r in records if r.source in SETS]
    found = measure_records(wanted, kept)
    return [tell(r, found[r.key]) for r in wanted]


def simulated_records(n: int, seed: int) -> list[Record]:
    """``n`` simulated records: the labels by construction."""
    out = []
    for k in track(range(n), description="simulating", console=Console(stderr=True)):
        made = simulate(np.random.default_rng([seed, k]))
        out.append(Record(f"simulated/{seed}-{k}", TRAIN, made.ecg, made.findings, True))
    return out


def simulated_stories(n: int, seed: int, kept: Path) -> list[Told]:
    """Stories of ``n`` simulated records, the values as measured."""
    return real_stories(simulated_records(n, seed), kept)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m models.training.labelled_records", description="Knowledge-guided data."
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(".gem-bedside/training/ecg-grounding.json"))
    parser.add_argument("--simulated", type=int, default=500)
    parser.add_argument("--seed", type=int, default=20261123)
    options = parser.parse_args(argv)
    told = real_stories(real_records(options.data, options.folds), options.out.parent / MEASURED)
    told += simulated_stories(options.simulated, options.seed, options.out.parent / f"simulated-{MEASURED}")
    rng = np.random.default_rng(options.seed)
    counts = {split: sum(t.split == split for t in told) for split in (TRAIN, TUNE, REPORT)}
    records = [grounding_record(t.key, t.key, t.story, rng, report=t.report) | {"split": t.split} for t in told]
    options.out.write_text(json.dumps(records, ensure_ascii=False, indent=0))
    print(json.dumps({"records": len(records), **counts}))


if __name__ == "__main__":
    main()

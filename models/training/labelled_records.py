"""Labelled records with their report contexts: real and simulated, for the training of the compact GEM.

``python -m models.training.labelled_records --data DIR --folds DIR`` writes them in ECG-Grounding's JSON layout
(``ecg-grounding.json``). Measurements come from the cache (`models.corpus.measurement_cache`).
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

from models.corpus.datasets import REPORT, TRAIN, TUNE, CorpusRecord, real_records, twelve
from models.corpus.measurement_cache import MEASURED, SETS, RecordMeasurements, measure_records
from models.gem.report_sentences import ReportContext
from models.training.report_text import grounding_example
from models.training.simulate import simulate


@dataclass(frozen=True, eq=False)
class LabelledRecord:
    """One record with its 12-lead window and its report context."""

    key: str
    split: str
    ecg: NDArray[np.float32]  # [12, 5000] mV
    context: ReportContext
    report: str


def labelled_record(record: CorpusRecord, measured: RecordMeasurements) -> LabelledRecord:
    """A corpus record with its measurements as report context."""
    context = ReportContext(measured.prompt_measurements, measured.prompt_descriptors, dict(record.labels))
    return LabelledRecord(record.key, record.split, twelve(record.ecg)[0], context, record.report)


def labelled_records(records: Iterable[CorpusRecord], cache: Path) -> list[LabelledRecord]:
    """Twelve-lead records with their report contexts; ``cache`` is the file of their measurements."""
    wanted = [r for r in records if r.source in SETS]
    measured = measure_records(wanted, cache)
    return [labelled_record(r, measured[r.key]) for r in wanted]


def simulated_records(n: int, seed: int) -> list[CorpusRecord]:
    """``n`` simulated records; their labels follow from the simulation's parameters."""
    out = []
    for k in track(range(n), description="simulating", console=Console(stderr=True)):
        simulated = simulate(np.random.default_rng([seed, k]))
        out.append(CorpusRecord(f"simulated/{seed}-{k}", TRAIN, simulated.ecg, simulated.findings, True))
    return out


def simulated_labelled_records(n: int, seed: int, cache: Path) -> list[LabelledRecord]:
    """``n`` simulated records with report contexts; the values are those measured on the simulated signal."""
    return labelled_records(simulated_records(n, seed), cache)


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m models.training.labelled_records", description="Knowledge-guided data."
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(".gem-bedside/training/ecg-grounding.json"))
    parser.add_argument("--simulated", type=int, default=500)
    parser.add_argument("--seed", type=int, default=20261123)
    options = parser.parse_args(argv)
    labelled = labelled_records(real_records(options.data, options.folds), options.out.parent / MEASURED)
    labelled += simulated_labelled_records(
        options.simulated, options.seed, options.out.parent / f"simulated-{MEASURED}"
    )
    rng = np.random.default_rng(options.seed)
    counts = {split: sum(t.split == split for t in labelled) for split in (TRAIN, TUNE, REPORT)}
    records = [grounding_example(t.key, t.key, t.context, rng, report=t.report) | {"split": t.split} for t in labelled]
    options.out.write_text(json.dumps(records, ensure_ascii=False, indent=0))
    print(json.dumps({"records": len(records), **counts}))


if __name__ == "__main__":
    main()

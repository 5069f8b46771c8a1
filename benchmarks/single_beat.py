"""PR, QRS and QT of single beats, as citations display them, against the marks of the same beat in LUDB.

    python benchmarks/single_beat.py [--data DIR] [--folds FILE] [--out benchmarks/single_beat.md]

Each record is measured with weights that never saw its fold. What is compared:

* value: that of one beat, from global onset to global offset, each a refined median over the leads that show the wave;
* reference: LUDB marks that beat in each lead. The same medians over the leads with the mark, six at least; a beat
  that fewer leads are marked in is left out (the outer beats of most records);
* cited: the beat that the evidence of the record cites (`models.measurement.window_evidence`), one a record, among the
  beats that have marks;
* every beat: each beat of the record that both have. Records count by their beats.

A value is right within 10 ms (PR, QRS) or 20 ms (QT) of the reference: `models.evidence.TOLERANCE`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.evaluation.ludb_marks import marked_records
from models.evidence import TOLERANCE
from models.measurement.delineation import MeasuredBeat
from models.measurement.intervals import BEAT_SPANS
from models.measurement.measure import measure
from models.measurement.window_evidence import interval_evidence

HERE = Path(__file__).resolve().parent
MEASURES = ("PR", "QRS", "QT")
KEPT = "## What limits it"  # this section of the table is written by hand


@dataclass(frozen=True)
class Errors:
    """Value less reference, ms."""

    cited: dict[str, list[float]]
    every: dict[str, list[float]]


def errors(data: Path, folds: Path, measures: Sequence[str] = MEASURES) -> Errors:
    """Errors on all records of the folds file."""
    out = Errors({name: [] for name in measures}, {name: [] for name in measures})
    for record in marked_records(data, folds):
        ecg = record.ecg
        measured = measure(ecg, fold=record.fold)
        beats = {m.beat.sample: m for m in measured.beats}
        references = {r: record.reference(r) for r in beats}
        for name in measures:
            for r, m in beats.items():
                if (error := _error(name, m, references[r], ecg.fs_hz)) is not None:
                    out.every[name].append(error)
            marked = tuple(m for r, m in beats.items() if set(BEAT_SPANS[name]) <= set(references[r]))
            for e in interval_evidence(ecg, replace(measured, beats=marked)):
                if e.measure == name:
                    r = e.beats[0].r
                    error = _error(name, beats[r], references[r], ecg.fs_hz)
                    assert error is not None
                    out.cited[name].append(error)
    return out


def _error(name: str, m: MeasuredBeat, marks: Mapping[str, float], fs_hz: float) -> float | None:
    first, last = BEAT_SPANS[name]
    value = m.overall.span_ms(first, last, fs_hz)
    if value is None or first not in marks or last not in marks:
        return None
    return value - (marks[last] - marks[first]) * 1000.0 / fs_hz


def table(found: Errors) -> str:
    """The result as Markdown."""
    rows = [
        "| interval | within | cited beats right | cited: error, ms | every beat right | every beat: error, ms |",
        "|---|---|---|---|---|---|",
    ]
    for name in found.cited:
        cells = [name, f"{TOLERANCE[name]:.0f} ms"]
        for each in (found.cited[name], found.every[name]):
            e = np.array(each)
            right = 100.0 * float(np.mean(np.abs(e) <= TOLERANCE[name]))
            cells += [f"{right:.1f} % of {len(e)}", f"{e.mean():.1f} ± {e.std():.1f}"]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data", help="folder with ludb")
    parser.add_argument("--folds", type=Path, default=HERE.parent.parent / "shared" / "score" / "folds" / "ludb.csv")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args(arguments)
    text = table(errors(options.data, options.folds))
    print(text)
    if options.out is not None:
        head = "# Single beats\n\nMade by `python benchmarks/single_beat.py` on the 120 records of LUDB, each measured "
        head += "with weights that never saw its fold.\n\n"
        notes = (__doc__ or "").split("What is compared:")[1].strip()
        kept = options.out.read_text().partition(KEPT) if options.out.is_file() else ("", "", "")
        options.out.write_text(f"{head}{text}\n\n{notes}\n" + (f"\n{kept[1]}{kept[2]}" if kept[1] else ""))


if __name__ == "__main__":
    main()

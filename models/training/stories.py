"""Stories of real and simulated records: their measured values and labels, measured once and kept.

Measuring takes some 50 ms a record, so the result is kept as JSON in the work folder.
`python -m models.training.stories` also writes it in ECG-Grounding's layout (``ecg-grounding.json``).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from models.ecg import Ecg
from models.evidence import Evidence
from models.grounding.evidence import gather
from models.grounding.stated import stated
from models.training.corpus import REPORT, TRAIN, TUNE, Record, real_records, twelve
from models.training.findings import Labels
from models.training.narrate import Story, grounding_record, measured_story
from models.training.simulate import simulate

SETS = ("ptbxl", "ludb", "samples")  # twelve leads; single-lead records are told by the measured interpreter
VOLTAGE = ("ST", "AMPLITUDE")  # not told of records whose millivolts are unknown


@dataclass(frozen=True, eq=False)
class Told:
    """One record to be told of."""

    key: str
    split: str
    ecg: NDArray[np.float32]  # [12, 5000] mV
    story: Story
    report: str


def tell(key: str, split: str, ecg: Ecg, labels: Labels, *, millivolts: bool = True, report: str = "") -> Told:
    """Measure a record and make its story."""
    evidence = [e for e in stated(gather(ecg)) if millivolts or e.measure not in VOLTAGE]
    return Told(key, split, twelve(ecg)[0], measured_story(evidence, labels), report)


def real_stories(records: Iterable[Record], kept: Path) -> list[Told]:
    """Stories of the twelve-lead records; what was measured is kept in ``kept`` and read from there the next time."""
    known: dict[str, list[dict[str, Any]]] = json.loads(kept.read_text()) if kept.is_file() else {}
    out = []
    for record in track([r for r in records if r.source in SETS], description="measuring"):
        if record.key in known:
            story = measured_story([_read(e) for e in known[record.key]], record.labels)
            out.append(Told(record.key, record.split, twelve(record.ecg)[0], story, record.report))
        else:
            told = tell(
                record.key, record.split, record.ecg, record.labels, millivolts=record.millivolts, report=record.report
            )
            known[record.key] = [_written(e) for e in told.story.evidence]
            out.append(told)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(known))
    return out


def simulated_stories(n: int, seed: int) -> list[Told]:
    """Stories of ``n`` simulated records: the label by construction, the values as measured."""
    out = []
    for k in track(range(n), description="simulating"):
        made = simulate(np.random.default_rng([seed, k]))
        out.append(tell(f"simulated/{k}", TRAIN, made.ecg, made.findings))
    return out


def _written(e: Evidence) -> dict[str, Any]:
    place = {"leads": list(e.leads), "start": e.start, "end": e.end, "wave": e.wave}
    return {"measure": e.measure, "value": round(e.value, 4), **place}


def _read(d: dict[str, Any]) -> Evidence:
    return Evidence(d["measure"], d["value"], tuple(d["leads"]), d["start"], d["end"], wave=d["wave"])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m models.training.stories", description="Knowledge-guided data.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(".gem-bedside/training/ecg-grounding.json"))
    parser.add_argument("--simulated", type=int, default=500)
    parser.add_argument("--seed", type=int, default=20261123)
    options = parser.parse_args(argv)
    told = real_stories(real_records(options.data, options.folds), options.out.parent / "stories.json")
    told += simulated_stories(options.simulated, options.seed)
    rng = np.random.default_rng(options.seed)
    counts = {split: sum(t.split == split for t in told) for split in (TRAIN, TUNE, REPORT)}
    records = [grounding_record(t.key, t.key, t.story, rng, report=t.report) | {"split": t.split} for t in told]
    options.out.write_text(json.dumps(records, ensure_ascii=False, indent=0))
    print(json.dumps({"records": len(records), **counts}))


if __name__ == "__main__":
    main()

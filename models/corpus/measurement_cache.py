"""Measurements of the corpus records, computed once and cached in a JSON file that every stage of training reads.

Measuring takes some 150 ms per 12-lead record. Single-lead records are not measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from models.corpus.datasets import CorpusRecord
from models.corpus.rule_findings import findings_by_rule
from models.evidence import Evidence
from models.grounding.feature_vector import NAMES, feature_vector
from models.grounding.prompt_measurements import prompt_descriptors, prompt_measurements
from models.grounding.segment_measurements import SegmentMeasurements, measure_segment

Floats = NDArray[np.float32]

INTERVALS = ("HR", "PR", "QRS", "QT", "SCATTER", "ABSENT_P", "AXIS_X", "AXIS_Y")
"""Measurements that the encoder learns to regress from its pooled feature."""
MEASURED = "measurements.json"  # file name of the cache in a work folder
SETS = ("ptbxl", "ludb", "samples", "simulated")  # twelve leads


@dataclass(frozen=True, eq=False)
class RecordMeasurements:
    """Measurements of one record.

    Attributes
    ----------
    numbers : float32 [len(NAMES)]
        Values of `models.grounding.feature_vector`, NaN where nothing was measured.
    rule : float32 [FINDINGS]
        1 where a textbook limit supports the finding, else 0.
    prompt_measurements : tuple of Evidence
    prompt_descriptors : tuple of str
        Context for a prompt; without voltages where the record's scale is unknown.
    """

    numbers: Floats
    rule: Floats
    prompt_measurements: tuple[Evidence, ...]
    prompt_descriptors: tuple[str, ...]

    @classmethod
    def of(cls, measured: SegmentMeasurements, millivolts: bool = True) -> RecordMeasurements:
        """From the measurements of a segment; ``millivolts=False`` leaves out every voltage."""
        return cls(
            feature_vector(measured),
            findings_by_rule(measured),
            tuple(prompt_measurements(measured, millivolts)),
            prompt_descriptors(measured, millivolts),
        )

    @property
    def intervals(self) -> dict[str, float]:
        """The measured ones of `INTERVALS`, by name."""
        values = dict(zip(NAMES, self.numbers.tolist(), strict=True))
        return {name: values[name] for name in INTERVALS if np.isfinite(values.get(name, np.nan))}


def measure_records(records: Iterable[CorpusRecord], cache: Path) -> dict[str, RecordMeasurements]:
    """Measurements by record key; records that the file ``cache`` lacks are measured and added to it."""
    known: dict[str, dict[str, Any]] = json.loads(cache.read_text()) if cache.is_file() else {}
    wanted = [r for r in records if r.source in SETS]
    fresh = [r for r in wanted if r.key not in known]
    for record in track(fresh, description="measuring", console=Console(stderr=True), disable=not fresh):
        known[record.key] = _to_json(RecordMeasurements.of(measure_segment(record.ecg), record.millivolts))
    if fresh:
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_text(json.dumps(known))
    return {r.key: _from_json(known[r.key]) for r in wanted}


def _to_json(measured: RecordMeasurements) -> dict[str, Any]:
    return {
        "numbers": [round(x, 5) if np.isfinite(x) else None for x in measured.numbers.tolist()],
        "rule": measured.rule.tolist(),
        "prompt_descriptors": list(measured.prompt_descriptors),
        "prompt_measurements": [
            {
                "measure": e.measure,
                "value": round(e.value, 4),
                "leads": list(e.leads),
                "start": e.start,
                "end": e.end,
                "wave": e.wave,
            }
            for e in measured.prompt_measurements
        ],
    }


def _from_json(row: dict[str, Any]) -> RecordMeasurements:
    evidence = (
        Evidence(d["measure"], d["value"], tuple(d["leads"]), d["start"], d["end"], wave=d["wave"])
        for d in row["prompt_measurements"]
    )
    numbers = [np.nan if x is None else x for x in row["numbers"]]
    rule = np.array(row["rule"], np.float32)
    return RecordMeasurements(np.array(numbers, np.float32), rule, tuple(evidence), tuple(row["prompt_descriptors"]))

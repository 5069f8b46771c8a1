"""Measurements of the records of the corpus, made once and kept: every stage of training reads it here.

Measuring takes some 150 ms a record of twelve leads. Single-lead records are not measured here.
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

from models.corpus.datasets import Record
from models.corpus.rule_findings import findings_by_rule
from models.evidence import Evidence
from models.grounding.feature_vector import NAMES, feature_vector
from models.grounding.prompt_measurements import prompt_descriptors, prompt_measurements
from models.grounding.segment_measurements import SegmentMeasurements, measure_segment

Floats = NDArray[np.float32]

INTERVALS = ("HR", "PR", "QRS", "QT", "SCATTER", "ABSENT_P", "AXIS_X", "AXIS_Y")
"""Measurements that the encoder learns to regress from its pooled feature."""
SETS = ("ptbxl", "ludb", "samples", "simulated")  # twelve leads


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of one record.

    Attributes
    ----------
    numbers : [len(NAMES)]
        NaN where nothing was measured.
    rule : [FINDINGS]
        1 where the textbook limits say a finding, else 0.
    told : tuple of Evidence
    shown : tuple of str
        What a text may be told, values and words; nothing of voltage where the record's millivolts are unknown.
    """

    numbers: Floats
    rule: Floats
    told: tuple[Evidence, ...]
    shown: tuple[str, ...]

    @classmethod
    def of(cls, measured: SegmentMeasurements, millivolts: bool = True) -> Measured:
        return cls(
            feature_vector(measured),
            findings_by_rule(measured),
            tuple(prompt_measurements(measured, millivolts)),
            prompt_descriptors(measured, millivolts),
        )

    @property
    def intervals(self) -> dict[str, float]:
        """What the encoder learns to read off its pooled feature, by the names of `INTERVALS`."""
        found = dict(zip(NAMES, self.numbers.tolist(), strict=True))
        return {name: found[name] for name in INTERVALS if np.isfinite(found.get(name, np.nan))}


def measure_records(records: Iterable[Record], kept: Path) -> dict[str, Measured]:
    """Record key to what was measured; the file ``kept`` is read first and written at the end."""
    known: dict[str, dict[str, Any]] = json.loads(kept.read_text()) if kept.is_file() else {}
    wanted = [r for r in records if r.source in SETS]
    fresh = [r for r in wanted if r.key not in known]
    for record in track(fresh, description="measuring", console=Console(stderr=True), disable=not fresh):
        known[record.key] = _written(Measured.of(measure_segment(record.ecg), record.millivolts))
    if fresh:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(known))
    return {r.key: _read(known[r.key]) for r in wanted}


def _written(found: Measured) -> dict[str, Any]:
    return {
        "numbers": [round(x, 5) if np.isfinite(x) else None for x in found.numbers.tolist()],
        "rule": found.rule.tolist(),
        "shown": list(found.shown),
        "told": [
            {
                "measure": e.measure,
                "value": round(e.value, 4),
                "leads": list(e.leads),
                "start": e.start,
                "end": e.end,
                "wave": e.wave,
            }
            for e in found.told
        ],
    }


def _read(row: dict[str, Any]) -> Measured:
    told = (
        Evidence(d["measure"], d["value"], tuple(d["leads"]), d["start"], d["end"], wave=d["wave"]) for d in row["told"]
    )
    numbers = [np.nan if x is None else x for x in row["numbers"]]
    rule = np.array(row["rule"], np.float32)
    return Measured(np.array(numbers, np.float32), rule, tuple(told), tuple(row["shown"]))

"""Whether "normal ECG" can be said with a precision of 90 %: a rule, and a regression, against the references.

``python -m benchmarks.normal_ecg --measurements FILE [--write]`` reads the measurements that training keeps of each
record (`models.corpus.measurement_cache`) of PTB-XL and LUDB, asks a rule and a logistic regression which are normal,
and compares with the diagnoses. The rule: sinus rhythm of 50 to 100 bpm, each interval and the axis in its normal
range, no ectopic beat, and no finding that a textbook limit supports. The regression is fitted on PTB-XL: its records
are judged by that of the other four fifths of the patients. ``--write`` keeps the table, ``benchmarks/normal_ecg.md``.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.finding_names import FINDINGS
from models.grounding.feature_vector import NAMES, expand_features

ROOT = Path(__file__).resolve().parent.parent
LUDB_COLUMNS = ("conduction", "extrasystoles", "hypertrophy", "pacing", "ischemia", "repolarization")
RANGES = {"HR": (50, 100), "PR": (120, 200), "QRS": (0, 110), "QTcF": (360, 450), "REGULARITY": (0, 0.1)}
AXIS_DEG = (-30, 90)
NOT_ABNORMAL = ("NORM", "SINUS", "BRADY", "IRREGULAR_SINUS")
PROBABILITIES = (0.5, 0.8, 0.95, 0.97)


def references(data: Path) -> dict[str, tuple[bool, str]]:
    """Record to whether it is normal by its diagnoses, and its patient."""
    out = {}
    with (data / "ptbxl" / "manifest.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            out[f"ptbxl/{row['ecg_id']}"] = row["superclass"] == "NORM", row["patient_id"]
    with (data / "ludb" / "manifest.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            normal = "sinus" in row["rhythm"].lower() and not any(row[x] for x in LUDB_COLUMNS)
            out[f"ludb/{row['record']}"] = normal, row["record"]
    return out


def by_rule(numbers: NDArray[np.float64], findings: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which records each measurement calls normal, [records]."""
    of = dict(zip(NAMES, numbers.T, strict=True))
    axis = np.degrees(np.arctan2(of["AXIS_Y"], of["AXIS_X"]))
    fine = (axis > AXIS_DEG[0]) & (axis < AXIS_DEG[1]) & (of["kind V"] == 0) & (of["kind S"] == 0)
    for name, (low, high) in RANGES.items():
        fine &= (of[name] >= low) & (of[name] <= high)
    abnormal = [k for k, name in enumerate(FINDINGS) if name not in NOT_ABNORMAL]
    return np.asarray(fine & (findings[:, abnormal].max(axis=1) == 0) & (findings[:, FINDINGS.index("SINUS")] == 1))


def by_regression(
    numbers: NDArray[np.float64], normal: NDArray[np.bool_], ptbxl: NDArray[np.bool_], patients: list[str]
) -> NDArray[np.float64]:
    """Probability of a normal ECG, [records]."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x = np.asarray(expand_features(numbers.astype(np.float32)))
    model = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(C=0.02, max_iter=2000))
    groups = [p for p, own in zip(patients, ptbxl, strict=True) if own]
    out = np.zeros(len(x))
    out[ptbxl] = cross_val_predict(
        model, x[ptbxl], normal[ptbxl], groups=groups, cv=GroupKFold(5), method="predict_proba"
    )[:, 1]
    out[~ptbxl] = model.fit(x[ptbxl], normal[ptbxl]).predict_proba(x[~ptbxl])[:, 1]
    return out


def main() -> None:
    """Read, decide, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measurements", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    data = Path(os.environ.get("GEM_BEDSIDE_TEST_DATA", ROOT.parent / "shared" / "data")).resolve()
    known, reference = json.loads(asked.measurements.read_text("utf-8")), references(data)
    keys = [k for k in known if k in reference]
    normal = np.array([reference[k][0] for k in keys])
    ptbxl = np.array([k.startswith("ptbxl/") for k in keys])
    numbers = np.array([[np.nan if v is None else v for v in known[k]["numbers"]] for k in keys], np.float64)
    probability = by_regression(numbers, normal, ptbxl, [reference[k][1] for k in keys])
    called = {"rule": by_rule(numbers, np.array([known[k]["rule"] for k in keys], np.float64))}
    called |= {f"regression, probability {p:g} or more": probability >= p for p in PROBABILITIES}
    rows = []
    for name, yes in called.items():
        cells = []
        for own in (ptbxl, ~ptbxl):
            right, all_called = int((yes & normal & own).sum()), int((yes & own).sum())
            share = f" ({right / all_called:.0%})" if all_called else ""
            cells += [f"{right} of {all_called}{share}", f"{right / (normal & own).sum():.0%}"]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    text = f"""# A normal ECG, from measurements

`python -m benchmarks.normal_ecg --measurements FILE --write`: {ptbxl.sum()} records of PTB-XL ({(normal & ptbxl).sum()}
normal by their diagnoses) and {(~ptbxl).sum()} of LUDB ({(normal & ~ptbxl).sum()} normal).

| "normal ECG" by | PTB-XL: right of those called | PTB-XL: recall | LUDB: right of those called | LUDB: recall |
|---|---|---|---|---|
{chr(10).join(rows)}

No text says "normal ECG": the measurements reach a precision of 90 % on PTB-XL, never on LUDB, whose cardiologists
note hypertrophy, incomplete bundle branch block or changes of repolarisation in records in which each rate, interval,
axis and ST level is normal.
"""
    print(text)
    if asked.write:
        Path(__file__).with_suffix(".md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()

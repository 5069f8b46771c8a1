"""Train the boundary refinement: ``python -m models.training.boundary_ridge [--fold K] --data DIR --folds FILE``.

Each LUDB record outside fold ``K`` is delineated with the network of that fold; a ridge regression with Huber's loss
predicts, for each boundary, the distance from the network's median over the leads to the median of the marks. Records
count alike, whatever their number of beats. Without ``--fold`` the shipped network is used, and the records that it was
trained on (``models/weights/delineator.md``: all but fold 0). Writes ``models/weights/boundaries.npz`` or
``boundaries_foldK.npz``; less than a minute.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.beats.detector import RECORDED, find_beats
from models.evaluation.ludb_marks import MarkedRecord, marked_records
from models.measurement.boundary_refiner import BOUNDARIES, MAX_DEVIATION, BoundaryRidge, Slopes, boundary_features
from models.measurement.delineation import AROUND_S, beat_marks

SHIPPED_WITHOUT = "0"
RIDGE = 0.5  # penalty per example and standardised feature; 0.1 to 2 differ by less than a point
HUBER_S = 0.008
OUTLIER_S = 0.060  # larger distances are another wave
PASSES = 8  # of iteratively reweighted least squares

Floats = NDArray[np.float64]
Rows = dict[str, list[tuple[Floats, Floats, Floats]]]  # boundary to features, distances and weights of each record


def rows_of(record: MarkedRecord, fold: str | None, rows: Rows) -> None:
    """Add the examples of one record."""
    ecg, fs_hz = record.ecg, record.ecg.fs_hz
    r = [beat.sample for beat in find_beats(ecg, RECORDED, fold=fold)]
    if not r:
        return
    first = max(0, r[0] - round(AROUND_S * fs_hz))
    stretch = ecg.slice(first, r[-1] + round(AROUND_S * fs_hz))
    marks, x = beat_marks(stretch, [at - first for at in r], fold=fold)
    references = [record.reference(at) for at in r]
    for boundary in BOUNDARIES:
        beats, features = boundary_features(marks, Slopes(x, fs_hz), fs_hz, [boundary])[0]
        there = np.array([references[k].get(boundary.mark, np.nan) for k in beats]) - first
        distance = (there - marks.of(boundary.mark)[beats]) / fs_hz
        good = np.abs(distance) < OUTLIER_S  # NaN: no reference
        if good.any():
            rows[boundary.mark].append((features[good], distance[good], np.full(good.sum(), 1.0 / good.sum())))


def ridge(features: Floats, distance: Floats, weight: Floats) -> tuple[Floats, float]:
    """Rows of mean, scale and weight of each feature, and the offset."""
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    z = np.clip((features - mean) / scale, -MAX_DEVIATION, MAX_DEVIATION)
    z = np.concatenate([np.ones((len(z), 1)), z], axis=1)
    base = weight / weight.mean()
    penalty = RIDGE * len(z) * np.diag([0.0] + [1.0] * features.shape[1])
    robust = base
    for _ in range(PASSES):
        found = np.linalg.solve((z * robust[:, None]).T @ z + penalty, (z * robust[:, None]).T @ distance)
        robust = base * np.minimum(1.0, HUBER_S / np.maximum(np.abs(distance - z @ found), 1e-9))
    return np.stack([mean, scale, found[1:]]), float(found[0])


def train(records: Sequence[MarkedRecord], fold: str | None, path: Path) -> None:
    """Fit every boundary on the records outside the fold and write the weights."""
    left_out, rows = SHIPPED_WITHOUT if fold is None else fold, Rows({b.mark: [] for b in BOUNDARIES})
    for record in records:
        if record.fold != left_out:
            rows_of(record, fold, rows)
    out: dict[str, NDArray[np.float32] | np.float32] = {}
    for mark, found in rows.items():
        table, offset = ridge(*(np.concatenate(part) for part in zip(*found, strict=True)))
        out |= {mark: table.astype(np.float32), f"{mark}_offset": np.float32(offset)}
    np.savez(path, **out)  # type: ignore[arg-type]
    print(f"wrote {path}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with ludb")
    parser.add_argument("--folds", type=Path, required=True, help="record, fold")
    parser.add_argument("--fold", action="append", default=None, help="leave this fold out; may be repeated")
    options = parser.parse_args(arguments)
    records = list(marked_records(options.data, options.folds))
    for fold in options.fold or [None]:
        train(records, fold, BoundaryRidge.weights_path(fold))


if __name__ == "__main__":
    main()

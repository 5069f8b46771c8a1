"""Train the atrial classifier: ``python -m models.training.atrial_classifier --data DIR --folds DIR [--fold K]``.

Features are those of `models.arrhythmia.criteria.atrial`, computed over the CinC 2017 recordings, one row every four
seconds; the label is that of the recording. With ``--fold`` the recordings of fold ``K`` of ``cinc2017.csv`` are left
out. Classes are weighted by their frequency in the whole challenge set; the last bias moves the threshold of the best
F1 on the training recordings to log odds 0. Writes ``models/weights/afib.npz`` or ``afib_foldK.npz``.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier

from models.arrhythmia.criteria.atrial import FEATURES, MIN_RRS, REGULAR_BELOW, WINDOW_S, AtrialClassifier, rr_features
from models.beats.series import BeatTrack
from models.ecg import Ecg
from models.measurement.measure import measure

NATURAL = {"N": 5050, "A": 738, "O": 2456}  # of the whole challenge set
EVERY_S, FIRST_S = 4, 8
CONFIRM_ROWS = 3  # rows in a row that must agree: AF confirmed over 8 s
SEEDS = 5


@dataclass
class Row:
    """Features of one recording up to one time."""

    record: str
    label: str
    features: NDArray[np.float64]


def rows_of(name: str, label: str, mv: NDArray[np.float32], fs_hz: float, fold: str | None) -> list[Row]:
    """Features of a recording, one row every four seconds, over the beats up to that time."""
    measured = measure(Ecg(("I",), fs_hz, mv), fold=fold)
    if not measured.quality["I"].usable:
        return []
    r = np.array(measured.r_peaks, np.int64)
    beats = [m.beat for m in measured.beats]
    absent = np.array([m.overall.p_on is None for m in measured.beats])
    conducted = np.array([b.kind in ("N", "S") for b in beats])
    out = []
    for second in range(FIRST_S, int(mv.shape[1] / fs_hz) + 1, EVERY_S):
        now = round(second * fs_hz)
        n = int(np.searchsorted(r, now))
        track = BeatTrack.of_beats(beats[:n], fs_hz=fs_hz, now=now, leads=("I",))
        first = int(np.searchsorted(r, now - WINDOW_S * fs_hz))
        if n - first < MIN_RRS + 1:
            continue
        scatter = rr_features(track, first)
        if scatter is None or scatter[0] < REGULAR_BELOW:
            continue
        p_absent = absent[first : n - 1][conducted[first : n - 1]]
        out.append(Row(name, label, np.array([*scatter, float(np.mean(p_absent)) if len(p_absent) else 0.5])))
    return out


def classifier_rows(data: Path, names: set[str] | None, fold: str | None) -> list[Row]:
    """Rows of the recordings in ``names``, measured with the weights of ``fold``."""
    folder, out = data / "cinc2017", []
    with (folder / "manifest.csv").open() as f:
        table = [r for r in csv.DictReader(f) if names is None or r["record"] in names]
    with soundfile.SoundFile(str(next(folder.glob("cinc2017_*.flac")))) as flac:
        for row in table:
            flac.seek(int(row["start"]))
            mv = (flac.read(int(row["length"]), dtype="int16").astype(np.float32) / 1000.0)[None]
            out += rows_of(row["record"], row["label"], mv, 300.0, fold)
    return out


def fit(rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
    """Weights of the classifier; the last bias moves the decision threshold to a probability of 0.5."""
    x = np.stack([r.features for r in rows])
    y = np.array([r.label == "A" for r in rows])
    mean, scale = x.mean(0), x.std(0) + 1e-6
    of_class = {label: max(1, len({r.record for r in rows if r.label == label})) for label in "NAO~"}
    weight = np.array([(NATURAL.get(r.label, 284)) / of_class[r.label] for r in rows])
    drawn = np.random.default_rng(0).choice(len(rows), 3 * len(rows), p=weight / weight.sum())
    nets = [
        MLPClassifier((6,), alpha=0.01, max_iter=60, random_state=seed).fit(((x - mean) / scale)[drawn], y[drawn])
        for seed in range(SEEDS)
    ]
    w1 = np.hstack([n.coefs_[0] for n in nets])
    b1 = np.hstack([n.intercepts_[0] for n in nets])
    w2 = np.vstack([n.coefs_[1] for n in nets])[:, 0] / SEEDS
    b2 = float(np.mean([n.intercepts_[1][0] for n in nets]))
    z = np.maximum((x - mean) / scale @ w1 + b1, 0.0) @ w2 + b2
    b2 -= best_level(rows, z)
    return {"mean": mean, "scale": scale, "w1": w1, "b1": b1, "w2": w2, "b2": np.array([b2])}


def best_level(rows: Sequence[Row], z: NDArray[np.float64]) -> float:
    """Threshold of ``z`` with the best F1 over recordings, weighted to the class frequencies of the challenge set."""
    highest: dict[str, tuple[str, float]] = {}
    at: dict[str, list[float]] = {}
    for row, value in zip(rows, z, strict=True):
        at.setdefault(row.record, []).append(float(value))
        run = at[row.record][-CONFIRM_ROWS:]
        if len(run) == CONFIRM_ROWS:
            before = highest.get(row.record, (row.label, -99.0))[1]
            highest[row.record] = (row.label, max(before, min(run)))
    levels = np.linspace(-4, 4, 81)
    called = {
        label: np.array([[v > level for level in levels] for a, v in highest.values() if a == label]).mean(0)
        for label in NATURAL
    }
    share = {label: called[label] * NATURAL[label] for label in NATURAL}
    f1 = 2 * share["A"] / (2 * share["A"] + share["N"] + share["O"] + NATURAL["A"] - share["A"])
    smooth = np.convolve(f1, np.ones(5) / 5, "same")
    return float(levels[int(np.argmax(smooth))])


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", type=Path, required=True)
    parser.add_argument("--fold", type=int)
    options = parser.parse_args()
    names, fold = None, None
    if options.fold is not None:
        fold = str(options.fold)
        with (options.folds / "cinc2017.csv").open() as f:
            names = {r["record"] for r in csv.DictReader(f) if r["fold"] != fold}
    rows = classifier_rows(options.data, names, fold)
    path = AtrialClassifier.weights_path(fold)
    np.savez(path, **fit(rows))  # type: ignore[arg-type]
    print(f"{path.name}: {len(rows)} rows of {len(FEATURES)} features", file=sys.stderr)


if __name__ == "__main__":
    main()

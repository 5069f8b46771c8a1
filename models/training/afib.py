"""Train the atrial classifier: ``python -m models.training.afib --data DIR --folds DIR [--fold K]``.

Features are those of `models.afib`, gathered by the rhythm tier's own parts over the CinC 2017 recordings, one row each
four seconds; the label is the recording's. With ``--fold`` recordings of fold ``K`` of ``cinc2017.csv`` are left out.
Classes count as they do in the whole challenge set; the last bias puts the best F1 on the training recordings at log
odds 0. Writes ``models/weights/afib.npz`` or ``afib_foldK.npz``.
"""
from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier

from models.afib import FEATURES, LOOK_S, MIN_RRS, REGULAR_BELOW, classifier_path, rr_features
from models.beat_track import BeatTrack
from models.beats import BeatStream
from models.ecg import Ecg
from models.rhythm_net import FOLD_SETTING
from models.wave_watch import WaveWatch

NATURAL = {"N": 5050, "A": 738, "O": 2456}   # of the whole challenge set
EVERY_S = 4
CONFIRM_ROWS = 3                             # rows in a row that must agree: AF confirmed over 8 s
SEEDS = 5


@dataclass
class Row:
    """One moment of one recording."""

    record: str
    label: str
    features: NDArray[np.float64]


def rows_of(name: str, label: str, mv: NDArray[np.float32], fs_hz: float) -> list[Row]:
    """Features of a recording, a row each four seconds from the tenth second on."""
    stream, waves = BeatStream(("I",), fs_hz), WaveWatch(("I",), fs_hz, None)
    beats, out, hop = [], [], round(fs_hz)
    for second in range(1, mv.shape[1] // hop + 1):
        now = second * hop
        beats += stream.push(Ecg(("I",), fs_hz, mv[:, now - hop:now]))
        window = Ecg(("I",), fs_hz, mv[:, max(0, now - 20 * hop):now])
        waves.update(window, now, beats, stream.usable_leads)
        if second < 8 or second % EVERY_S:
            continue
        known = [*beats, *stream.pending]
        track = BeatTrack(fs_hz, now, np.array([b.sample for b in known], np.int64), [b.kind for b in known],
                          leads=stream.usable_leads)
        recent = np.flatnonzero(track.r > now - LOOK_S * fs_hz)
        if not track.leads or len(recent) < MIN_RRS + 1:
            continue
        scatter = rr_features(track, int(recent[0]))
        if scatter is None or scatter[0] < REGULAR_BELOW:
            continue
        seen = [b for b in waves.beats if b.sample >= track.r[recent[0]] and b.conducted]
        absent = float(np.mean([b.beat.overall.p_on is None for b in seen])) if seen else 0.5
        out.append(Row(name, label, np.array([*scatter, absent])))
    return out


def gather(data: Path, names: set[str] | None) -> list[Row]:
    """Rows of every recording wanted."""
    folder, out = data / "cinc2017", []
    with (folder / "manifest.csv").open() as f:
        table = [r for r in csv.DictReader(f) if names is None or r["record"] in names]
    with soundfile.SoundFile(str(next(folder.glob("cinc2017_*.flac")))) as flac:
        for row in table:
            flac.seek(int(row["start"]))
            mv = (flac.read(int(row["length"]), dtype="int16").astype(np.float32) / 1000.0)[None]
            out += rows_of(row["record"], row["label"], mv, 300.0)
    return out


def fit(rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
    """Weights of the classifier; the decision level is moved to 0.5 by the last bias."""
    x = np.stack([r.features for r in rows])
    y = np.array([r.label == "A" for r in rows])
    mean, scale = x.mean(0), x.std(0) + 1e-6
    of_class = {label: max(1, len({r.record for r in rows if r.label == label})) for label in "NAO~"}
    weight = np.array([(NATURAL.get(r.label, 284)) / of_class[r.label] for r in rows])
    drawn = np.random.default_rng(0).choice(len(rows), 3 * len(rows), p=weight / weight.sum())
    nets = [MLPClassifier((6,), alpha=0.01, max_iter=60, random_state=seed).fit(((x - mean) / scale)[drawn], y[drawn])
            for seed in range(SEEDS)]
    w1 = np.hstack([n.coefs_[0] for n in nets])
    b1 = np.hstack([n.intercepts_[0] for n in nets])
    w2 = np.vstack([n.coefs_[1] for n in nets])[:, 0] / SEEDS
    b2 = float(np.mean([n.intercepts_[1][0] for n in nets]))
    z = np.maximum((x - mean) / scale @ w1 + b1, 0.0) @ w2 + b2
    b2 -= best_level(rows, z)
    return {"mean": mean, "scale": scale, "w1": w1, "b1": b1, "w2": w2, "b2": np.array([b2])}


def best_level(rows: Sequence[Row], z: NDArray[np.float64]) -> float:
    """The level of ``z`` that calls recordings best: F1 with classes as in the whole challenge set."""
    highest: dict[str, tuple[str, float]] = {}
    at: dict[str, list[float]] = {}
    for row, value in zip(rows, z, strict=True):
        at.setdefault(row.record, []).append(float(value))
        run = at[row.record][-CONFIRM_ROWS:]
        if len(run) == CONFIRM_ROWS:
            before = highest.get(row.record, (row.label, -99.0))[1]
            highest[row.record] = (row.label, max(before, min(run)))
    levels = np.linspace(-4, 4, 81)
    called = {label: np.array([[v > level for level in levels] for a, v in highest.values() if a == label]).mean(0)
              for label in NATURAL}
    share = {label: called[label] * NATURAL[label] for label in NATURAL}
    f1 = 2 * share["A"] / (2 * share["A"] + share["N"] + share["O"] + NATURAL["A"] - share["A"])
    smooth = np.convolve(f1, np.ones(5) / 5, "same")
    return float(levels[int(np.argmax(smooth))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", type=Path, required=True)
    parser.add_argument("--fold", type=int)
    options = parser.parse_args()
    names, fold = None, None
    if options.fold is not None:
        fold = str(options.fold)
        os.environ[FOLD_SETTING] = fold
        with (options.folds / "cinc2017.csv").open() as f:
            names = {r["record"] for r in csv.DictReader(f) if r["fold"] != fold}
    rows = gather(options.data, names)
    path = classifier_path(fold)
    np.savez(path, **fit(rows))  # type: ignore[arg-type]
    print(f"{path.name}: {len(rows)} rows of {len(FEATURES)} features", file=sys.stderr)


if __name__ == "__main__":
    main()

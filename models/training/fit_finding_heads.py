"""Fit the finding heads: ``python -m models.training.fit_finding_heads --data DIR --folds DIR``.

In: the encoder folder that `pretrain` wrote, and the cached measurements of the corpus. Out: ``finding_heads.npz`` in
that folder (`models.gem.finding_heads`).

Method: a logistic regression on the expanded measurements, fitted on the training records. The encoder was trained on
them too, so the share of its own logit is chosen on the tuning fold, one share for all findings (185 records support
no more). The threshold of a finding is where F1 is best over the tuning records and the training records, the latter
scored by cross-validation.

``--tower`` adds the measuring tower of the shipped GEM, with one weight for all findings; ``--keep`` leaves what was
fitted as it is, and chooses that weight alone.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.corpus.datasets import TRAIN, TUNE, CorpusRecord, real_records, twelve
from models.corpus.measurement_cache import MEASURED, SETS, measure_records
from models.encoder.heads import Heads, load_heads
from models.encoder.session import EncoderSession
from models.evaluation.binary_scores import best_threshold, macro_auc
from models.evaluation.logistic_regression import logistic
from models.finding_names import FINDINGS
from models.gem.ecg_window import ecg_window
from models.gem.finding_heads import FAR, FindingHeads
from models.gem.measuring_session import MeasuringSession
from models.grounding.feature_vector import expand_features
from models.training.linear_heads import MIN_POSITIVE
from models.training.pretrain import ENCODER, WORK

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

RIDGE = 0.05  # chosen on training records that the fit had not seen
PARTS = 5  # of the cross-validation over the training records
SHARES = tuple(np.round(np.arange(0.0, 1.01, 0.1), 2).tolist())  # shares of the feature's logit, searched
SEED = 20261123


@dataclass(frozen=True, eq=False)
class Rows:
    """Inputs and labels of the heads, one row per record."""

    numbers: Floats  # [n, NAMES]
    pooled: Floats  # [n, features]
    findings: Floats  # [n, FINDINGS] 0, 1, NaN unknown
    tower: Floats | None = None  # [n, FINDINGS] logits of the measuring tower


def rows_of(
    records: list[CorpusRecord],
    measured: dict[str, Any],
    session: EncoderSession,
    tower: MeasuringSession | None = None,
) -> Rows:
    """Numbers, pooled features, labels and logits of the measuring tower of records."""
    pooled = session.pooled(np.stack([twelve(r.ecg)[0] for r in records]))
    labels = [[float(r.labels[f]) if f in r.labels else np.nan for f in FINDINGS] for r in records]
    numbers = np.stack([measured[r.key].numbers for r in records])
    read = None if tower is None else np.concatenate([tower.findings(ecg_window(r.ecg)[None]) for r in records])
    return Rows(numbers, pooled, np.array(labels, np.float32), read)


def fit_finding_heads(train: Rows, tune: Rows, heads: Heads) -> tuple[FindingHeads, dict[str, float]]:
    """Finding heads, and their macro-AUC on the tuning records."""
    x = expand_features(train.numbers)
    median = np.nan_to_num(np.nanmedian(x, axis=0)).astype(np.float32)
    filled = np.where(np.isfinite(x), x, median)
    mean, scale = filled.mean(axis=0), filled.std(axis=0) + 1e-6
    z = np.clip((filled - mean) / scale, -FAR, FAR).astype(np.float64)
    positive = np.nansum(train.findings, axis=0)
    kept = [k for k in range(len(FINDINGS)) if MIN_POSITIVE <= positive[k] < np.isfinite(train.findings[:, k]).sum()]
    y, tune_y = train.findings[:, kept], tune.findings[:, kept]
    weight, bias = _lines(z, y, np.ones(len(z), bool))
    part = np.random.default_rng(SEED).integers(0, PARTS, len(z))
    unseen = np.zeros(y.shape)
    for k in range(PARTS):
        w, b = _lines(z, y, part != k)
        unseen[part == k] = z[part == k] @ w.T + b
    labels = tuple(FINDINGS[k] for k in kept)
    zeros = np.zeros(len(kept), np.float32)
    slopes, offsets = weight.astype(np.float32), bias.astype(np.float32)
    fitted = FindingHeads(labels, median, mean, scale, slopes, offsets, zeros, zeros, heads)
    line = fitted.standardised(tune.numbers) @ fitted.weight.T + fitted.bias
    own = fitted.own(tune.pooled)
    has = np.array([label in heads.labels for label in labels])
    # Convex combination of two calibrated logits: the share of one reduces the other.
    losses = [_loss(np.where(has, (1 - s) * line + s * own, line), tune_y) for s in SHARES]
    share = SHARES[int(np.argmin(losses))]
    shares = np.where(has, share, 0.0).astype(np.float32)
    both = (1 - shares) * line + shares * own
    limits = []
    for k in range(len(kept)):
        known, tune_known = np.isfinite(y[:, k]), np.isfinite(tune_y[:, k])
        predicted = _sigmoid(np.concatenate([unseen[known, k], both[tune_known, k]]))
        limits.append(
            best_threshold(predicted, np.concatenate([y[known, k], tune_y[tune_known, k]]).astype(np.float64))
        )
    rest = (1 - shares)[:, None]
    out = FindingHeads(
        labels,
        median,
        mean,
        scale,
        fitted.weight * rest,
        fitted.bias * rest[:, 0],
        shares,
        np.array(limits, np.float32),
        heads,
    )
    scores = {
        "share": float(share),
        "line": macro_auc(line.astype(np.float32), tune_y)[0],
        "feature": macro_auc(own[:, has], tune_y[:, has])[0],
        "both": macro_auc(both.astype(np.float32), tune_y)[0],
    }
    return out, {name: round(value, 4) for name, value in scores.items()}


def with_tower(fitted: FindingHeads, tune: Rows, weights: str) -> tuple[FindingHeads, float]:
    """The heads with the measuring tower of the GEM ``weights``, and their loss on the tuning records.

    Its weight alone is chosen, on the tuning records, which the tower was not trained on. The thresholds stay: they
    came from training records that the heads had not seen, and the tower has seen all of those.
    """
    assert tune.tower is not None
    y = tune.findings[:, [FINDINGS.index(label) for label in fitted.labels]]
    tried = [replace(fitted, tower_share=share, tower=weights) for share in SHARES]
    losses = [_loss(heads.logits(tune.numbers, tune.pooled, tune.tower), y) for heads in tried]
    best = int(np.argmin(losses))
    return tried[best], losses[best]


def _lines(z: Doubles, y: Floats, rows: NDArray[np.bool_]) -> tuple[Doubles, Doubles]:
    weight, bias = np.zeros((y.shape[1], z.shape[1])), np.zeros(y.shape[1])
    for k in range(y.shape[1]):
        known = np.isfinite(y[:, k]) & rows
        weight[k], bias[k] = logistic(z[known], y[known, k].astype(np.float64), None, RIDGE)
    return weight, bias


def _sigmoid(logits: Doubles) -> Doubles:
    out: Doubles = 1 / (1 + np.exp(-np.clip(logits, -50, 50)))
    return out


def _loss(logits: NDArray[Any], y: Floats) -> float:
    """Mean cross-entropy of a finding, over findings."""
    loss = np.logaddexp(0, logits) - np.nan_to_num(y) * logits
    return float(np.mean(np.nanmean(np.where(np.isfinite(y), loss, np.nan), axis=0)))


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m models.training.fit_finding_heads", description="Fit heads on measurements and pooled feature."
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=WORK, help="folder of the measurement cache")
    parser.add_argument("--encoder", type=Path, default=ENCODER)
    parser.add_argument("--tower", action="store_true", help="with the measuring tower of the shipped GEM")
    parser.add_argument("--keep", action="store_true", help="keep the fitted lines and choose the tower's weight alone")
    options = parser.parse_args(argv)
    session = EncoderSession.load(options.encoder, "cpu", threads=1)
    heads = load_heads(options.encoder, session.weights)
    if heads is None:
        parser.error(f"{options.encoder} has no heads.npz: python -m models.training.pretrain writes it")
    splits = (TUNE,) if options.keep else (TUNE, TRAIN)
    records = [r for r in real_records(options.data, options.folds) if r.source in SETS and r.split in splits]
    measured = measure_records(records, options.work / MEASURED)
    tower = MeasuringSession.load() if options.tower else None
    tune = rows_of([r for r in records if r.split == TUNE], measured, session, tower)
    scores: dict[str, float] = {}
    fitted = FindingHeads.read(options.encoder, heads) if options.keep else None
    if fitted is None:
        train = rows_of([r for r in records if r.split == TRAIN], measured, session)
        fitted, scores = fit_finding_heads(train, tune, heads)
    if tower is not None:
        fitted, loss = with_tower(fitted, tune, tower.weights)
        scores |= {"tower_share": fitted.tower_share, "loss": round(loss, 4)}
    fitted.save(options.encoder)
    print(json.dumps(scores))


if __name__ == "__main__":
    main()

"""The table of the compact models: ``python -m models.evaluation.table --data DIR --folds DIR``.

On records that training never saw (PTB-XL part fold 8, LUDB fold 4), by patient:

* findings by the encoder's heads beside two plain baselines (textbook limits on measured intervals; logistic
  regression on measured features, fitted on the training records), and a logistic regression on features and
  encoder together, which shows what the encoder knows that the measurements do not: macro-AUC and macro-F1;
* texts of the measured interpreter and, where its weights are there, of the compact GEM: numbers within tolerance of
  the measurement, verdicts, macro-F1 of the diagnoses.

Writes JSON and prints a table; `gem-bedside evaluate findings` calls it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from models.encoder.heads import load_heads
from models.encoder.session import EncoderSession
from models.evaluation.features import LogisticBaseline, by_rule, features
from models.evaluation.strict import Scores, judge_text
from models.grounding.evidence import Facts, gather
from models.interpretation import interpret_measured
from models.training.corpus import REPORT, TRAIN, Record, real_records, twelve
from models.training.findings import FINDINGS
from models.training.heads import MIN_TUNE, best_threshold, macro_auc
from models.training.stories import VOLTAGE

Floats = NDArray[np.float32]

SETS = ("ptbxl", "ludb")
WORK = Path(".gem-bedside/evaluation")


@dataclass(frozen=True, eq=False)
class Measured:
    """A record with its facts' features, and what the limits say of it."""

    record: Record
    features: Floats
    rule: Floats


def measured_records(data: Path, folds: Path, work: Path = WORK) -> list[Measured]:
    """Training and report records of PTB-XL and LUDB; features are kept in ``work`` for the next time."""
    kept = work / "features.npz"
    known = dict(np.load(kept)) if kept.is_file() else {}
    out = []
    records = [r for r in real_records(data, folds) if r.source in SETS and r.split in (TRAIN, REPORT)]
    for record in track(records, description="measuring"):
        if record.key not in known:
            facts = gather(record.ecg)
            known[record.key] = np.concatenate([features(facts), by_rule(facts)])
        row = known[record.key]
        out.append(Measured(record, row[: -len(FINDINGS)], row[-len(FINDINGS) :]))
    work.mkdir(parents=True, exist_ok=True)
    np.savez(kept, **known)
    return out


def labels_of(records: list[Measured]) -> Floats:
    """[n, FINDINGS] 0, 1, NaN unknown."""
    return np.array(
        [[float(m.record.labels[f]) if f in m.record.labels else np.nan for f in FINDINGS] for m in records], np.float32
    )


def macro_f1(said: Floats, labels: Floats, columns: list[int]) -> float:
    """Mean F1 over the columns; unknown labels are left out."""
    scores = []
    for k in columns:
        known = np.isfinite(labels[:, k])
        y, p = labels[known, k] == 1, said[known, k] > 0.5
        scores.append(2 * (y & p).sum() / max(1, y.sum() + p.sum()))
    return float(np.mean(scores))


def findings_table(records: list[Measured], encoder: Path | None = None) -> dict[str, Any]:
    """Heads beside baselines, on the same findings: those with a head and at least five examples of each kind."""
    train = [m for m in records if m.record.split == TRAIN]
    report = [m for m in records if m.record.split == REPORT]
    session = EncoderSession.load(encoder, "cpu", threads=1)
    heads = load_heads(session.folder, session.weights)
    labels = labels_of(report)
    positive, negative = np.nansum(labels, axis=0), np.nansum(1 - labels, axis=0)
    columns = [
        k
        for k, f in enumerate(FINDINGS)
        if min(positive[k], negative[k]) >= MIN_TUNE and (heads is None or f in heads.labels)
    ]
    x, train_labels = np.stack([m.features for m in train]), labels_of(train)
    out: dict[str, Any] = {
        "records": len(report),
        "findings": [FINDINGS[k] for k in columns],
        "rule": {"macro_auc": None, "macro_f1": macro_f1(np.stack([m.rule for m in report]), labels, columns)},
        "logistic regression": _logistic_row(x, train_labels, np.stack([m.features for m in report]), labels, columns),
    }
    if heads is not None:
        pooled = session.pooled(np.stack([twelve(m.record.ecg)[0] for m in report]))
        said, present = np.zeros_like(labels), np.zeros_like(labels)
        places = [FINDINGS.index(label) for label in heads.labels]
        said[:, places] = heads.probabilities(pooled)
        present[:, places] = heads.probabilities(pooled) >= heads.threshold
        mean, each = macro_auc(said[:, columns], labels[:, columns])
        out["heads"] = {
            "macro_auc": mean,
            "macro_f1": macro_f1(present, labels, columns),
            "auc": {FINDINGS[columns[int(k)]]: round(v, 4) for k, v in each.items()},
        }
        seen = session.pooled(np.stack([twelve(m.record.ecg)[0] for m in train]))
        both = (
            np.concatenate([x, seen], axis=1),
            np.concatenate([np.stack([m.features for m in report]), pooled], axis=1),
        )
        out["features and encoder"] = _logistic_row(both[0], train_labels, both[1], labels, columns)
    return out


def _logistic_row(x: Floats, y: Floats, report: Floats, labels: Floats, columns: list[int]) -> dict[str, Any]:
    """A logistic regression fitted on training rows, its thresholds too, scored on report rows."""
    plain = LogisticBaseline.fit(x, y)
    fitted, said = plain.probabilities(x), plain.probabilities(report)
    limits = np.array([_threshold(fitted[:, k], y[:, k]) for k in range(len(FINDINGS))])
    return {
        "macro_auc": macro_auc(said[:, columns], labels[:, columns])[0],
        "macro_f1": macro_f1((said >= limits).astype(np.float32), labels, columns),
    }


def _threshold(probability: Floats, y: Floats) -> float:
    known = np.isfinite(y)
    if not 0 < y[known].sum() < known.sum():
        return 1.1
    return best_threshold(probability[known].astype(np.float64), y[known].astype(np.float64))


def texts_table(records: list[Measured], write: Callable[[Record, Facts], str], columns: list[str]) -> dict[str, Any]:
    """Texts of one writer over the report records, judged by code."""
    scores = Scores()
    for m in track([m for m in records if m.record.split == REPORT], description="judging"):
        facts = gather(m.record.ecg)
        scores.add(judge_text(write(m.record, facts), m.record.ecg, facts), m.record.labels)
    return dict(scores.table(columns))


def measured_writer(record: Record, facts: Facts) -> str:
    """The measured interpreter's text."""
    return interpret_measured(record.ecg, reason=None).text


def gem_writer(folder: Path, device: str) -> Callable[[Record, Facts], str]:
    """A GEM's text, asked as the interpreter asks it."""
    from models.gem.engine import GemEngine
    from models.gem.request import GemRequest
    from models.grounding.stated import stated

    engine = GemEngine.load(folder, device, threads=1)

    def write(record: Record, facts: Facts) -> str:
        told = [e for e in stated(facts) if record.millivolts or e.measure not in VOLTAGE]
        return engine.submit(GemRequest(record.ecg, evidence=told, deadline_s=60.0, max_new_tokens=200)).result().text

    return write


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m models.evaluation.table", description="Scores of the compact models."
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", type=Path, required=True)
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--model", type=Path, help="folder of a GEM; without it only the measured texts are scored")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    result = evaluate(options.data, options.folds, options.encoder, options.model)
    print_table(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def evaluate(
    data: Path,
    folds: Path,
    encoder: Path | None = None,
    model: Path | None = None,
    work: Path = WORK,
    device: str = "cpu",
) -> dict[str, Any]:
    """The whole table as one document."""
    records = measured_records(data, folds, work)
    result: dict[str, Any] = {"findings": findings_table(records, encoder)}
    columns = result["findings"]["findings"]
    result["texts"] = {"measured": texts_table(records, measured_writer, columns)}
    if model is not None:
        result["texts"]["gem"] = texts_table(records, gem_writer(model, device), columns)
    return result


def print_table(result: dict[str, Any]) -> None:
    """The table for people."""
    console = Console()
    found = result["findings"]
    table = Table(
        "findings", "macro-AUC", "macro-F1", title=f"{found['records']} records, {len(found['findings'])} findings"
    )
    for name in ("rule", "logistic regression", "heads", "features and encoder"):
        if name in found:
            auc = found[name]["macro_auc"]
            table.add_row(name, "–" if auc is None else f"{auc:.3f}", f"{found[name]['macro_f1']:.3f}")
    console.print(table)
    names = (
        "records",
        "claims",
        "supported",
        "contradicted",
        "unsupported",
        "numbers",
        "numbers_right",
        "published_right",
        "bucket_10_ms",
        "macro_f1",
    )
    texts = Table("texts", *names)
    for writer, scores in result["texts"].items():
        texts.add_row(writer, *(str(scores[n]) for n in names))
    console.print(texts)


if __name__ == "__main__":
    main()

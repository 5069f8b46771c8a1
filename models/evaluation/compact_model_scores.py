"""The table of the compact models: ``python -m models.evaluation.compact_model_scores --data DIR --folds DIR``.

On records that training never saw (PTB-XL part fold 8, LUDB fold 4), by patient:

* findings by the encoder's heads, alone and with the measurements, beside two plain baselines (textbook limits on
  measured intervals; logistic regression on the measured numbers, fitted on the training records): macro-AUC, macro-F1;
* texts of the rule-based report and, where its weights are there, of the compact GEM, with and without the heads'
  findings in its prompt: numbers within tolerance of the measurement, verdicts, macro-F1 of the diagnoses;
* claims of the compact GEM with and without evidence in its prompt, and with its inputs replaced
  (`models.evaluation.ablations`).

Writes JSON and prints a table; `gem-bedside evaluate findings` calls it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from models.corpus.datasets import REPORT, TRAIN, CorpusRecord, real_records, twelve
from models.corpus.measurement_cache import MEASURED, RecordMeasurements, measure_records
from models.encoder.heads import load_heads
from models.encoder.session import EncoderSession
from models.evaluation.ablations import TOLERANCES, Judged, Shown, ablation_rows
from models.evaluation.baselines import LogisticBaseline
from models.evaluation.binary_scores import MIN_EXAMPLES, best_threshold, macro_auc
from models.evaluation.code_judge import ReportScores, judge_text
from models.finding_names import FINDINGS
from models.gem.ecg_window import ecg_window
from models.gem.engine import GemEngine
from models.gem.prompt_context import OF_ANY_LEAD, FindingPredictor, PromptContext, build_prompt_context
from models.gem.request import GemRequest
from models.grounding.rule_based_report import rule_based_report
from models.grounding.segment_measurements import SegmentMeasurements, measure_segment

Floats = NDArray[np.float32]

SETS = ("ptbxl", "ludb")
WORK = Path(".gem-bedside/training")  # the training's cache of measurements, for the same records
FEW_LEADS = {"limb leads and V1": ("I", "II", "III", "aVR", "aVL", "aVF", "V1"), "II alone": ("II",)}
TOKENS = 300  # of an answer, at most
Writer = Callable[[CorpusRecord, SegmentMeasurements], str]
"""Text on a record, given its measurements."""


@dataclass(frozen=True, eq=False)
class MeasuredRecord:
    """A record with its measurements."""

    record: CorpusRecord
    measured: RecordMeasurements


def measured_records(data: Path, folds: Path, work: Path = WORK) -> list[MeasuredRecord]:
    """Records of PTB-XL and LUDB, all splits; their measurements are cached in ``work``."""
    records = [r for r in real_records(data, folds) if r.source in SETS]
    measured = measure_records(records, work / MEASURED)
    return [MeasuredRecord(r, measured[r.key]) for r in records]


def labels_of(records: list[MeasuredRecord]) -> Floats:
    """[n, FINDINGS] 0, 1, NaN unknown."""
    return np.array(
        [[float(m.record.labels[f]) if f in m.record.labels else np.nan for f in FINDINGS] for m in records], np.float32
    )


def macro_f1(predicted: Floats, labels: Floats, columns: list[int]) -> float:
    """Mean F1 over the columns; unknown labels are left out."""
    scores = []
    for k in columns:
        known = np.isfinite(labels[:, k])
        y, p = labels[known, k] == 1, predicted[known, k] > 0.5
        scores.append(2 * (y & p).sum() / max(1, y.sum() + p.sum()))
    return float(np.mean(scores))


def findings_table(records: list[MeasuredRecord], encoder: Path | None = None) -> dict[str, Any]:
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
        if min(positive[k], negative[k]) >= MIN_EXAMPLES and (heads is None or f in heads.labels)
    ]
    numbers = np.stack([m.measured.numbers for m in report])
    rule = macro_f1(np.stack([m.measured.rule for m in report]), labels, columns)
    plain = _logistic_row(np.stack([m.measured.numbers for m in train]), labels_of(train), numbers, labels, columns)
    out: dict[str, Any] = {
        "records": len(report),
        "findings": [FINDINGS[k] for k in columns],
        "rule": {"macro_auc": None, "macro_f1": rule},
        "logistic regression": plain,
    }
    if heads is None:
        return out
    pooled = session.pooled(np.stack([twelve(m.record.ecg)[0] for m in report]))
    out["heads"] = _head_row(heads.labels, heads.probabilities(pooled), heads.threshold, labels, columns)
    predictor = FindingPredictor.load(encoder)
    if predictor is not None:
        both, tower = predictor.heads, predictor.tower
        read = (
            None if tower is None else np.concatenate([tower.findings(ecg_window(m.record.ecg)[None]) for m in report])
        )
        predicted = both.probabilities(numbers, pooled, read)
        out["heads with measurements"] = _head_row(both.labels, predicted, both.threshold, labels, columns)
    return out


def _head_row(
    names: Sequence[str], probability: Floats, threshold: Floats, labels: Floats, columns: list[int]
) -> dict[str, Any]:
    """ReportScores of heads on report rows; a finding without a head has probability 0."""
    predicted, present = np.zeros_like(labels), np.zeros_like(labels)
    places = [FINDINGS.index(name) for name in names]
    predicted[:, places], present[:, places] = probability, probability >= threshold
    mean, each = macro_auc(predicted[:, columns], labels[:, columns])
    return {
        "macro_auc": mean,
        "macro_f1": macro_f1(present, labels, columns),
        "auc": {FINDINGS[columns[int(k)]]: round(v, 4) for k, v in each.items()},
        "f1": {FINDINGS[k]: round(macro_f1(present, labels, [k]), 4) for k in columns},
    }


def _logistic_row(x: Floats, y: Floats, report: Floats, labels: Floats, columns: list[int]) -> dict[str, Any]:
    """A logistic regression fitted on training rows, its thresholds too, scored on report rows."""
    plain = LogisticBaseline.fit(x, y)
    fitted, predicted = plain.probabilities(x), plain.probabilities(report)
    limits = np.array([_threshold(fitted[:, k], y[:, k]) for k in range(len(FINDINGS))])
    return {
        "macro_auc": macro_auc(predicted[:, columns], labels[:, columns])[0],
        "macro_f1": macro_f1((predicted >= limits).astype(np.float32), labels, columns),
    }


def _threshold(probability: Floats, y: Floats) -> float:
    known = np.isfinite(y)
    if not 0 < y[known].sum() < known.sum():
        return 1.1
    return best_threshold(probability[known].astype(np.float64), y[known].astype(np.float64))


Segments = list[tuple[CorpusRecord, SegmentMeasurements]]


def report_segments(records: list[MeasuredRecord]) -> Segments:
    """Report records with the measurements that texts are judged by."""
    out = []
    report = [m.record for m in records if m.record.split == REPORT]
    for record in track(report, description="measuring", console=Console(stderr=True)):
        measured = measure_segment(record.ecg)
        # Where the scale is unknown no voltage can be judged.
        out.append((record, measured if record.millivolts else replace(measured, st={})))
    return out


def texts_table(segments: Segments, write: Writer, columns: list[str]) -> dict[str, Any]:
    """Texts of one writer over the report records, judged by code."""
    scores = ReportScores()
    for record, measured in track(segments, description="judging", console=Console(stderr=True)):
        scores.add(judge_text(write(record, measured), record.ecg, measured), record.labels)
    return dict(scores.table(columns))


def rule_based_writer(record: CorpusRecord, measured: SegmentMeasurements) -> str:
    """Text of the rule-based report."""
    return rule_based_report(record.ecg, reason=None).text


def gem_writers(engine: GemEngine, predictor: FindingPredictor | None) -> tuple[dict[str, Writer], list[float]]:
    """Writers that ask GEM with and without the heads' findings, and the seconds of each answer."""
    seconds: list[float] = []

    def write(record: CorpusRecord, measured: SegmentMeasurements, findings: FindingPredictor | None) -> str:
        context = build_prompt_context(record.ecg, findings, measured, millivolts=record.millivolts)
        if context.unsuitable:
            return rule_based_report(record.ecg, reason=None).text
        request = GemRequest(
            record.ecg,
            measurements=context.measurements,
            descriptors=context.descriptors,
            findings=context.findings,
            deadline_s=60.0,
            max_new_tokens=TOKENS,
        )
        answer = engine.submit(request).result()
        seconds.append(answer.seconds)
        return answer.text

    return {
        "gem": lambda record, measured: write(record, measured, predictor),
        "gem, without findings": lambda record, measured: write(record, measured, None),
    }, seconds


def ablations(
    segments: Segments, engine: GemEngine, predictor: FindingPredictor | None, columns: list[str]
) -> dict[str, Any]:
    """Claims with and without evidence in the prompt, and with the inputs replaced."""
    contexts = [build_prompt_context(r.ecg, predictor, m, millivolts=r.millivolts) for r, m in segments]

    def write(shown: Shown, k: int, evidence: bool) -> str:
        context = contexts[k] if evidence else PromptContext((), (), None)
        request = GemRequest(
            shown.ecg,
            measurements=context.measurements,
            descriptors=context.descriptors,
            findings=context.findings,
            page=shown.page,
            blank_page=shown.blank_page,
            deadline_s=60.0,
            max_new_tokens=TOKENS,
        )
        return engine.submit(request).result().text

    return ablation_rows([Judged(r.ecg, m, r.labels) for r, m in segments], write, columns)


def few_leads(records: list[MeasuredRecord], leads: tuple[str, ...]) -> list[MeasuredRecord]:
    """Report records as a bed with fewer leads would have them."""
    return [
        replace(m, record=replace(m.record, ecg=m.record.ecg.select(leads)))
        for m in records
        if m.record.split == REPORT
    ]


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m models.evaluation.compact_model_scores", description="Scores of the compact models."
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", type=Path, required=True)
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--model", type=Path, help="folder of a GEM; without it only the rule-based reports are scored")
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
    segments = report_segments(records)
    result["texts"] = {"measured": texts_table(segments, rule_based_writer, columns)}
    if model is not None:
        engine, predictor = GemEngine.load(model, device, threads=1), FindingPredictor.load(encoder)
        writers, seconds = gem_writers(engine, predictor)
        for name, write in writers.items():
            result["texts"][name] = texts_table(segments, write, columns)
        rhythm = [f for f in columns if f in OF_ANY_LEAD]
        for name, leads in FEW_LEADS.items():
            fewer = report_segments(few_leads(records, leads))
            result["texts"][f"gem, {name}"] = texts_table(fewer, writers["gem"], rhythm)
        result["ablations"] = ablations(segments, engine, predictor, columns)
        result["seconds"] = {"median": round(float(np.median(seconds)), 3), "longest": round(max(seconds), 3)}
    return result


def print_table(result: dict[str, Any]) -> None:
    """The table for people."""
    console = Console()
    found = result["findings"]
    table = Table(
        "findings", "macro-AUC", "macro-F1", title=f"{found['records']} records, {len(found['findings'])} findings"
    )
    for name in ("rule", "logistic regression", "heads", "heads with measurements"):
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
    if "ablations" in result:
        shares = (*TOLERANCES, "rhythm", "cannot_be_read", "stating", "macro_f1", "numbers_right", "contradicted")
        rows = Table("inputs", *shares)
        for name, scores in result["ablations"].items():
            rows.add_row(name, *(str(scores[n]) for n in shares))
        console.print(rows)
    if "seconds" in result:
        console.print(f"an answer: median {result['seconds']['median']} s, longest {result['seconds']['longest']} s")


if __name__ == "__main__":
    main()

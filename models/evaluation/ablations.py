"""Claims of the compact GEM with and without evidence in the prompt, and with its inputs replaced.

In: report records with their measurements. Out, for each row: shares of records whose text states the rate and the
intervals within tolerance of the measurement and the rhythm class of the label, the share of texts that state that the
ECG cannot be read, the share that state a number or a finding, and the macro-F1 of the diagnoses. A value that the text
leaves out counts as wrong. Rows that replace the input are judged by the record itself: a text that rests on its input
loses there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from models.corpus.finding_labels import FindingLabels
from models.ecg import Ecg
from models.evaluation.code_judge import Judgement, ReportScores, judge_text
from models.evaluation.generation import ablated
from models.evaluation.scanned_pages import scanned
from models.gem.estimates import NOT_READABLE
from models.gem.page import reference_page
from models.gem.page_layout import small_drawn
from models.grounding.segment_measurements import SegmentMeasurements
from models.leads import STANDARD_12

TOLERANCES = {"HR": 5.0, "QRS": 20.0, "PR": 30.0, "QT": 40.0}  # bpm, ms
RHYTHM_CLASSES = ("SINUS", "AFIB", "PACED")
"""Classes that labels and texts name; sinus bradycardia, tachycardia and arrhythmia are sinus rhythm."""
REPLACED_EVERY = 4  # rows with a replaced input use every fourth record: they take most of the time


@dataclass(frozen=True, eq=False)
class Shown:
    """Input of the model in one row: the ECG, its page where another one is shown, or a blank page."""

    ecg: Ecg
    page: Path | None = None
    blank_page: bool = False


Replace = Callable[[Ecg, Ecg, Path], Shown]
"""(ECG, another patient's ECG, folder for pages) to the input."""


def page_alone(ecg: Ecg, other: Ecg, folder: Path) -> Shown:
    """The page of the ECG beside a signal of zeros."""
    path = folder / "page.png"
    Image.fromarray(reference_page(ecg)).save(path, compress_level=1)
    return Shown(_with(ecg, "zero"), path)


def scanned_page_alone(ecg: Ecg, other: Ecg, folder: Path) -> Shown:
    """A scan of the page, in other colours, moved and with noise, beside a signal of zeros."""
    path = folder / "scan.png"
    page = scanned(np.random.default_rng(_seed(ecg)), small_drawn(reference_page(ecg)))
    Image.fromarray(page.transpose(1, 2, 0)).save(path, compress_level=1)
    return Shown(_with(ecg, "zero"), path)


def _with(ecg: Ecg, ablation: str) -> Ecg:
    return ablated(ecg, ecg, ablation, seed=_seed(ecg))


def _seed(ecg: Ecg) -> int:
    return round(1000 * float(np.abs(ecg.mv[:, ::50]).sum()))


UNCHANGED = "signal and page"
INPUTS: dict[str, Replace] = {
    UNCHANGED: lambda ecg, other, folder: Shown(ecg),
    "blank page": lambda ecg, other, folder: Shown(ecg, blank_page=True),
    "page alone": page_alone,
    "scanned page alone": scanned_page_alone,
    "another patient's ECG": lambda ecg, other, folder: Shown(other),
    "zero ECG": lambda ecg, other, folder: Shown(_with(ecg, "zero")),
    "noise": lambda ecg, other, folder: Shown(_with(ecg, "noise")),
    "zero ECG, blank page": lambda ecg, other, folder: Shown(_with(ecg, "zero"), blank_page=True),
}


@dataclass
class ClaimScores:
    """Sums over the records of one row; `table` gives the shares."""

    reports: ReportScores = field(default_factory=ReportScores)
    right: dict[str, list[bool]] = field(default_factory=lambda: {name: [] for name in (*TOLERANCES, "rhythm")})
    unreadable: int = 0
    stating: int = 0

    def add(self, text: str, judgement: Judgement, measured: SegmentMeasurements, labels: FindingLabels) -> None:
        """Count one record."""
        self.reports.add(judgement, labels)
        self.unreadable += NOT_READABLE in text
        numbers = {j.claim.subject: j.claim.value for j in judgement.judged if j.claim.kind == "number"}
        self.stating += bool(numbers) or bool(judgement.diagnoses)
        for name, tolerance in TOLERANCES.items():
            truth = measured.value(name)
            if truth is not None and (name != "PR" or measured.p_waves is True):
                found = numbers.get(name)
                self.right[name].append(found is not None and abs(found - truth) <= tolerance)
        of_label = [c for c in RHYTHM_CLASSES if labels.get(c)]
        if len(of_label) == 1:
            self.right["rhythm"].append([c for c in RHYTHM_CLASSES if c in judgement.diagnoses] == of_label)

    def table(self, findings: Sequence[str]) -> dict[str, float | int]:
        """The figures, shares from 0 to 1."""
        n = max(1, self.reports.records)
        shares = {name: round(float(np.mean(v)), 4) if v else float("nan") for name, v in self.right.items()}
        return {
            **shares,
            "cannot_be_read": round(self.unreadable / n, 4),
            "stating": round(self.stating / n, 4),
            **self.reports.table(findings),
        }


@dataclass(frozen=True, eq=False)
class Judged:
    """A report record as the rows need it."""

    ecg: Ecg
    measured: SegmentMeasurements
    labels: FindingLabels


def ablation_rows(
    records: Sequence[Judged],
    write: Callable[[Shown, int, bool], str],
    findings: Sequence[str],
    *,
    replaced_every: int = REPLACED_EVERY,
) -> dict[str, dict[str, float | int]]:
    """Table of all rows.

    Parameters
    ----------
    write : callable
        (input, number of the record, evidence in the prompt) to a text.
    findings : sequence of str
        Those of the macro-F1.
    replaced_every : int
        Rows with a replaced input use every n-th record.
    """
    out = {}
    whole = [k for k, r in enumerate(records) if r.ecg.leads == STANDARD_12]
    with TemporaryDirectory() as folder:
        for evidence in (False, True):
            for name, shown in INPUTS.items():
                row = ClaimScores()
                step = 1 if name == UNCHANGED else replaced_every
                for place, k in list(enumerate(whole))[::step]:
                    other = records[whole[(place + len(whole) // 2) % len(whole)]].ecg
                    text = write(shown(records[k].ecg, other, Path(folder)), k, evidence)
                    judged = judge_text(text, records[k].ecg, records[k].measured)
                    row.add(text, judged, records[k].measured, records[k].labels)
                out[f"{'with' if evidence else 'without'} evidence, {name}"] = row.table(findings)
    return out

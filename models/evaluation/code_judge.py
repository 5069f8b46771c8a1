"""Judge in code, not a model: claims of a text checked by the measurements of the signal and by the record's label.

Input: a text, the record's measurements, its findings. Output: `Judgement`: the verdict on each claim, and the
diagnoses that the text states. `ReportScores` sums over records: share of numbers within tolerance, before and after
verification; macro-F1 of the diagnoses; leads named; share of intervals in the right 10-ms bucket (after
ECG-Reasoning-Benchmark, arXiv 2603.14326). Unlike the reference's LLM judge, the same text always gets the same score.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from models.corpus.finding_labels import FindingLabels
from models.ecg import Ecg
from models.finding_names import FINDINGS
from models.grounding.citations import without_markup
from models.grounding.claim_extraction import extract_claims
from models.grounding.claims import ExtractedClaim
from models.grounding.segment_measurements import SegmentMeasurements, measure_segment
from models.grounding.verdicts import JudgedClaim, judge_claim

NUMBERS = ("HR", "PR", "QRS", "QT", "QTc", "QTcF")
BUCKET_MS = 10.0

_DIAGNOSES: dict[str, tuple[str, ...]] = {  # subject of a claim -> findings that it states
    "NORMAL_ECG": ("NORM",),
    "MI": ("MI",),
    "SINUS": ("SINUS",),
    "SINUS_BRADY": ("SINUS", "BRADY"),
    "SINUS_TACHY": ("SINUS", "TACHY"),
    "SINUS_ARRHYTHMIA": ("SINUS", "IRREGULAR_SINUS"),
    "BRADY": ("BRADY",),
    "TACHY": ("TACHY",),
    "AFIB": ("AFIB",),
    "AFLUT": ("AFIB",),
    "PACED": ("PACED",),
    "PVC": ("PVC",),
    "BIGEMINY": ("PVC",),
    "PAC": ("PAC",),
    "AVB1": ("AVB1", "CD"),
    "AVB2": ("CD",),
    "AVB3": ("CD",),
    "LBBB": ("LBBB", "CD"),
    "RBBB": ("RBBB", "CD"),
    "IRBBB": ("IRBBB", "CD"),
    "LAFB": ("LAFB", "CD"),
    "T_INVERTED": ("T_INVERTED",),
    "ST_DEPRESSED": ("ST_DEPRESSED",),
    "ST_ELEVATED": ("ST_ELEVATED",),
    "QT_LONG": ("QT_LONG",),
    "ST_CHANGED": ("STTC",),
    "CONDUCTION": ("CD",),
    "ISCHEMIA": ("STTC",),
}


@dataclass(frozen=True, eq=False)
class Judgement:
    """Judged claims and asserted diagnoses of one text on one record."""

    judged: tuple[JudgedClaim, ...]
    diagnoses: frozenset[str]

    @property
    def numbers(self) -> list[JudgedClaim]:
        """Claims about rate and intervals that have a measurement to be checked by."""
        return [
            j
            for j in self.judged
            if j.claim.kind == "number" and j.claim.subject in NUMBERS and j.verdict != "unsupported"
        ]


def diagnoses_of(claims: Iterable[ExtractedClaim]) -> frozenset[str]:
    """Findings that the claims state as present."""
    return frozenset(f for c in claims if c.kind == "finding" and c.present for f in _DIAGNOSES.get(c.subject, ()))


def judge_text(text: str, ecg: Ecg, measured: SegmentMeasurements | None = None) -> Judgement:
    """Judge all claims of a text.

    Examples
    --------
    >>> import numpy as np
    >>> flat = Ecg(("II",), 250.0, np.zeros((1, 2500), np.float32))
    >>> judgement = judge_text("Asystole, no PR interval, sinus rhythm.", flat)
    >>> [(j.claim.subject, j.verdict) for j in judgement.judged]
    [('ASYSTOLE', 'supported'), ('SINUS', 'contradicted')]
    """
    measured = measured or measure_segment(ecg)
    claims = extract_claims(without_markup(text))
    return Judgement(tuple(judge_claim(c, measured) for c in claims), diagnoses_of(claims))


@dataclass
class ReportScores:
    """Sums over records; `table` gives the shares."""

    records: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    numbers_in_text: int = 0
    numbers_right: int = 0
    published: int = 0
    published_right: int = 0
    in_bucket: int = 0
    bucketed: int = 0
    leads_named: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    asserted: Counter[str] = field(default_factory=Counter)
    present: Counter[str] = field(default_factory=Counter)

    def add(self, judgement: Judgement, labels: FindingLabels) -> None:
        """Count one record; findings without a label are left out."""
        self.records += 1
        self.verdicts.update(j.verdict for j in judgement.judged)
        for j in judgement.numbers:
            self.numbers_in_text += 1
            self.numbers_right += j.verdict == "supported"
            if j.verdict == "supported" and j.evidence:
                self.published += 1
                self.published_right += _within(j)
            if j.claim.subject != "HR" and j.evidence and j.claim.value is not None:
                self.bucketed += 1
                self.in_bucket += j.claim.value // BUCKET_MS == j.evidence[0].value // BUCKET_MS
        self.leads_named += len({lead for j in judgement.judged for lead in j.claim.leads})
        for finding, present in labels.items():
            asserted = finding in judgement.diagnoses
            self.hits[finding] += asserted and present
            self.asserted[finding] += asserted
            self.present[finding] += present

    def f1(self, finding: str) -> float:
        """F1 of one finding; 0 where it is present and never asserted."""
        return 2 * self.hits[finding] / max(1, self.asserted[finding] + self.present[finding])

    def macro_f1(self, findings: Sequence[str]) -> float:
        """Mean F1 over the findings."""
        return sum(self.f1(f) for f in findings) / max(1, len(findings))

    def table(self, findings: Sequence[str] = FINDINGS) -> dict[str, float | int]:
        """The figures, shares from 0 to 1."""
        return {
            "records": self.records,
            "claims": sum(self.verdicts.values()),
            **{v: self.verdicts[v] for v in ("supported", "contradicted", "unsupported")},
            "numbers": self.numbers_in_text,
            "numbers_right": _share(self.numbers_right, self.numbers_in_text),
            "published_right": _share(self.published_right, self.published),
            "bucket_10_ms": _share(self.in_bucket, self.bucketed),
            "leads_a_record": _share(self.leads_named, self.records),
            "macro_f1": round(self.macro_f1(findings), 4),
        }


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else float("nan")


def _within(j: JudgedClaim) -> bool:
    limits: Mapping[str, float] = {"HR": 3.0, "PR": 10.0, "QRS": 10.0, "QT": 20.0, "QTc": 20.0, "QTcF": 20.0}
    claim, measured = j.claim, j.evidence[0].value
    assert claim.value is not None
    if claim.relation != "=" or claim.high is not None:
        return True  # a bound or a range has no single value to compare
    return abs(claim.value - measured) <= limits[claim.subject]

"""The two plain baselines that a trained model has to beat.

`by_rule`: the findings that the measured intervals give by textbook limits. `LogisticBaseline`: a ridge logistic
regression on the measured numbers (`models.grounding.feature_vector`), fitted on the training records.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.grounding.claim import ReadClaim
from models.grounding.finding_rules import judge_finding
from models.grounding.segment_measurements import Facts
from models.training.finding_labels import FINDINGS
from models.training.linear_heads import logistic

Floats = NDArray[np.float32]

_RULES = {  # finding -> the rule of the grounding that decides it from the measurement
    "NORM": "NORMAL_ECG",
    "SINUS": "SINUS",
    "AFIB": "AFIB",
    "BRADY": "BRADY",
    "TACHY": "TACHY",
    "PACED": "PACED",
    "PVC": "PVC",
    "PAC": "PAC",
    "AVB1": "PR_LONG",
    "LBBB": "LBBB",
    "RBBB": "RBBB",
    "LAFB": "LAFB",
    "T_INVERTED": "T_INVERTED",
    "ST_DEPRESSED": "ST_DEPRESSED",
    "ST_ELEVATED": "ST_ELEVATED",
    "QT_LONG": "QT_LONG",
    "MI": "Q_WAVES",
}
RIDGE = 0.02


def by_rule(facts: Facts) -> Floats:
    """[FINDINGS] 1 said, 0 not said: what the limits give; a finding without a rule is never said."""
    out = np.zeros(len(FINDINGS), np.float32)
    for finding, subject in _RULES.items():
        verdict, _, _ = judge_finding(ReadClaim("", 0, 0, "finding", subject), facts)
        out[FINDINGS.index(finding)] = verdict == "supported"
    said = {f: out[FINDINGS.index(f)] for f in FINDINGS}
    out[FINDINGS.index("CD")] = max(said["AVB1"], said["LBBB"], said["RBBB"], said["LAFB"])
    out[FINDINGS.index("STTC")] = max(said["T_INVERTED"], said["ST_DEPRESSED"], said["QT_LONG"])
    out[FINDINGS.index("IRREGULAR_SINUS")] = float(facts.p_waves is True and facts.regular is False)
    return out


@dataclass(frozen=True, eq=False)
class LogisticBaseline:
    """One logistic regression a finding on the numbers; medians fill what was not measured."""

    median: Floats
    mean: Floats
    scale: Floats
    weight: NDArray[np.float64]  # [FINDINGS, features]
    bias: NDArray[np.float64]

    @classmethod
    def fit(cls, x: Floats, findings: Floats) -> LogisticBaseline:
        """x [n, features], findings [n, FINDINGS] with NaN where unknown."""
        median = np.nan_to_num(np.nanmedian(x, axis=0)).astype(np.float32)
        filled = np.where(np.isfinite(x), x, median)
        mean, scale = filled.mean(axis=0), filled.std(axis=0) + 1e-6
        z = ((filled - mean) / scale).astype(np.float64)
        weight, bias = np.zeros((len(FINDINGS), x.shape[1])), np.full(len(FINDINGS), -10.0)
        for k in range(len(FINDINGS)):
            known = np.isfinite(findings[:, k])
            y = findings[known, k].astype(np.float64)
            if 0 < y.sum() < len(y):
                weight[k], bias[k] = logistic(z[known], y, None, RIDGE)
        return cls(median, mean.astype(np.float32), scale.astype(np.float32), weight, bias)

    def probabilities(self, x: Floats) -> Floats:
        """[n, FINDINGS]."""
        z = (np.where(np.isfinite(x), x, self.median) - self.mean) / self.scale
        out: Floats = (1 / (1 + np.exp(-np.clip(z @ self.weight.T + self.bias, -50, 50)))).astype(np.float32)
        return out

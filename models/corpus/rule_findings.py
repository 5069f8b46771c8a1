"""Findings by textbook limits: the verdicts of the grounding rules on the measurements of a segment.

In: the measurements of one segment. Out: float32 [FINDINGS], 1 where a rule supports the finding, else 0. No training.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.finding_names import FINDINGS
from models.grounding.claims import ExtractedClaim
from models.grounding.finding_rules import judge_finding
from models.grounding.segment_measurements import SegmentMeasurements

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


def findings_by_rule(measured: SegmentMeasurements) -> Floats:
    """Findings by textbook limits, [FINDINGS]: 1 found, 0 not found; 0 for a finding without a rule."""
    out = np.zeros(len(FINDINGS), np.float32)
    for finding, subject in _RULES.items():
        verdict, _, _ = judge_finding(ExtractedClaim.finding(subject), measured)
        out[FINDINGS.index(finding)] = verdict == "supported"
    found = {f: out[FINDINGS.index(f)] for f in FINDINGS}
    out[FINDINGS.index("CD")] = max(found["AVB1"], found["LBBB"], found["RBBB"], found["LAFB"])
    out[FINDINGS.index("STTC")] = max(found["T_INVERTED"], found["ST_DEPRESSED"], found["QT_LONG"])
    out[FINDINGS.index("IRREGULAR_SINUS")] = float(measured.p_waves is True and measured.regular is False)
    return out

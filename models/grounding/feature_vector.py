"""Feature vector of a segment: the input of the encoder's measurement heads and of the plain baselines.

Input: `SegmentMeasurements`. Output: float32 ``[len(NAMES)]``, NaN where nothing was measured: rate (bpm), regularity,
share of beats without P wave, intervals (ms), axis as cosine and sine, shares of the beat kinds, and in each lead the
heights of P, Q, R, S, T and ST divided by the lead's largest wave. The division makes the vector valid for records in
millivolts and for z-scored records. NumPy alone, no torch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.grounding.segment_measurements import SegmentMeasurements
from models.leads import STANDARD_12

MEASURES = ("HR", "REGULARITY", "ABSENT_P", "P", "PR", "QRS", "QT", "QTcF")
KINDS = "NSVP"
WAVES = ("P", "Q", "R", "S", "T")
NAMES = (
    *MEASURES,
    "AXIS_X",
    "AXIS_Y",
    *(f"kind {k}" for k in KINDS),
    *(f"{wave} {lead}" for lead in STANDARD_12 for wave in (*WAVES, "ST")),
)
"""Name of each number."""


def feature_vector(measured: SegmentMeasurements) -> NDArray[np.float32]:
    """Feature vector, float32 [len(NAMES)], NaN where nothing was measured."""
    out = [np.nan if (value := measured.value(m)) is None else value for m in MEASURES]
    axis = measured.axis_deg
    out += [np.nan, np.nan] if axis is None else [np.cos(np.radians(axis)), np.sin(np.radians(axis))]
    out += [measured.kinds.get(kind, 0) / max(1, measured.beats) for kind in KINDS]
    for lead in STANDARD_12:
        heights = [measured.waves[lead, w].mv if (lead, w) in measured.waves else np.nan for w in WAVES]
        st = measured.st[lead].value if lead in measured.st else np.nan
        size = np.nanmax(np.abs(heights)) if np.isfinite(heights).any() else np.nan
        out += [h / size if size else np.nan for h in (*heights, st)]
    return np.array(out, np.float32)


_HINGES: tuple[tuple[str, float, float, float], ...] = (  # number, origin, and its range below and above
    ("HR", 60.0, 30.0, 0.0),
    ("HR", 100.0, 0.0, 40.0),
    ("PR", 200.0, 0.0, 80.0),
    ("PR", 190.0, 20.0, 20.0),
    ("QRS", 120.0, 0.0, 40.0),
    ("QRS", 110.0, 10.0, 10.0),
    ("QTcF", 450.0, 0.0, 60.0),
    ("REGULARITY", 0.0, 0.0, 0.15),
)
_STEPS = (
    ("HR", 60.0),
    ("HR", 100.0),
    ("PR", 200.0),
    ("QRS", 120.0),
    ("QTcF", 460.0),
    ("REGULARITY", 0.08),
    ("REGULARITY", 0.12),
    ("ABSENT_P", 0.3),
    ("ABSENT_P", 0.8),
    ("kind V", 0.0),
    ("kind S", 0.0),
)


def expand_features(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Append distances from textbook limits: [n, NAMES] to [n, features]; NaN stays NaN.

    A linear model of the heart rate cannot separate "under 60 bpm"; one of the distance below 60 bpm can.
    """
    column = {name: numbers[:, k] for k, name in enumerate(NAMES)}
    out = [np.clip(column[name] - origin, -below, above) for name, origin, below, above in _HINGES]
    for name, limit in _STEPS:
        over = np.where(np.isfinite(column[name]), column[name] > limit, False)
        out.append(over.astype(np.float32))
    out.append(np.isnan(column["PR"]).astype(np.float32))
    return np.concatenate([numbers, np.stack(out, axis=1)], axis=1).astype(np.float32)

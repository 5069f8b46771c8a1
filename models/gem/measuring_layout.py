"""Sizes of the measuring tower, and the meaning of its outputs. NumPy alone.

The outputs of a window are, in order: for each of `QUANTITIES` the logits of `BINS` values, then a logit for each
quantity (it can be measured), then a logit for each of `ATTRIBUTES`, then the rate over the detected beats in bpm (0
with fewer than `RATE_BEATS`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from models.encoder.configuration import LEADS, SAMPLES
from models.finding_names import FINDINGS

PATCH, STEM_KERNEL = 8, 24  # samples
FRAME_S = PATCH / 500.0
FRAMES = SAMPLES // PATCH
DILATIONS = (1, 2, 4, 8, 16, 32, 1)  # frames: the network sees a second to each side
MARKS = 4  # P, QRS, T, beat
MORPHOLOGY = 8  # learnt channels whose average beat is read
MORPHOLOGY_STEP = 2  # lags of the average beat
BEFORE, AFTER = 30, 49  # lags around a beat, frames: 0.48 s and 0.78 s
FLOOR = 1e-3  # beats: keeps a window without any finite
PRESENT = 0.1  # mean square of a divided lead above which it is there
LAG_FIRST, LAG_LAST = 12, 170  # lags of beat to beat, frames: 0.19 s to 2.7 s

BINS = 96
QUANTITIES = {"HR": (25.0, 250.0), "PR": (70.0, 390.0), "QRS": (50.0, 240.0), "QT": (200.0, 640.0)}
"""Lowest and highest value: bpm (its bins grow with the rate), ms."""
LEARNT_DESCRIPTORS = (
    "P waves",
    "no P waves",
    "regular",
    "irregular",
    "left axis",
    "right axis",
    "normal axis",
)
"""Descriptors of `models.grounding.prompt_measurements` that do not follow from a quantity."""
READABLE = "readable"
ATTRIBUTES = (READABLE, *LEARNT_DESCRIPTORS, *FINDINGS)
VALUE_OUTPUTS = len(QUANTITIES) * (BINS + 1)
ATTRIBUTE_OUTPUTS = len(ATTRIBUTES)
OUTPUTS = VALUE_OUTPUTS + ATTRIBUTE_OUTPUTS + 1
BEAT_PEAK = 0.3  # probability from which a local maximum is a beat; searched from 0.1 to 0.4 on the tuning records
RATE_BEATS = 3


@dataclass(frozen=True, slots=True)
class MeasuringSizes:
    """Sizes of one measuring tower."""

    channels: int = 48
    hidden: int = 128
    dropout: float = 0.2  # in training

    def to_dict(self) -> dict[str, float]:
        """Sizes as a JSON object."""
        return asdict(self)


def feature_count(sizes: MeasuringSizes) -> tuple[int, int]:
    """Number of features of rhythm and intervals, and of the average beat."""
    around = BEFORE + AFTER + 1
    rhythm = (LAG_LAST - LAG_FIRST + 1) + MARKS * around + 2 * sizes.channels + MARKS + 1 + LEADS
    return rhythm, (MORPHOLOGY + LEADS) * len(range(0, around, MORPHOLOGY_STEP))


def bin_values(name: str) -> NDArray[np.float64]:
    """Value of each bin of a quantity, [BINS]."""
    low, high = QUANTITIES[name]
    return np.geomspace(low, high, BINS) if name == "HR" else np.linspace(low, high, BINS)


def bin_position(name: str, value: float) -> float:
    """Place of a value among the bins, 0 to BINS - 1, between them too; values outside are clipped."""
    low, high = QUANTITIES[name]
    share = np.log(value / low) / np.log(high / low) if name == "HR" else (value - low) / (high - low)
    return float(np.clip(share, 0.0, 1.0)) * (BINS - 1)

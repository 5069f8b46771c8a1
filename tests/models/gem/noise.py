"""ECGs of noise: random weights answer differently to each."""

from __future__ import annotations

import numpy as np

from models.ecg import Ecg
from models.leads import STANDARD_12


def noise_ecg(seed: int, fs_hz: float = 500.0, seconds: float = 10.0) -> Ecg:
    """Twelve leads, the same for a seed."""
    mv = np.random.default_rng(seed).normal(0, 0.4, (12, round(fs_hz * seconds))).astype(np.float32)
    return Ecg(STANDARD_12, fs_hz, mv)

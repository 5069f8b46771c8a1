"""A bed at any sampling rate is analysed: rates next to those of the networks, and the ends of the accepted range."""

from __future__ import annotations

import numpy as np
import pytest

from models.arrhythmia.tier import RhythmTier, update_chunks
from models.ecg import Ecg
from tests.faults.recordings import real_ecg


@pytest.mark.parametrize("fs_hz", [50.01, 80.0, 249.98, 250.02, 499.9, 1999.7])
def test_a_bed_at_any_rate_is_analysed(fs_hz: float) -> None:
    ecg = real_ecg(12)
    at = np.arange(round(12 * fs_hz)) / fs_hz
    mv = np.interp(at, np.arange(ecg.n_samples) / ecg.fs_hz, ecg.mv[0])[None].astype(np.float32)
    tier = RhythmTier(("II",), fs_hz)
    result = [tier.push(chunk) for chunk in update_chunks(Ecg(("II",), fs_hz, mv))][-1]
    assert result.hr == pytest.approx(113, abs=5)
    assert result.usable_leads == ("II",)

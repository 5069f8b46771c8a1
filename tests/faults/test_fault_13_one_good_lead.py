"""Fault 13: one good lead of twelve is enough for the beats, and quality says which one it is."""

from __future__ import annotations

import numpy as np

from models.beats.detector import find_beats
from models.ecg import Ecg
from models.leads import STANDARD_12
from models.measurement.measure import measure
from tests.faults.recordings import same_beats, twelve


def test_the_good_lead_speaks() -> None:
    clean = twelve(15)
    rng = np.random.default_rng(8)
    mv = rng.normal(0, 0.4, clean.mv.shape).astype(np.float32)
    good = STANDARD_12.index("V4")
    mv[good] = clean.mv[good]
    found = measure(Ecg(STANDARD_12, clean.fs_hz, mv))
    alone = find_beats(clean.select(["V4"]))
    cut = clean.n_samples - 0.2 * clean.fs_hz  # the last beat's R may lie behind the end
    assert same_beats([r for r in found.r_peaks if r < cut], [b.sample for b in alone if b.sample < cut], clean.fs_hz)
    assert [lead for lead, q in found.quality.items() if q.usable] == ["V4"]
    assert found.intervals["QRS"] is not None

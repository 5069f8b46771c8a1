"""Fault 18: III is not II - I: a limb lead is mislabelled or miscalibrated, and quality says which leads disagree."""

from __future__ import annotations

from models.ecg import Ecg
from models.leads import STANDARD_12
from models.measurement.measure import measure
from models.signal.quality import INCONSISTENT
from tests.faults.recordings import same_beats, twelve


def test_limb_leads_that_disagree_are_told() -> None:
    right = twelve(12)
    mv = right.mv.copy()
    mv[2] = 1.7 * right.lead("II")
    wrong = measure(Ecg(STANDARD_12, right.fs_hz, mv))
    fine = measure(right)
    assert {lead for lead, q in wrong.quality.items() if q.state == INCONSISTENT} == {"I", "II", "III"}
    assert not [lead for lead, q in fine.quality.items() if q.state == INCONSISTENT]
    assert same_beats(wrong.r_peaks, fine.r_peaks, right.fs_hz)

"""Fault 12: with the arm electrodes exchanged the beats stay, and the axis tells."""

from __future__ import annotations

from models.ecg import Ecg
from models.leads import STANDARD_12
from models.measurement.axis import qrs_axis_deg
from models.measurement.measure import measure
from tests.faults.recordings import same_beats, twelve


def arms_exchanged(ecg: Ecg) -> Ecg:
    mv = ecg.mv.copy()
    one, two, three = ecg.mv[0], ecg.mv[1], ecg.mv[2]
    mv[0], mv[1], mv[2], mv[3], mv[4] = -one, three, two, ecg.mv[4], ecg.mv[3]
    return Ecg(STANDARD_12, ecg.fs_hz, mv)


def test_same_beats_and_an_axis_on_the_wrong_side() -> None:
    right = twelve(12)
    wrong = arms_exchanged(right)
    before, after = measure(right), measure(wrong)
    assert same_beats(after.r_peaks, before.r_peaks, right.fs_hz)
    a, b = qrs_axis_deg(right, before.beats), qrs_axis_deg(wrong, after.beats)
    assert a is not None and -30 < a < 90
    assert b is not None and abs(b) > 90

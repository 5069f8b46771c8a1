"""The frontal QRS axis from the net areas of I and aVF, or of I and II."""

from __future__ import annotations

import numpy as np
import pytest

from models.beats.detector import Beat
from models.ecg import Ecg
from models.measurement.axis import qrs_axis_deg
from models.measurement.delineation import Fiducials, MeasuredBeat

FS_HZ = 500.0
BEAT = MeasuredBeat(Beat(250, "N", ("I",)), Fiducials(qrs_on=225, qrs_off=275), {})


def frontal(axis_deg: float) -> Ecg:
    """One QRS complex of 1 mV whose vector points to ``axis_deg``, on a baseline of 0.3 mV; leads I, II, aVF."""
    shape = np.zeros(500)
    shape[226:275] = np.hanning(49)
    lead_i, lead_ii = (shape * np.cos(np.radians(axis_deg - lead)) for lead in (0.0, 60.0))
    return Ecg(("I", "II", "aVF"), FS_HZ, (np.stack([lead_i, lead_ii, lead_ii - lead_i / 2]) + 0.3).astype(np.float32))


@pytest.mark.parametrize("axis_deg", [-150.0, -60.0, 0.0, 45.0, 120.0])
def test_the_axis_is_the_direction_of_the_vector_with_or_without_avf(axis_deg: float) -> None:
    ecg = frontal(axis_deg)
    assert qrs_axis_deg(ecg, [BEAT]) == pytest.approx(axis_deg, abs=0.1)
    assert qrs_axis_deg(ecg, [BEAT], leads=("I", "II")) == pytest.approx(axis_deg, abs=0.1)


def test_there_is_no_axis_without_two_limb_leads_or_without_a_measured_beat() -> None:
    ecg = frontal(45.0)
    assert qrs_axis_deg(ecg, [BEAT], leads=("I",)) is None
    assert qrs_axis_deg(ecg, [MeasuredBeat(BEAT.beat, Fiducials(), {})]) is None

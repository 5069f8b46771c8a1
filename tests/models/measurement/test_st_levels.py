"""ST of all leads at once is that of each lead by itself."""

from __future__ import annotations

import numpy as np
import pytest

from models.ecg import Ecg
from models.leads import STANDARD_12
from models.measurement.delineation import Fiducials
from models.measurement.intervals import st_level, st_levels

FS = 500.0
MV = np.random.default_rng(3).normal(0.0, 0.5, (12, 400)).astype(np.float32)
MV[2, 95] = np.nan  # in the PR segment
MV[5, 180] = np.nan  # at J + 60 ms
ECG = Ecg(STANDARD_12, FS, MV)


@pytest.mark.parametrize(
    ("qrs_on", "qrs_off"), [(100, 150), (1, 40), (340, 369), (340, 370), (340, 399), (None, 150), (100, None)]
)
def test_st_of_all_leads_is_that_of_each(qrs_on: int | None, qrs_off: int | None) -> None:
    marks = Fiducials(qrs_on=qrs_on, qrs_off=qrs_off)
    assert st_levels(ECG, marks) == [st_level(ECG, lead, marks) for lead in STANDARD_12]


def test_a_missing_sample_leaves_out_its_lead_alone() -> None:
    levels = st_levels(ECG, Fiducials(qrs_on=100, qrs_off=150))
    assert [lead for lead, level in zip(STANDARD_12, levels, strict=True) if level is None] == ["III", "aVF"]

"""Fault 17: a wrong sampling rate in the header: outside 50 to 2000 Hz rejected, inside it no beat more or less."""

from __future__ import annotations

import pytest

from models.beats.detector import find_beats
from models.ecg import Ecg
from tests.faults.recordings import real_ecg


@pytest.mark.parametrize("fs", [0.0, 12.5, 5000.0, float("nan")])
def test_an_impossible_rate_is_refused(fs: float) -> None:
    with pytest.raises(ValueError, match="sampling_rate"):
        Ecg(("II",), fs, real_ecg(2).mv)


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_a_rate_that_is_off_changes_the_rate_and_not_the_count(factor: float) -> None:
    ecg = real_ecg(20)
    off = Ecg(ecg.leads, ecg.fs_hz * factor, ecg.mv)
    assert abs(len(find_beats(off)) - len(find_beats(ecg))) <= 1

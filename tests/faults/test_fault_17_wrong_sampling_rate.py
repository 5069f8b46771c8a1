"""Fault 17: a wrong sampling rate in the header: outside 50 to 2000 Hz rejected, inside it no beat more or less."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.arrhythmia.codes import LETHAL
from models.arrhythmia.tier import find_episodes
from models.beats.detector import find_beats
from models.ecg import Ecg
from models.measurement.acquisition_notes import TOO_LONG, TOO_SHORT
from models.measurement.measure import measure
from models.records import read_record
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


@pytest.mark.data
@pytest.mark.parametrize("record", ["ludb/data/106", "ludb/data/114", "ludb/data/118"])
def test_intervals_that_are_all_scaled_are_noted(data_home: Path, record: str) -> None:
    right = read_record(data_home / record)
    assert measure(right).notes == ()
    assert measure(Ecg(right.leads, right.fs_hz * 2, right.mv)).notes == (TOO_SHORT,)
    assert measure(Ecg(right.leads, right.fs_hz / 2, right.mv)).notes == (TOO_LONG,)


@pytest.mark.parametrize("factor", [0.7, 1.2])
def test_a_rate_that_is_off_raises_no_lethal_alarm(factor: float) -> None:
    """113 beats a minute become 79 and 136: still inside the limits."""
    ecg = real_ecg(30)
    episodes = find_episodes(Ecg(ecg.leads, ecg.fs_hz * factor, ecg.mv))
    assert not [e.code for e in episodes if e.code in LETHAL]

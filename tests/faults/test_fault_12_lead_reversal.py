"""Fault 12: with the arm electrodes exchanged the beats stay, a note says so, and no alarm is raised."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.arrhythmia.codes import LETHAL
from models.arrhythmia.tier import find_episodes
from models.ecg import Ecg
from models.leads import STANDARD_12
from models.measurement.acquisition_notes import EXCHANGED
from models.measurement.axis import qrs_axis_deg
from models.measurement.measure import measure
from models.records import read_record
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


def test_no_false_alarm_is_raised() -> None:
    right, wrong = find_episodes(twelve(30)), find_episodes(arms_exchanged(twelve(30)))
    assert [(e.code, e.onset) for e in wrong] == [(e.code, e.onset) for e in right]
    assert not [e for e in wrong if e.code in LETHAL]


@pytest.mark.data
@pytest.mark.parametrize("number", [106, 114, 118])
def test_the_exchange_is_noted(data_home: Path, number: int) -> None:
    right = read_record(data_home / "ludb" / "data" / str(number))
    assert measure(right).notes == ()
    wrong = measure(arms_exchanged(right))
    assert wrong.notes == (EXCHANGED,)
    assert wrong.to_json()["notes"] == [EXCHANGED]

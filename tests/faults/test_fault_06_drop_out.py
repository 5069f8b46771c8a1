"""Fault 6: four seconds of drop-out (zeros) hold no beat; the beats come back behind it."""

from __future__ import annotations

from models.beats.detector import find_beats
from models.ecg import Ecg
from tests.faults.recordings import real_ecg, same_beats


def test_no_beat_in_the_drop_out_and_all_behind_it() -> None:
    ecg = real_ecg(24)
    expected = [b.sample for b in find_beats(ecg)]
    start, stop = round(8 * ecg.fs_hz), round(12 * ecg.fs_hz)
    mv = ecg.mv.copy()
    mv[:, start:stop] = 0.0
    found = [b.sample for b in find_beats(Ecg(ecg.leads, ecg.fs_hz, mv))]
    margin = round(0.3 * ecg.fs_hz)
    assert not [r for r in found if start + 20 <= r < stop - 20]
    assert same_beats([r for r in found if r > stop + margin], [r for r in expected if r > stop + margin], ecg.fs_hz)

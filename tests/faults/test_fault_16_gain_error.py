"""Fault 16: microvolts taken for millivolts: no heart has that size, and the quality says so."""

from __future__ import annotations

import numpy as np

from models.beats.detector import BeatStream
from models.ecg import Ecg
from models.measurement.measure import measure
from models.signal.quality import SATURATED
from tests.faults.recordings import real_ecg


def test_a_thousandfold_gain_is_not_usable() -> None:
    ecg = real_ecg(20)
    wrong = Ecg(ecg.leads, ecg.fs_hz, ecg.mv * np.float32(1000))
    stream = BeatStream(wrong.leads, wrong.fs_hz)
    stream.push(wrong)
    assert stream.quality["II"].state == SATURATED
    assert stream.usable_leads == ()
    assert measure(wrong).quality["II"].score < 0.5


def test_a_thousandth_of_the_gain_is_a_flat_line() -> None:
    ecg = real_ecg(20)
    assert measure(Ecg(ecg.leads, ecg.fs_hz, ecg.mv / np.float32(1000))).r_peaks == []

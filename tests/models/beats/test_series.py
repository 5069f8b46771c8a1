"""BeatTrack: the lengths of its arrays, and the beats it is made of."""

from __future__ import annotations

import numpy as np
import pytest

from models.beats.detector import Beat
from models.beats.series import BeatTrack

BEATS = [Beat(250, "N", ("II",), correlation=0.97), Beat(450, "V", ("II",), qrs_ms=150.0, correlation=0.3)]


def test_an_array_of_another_length_is_rejected() -> None:
    two = np.ones(2)
    with pytest.raises(ValueError, match="BeatTrack has 2 beats, but 1 correlation"):
        BeatTrack(
            fs_hz=250.0,
            now=1000,
            r=np.array([250, 450]),
            kinds="NV",
            qrs_ms=two,
            confidence=two,
            correlation=np.ones(1),
        )


def test_the_arrays_are_those_of_the_beats() -> None:
    track = BeatTrack.of_beats(BEATS, fs_hz=250.0, now=500)
    assert track.rr_s.tolist() == [0.8] and track.running_s == 0.2
    assert track.correlation.tolist() == [0.97, 0.3]
    assert track.ectopic.tolist() == [False, True]

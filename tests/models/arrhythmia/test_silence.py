"""Whose silence is it: the heart's, or the lead's. Two leads at 100 samples a second, 1-mV spikes as beats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.arrhythmia.silence import AsystolePlausibility

FS = 100


def watched(seconds: list[NDArray[np.float32]]) -> AsystolePlausibility:
    watch = AsystolePlausibility(("II", "V5"), FS)
    for second in seconds:
        watch.update(second)
    return watch


def beating(n: int, level: float = 0.0) -> list[NDArray[np.float32]]:
    one = np.full((2, FS), level, np.float32)
    one[:, 50:55] += 1.0
    return [one.copy() for _ in range(n)]


def flat(n: int, level: float = 0.0) -> list[NDArray[np.float32]]:
    return [np.full((2, FS), level, np.float32) for _ in range(n)]


def test_a_line_behind_beats_is_believed() -> None:
    assert watched(beating(30) + flat(5)).believed(5.0, ("II", "V5")) == ("II", "V5")


def test_a_lead_that_is_not_usable_is_not_asked() -> None:
    assert watched(beating(30) + flat(5)).believed(5.0, ("V5",)) == ("V5",)


def test_a_silence_that_began_with_a_large_step_is_not_believed_until_ten_quiet_seconds() -> None:
    step = np.zeros((2, FS), np.float32)
    step[:, 20:60] = 8.0
    assert watched([*beating(30), step, *flat(5)]).believed(5.0, ("II", "V5")) == ()
    assert watched([*beating(30), step, *flat(11)]).believed(11.0, ("II", "V5")) == ("II", "V5")


def test_a_line_at_another_level_is_a_rail() -> None:
    assert watched(beating(30) + flat(5, level=4.0)).believed(5.0, ("II", "V5")) == ()


def test_a_lead_that_never_beat_does_not_speak_beside_one_that_did() -> None:
    half = [np.vstack([s[:1], np.zeros((1, FS), np.float32)]) for s in beating(30)]
    assert watched(half + flat(5)).believed(5.0, ("II", "V5")) == ("II",)
    assert watched(half + flat(5)).believed(5.0, ("V5",)) == ()


def test_a_bed_that_starts_with_a_line_in_every_lead_is_believed() -> None:
    assert watched(flat(6)).believed(6.0, ("II", "V5")) == ("II", "V5")

"""Flat line between beats: bradycardia and asystole against missed beats, artefacts and pacing pulses."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.arrhythmia.stillness import Stillness

FS = 250.0


def line(beats_s: list[float], seconds: float = 12.0, height_mv: float = 1.0) -> NDArray[np.float32]:
    """One lead with triangular QRS complexes of 80 ms and T waves of a fifth of their height."""
    t = np.arange(round(seconds * FS)) / FS
    mv = np.zeros(len(t), np.float32)
    for at in beats_s:
        mv += (height_mv * np.clip(1 - np.abs(t - at) / 0.04, 0, None)).astype(np.float32)
        mv += (0.2 * height_mv * np.exp(-(((t - at - 0.28) / 0.06) ** 2))).astype(np.float32)
    return mv


def still(mv: NDArray[np.float32], beats_s: list[float], since_s: float, until_s: float | None = None) -> bool:
    rows = np.atleast_2d(mv)
    r = np.round(np.array(beats_s) * FS).astype(np.int64)
    stillness = Stillness(rows, FS, rows.shape[1], r)
    return stillness.still(round(since_s * FS), None if until_s is None else round(until_s * FS))


SLOW = [1.0, 2.6, 4.2, 5.8, 7.4, 9.0, 10.6]


def test_the_line_is_flat_in_bradycardia() -> None:
    assert still(line(SLOW), SLOW, 4.2)


def test_the_line_is_not_flat_where_every_second_beat_was_missed() -> None:
    every = sorted([*SLOW, *(at + 0.8 for at in SLOW)])
    assert not still(line(every), SLOW, 4.2)
    assert not still(line(every), SLOW, 4.2, until_s=5.8)


def test_a_beat_after_the_gap_does_not_disturb_it() -> None:
    assert still(line([*SLOW[:3], 5.8, 6.2, 6.6]), [*SLOW[:3], 5.8], 4.2, until_s=5.8)


def test_one_flat_lead_is_enough() -> None:
    noise = np.random.default_rng(0).normal(0, 1.0, 3000).astype(np.float32)
    assert still(np.stack([line(SLOW), line(SLOW) + noise]), SLOW, 4.2)
    assert not still(np.stack([line(SLOW) + noise, line(SLOW) + noise]), SLOW, 4.2)


def test_a_lead_without_beats_does_not_count() -> None:
    every = sorted([*SLOW, *(at + 0.8 for at in SLOW)])
    assert not still(np.stack([line(every), np.zeros(3000, np.float32)]), SLOW, 4.2)


def test_pacing_pulses_without_a_beat_leave_the_line_flat() -> None:
    mv = line(SLOW[:4])
    for at in (7.0, 8.0, 9.0, 10.0):
        mv[round(at * FS)] += 2.0
    assert still(mv, SLOW[:4], 5.8)


def test_without_beats_to_compare_with_the_line_counts_as_flat() -> None:
    assert still(line([]) + np.float32(0.01), [], 2.0)


def test_the_baseline_keeps_its_level_unless_an_amplifier_recovers_from_an_excursion() -> None:
    r = np.round(np.array(SLOW) * FS).astype(np.int64)
    since, until = round(5.8 * FS), round(7.4 * FS)
    steady, t = line(SLOW), np.arange(3000) / FS
    recovering = steady + np.where(t > 5.8, 4.0 * np.exp(-(t - 5.8) / 0.8), 0.0).astype(np.float32)
    drifting = steady + (0.3 * t).astype(np.float32)
    for rows, level in ((steady, True), (drifting, True), (recovering, False)):
        assert Stillness(np.atleast_2d(rows), FS, 3000, r).level(since, until) is level
    assert Stillness(np.stack([recovering, steady]), FS, 3000, r).level(since, until), "one lead is enough"


def silent(mv: NDArray[np.float32], beats_s: list[float], since_s: float, until_s: float | None = None) -> bool:
    r = np.round(np.array(beats_s) * FS).astype(np.int64)
    line_now = Stillness(np.atleast_2d(mv), FS, np.atleast_2d(mv).shape[1], r)
    return line_now.silent(round(since_s * FS), None if until_s is None else round(until_s * FS))


def test_a_time_without_beats_is_silent_though_its_t_wave_is_high_and_drift_and_p_waves_go_on() -> None:
    beats = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    mv = line(beats, height_mv=3.0)
    t = np.arange(len(mv)) / FS
    mv += (0.4 * np.sin(2 * np.pi * 0.3 * t)).astype(np.float32)
    for at in np.arange(7.8, 12.0, 0.8):
        mv += (0.15 * np.exp(-(((t - at) / 0.03) ** 2))).astype(np.float32)
    assert silent(mv, beats, 7.0)


def test_beats_that_are_lower_and_wider_than_those_before_are_no_silence() -> None:
    beats, lower = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], [8.2, 9.3, 10.4, 11.5]
    mv = line(beats, height_mv=3.0)
    t = np.arange(len(mv)) / FS
    for at in lower:
        mv += (1.2 * np.clip(1 - np.abs(t - at) / 0.08, 0, None)).astype(np.float32)
    assert still(mv, beats, 7.0) and not silent(mv, beats, 7.0)
    assert silent(np.stack([mv, line(beats)]), beats, 7.0)  # another lead shows that there are none


@pytest.mark.parametrize(("height_mv", "found"), [(0.02, True), (0.7, False)])
def test_where_no_beat_is_known_movement_is_no_silence(height_mv: float, found: bool) -> None:
    t = np.arange(3000) / FS
    moving = (height_mv * np.sin(2 * np.pi * 2.5 * t)).astype(np.float32)
    assert silent(moving, [], 0.0) == found


def test_a_silence_is_looked_at_up_to_the_beat_that_ends_it() -> None:
    beats = [1.0, 2.0, 3.0, 4.0, 8.0]
    assert silent(line(beats, seconds=8.5), beats, 4.0, until_s=8.0) and not silent(
        line(beats, seconds=8.5), beats, 4.0
    )


def test_a_beat_that_was_missed_in_a_fast_rhythm_is_seen_and_the_next_t_wave_is_none() -> None:
    every = [1.0 + 0.38 * k for k in range(28)]
    found = [at for k, at in enumerate(every) if k != 14]
    r = np.round(np.array(found) * FS).astype(np.int64)
    for shown, inside in ((every, True), (found, False)):
        rows = np.atleast_2d(line(shown))
        assert Stillness(rows, FS, 3000, r).beat_inside(int(r[13]), int(r[14])).tolist() == [inside]

"""Beats in motion artefact are found in the lead that shows it; beats that repeat, and ectopic ones, are kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.ecg import Ecg
from models.grounding.rule_based_report import rule_based_report
from models.grounding.segment_measurements import measure_segment
from models.measurement.distorted_beats import distorted_beats
from models.measurement.rhythm_beats import CONDUCTED, rhythm_beats
from models.signal.span_quality import SpanQuality
from models.training.simulate import simulate
from tests.models.measurement.test_window_evidence import FS, LEADS, beat, window

EVERY_SECOND = [200 + 250 * k for k in range(9)]


def motion(ecg: Ecg, rows: slice, begin: int, end: int, mv: float = 2.0) -> None:
    """Add waves of some hertz, as of a moving electrode: too fast for a baseline, too small for a rail."""
    t = np.arange(end - begin) / FS
    wave = np.sin(2 * np.pi * 2.3 * t) + np.sin(2 * np.pi * 3.7 * t + 1.0) + 0.8 * np.sin(2 * np.pi * 1.3 * t + 2.0)
    ecg.mv[rows, begin:end] += (mv / 2 * wave).astype(np.float32)


def test_beats_that_repeat_are_not_distorted() -> None:
    ecg, measurement = window([beat(r) for r in EVERY_SECOND])
    assert not distorted_beats(ecg, measurement.beats, CONDUCTED).any()


def test_motion_distorts_the_beats_of_its_lead_alone() -> None:
    ecg, measurement = window([beat(r) for r in EVERY_SECOND])
    motion(ecg, slice(1, 2), 1300, 2100)
    found = distorted_beats(ecg, measurement.beats, CONDUCTED)
    assert found[1].tolist() == [r in (1450, 1700, 1950) for r in EVERY_SECOND]
    assert not found[[0, 2, 3]].any()
    rhythm = rhythm_beats(ecg, measurement, SpanQuality(ecg), LEADS)
    assert len(rhythm.beats) == 9 and rhythm.low == 0 and "II" not in rhythm.leads


def test_motion_in_each_lead_ends_the_run_of_beats() -> None:
    ecg, measurement = window([beat(r) for r in EVERY_SECOND])
    motion(ecg, slice(None), 1300, 2100)
    rhythm = rhythm_beats(ecg, measurement, SpanQuality(ecg), LEADS)
    assert [m.beat.sample for m in rhythm.beats] == [200, 450, 700, 950, 1200]
    assert rhythm.low == 3


def test_an_ectopic_beat_is_distorted_only_beside_a_distorted_one() -> None:
    beats = [beat(r, "V" if r in (700, 1700) else "N") for r in EVERY_SECOND]
    ecg, measurement = window(beats)
    motion(ecg, slice(None), 1300, 2100)
    found = distorted_beats(ecg, measurement.beats, CONDUCTED)[0]
    assert not found[EVERY_SECOND.index(700)] and found[EVERY_SECOND.index(1700)]


def test_a_complex_of_no_other_shape_is_distorted_and_one_that_comes_again_is_not() -> None:
    beats = [beat(r) for r in EVERY_SECOND]
    for odd, expected in (((1200,), True), ((700, 1200), False)):
        ecg, measurement = window(beats)
        for r in odd:  # half as high, the other way up
            ecg.mv[:, r - 8 : r + 9] -= 1.5 * np.hanning(17).astype(np.float32)
        found = distorted_beats(ecg, measurement.beats, CONDUCTED)
        assert found[0].tolist() == [expected and r == 1200 for r in EVERY_SECOND], odd


def test_too_few_beats_have_no_median() -> None:
    ecg, measurement = window([beat(r) for r in EVERY_SECOND[:4]], 5.0)
    motion(ecg, slice(None), 600, 1200)
    assert not distorted_beats(ecg, measurement.beats, CONDUCTED).any()


def test_no_rhythm_is_named_where_motion_spoils_most_beats() -> None:
    clean = simulate(np.random.default_rng(1), rhythm="sinus", rate=72.0, conduction="normal", repolarisation="normal")
    ecg = clean.ecg.select(("II", "V1"))
    t = np.arange(ecg.n_samples) / ecg.fs_hz
    moved = np.sin(2 * np.pi * 1.1 * t) + np.sin(2 * np.pi * 1.9 * t + 1.0) + np.sin(2 * np.pi * 2.7 * t + 2.0)
    measured = measure_segment(replace(ecg, mv=(ecg.mv + 0.6 * moved).astype(np.float32)))
    assert measure_segment(ecg).beats >= 10 and measured.beats <= 3
    assert "The rhythm cannot be named" in rule_based_report(measured.ecg, reason=None, measured=measured).text


def test_a_rhythm_of_distorted_beats_alone_has_no_beats() -> None:
    ecg, measurement = window([beat(r) for r in EVERY_SECOND])
    noise = np.random.default_rng(3).normal(0.0, 1.0, (len(LEADS), ecg.n_samples // 20 + 1))
    steps = np.arange(ecg.n_samples) / 20
    ecg.mv[:] = [np.interp(steps, np.arange(len(row)), row) for row in noise]
    rhythm = rhythm_beats(ecg, measurement, SpanQuality(ecg), LEADS)
    assert len(rhythm.beats) <= 1 and rhythm.low >= 8

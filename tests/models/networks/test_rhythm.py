"""The rhythm network at run time: input, leads, folds."""

from __future__ import annotations

import numpy as np
import pytest

from models.networks.rhythm import FS_HZ, OUTPUTS, SAMPLES, RhythmNetwork
from models.networks.scaling import net_input

RNG = np.random.default_rng(0)


def test_the_input_is_about_one_unit_high_whatever_the_gain() -> None:
    beats = np.zeros((1, SAMPLES), np.float32)
    beats[0, 50::80] = 1.5
    small, unit_mv = net_input(0.2 * beats, FS_HZ)
    assert np.abs(small).max() == pytest.approx(1.0, abs=0.1)
    assert np.log10(unit_mv[0]) == pytest.approx(np.log10(0.3), abs=0.05)


def test_a_flat_line_is_not_blown_up() -> None:
    x, _ = net_input(0.001 * RNG.standard_normal((1, SAMPLES)).astype(np.float32), FS_HZ)
    assert np.abs(x).max() < 0.1


def test_it_answers_for_one_lead_two_leads_gaps_and_short_signals() -> None:
    mv = RNG.standard_normal((3, 4000)).astype(np.float32)
    mv[1, 100:300] = np.nan
    for rows, n in (([0], 4000), ([1, 2], 4000), ([0, 1, 2], 4000), ([0], 700)):
        answer = RhythmNetwork.load()(mv[:, -n:], 250.0, rows)
        assert set(answer) == set(OUTPUTS) and all(0.0 <= p <= 1.0 for p in answer.values())


def test_white_noise_is_noise() -> None:
    assert RhythmNetwork.load()(RNG.standard_normal((1, 4000)).astype(np.float32), 250.0, [0])["noise"] > 0.5


def test_the_weights_of_a_fold_that_are_missing_are_an_error() -> None:
    with pytest.raises(FileNotFoundError, match=r"no rhythm_fold7\.onnx"):
        RhythmNetwork.load("7")
    assert RhythmNetwork.weights_path().is_file()

"""Plausibility of asystole: two leads at 100 samples a second, 1-mV spikes as beats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.arrhythmia.silence import AsystolePlausibility

FS = 100


def after(seconds: list[NDArray[np.float32]]) -> AsystolePlausibility:
    plausibility = AsystolePlausibility(("II", "V5"), FS)
    for second in seconds:
        plausibility.update(second)
    return plausibility


def beating(n: int, level: float = 0.0) -> list[NDArray[np.float32]]:
    one = np.full((2, FS), level, np.float32)
    one[:, 50:55] += 1.0
    return [one.copy() for _ in range(n)]


def flat(n: int, level: float = 0.0) -> list[NDArray[np.float32]]:
    return [np.full((2, FS), level, np.float32) for _ in range(n)]


def test_asystole_is_plausible_on_a_flat_line_after_beats() -> None:
    assert after(beating(30) + flat(5)).leads(5.0, ("II", "V5")) == ("II", "V5")


def test_an_unusable_lead_is_left_out() -> None:
    assert after(beating(30) + flat(5)).leads(5.0, ("V5",)) == ("V5",)


def test_a_flat_line_after_a_large_step_is_plausible_only_after_ten_seconds() -> None:
    step = np.zeros((2, FS), np.float32)
    step[:, 20:60] = 8.0
    assert after([*beating(30), step, *flat(5)]).leads(5.0, ("II", "V5")) == ()
    assert after([*beating(30), step, *flat(11)]).leads(11.0, ("II", "V5")) == ("II", "V5")


def test_a_line_at_another_level_is_a_rail() -> None:
    assert after(beating(30) + flat(5, level=4.0)).leads(5.0, ("II", "V5")) == ()


def test_a_lead_that_never_had_beats_is_left_out_beside_one_that_had() -> None:
    half = [np.vstack([s[:1], np.zeros((1, FS), np.float32)]) for s in beating(30)]
    assert after(half + flat(5)).leads(5.0, ("II", "V5")) == ("II",)
    assert after(half + flat(5)).leads(5.0, ("V5",)) == ()


def test_excursions_over_most_of_the_input_range_are_artefact_also_where_they_are_usual() -> None:
    rails = np.zeros((2, FS), np.float32)
    rails[1, 70:90] = 10.0
    at_the_rails = [second + rails for second in beating(30)]
    assert after(at_the_rails + flat(5)).leads(5.0, ("II", "V5")) == ("II",)
    assert after(at_the_rails + flat(11)).leads(11.0, ("II", "V5")) == ("II", "V5")


def test_a_shock_may_be_as_high_where_large_waves_are_usual() -> None:
    large = [4 * second for second in beating(30)]
    shock = np.zeros((2, FS), np.float32)
    shock[:, 20:60] = np.linspace(10.0, 0.0, 40)
    shocked = after([*large, shock, *flat(4)])
    assert shocked.leads(5.0, ("II", "V5"), arrest=True) == ("II", "V5")
    assert shocked.leads(5.0, ("II", "V5")) == ()


def test_asystole_is_plausible_where_all_leads_are_flat_from_the_start() -> None:
    assert after(flat(6)).leads(6.0, ("II", "V5")) == ("II", "V5")

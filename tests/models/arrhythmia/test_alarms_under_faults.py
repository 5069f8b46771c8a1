"""The alarm side of the signal faults 1 to 18: what must sound, and what must only be a technical alarm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.arrhythmia.codes import LETHAL
from models.arrhythmia.tier import RhythmTier, find_episodes
from models.ecg import Ecg
from models.evaluation.splices import FS_HZ, _signal

pytestmark = pytest.mark.data

SECONDS = 24
Array = NDArray[np.float32]


@pytest.fixture(scope="module")
def calm(data_home: Path) -> Array:
    """Sinus rhythm on two leads, 24 s."""
    return _signal(data_home / "mitdb" / "data" / "112")[:, 75000 : 75000 + round(SECONDS * FS_HZ)]


def codes(mv: Array, leads: tuple[str, ...] = ("II", "V1"), leads_off: tuple[str, ...] = ()) -> set[str]:
    return {e.code for e in find_episodes(Ecg(leads, FS_HZ, mv.astype(np.float32), leads_off=leads_off))}


def lethal(mv: Array, **rest: tuple[str, ...]) -> set[str]:
    return codes(mv, **rest) & set(LETHAL)


def changed(calm: Array, start_s: float, value: Array | float | None = None, stop_s: float = SECONDS) -> Array:
    out = calm.copy()
    part = slice(round(start_s * FS_HZ), round(stop_s * FS_HZ))
    out[:, part] = np.nan if value is None else value
    return out


def level(calm: Array, at_s: float) -> Array:
    return calm[:, round(at_s * FS_HZ), None]


def test_fault_1_a_detached_electrode_is_said_and_is_no_asystole(calm: Array) -> None:
    flat = changed(calm, 12.0, level(calm, 12.0))
    tier = RhythmTier(("II", "V1"), FS_HZ)
    tier.push(Ecg(("II", "V1"), FS_HZ, flat[:, :3000]))
    result = tier.push(Ecg(("II", "V1"), FS_HZ, flat[:, 3000:], leads_off=("II", "V1")))
    assert {e.code for e in result.episodes} & {"ASYSTOLE", "LEADS_OFF"} == {"LEADS_OFF"}
    assert "ASYSTOLE" in codes(flat)  # the same line on attached electrodes


def test_fault_2_asystole_in_the_middle_of_a_window(calm: Array) -> None:
    assert "ASYSTOLE" in lethal(changed(calm, 10.5, level(calm, 10.5), 15.5))


def test_fault_4_very_slow_and_very_fast(calm: Array) -> None:
    at = np.arange(0, 30, 1 / FS_HZ)

    def beating(bpm: float) -> Array:
        phase = (at * bpm / 60.0) % 1.0 * 60.0 / bpm
        wave = np.exp(-(((phase - 0.1) / 0.012) ** 2)) + 0.25 * np.exp(-(((phase - 0.24) / 0.03) ** 2))
        return np.vstack([wave, 0.5 * wave]).astype(np.float32)

    assert "EXTREME_BRADY" in lethal(beating(25))
    assert "EXTREME_TACHY" in lethal(beating(230))


@pytest.mark.parametrize("gap_s", [2.0, 4.0, 6.0])
def test_faults_5_and_6_missing_samples_are_no_asystole(calm: Array, gap_s: float) -> None:
    assert lethal(changed(calm, 12.0, None, 12.0 + gap_s)) == set()


def test_fault_7_an_amplifier_at_its_rail_is_no_asystole(calm: Array) -> None:
    found = codes(changed(calm, 11.0, 5.0, 23.5))
    assert not found & set(LETHAL)


@pytest.mark.parametrize("hz", [50.0, 60.0])
def test_fault_8_mains_raises_nothing_lethal(calm: Array, hz: float) -> None:
    at = np.arange(calm.shape[1]) / FS_HZ
    assert lethal(calm + 0.15 * np.sin(2 * np.pi * hz * at)[None]) == set()


@pytest.mark.parametrize("name", ["ma", "em_recovered", "bw"])
def test_faults_9_and_10_muscle_motion_and_wander_raise_nothing_lethal(data_home: Path, calm: Array, name: str) -> None:
    noise = _signal(data_home / "noise" / name)[:, 20000 : 20000 + calm.shape[1]]
    assert lethal(calm + 0.5 * noise * np.std(calm) / np.std(noise)) == set()


def test_fault_9_nothing_but_noise_is_a_technical_alarm(calm: Array) -> None:
    rng = np.random.default_rng(1)
    found = codes(changed(calm, 6.0, rng.normal(0, 0.6, (2, round(18 * FS_HZ))).astype(np.float32)))
    assert not found & {"ASYSTOLE", "EXTREME_BRADY"} and "NOISY_SIGNAL" in found


def test_faults_12_and_15_reversed_and_inverted_leads_raise_nothing_lethal(calm: Array) -> None:
    assert lethal(-calm) == set() and lethal(calm[::-1]) == set()


def test_fault_13_one_good_lead_is_enough_and_alone_enough(calm: Array) -> None:
    rng = np.random.default_rng(2)
    bad = np.vstack([calm[:1], rng.normal(0, 1.0, (3, calm.shape[1]))]).astype(np.float32)
    assert lethal(bad, leads=("II", "V1", "V2", "V3")) == set()
    stopped = bad.copy()
    stopped[0, 3000:] = stopped[0, 3000]
    assert "ASYSTOLE" in lethal(stopped, leads=("II", "V1", "V2", "V3"))


def test_fault_16_a_gain_wrong_a_thousand_times_is_not_judged(calm: Array) -> None:
    assert lethal(calm * 1000.0) == set()


def test_fault_18_a_lead_that_contradicts_the_others_raises_nothing_lethal(calm: Array) -> None:
    wrong = np.vstack([calm, 2.5 * calm[:1]])
    assert lethal(wrong, leads=("I", "II", "III")) == set()

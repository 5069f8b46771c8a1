"""Which channels a command analyses, what it says of the others, and what is asked for outside of the record."""

from __future__ import annotations

from pathlib import Path

import edfio
import numpy as np
import pytest

from models.ecg import Ecg
from tests.deploy.command import DONE, FAILED, STEADY, WRONG_USE, gem_bedside, simulated, write_csv

RECORDS = ("measure", "alarms", "interpret")


@pytest.fixture(scope="module")
def ecg() -> Ecg:
    """Twelve leads, 60 a minute, 20 s."""
    return simulated(STEADY, 20.0)[0]


@pytest.fixture(scope="module")
def sleep_study(ecg: Ecg, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EEG at 1000 Hz, an ECG at 500 Hz, and a channel without unit."""
    rng = np.random.default_rng(5)
    signals = [("EEG C3-A2", "uV", 1000, rng.normal(0, 20, 20_000)), ("EKG-II", "uV", 500, 1000.0 * ecg.lead("II")),
               ("Status", "", 500, rng.normal(0, 1, 10_000))]  # fmt: skip
    path = tmp_path_factory.mktemp("records") / "night.edf"
    edfio.Edf(
        [edfio.EdfSignal(x.astype(float), sampling_frequency=fs, label=label, physical_dimension=unit)
         for label, unit, fs, x in signals], data_record_duration=1.0
    ).write(path)  # fmt: skip
    return path


def test_the_ecg_of_a_sleep_study_is_measured_and_the_rest_is_named(sleep_study: Path) -> None:
    ran = gem_bedside("measure", sleep_study, "--json")
    (answer,) = ran.lines
    assert ran.status == DONE
    assert (answer["leads"], answer["fs"]) == (["II"], 500.0)
    assert answer["intervals"]["HR"] == pytest.approx(60, abs=1)
    assert "not analysed: EEG C3-A2 (EEG); Status (status or marker, no unit)" in ran.err


@pytest.mark.parametrize("command", RECORDS)
def test_nothing_to_analyse_is_status_1_and_names_each_channel(command: str, tmp_path: Path) -> None:
    np.savetxt(tmp_path / "a.csv", np.ones((3000, 2)), delimiter=",", header="marker,foo", comments="")
    ran = gem_bedside(command, tmp_path / "a.csv", "--fs", 250, "--json")
    (answer,) = ran.lines
    assert ran.status == FAILED
    assert "marker (status or marker); foo (label is not known as an ECG lead)" in answer["error"]


@pytest.mark.parametrize("command", RECORDS)
def test_a_channel_is_chosen_with_its_unit(command: str, ecg: Ecg, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    np.savetxt(path, 1000 * ecg.lead("II"), header="probe", comments="")
    ran = gem_bedside(command, path, "--fs", 500, "--channels", "probe", "--unit", "uV", "--json")
    (answer,) = ran.lines
    assert ran.status == DONE, ran.err
    if command == "measure":
        assert answer["leads"] == ["probe"]
        assert len(answer["r_peaks"]) == pytest.approx(19, abs=1)
        assert answer["quality"]["probe"] > 0.5


def test_channels_are_those_that_are_named(ecg: Ecg, tmp_path: Path) -> None:
    path = write_csv(ecg, tmp_path / "a.csv")
    (answer,) = gem_bedside("measure", path, "--fs", 500, "--channels", "V1, ii", "--json").lines
    assert answer["leads"] == ["II", "V1"]
    ran = gem_bedside("measure", path, "--fs", 500, "--channels", "V9", "--json")
    assert ran.status == FAILED
    assert "no channel V9; there are: I, II, III" in ran.lines[0]["error"]


@pytest.mark.parametrize(
    "arguments",
    [(*command, option, value)
     for command in (("measure", "x"), ("alarms", "x"), ("interpret", "x"), ("replay", "x", "--bed", "icu-1/01"))
     for option, value in (("--unit", "mmHg"), ("--channels", ","), ("--fs", "0"))],
)  # fmt: skip
def test_options_that_make_no_sense_are_status_2(arguments: tuple[str, ...]) -> None:
    ran = gem_bedside(*arguments)
    assert ran.status == WRONG_USE
    assert arguments[-2] in ran.err
    assert ran.out == ""


@pytest.mark.parametrize("option", [("measure", "--from"), ("interpret", "--start")])
def test_a_start_past_the_end_is_status_1_and_says_how_long_the_record_is(
    ecg: Ecg, tmp_path: Path, option: tuple[str, str]
) -> None:
    path = write_csv(ecg, tmp_path / "a.csv")
    ran = gem_bedside(option[0], path, "--fs", 500, option[1], 60, "--json")
    assert ran.status == FAILED
    assert "60 s is not in the record, which lasts 20.00 s" in ran.lines[0]["error"]


def test_every_sample_missing_is_status_1(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("I,II\n" + "x,y\n" * 3000)
    ran = gem_bedside("measure", tmp_path / "a.csv", "--fs", 250, "--json")
    assert ran.status == FAILED
    assert "I (holds text instead of numbers)" in ran.lines[0]["error"]

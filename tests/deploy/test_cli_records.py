"""Records in, JSON out: shapes, exit statuses, and nothing on standard output beside the answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from streams.alert import Alert
from tests.deploy.command import (
    DONE,
    FAILED,
    MISSING,
    STANDSTILL,
    STEADY,
    WRONG_USE,
    gem_bedside,
    simulated,
    write_csv,
    write_wfdb,
)  # fmt: skip

FIDUCIALS = {"p_on", "p_peak", "p_off", "qrs_on", "qrs_off", "t_on", "t_peak", "t_off"}


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """Twelve leads, 60 a minute, 20 s, as CSV."""
    ecg, r = simulated(STEADY, 20.0)
    return write_csv(ecg, tmp_path_factory.mktemp("records") / "steady.csv"), r


@pytest.fixture(scope="module")
def standstill(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A standstill from about 10 s on, as WFDB, and the last beat before it in seconds."""
    ecg, r = simulated(STANDSTILL, 40.0)
    path = write_wfdb(ecg, tmp_path_factory.mktemp("records") / "standstill")
    return path, float(r[np.argmax(np.diff(r))] / ecg.fs_hz)


def test_measure_answers_each_record_and_reports_the_unreadable_one(
    steady: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    path, r = steady
    # When one record can be read and another cannot
    ran = gem_bedside("measure", tmp_path / "nothing", path, "--fs", 500, "--json")
    # Then both are answered in order, and the status says that one failed
    missing, measured = ran.lines
    assert ran.status == FAILED
    assert missing.keys() == {"record", "error"}
    assert missing["record"] == str(tmp_path / "nothing")
    assert measured.keys() == {"record", "fs", "n_samples", "leads", "r_peaks", "beats", "intervals", "quality"}
    assert (measured["record"], measured["fs"], measured["n_samples"]) == (str(path), 500.0, 10_000)
    # And the beats are the ones that were laid, with the same keys for every lead as globally
    assert len(measured["r_peaks"]) == len(r)
    assert np.max(np.abs(np.array(measured["r_peaks"]) - r)) <= 5
    beat = measured["beats"][3]
    assert beat["r"] == measured["r_peaks"][3]
    assert beat["kind"] == "N"
    assert beat["global"].keys() == FIDUCIALS
    assert beat["leads"]["II"].keys() == FIDUCIALS
    assert measured["intervals"].keys() == {"HR", "RR", "PR", "QRS", "QT", "QTc", "QTcF"}
    assert measured["intervals"]["HR"] == pytest.approx(60, abs=1)
    assert measured["quality"]["V6"] > 0.5


def test_measure_from_to_keeps_the_records_own_samples(steady: tuple[Path, np.ndarray]) -> None:
    path, r = steady
    (measured,) = gem_bedside("measure", path, "--fs", 500, "--from", 5, "--to", 10, "--json").lines
    inside = r[(r >= 2500) & (r < 5000)]
    assert len(measured["r_peaks"]) == len(inside)
    assert np.max(np.abs(np.array(measured["r_peaks"]) - inside)) <= 5


def test_measure_without_json_prints_a_table(steady: tuple[Path, np.ndarray]) -> None:
    ran = gem_bedside("measure", steady[0], "--fs", 500)
    assert ran.status == DONE
    assert "60 bpm" in ran.out


@pytest.mark.parametrize(
    "arguments",
    [("measure",), ("measure", "x", "--from", "5", "--to", "3"), ("measure", "x", "--nonsense"), ("nonsense",),
     ("alarms", "x", "--until", "-1"), ("replay", "x", "--bed", "icu-1/01", "--speed", "0")],
)  # fmt: skip
def test_wrong_use_is_status_2_and_says_nothing_on_standard_output(arguments: tuple[str, ...]) -> None:
    ran = gem_bedside(*arguments)
    assert ran.status == WRONG_USE
    assert ran.out == ""
    assert ran.err


def test_a_setting_that_does_not_hold_is_wrong_use_and_named(steady: tuple[Path, np.ndarray]) -> None:
    ran = gem_bedside("alarms", steady[0], "--fs", 500, "--json", af_confirm_s=4000)
    assert ran.status == WRONG_USE
    assert "af_confirm_s" in ran.err


def test_alarms_finds_the_standstill_within_its_limit_and_sounds_it(standstill: tuple[Path, float]) -> None:
    path, last_beat_s = standstill
    ran = gem_bedside("alarms", path, "--json")
    assert ran.status == DONE
    (answer,) = ran.lines
    assert answer.keys() == {"record", "fs", "events"}
    asystole = next(e for e in answer["events"] if e["code"] == "ASYSTOLE")
    assert asystole.keys() == {"code", "kind", "priority", "onset_s", "detected_s", "end_s", "sounded", "citations"}
    assert (asystole["kind"], asystole["priority"], asystole["sounded"]) == ("physiological", "PH", True)
    assert asystole["onset_s"] == pytest.approx(last_beat_s, abs=0.05)
    assert 3.5 <= asystole["detected_s"] - last_beat_s <= 5.0
    assert asystole["end_s"] is not None
    citation = asystole["citations"][0]
    assert citation["leads"]
    assert citation["start_s"] == pytest.approx(last_beat_s, abs=0.05)
    assert citation["end_s"] <= asystole["detected_s"]


def test_alarms_is_causal(standstill: tuple[Path, float]) -> None:
    """Stopped at 15 s, the record gives what the whole record had given by 15 s."""
    path, _ = standstill
    (whole,) = gem_bedside("alarms", path, "--json").lines
    (part,) = gem_bedside("alarms", path, "--until", 15, "--json").lines
    by_then = [(e["code"], e["onset_s"], e["detected_s"]) for e in whole["events"] if e["detected_s"] <= 15]
    assert [(e["code"], e["onset_s"], e["detected_s"]) for e in part["events"]] == by_then
    assert any(e["code"] == "ASYSTOLE" and e["end_s"] is None for e in part["events"])


def test_the_fold_reaches_the_networks_and_a_missing_one_is_an_error(steady: tuple[Path, np.ndarray]) -> None:
    record = (steady[0], "--fs", 500, "--json")
    shipped, fold_2 = gem_bedside("measure", *record), gem_bedside("measure", *record, fold=2)
    assert fold_2.status == DONE and fold_2.lines[0]["beats"] != shipped.lines[0]["beats"]
    missing = gem_bedside("measure", *record, fold=7)
    assert missing.status == FAILED and "no delineator_fold7.onnx" in missing.lines[0]["error"]


def test_many_records_are_answered_in_the_order_given(
    steady: tuple[Path, np.ndarray], standstill: tuple[Path, float]
) -> None:
    records = [str(p) for p in (steady[0], standstill[0], steady[0], standstill[0], "nowhere")]
    ran = gem_bedside("alarms", *records, "--fs", 500, "--until", 5, "--json")
    assert [line["record"] for line in ran.lines] == records
    assert ran.status == FAILED


def test_interpret_gives_an_alert_document_whose_citations_lie_in_the_window(
    standstill: tuple[Path, float], tmp_path: Path
) -> None:
    path, _ = standstill
    ran = gem_bedside("interpret", path, "--start", 6, "--json", "--plot", tmp_path / "page.png")
    assert ran.status == DONE, ran.err
    (answer,) = ran.lines
    assert answer.keys() == {"record", "start_s", "alert"}
    alert = Alert.model_validate(answer["alert"])
    assert (alert.code, alert.priority) == ("ASYSTOLE", "PH")
    assert alert.segment is not None
    assert alert.segment.duration_s == 10.0
    assert [c.n for c in alert.citations] == list(range(1, len(alert.citations) + 1))
    assert all(0 <= c.start_sample < c.end_sample <= 5000 for c in alert.citations)
    interpretation = alert.interpretation
    assert interpretation is not None
    assert interpretation.source in ("gem", "measured")
    for claim in interpretation.claims:
        assert interpretation.text[claim.start : claim.end] == claim.text
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


def test_interpret_of_a_quiet_window_is_an_interpretation(steady: tuple[Path, np.ndarray]) -> None:
    (answer,) = gem_bedside("interpret", steady[0], "--fs", 500, "--start", 8, "--json").lines
    assert (answer["alert"]["code"], answer["alert"]["priority"]) == ("INTERPRETATION", "PN")


def test_encode_writes_tokens_and_pooled_features_of_each_window(
    steady: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    ran = gem_bedside("encode", steady[0], "--fs", 500, "-o", tmp_path / "features.npz", "--json")
    assert ran.status == DONE, ran.err
    with np.load(tmp_path / "features.npz") as features:
        assert features["tokens"].shape[:2] == (2, 101)
        assert features["pooled"].shape[0] == 2
        assert features["start_s"].tolist() == [0.0, 10.0]


def test_a_model_that_is_not_there_is_status_3(steady: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = gem_bedside("encode", steady[0], "--fs", 500, "-o", tmp_path / "f.npz", "--model", tmp_path / "empty")
    assert ran.status == MISSING
    assert "empty" in ran.err


def test_the_command_line_starts_without_the_heavy_packages() -> None:
    """Help, wrong use and completion must not wait for torch, Faust or SciPy."""
    heavy = "{'torch', 'faust', 'scipy', 'neurokit2', 'redis', 'kafka', 'pydantic', 'numpy'}"
    code = f"import deploy.cli, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

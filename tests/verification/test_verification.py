"""The verifier finds corrupted alerts, accuses no true one, and says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streams.ecg_window_pb2 import EcgWindow
from tests.deploy.command import DONE, FAILED, WRONG_USE, gem_bedside
from tests.verification.corruptions import replace_text
from tests.verification.mutations import Case, interpreted, mutate
from verification import read_strip, verify

pytestmark = pytest.mark.data
LUDB, CINC = ("1", "115", "118", "122", "137", "157"), ("b299l", "b341l", "b664s", "t343l")


@pytest.fixture(scope="module")
def cases(data_home: Path) -> list[Case]:
    """Alerts of recordings, made by the product now."""
    sinus = interpreted([data_home / "ludb" / "data" / name for name in LUDB], 0.0)
    tachycardia = interpreted([data_home / "cinc2015" / "records" / name for name in CINC], 290.0)
    return [*sinus, *tachycardia]


def test_true_alerts_are_right(cases: list[Case]) -> None:
    for record, alert, signal in cases:
        report = verify(alert, signal)
        assert report["ok"], (record, report)


def test_corruptions_are_found(cases: list[Case]) -> None:
    score = mutate(cases, 400)
    assert score.made.total() == 400
    assert not score.missed


def test_the_strip_gives_the_same_report_as_the_record(cases: list[Case]) -> None:
    _, alert, signal = cases[0]
    leads = list(signal.mv)
    counts = b"".join((signal.mv[x] * 1000).round().astype("<i2").tobytes() for x in leads)
    window = EcgWindow(schema=1, sampling_rate=signal.fs, leads=leads, lsb_uv=[1.0] * len(leads), samples=counts)
    report = verify(alert, read_strip(window.SerializeToString(), tuple(alert["leads"])))
    assert report["ok"], report


def test_the_command_ends_with_status_1_where_something_is_wrong(cases: list[Case], tmp_path: Path) -> None:
    record, alert, _ = cases[0]
    file = tmp_path / "alert.json"
    file.write_text(json.dumps({"record": record, "start_s": 0.0, "alert": alert}))
    right = gem_bedside("verify", str(file), "--record", record, "--json")
    assert right.status == DONE, right.err
    text = alert["interpretation"]["text"]
    at = text.index("bpm")
    changed = json.loads(json.dumps(alert))
    replace_text(changed, at - 3, at - 1, "99")
    file.write_text(json.dumps(changed))
    wrong = gem_bedside("verify", str(file), "--record", record, "--json")
    assert wrong.status == FAILED
    report = wrong.lines[0]
    assert report["sentences"][0]["verdict"] == "wrong" and not report["ok"]
    assert gem_bedside("verify", str(tmp_path / "none.json")).status == WRONG_USE

"""Technical alarms are verified too: their instants, durations, rules and titles; most of them have no segment."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.agents.signals import ecg, messages
from tests.agents.ward import BedUnderTest
from tests.deploy.command import DONE, FAILED, gem_bedside
from verification import verify


@pytest.fixture(scope="module")
def alerts() -> dict[str, list[dict[str, Any]]]:
    """All versions of the technical alerts of one bed: no samples, an electrode off, no message."""
    windows = messages(ecg(75))
    empty = [replace(w, samples=np.full_like(w.samples, -32768)) for w in windows[12:28]]
    off = [replace(w, leads_off=("V1",)) for w in windows[38:44]]
    bed = BedUnderTest().feed(windows[:12]).feed(empty).feed(windows[28:38]).feed(off).feed(windows[44:50]).wait(12)
    return {
        code: [alert.model_dump(mode="json", by_alias=True) for alert in bed.of(code)]
        for code in ("CANNOT_ANALYZE", "LEADS_OFF", "SILENT_FEED")
    }


@pytest.mark.parametrize("code", ["CANNOT_ANALYZE", "LEADS_OFF", "SILENT_FEED"])
def test_each_version_of_a_technical_alert_is_right(alerts: dict[str, list[dict[str, Any]]], code: str) -> None:
    assert alerts[code]
    for alert in alerts[code]:
        report = verify(alert, None)
        assert report["ok"], report


def _longer(alert: dict[str, Any]) -> None:
    alert["citations"][0]["value"] += 5


def _elsewhere(alert: dict[str, Any]) -> None:
    alert["citations"][0]["end_s"] += 3


def _limit(alert: dict[str, Any]) -> None:
    alert["citations"][0]["criterion"].update(rule="no verdict for 30 s or longer", limit=30.0)


def _rule(alert: dict[str, Any]) -> None:
    alert["citations"][0]["criterion"].update(rule="an electrode detached", limit=0.0)


def _title(alert: dict[str, Any]) -> None:
    alert["title"] = "Noisy signal"


def _kind(alert: dict[str, Any]) -> None:
    alert["kind"] = "physiological"


@pytest.mark.parametrize("fault", [_longer, _elsewhere, _limit, _rule, _title, _kind])
def test_a_false_technical_alert_is_found(
    alerts: dict[str, list[dict[str, Any]]], fault: Callable[[dict[str, Any]], None]
) -> None:
    alert = json.loads(json.dumps(alerts["CANNOT_ANALYZE"][0]))
    fault(alert)
    assert not verify(alert, None)["ok"]


def test_the_command_takes_an_alert_without_a_segment(alerts: dict[str, list[dict[str, Any]]], tmp_path: Path) -> None:
    alert = alerts["SILENT_FEED"][0]
    file = tmp_path / "alert.json"
    file.write_text(json.dumps(alert))
    assert gem_bedside("verify", file, "--json").status == DONE
    file.write_text(json.dumps(alert | {"title": "Asystole"}))
    assert gem_bedside("verify", file, "--json").status == FAILED

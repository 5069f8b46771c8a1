"""Modules of the page, called in a real browser: alerts, priorities, sound and labels."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np


def _evaluate(page: Any, names: str, module: str, body: str, argument: object = None) -> Any:
    """The result of ``body`` in the page with ``names`` imported from a module of the page."""
    script = f"async (argument) => {{ const {{ {names} }} = await import('/page/{module}'); {body} }}"
    return page.evaluate(script, argument)


def _alert(k: int, state: str = "off", version: int = 1, **changes: object) -> dict[str, object]:
    alert: dict[str, object] = {
        "id": f"{k:032x}", "version": version, "state": state, "priority": "PM", "bed_stream": "icu-3/07",
        "onset": f"2026-11-22T22:{k:02d}:00.000000Z", "superseded_by": None,
    }  # fmt: skip
    return alert | changes


def test_reading_the_displayed_alerts_changes_nothing(page: Any) -> None:
    # Given one open alert, and more alerts that are off than the page keeps
    alerts = [_alert(0, "on")] + [_alert(k) for k in range(1, 60)]
    body = """
      const alerts = new Alerts();
      for (const alert of argument) alerts.add(alert);
      const sizes = [alerts.byId.size];
      for (let k = 0; k < 3; k += 1) { alerts.displayed; sizes.push(alerts.byId.size); }
      return [sizes, alerts.displayed.map((alert) => alert.id)];"""
    sizes, displayed = _evaluate(page, "Alerts", "alerts.js", body, alerts)
    # Then adding removes the oldest, and reading removes none
    assert sizes == [49, 49, 49, 49]
    # And the open alert is displayed first, then the 12 newest of the others
    assert displayed == [f"{k:032x}" for k in (0, *range(59, 47, -1))]


def test_an_older_version_of_an_alert_changes_nothing(page: Any) -> None:
    body = """
      const alerts = new Alerts();
      return argument.map((alert) => alerts.add(alert)).concat(alerts.open.map((alert) => alert.version));"""
    versions = [_alert(0, "on", version) for version in (2, 1, 2, 3)]
    assert _evaluate(page, "Alerts", "alerts.js", body, versions) == [True, False, False, True, 3]


def test_the_banner_of_a_bed_takes_the_highest_ranked_alarm(page: Any) -> None:
    alerts = [
        _alert(1, "on", priority="PL"),
        _alert(2, "on", priority="PH", superseded_by=f"{3:032x}"),
        _alert(3, "latched", priority="PH"),
        _alert(4, "acknowledged", priority="PH"),
        _alert(5, "on", priority="PH", bed_stream="icu-3/08"),
        _alert(6, "off", priority="PH"),
    ]
    body = """
      const alerts = new Alerts();
      for (const alert of argument) alerts.add(alert);
      return alerts.openOfBed("icu-3/07").map((alert) => parseInt(alert.id, 16));"""
    assert _evaluate(page, "Alerts", "alerts.js", body, alerts) == [3, 2, 1, 4]


def test_priorities_outrank_in_the_order_of_the_standard(page: Any) -> None:
    descending = ["PH", "PM", "PL", "PN", None]
    body = "return argument.map((priority) => argument.map((other) => outranks(priority, other)));"
    expected = [[row < column for column in range(5)] for row in range(5)]
    assert _evaluate(page, "outranks", "priority.js", body, descending) == expected


def test_only_an_alarm_that_outranks_the_present_one_restarts_the_sound(page: Any) -> None:
    # Given a burst that ends its interval at 99 s
    body = """
      const sound = new AlarmSound();
      const bursts = [];
      for (const priority of argument) {
        sound.setPriority(priority);
        bursts.push([sound.priority, sound.nextBurstS]);
        sound.nextBurstS = 99;
      }
      return bursts;"""
    requested = ["PM", "PL", "PM", "PH", "PN", "PL", None, "PL"]
    assert _evaluate(page, "AlarmSound", "alarm_sound.js", body, requested) == [
        ["PM", 0], ["PL", 99], ["PM", 0], ["PH", 0], [None, 99], ["PL", 0], [None, 99], ["PL", 0],
    ]  # fmt: skip


def test_the_state_of_an_alert_is_worded_as_on_a_monitor(page: Any) -> None:
    labels: dict[str, dict[str, object]] = {
        "sounding": {"state": "on", "sounding": True},
        "active": {"state": "on", "sounding": False},
        "superseded by a higher-priority alarm": {"state": "on", "superseded_by": "a"},
        "detected late, not sounded": {"state": "on", "late": True},
        "condition ended, latched until acknowledged": {"state": "latched"},
        "ended": {"state": "off"},
    }
    body = "return argument.map(stateLabel);"
    assert _evaluate(page, "stateLabel", "labels.js", body, list(labels.values())) == list(labels)


def test_an_interpretation_names_its_source_and_the_verdicts_of_its_claims(page: Any) -> None:
    body = "return argument.map(interpretationLabel);"
    counts = {"supported": 2, "contradicted": 1, "unsupported": 0}
    gem = {"source": "gem", "model": {"name": "gem-compact"}, "seconds": 1.42, "counts": counts}
    measured = {"source": "measured", "reason": "GEM is switched off", "seconds": 0.01, "counts": {}}
    assert _evaluate(page, "interpretationLabel", "labels.js", body, [gem, measured]) == [
        "GEM (gem-compact) · 1.4 s · claims: 2 supported, 1 contradicted",
        "rule-based report: GEM is switched off · 0.0 s",
    ]


def test_a_strip_is_decoded_to_millivolts(page: Any) -> None:
    samples = np.array([[0, 400, -32768], [-200, 0, 100]], "<i2")
    doc = {
        "leads": ["II", "V1"], "sampling_rate": 250.0, "n_samples": 3, "lsb_uv": [2.5, 5.0],
        "samples": base64.b64encode(samples.tobytes()).decode(),
    }  # fmt: skip
    body = """
      const strip = decodeStrip(argument);
      return JSON.stringify(strip.leads.map((lead) => [lead.name, ...lead.mv]));"""
    assert json.loads(_evaluate(page, "decodeStrip", "strip.js", body, doc)) == [
        ["II", 0, 1, None],
        ["V1", -1, 0, 0.5],
    ]


def test_the_citation_of_an_ecg_that_cannot_be_judged_says_why(page: Any) -> None:
    citation = {
        "n": 1, "measure": "SILENCE", "value": 9.7, "unit": "s", "leads": [], "start_s": 0.0, "end_s": 9.7,
        "wave": None, "reason": "no samples",
    }  # fmt: skip
    label = _evaluate(page, "citationLabel", "labels.js", "return citationLabel(argument);", citation)
    assert label == "[1] no samples, SILENCE 9.70 s, 0.00–9.70 s"

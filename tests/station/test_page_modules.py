"""Modules of the page, called in a real browser: alerts, priorities, sound and labels."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from deploy.local import LocalRedis
from tests.station.conftest import Station


def _evaluate(page: Any, names: str, module: str, body: str, argument: object = None) -> Any:
    """The result of ``body`` in the page with ``names`` imported from a module of the page."""
    script = f"async (argument) => {{ const {{ {names} }} = await import('/page/{module}'); {body} }}"
    return page.evaluate(script, argument)


def _alert(k: int, state: str = "off", version: int = 1, **changes: object) -> dict[str, object]:
    alert: dict[str, object] = {
        "id": f"{k:032x}", "version": version, "state": state, "priority": "PM", "bed_stream": "icu-3/07",
        "onset": f"2026-11-22T{k // 60:02d}:{k % 60:02d}:00.000000Z", "superseded_by": None, "acknowledged": None,
        "end": None, "late": False, "site": "main", "sounding": False,
    }  # fmt: skip
    return alert | changes


@pytest.fixture(scope="module")
def page(chromium: Any, module_station: Station) -> Iterator[Any]:
    """The station's page, one for the module: its tests call functions and change nothing that is displayed."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(module_station.url)
    yield page
    context.close()


@pytest.fixture(scope="module")
def module_station(redis_server: LocalRedis) -> Iterator[Station]:
    running = Station(redis_server.url)
    yield running
    running.stop()


def test_reading_the_displayed_alerts_changes_nothing(page: Any) -> None:
    # Given one open alert, and more alerts that are off than the page keeps
    alerts = [_alert(0, "on")] + [_alert(k) for k in range(1, 140)]
    body = """
      const alerts = new Alerts();
      for (const alert of argument) alerts.add(alert);
      const sizes = [alerts.byId.size];
      for (let k = 0; k < 3; k += 1) { alerts.displayed; sizes.push(alerts.byId.size); }
      return [sizes, alerts.displayed.map((alert) => alert.id)];"""
    sizes, displayed = _evaluate(page, "Alerts", "alerts.js", body, alerts)
    # Then adding removes the oldest, and reading removes none
    assert sizes == [121, 121, 121, 121]
    # And the open alert is displayed first, then the 12 newest of the others
    assert displayed == [f"{k:032x}" for k in (0, *range(139, 127, -1))]


def test_an_older_version_of_an_alert_changes_nothing(page: Any) -> None:
    body = """
      const alerts = new Alerts();
      return argument.map((alert) => alerts.add(alert)).concat(alerts.open.map((alert) => alert.version));"""
    versions = [_alert(0, "on", version) for version in (2, 1, 2, 3)]
    assert _evaluate(page, "Alerts", "alerts.js", body, versions) == [True, False, False, True, 3]


ACKNOWLEDGED = {"acknowledged": {"at": "2026-11-22T22:11:00Z", "by": "rn-12"}}


def test_present_comes_before_over_and_an_acknowledged_lethal_condition_stays_on_top(page: Any) -> None:
    alerts = {
        "low, present": _alert(1, "on", priority="PL"),
        "high, over": _alert(2, "latched", priority="PH"),
        "high, present, superseded": _alert(3, "on", priority="PH", superseded_by=f"{4:032x}"),
        "high, present": _alert(4, "on", priority="PH"),
        "high, present, acknowledged": _alert(5, "acknowledged", priority="PH", **ACKNOWLEDGED),
        "medium, present, the newest": _alert(6, "on", priority="PM"),
        "medium, present, acknowledged": _alert(7, "acknowledged", priority="PM", **ACKNOWLEDGED),
        "high, late": _alert(8, "on", priority="PH", late=True),
        "advice": _alert(9, "on", priority="PN"),
    }
    body = """
      const alerts = new Alerts();
      for (const alert of argument) alerts.add(alert);
      return alerts.openOfBed("main|icu-3/07").map((alert) => alert.id);"""
    names = {alert["id"]: name for name, alert in alerts.items()}
    ordered = [names[i] for i in _evaluate(page, "Alerts", "alerts.js", body, list(alerts.values()))]
    assert ordered == [
        "high, present", "high, present, superseded", "high, present, acknowledged", "high, late", "high, over",
        "medium, present, the newest", "medium, present, acknowledged", "low, present", "advice",
    ]  # fmt: skip


def test_a_bed_moves_only_between_four_classes(page: Any) -> None:
    beds = [
        [_alert(1, "on", priority="PH"), _alert(2, "on", priority="PM")],
        [_alert(3, "acknowledged", priority="PH", **ACKNOWLEDGED)],
        [_alert(4, "latched", priority="PH"), _alert(5, "on", priority="PM")],
        [_alert(6, "on", priority="PM")],
        [_alert(7, "on", priority="PL")],
        [],
    ]
    body = "return argument.map(bedClass);"
    assert _evaluate(page, "bedClass", "urgency.js", body, beds) == [0, 0, 1, 2, 3, 3]


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


def test_the_bursts_are_those_of_the_standard(page: Any) -> None:
    """IEC 60601-1-8, tables 3 and 4: pulse lengths, spacings and the time between bursts."""
    bursts, rise_s, fall_s = _evaluate(
        page, "BURSTS, RISE_S, FALL_S", "alarm_bursts.js", "return [BURSTS, RISE_S, FALL_S];"
    )
    lengths = {"PH": (10, 0.075, 0.2), "PM": (3, 0.125, 0.25), "PL": (2, 0.125, 0.25)}
    between = {"PH": (2.5, 15.0), "PM": (2.5, 30.0), "PL": (15.0, 1e9)}
    for priority, (n, shortest, longest) in lengths.items():
        burst = bursts[priority]
        onsets, pulse_s = burst["onsetsS"], burst["pulseS"]
        assert len(onsets) == n
        assert shortest <= pulse_s <= longest
        assert 0.1 * pulse_s <= rise_s <= 0.4 * pulse_s
        assert between[priority][0] <= burst["gapS"] <= between[priority][1]
        assert 150 <= burst["hz"] <= 1000
        spacings = [round(b - a - pulse_s, 6) for a, b in itertools.pairwise(onsets)]
        assert all(fall_s <= spacing - rise_s for spacing in spacings)
        if priority == "PH":
            x = spacings[0]
            assert 0.05 <= x <= 0.125
            assert 0.35 <= spacings[4] <= 1.30
            five = [x, x, round(2 * x + pulse_s, 6), x]
            assert spacings == pytest.approx([*five, spacings[4], *five])
        else:
            assert all(0.125 <= spacing <= 0.25 for spacing in spacings)
            assert len(set(spacings)) == 1
    assert bursts["PH"]["gapS"] <= bursts["PM"]["gapS"] <= bursts["PL"]["gapS"]


def test_the_state_of_an_alert_is_said_and_who_acknowledged_stays(page: Any) -> None:
    who = {"acknowledged": {"at": "2026-11-22T22:11:00Z", "by": "rn-12"}}
    labels: dict[str, dict[str, object]] = {
        "present, sounding": {"state": "on", "sounding": True},
        "present": {"state": "on", "sounding": False},
        "superseded by a higher-priority alarm": {"state": "on", "superseded_by": "a"},
        "detected late, not sounded": {"state": "on", "late": True},
        "over, nobody has acknowledged it": {"state": "latched"},
        "ended": {"state": "off"},
        "present, acknowledged by rn-12 at 22 Nov ": {"state": "acknowledged", **who},
        "over, acknowledged by rn-12 at 22 Nov ": {"state": "acknowledged", "end": "2026-11-22T22:12:00Z", **who},
        "ended, acknowledged by rn-12 at 22 Nov ": {"state": "off", **who},
    }
    found = _evaluate(page, "stateLabel", "labels.js", "return argument.map(stateLabel);", list(labels.values()))
    for expected, label in zip(labels, found, strict=True):
        assert label.startswith(expected) if expected.endswith("Nov ") else label == expected


def test_an_interpretation_names_its_source_its_findings_and_its_verification(page: Any) -> None:
    counts = {"supported": 2, "contradicted": 1, "unsupported": 0}
    gem = {"source": "gem", "model": {"name": "gem-compact"}, "seconds": 1.42, "counts": counts}
    measured = {"source": "measured", "reason": "GEM is switched off", "seconds": None, "counts": {}}
    body = "return argument.map(interpretationLabel);"
    assert _evaluate(page, "interpretationLabel", "labels.js", body, [gem, measured]) == [
        "GEM (gem-compact) · 1.4 s · findings: 2 confirmed by measurement, 1 contradicted and left out",
        "rule-based report: GEM is switched off",
    ]
    marks = [
        {"verified": {"ok": True, "checked": 9}},
        {"verified": {"ok": False, "checked": 9}},
        {"verified": None},
        {},
    ]
    body = "return argument.map(verificationMark);"
    assert _evaluate(page, "verificationMark", "labels.js", body, marks) == [
        {"ok": True, "words": "verified independently: 9 statements measured again"},
        {"ok": False, "words": "verification found a fault"}, None, None,
    ]  # fmt: skip


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


def test_measured_values_have_the_words_of_a_report(page: Any) -> None:
    def cited(measure: str, value: float, unit: str, **changes: object) -> dict[str, object]:
        citation = {
            "n": 1, "measure": measure, "value": value, "unit": unit, "leads": ["II"], "start_s": 0.0, "end_s": 9.7,
            "wave": None, "reason": None, "criterion": None,
        }  # fmt: skip
        return citation | changes

    pause = {"criterion": {"rule": "no beat for 4 s or longer", "limit": 4.0, "source": "-"}}
    alerts = [
        {"code": "ASYSTOLE", "citations": [cited("SILENCE", 3.86, "s", **pause)]},
        {"code": "ASYSTOLE", "citations": [cited("SILENCE", 4.12, "s", **pause)]},
        {"code": "VPAIR", "citations": [cited("HR", 131.4, "bpm", criterion={"limit": 2})]},
        {"code": "CANNOT_ANALYZE", "kind": "technical", "citations": [cited("SILENCE", 9.7, "s", reason="no samples")]},
        {"code": "IRREGULAR", "citations": [cited("REGULARITY", 0.214, "")]},
        {"code": "ST_ELEVATION", "citations": [cited("ST", -0.004, "mV")]},
        {"code": "QT_LONG", "citations": [cited("QTcF", 548.0, "ms", criterion={"limit": 500})]},
    ]
    found = _evaluate(page, "finding", "measures.js", "return argument.map(finding);", alerts)
    assert [(f["value"], f["short"], f["limit"]) for f in found] == [
        ("no beat for 3.86 s and continuing", "no beat ≥ 3.86 s", "limit 4.0 s"),  # detected within its accuracy
        ("no beat for 4.12 s", "no beat 4.12 s", "limit 4.0 s"),
        ("heart rate 131 bpm", "heart rate 131 bpm", ""),  # a limit of two beats is no limit of a rate
        ("no data for 9.70 s", "no data for 9.70 s", ""),
        ("RR variability 21 %", "RR variability 21 %", ""),
        ("ST level 0.00 mV", "ST level 0.00 mV", ""),
        ("QTc (Fridericia) 548 ms", "QTcF 548 ms", "limit 500 ms"),
    ]
    label = "return citationLabel(argument, true);"
    assert _evaluate(page, "citationLabel", "measures.js", label, cited("SILENCE", 9.7, "s", reason="no samples")) == (
        "no data for 9.70 s · no samples · 0.00–9.70 s"
    )


def test_the_audio_pause_and_the_age_of_an_alarm_are_told_by_the_servers_clock(page: Any) -> None:
    # Given a server whose clock is an hour ahead of this computer's
    body = """
      const { serverClock } = await import('/page/server_clock.js');
      const { BedState } = await import('/page/bed_state.js');
      const server = Date.now() + 3600000;
      const clock = new ServerClock();
      clock.sync(new Date(server - 40).toISOString());
      clock.sync(new Date(server).toISOString());
      const [was, best] = [serverClock.offsets, clock.best];
      serverClock.offsets = [best];
      const bed = new BedState("k", { bed_stream: "b", audio_paused_until: new Date(server + 90000).toISOString() });
      const pauseMs = bed.pauseMs;
      serverClock.offsets = was;
      return [Math.abs(clock.now() - server), pauseMs];"""
    off_ms, pause_ms = _evaluate(page, "ServerClock", "server_clock.js", body)
    assert off_ms < 200
    assert 89_000 < pause_ms <= 90_000


def test_a_trace_goes_on_after_the_devices_clock_was_set_back(page: Any) -> None:
    body = """
      const trace = new Trace(document.createElement('canvas'));
      const wave = (seconds, mv) => ({ start: new Date(1e12 + seconds * 1000).toISOString(), sampling_rate: 2, mv });
      trace.push(wave(100, [0, 1]));
      trace.push(wave(101, [0, 1]));
      const forward = trace.samples.length;
      trace.push(wave(40, [5, 6]));
      return [forward, trace.samples.map(([, mv]) => mv), trace.range];"""
    assert _evaluate(page, "Trace", "trace.js", body) == [4, [5, 6], 1.6]


def test_high_waves_reduce_the_scale_and_what_is_beyond_it_is_counted_as_clipped(page: Any) -> None:
    body = """
      const { makeScene } = await import('/page/strip_scene.js');
      const alert = { title: "t", segment: { start: "2026-11-22T22:10:00Z" }, citations: [] };
      return argument.map((mv) => {
        const lead = { name: "II", mv: Float32Array.from([0, 0, 0, mv, 0]) };
        const scene = makeScene(alert, { fsHz: 250, nSamples: 5, leads: [lead] }, "rows");
        return [scene.gain, scaleWords(scene)];
      });"""
    assert _evaluate(page, "scaleWords", "strip_paint.js", body, [1.2, 2.4, 5.0, 30.0]) == [
        [10, "25 mm/s · 10 mm/mV"], [5, "25 mm/s · 5 mm/mV (reduced)"], [2.5, "25 mm/s · 2.5 mm/mV (reduced)"],
        [1, "25 mm/s · 1 mm/mV (reduced)"],
    ]  # fmt: skip

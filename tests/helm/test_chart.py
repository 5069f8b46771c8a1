"""The chart against a real Kubernetes API server with fake nodes (setting GEM_BEDSIDE_TEST_K8S_HOME)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "gem-bedside"
READY_S = 90  # the first start unpacks 200 MB


class Cluster:
    """kubectl and helm of one test cluster."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = os.environ | {
            "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
            "KUBECONFIG": str(home / "admin.kubeconfig"),
            "KUBECACHEDIR": str(home / "kubecache"),
            "HELM_CACHE_HOME": str(home / "helmcache"),
            "HELM_CONFIG_HOME": str(home / "helmconfig"),
            "HELM_DATA_HOME": str(home / "helmdata"),
        }

    def run(self, *command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=self.env, input=stdin, capture_output=True, text=True, timeout=120)

    def ok(self, *command: str, stdin: str | None = None) -> str:
        done = self.run(*command, stdin=stdin)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr[-2000:]}"
        return done.stdout


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    tools = Path(os.environ.get("GEM_BEDSIDE_TEST_K8S_HOME", ROOT.parent / "shared" / "k8s"))
    if not (tools / "cluster").is_file():
        pytest.skip(f"GEM_BEDSIDE_TEST_K8S_HOME: no Kubernetes API server in {tools.name}")
    home = tmp_path_factory.mktemp("k8s")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    out = home / "out"
    with out.open("w") as stdout, (home / "err").open("w") as stderr:
        command = [str(tools / "cluster"), "up", "--dir", str(home), "--port", str(port)]
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr)
    try:
        deadline = time.monotonic() + READY_S
        while "KUBECONFIG=" not in out.read_text():
            assert process.poll() is None and time.monotonic() < deadline, (home / "err").read_text()[-2000:]
            time.sleep(0.3)
        cluster = Cluster(home)
        cluster.ok("kubectl", "create", "namespace", "ward")
        cluster.ok("kubectl", "label", "namespace", "ward", "pod-security.kubernetes.io/enforce=restricted")
        yield cluster
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def test_a_ward_is_installed_in_a_restricted_namespace(cluster: Cluster) -> None:
    cluster.ok("helm", "install", "w", str(CHART), "--namespace", "ward", "--wait", "--timeout", "60s")
    pods = cluster.ok("kubectl", "get", "pods", "-n", "ward", "-o", "jsonpath={.items[*].metadata.labels}")
    assert pods.count('"app.kubernetes.io/component":"monitor"') == 2
    assert pods.count('"app.kubernetes.io/component":"interpreter"') == 1
    assert pods.count('"app.kubernetes.io/component":"station"') == 2


def test_every_option_renders_to_objects_that_the_server_accepts(cluster: Cluster) -> None:
    options = [
        "workers.monitor.autoscaling.enabled=true",
        "workers.interpreter.gpu=1",
        "metrics.podMonitor.enabled=true",
        "metrics.rules.enabled=true",
        "weights.existingClaim=weights",
        "weights.gem=gem-7b",
        "station.ingress.enabled=true",
        "redis.existingSecret.name=redis",
    ]
    flags = [flag for option in options for flag in ("--set", option)]
    manifests = cluster.ok("helm", "template", "all", str(CHART), "--namespace", "ward", *flags)
    applied = cluster.ok(
        "kubectl", "apply", "--dry-run=server", "--validate=strict", "-n", "ward", "-f", "-", stdin=manifests
    )
    for kind in ("scaledobject", "podmonitor", "prometheusrule", "ingress", "job", "networkpolicy"):
        assert f"{kind}." in applied


def test_a_misspelt_value_is_refused_by_name(cluster: Cluster) -> None:
    done = cluster.run("helm", "template", "w", str(CHART), "--set", "kafka.bootstrpa=kafka:9092")
    assert done.returncode != 0
    assert "bootstrpa" in done.stderr


def test_a_parents_own_keys_are_accepted_at_the_root(cluster: Cluster) -> None:
    assert "kind: Deployment" in cluster.ok("helm", "template", "w", str(CHART), "--set", "global.team=icu")


def test_monitors_never_outnumber_the_partitions(cluster: Cluster) -> None:
    out = cluster.ok(
        "helm", "template", "w", str(CHART), "--set", "workers.monitor.autoscaling.enabled=true",
        "--set", "workers.monitor.autoscaling.maxReplicas=50", "--set", "kafka.partitions=12",
    )  # fmt: skip
    assert "maxReplicaCount: 12" in out


def test_the_charts_rules_are_the_published_ones() -> None:
    assert (CHART / "files" / "rules.yaml").read_text() == (ROOT / "deploy" / "prometheus" / "rules.yaml").read_text()

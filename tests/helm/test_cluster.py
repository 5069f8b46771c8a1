"""The chart on a real API server: install, upgrade, rollback, eviction, scheduling, admission."""

from __future__ import annotations

import json

import pytest

from tests.helm.conftest import AT_ONCE, CHART, SCENARIOS, Cluster, scenario
from tests.helm.test_chart import EVERYTHING, documents, flags

WAIT = ("--wait", "--timeout", "120s")


def install(cluster: Cluster, ward: str, *extra: str, release: str = "w") -> None:
    cluster.ok("helm", "install", release, str(CHART), "-n", ward, *AT_ONCE, *extra)


def upgrade(cluster: Cluster, ward: str, *extra: str) -> None:
    cluster.ok("helm", "upgrade", "w", str(CHART), "-n", ward, *AT_ONCE, *extra)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_installed_upgraded_rolled_back_and_tested(name: str, cluster: Cluster, ward: str) -> None:
    # Given a namespace that enforces Pod Security `restricted`
    install(cluster, ward, *scenario(name), *WAIT)
    # Then every pod of the release runs
    for component in ("monitor", "interpreter", "publisher", "station"):
        pods = cluster.pods(ward, component)
        assert pods, component
        assert {pod["status"]["phase"] for pod in pods} == {"Running"}
    if name == "hospital":
        (interpreter,) = cluster.pods(ward, "interpreter")
        assert interpreter["spec"]["nodeName"] == "node-0", "the node with the GPU"
        assert interpreter["spec"]["containers"][0]["image"] == "registry.hospital.example/gem-bedside:0.1.0-gem"
    # When it is upgraded and rolled back
    upgrade(cluster, ward, *scenario(name), "--set", "podAnnotations.build=two", *WAIT)
    assert {pod["metadata"]["annotations"]["build"] for pod in cluster.pods(ward, "monitor")} == {"two"}
    cluster.ok("helm", "rollback", "w", "1", "-n", ward, *WAIT)
    assert all("build" not in pod["metadata"]["annotations"] for pod in cluster.pods(ward, "monitor"))
    # Then its own test passes
    assert "Phase:          Succeeded" in cluster.ok("helm", "test", "w", "-n", ward)


def test_an_interpreter_without_a_free_gpu_waits_and_the_monitors_run(cluster: Cluster, ward: str) -> None:
    # Given a ward whose interpreters want two GPUs of a cluster that has one
    install(cluster, ward, "--set", "workers.interpreter.gpu=1,workers.interpreter.replicas=2")
    monitors = ("kubectl", "get", "deploy", "w-gem-bedside-monitor", "-n", ward, "-o")
    cluster.until("2", *monitors, "jsonpath={.status.readyReplicas}")
    interpreters = ("kubectl", "get", "deploy", "w-gem-bedside-interpreter", "-n", ward, "-o")
    cluster.until("1", *interpreters, "jsonpath={.status.readyReplicas}")
    # Then one runs the GPU image on the node with the GPU, and the other waits for a GPU
    pods = {pod["status"]["phase"]: pod for pod in cluster.pods(ward, "interpreter")}
    assert pods["Running"]["spec"]["nodeName"] == "node-0"
    assert pods["Running"]["spec"]["containers"][0]["image"] == "gem-bedside:0.1.0-gpu"
    (condition,) = [c for c in pods["Pending"]["status"]["conditions"] if c["type"] == "PodScheduled"]
    assert "Insufficient nvidia.com/gpu" in condition["message"]


def test_a_second_eviction_of_monitors_is_held(cluster: Cluster, ward: str) -> None:
    install(cluster, ward, *WAIT)
    first, second = (pod["metadata"]["name"] for pod in cluster.pods(ward, "monitor"))
    nodes = cluster.ok("kubectl", "get", "nodes", "-o", "name").split()
    cluster.ok("kubectl", "cordon", *nodes)  # the evicted monitor finds no other place
    try:
        assert _evict(cluster, ward, first) == ""
        assert "disruption budget" in _evict(cluster, ward, second)
    finally:
        cluster.ok("kubectl", "uncordon", *nodes)


def _evict(cluster: Cluster, ward: str, pod: str) -> str:
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": ward}}
    path = f"/api/v1/namespaces/{ward}/pods/{pod}/eviction"
    done = cluster.run("kubectl", "create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
    return done.stderr if done.returncode else ""


def test_a_rolling_upgrade_never_takes_a_monitor_before_the_next_is_ready(cluster: Cluster, ward: str) -> None:
    three = ("--set", "workers.monitor.replicas=3")
    install(cluster, ward, *three, *WAIT)
    before = {pod["metadata"]["name"] for pod in cluster.pods(ward, "monitor")}
    with cluster.watched(ward, "w-gem-bedside-monitor", ".status.readyReplicas") as ready:
        upgrade(cluster, ward, *three, "--set", "podAnnotations.build=two", *WAIT)
    assert not before & {pod["metadata"]["name"] for pod in cluster.pods(ward, "monitor")}, "all were replaced"
    assert len(ready) > 3, "the watch saw the steps"
    assert min(map(int, ready)) >= 3


def test_the_autoscaler_takes_over_without_taking_monitors_away(cluster: Cluster, ward: str) -> None:
    install(cluster, ward, "--set", "workers.monitor.replicas=4", *WAIT)
    with cluster.watched(ward, "w-gem-bedside-monitor", ".spec.replicas") as replicas:
        upgrade(cluster, ward, "--set", "workers.monitor.autoscaling.enabled=true", *WAIT)
        # and an upgrade after the autoscaler has chosen another number keeps it
        cluster.ok("kubectl", "scale", "deploy", "w-gem-bedside-monitor", "-n", ward, "--replicas=6")
        upgrade(cluster, ward, "--set", "workers.monitor.autoscaling.enabled=true,podAnnotations.build=two", *WAIT)
    assert set(replicas) == {"4", "6"}
    scaled = cluster.get("scaledobject", "w-gem-bedside-monitor", "-n", ward)["spec"]
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (2, 8)


def test_strict_validation_finds_no_unknown_field(cluster: Cluster, ward: str) -> None:
    kinds = set()
    for values in (*map(scenario, SCENARIOS), flags(*EVERYTHING)):
        manifests = cluster.template(*values, namespace=ward)
        kinds |= {document["kind"] for document in documents(manifests)}
        cluster.ok(
            "kubectl", "apply", "--dry-run=server", "--validate=strict", "-n", ward, "-f", "-", stdin=manifests
        )  # fmt: skip
    assert kinds >= {
        "Deployment", "Service", "Job", "Pod", "Ingress", "NetworkPolicy", "PodDisruptionBudget", "ConfigMap",
        "ServiceAccount", "ScaledObject", "TriggerAuthentication", "ServiceMonitor", "PodMonitor", "PrometheusRule",
    }  # fmt: skip


def test_a_second_release_of_a_site_is_refused(cluster: Cluster, ward: str) -> None:
    install(cluster, ward)
    done = cluster.run("helm", "install", "x", str(CHART), "-n", ward)
    assert done.returncode != 0
    assert 'is run by the release "w"' in done.stderr
    install(cluster, ward, "--set", "site=other", release="x")


def test_wrong_topics_fail_the_install_with_the_jobs_reason(cluster: Cluster, ward: str) -> None:
    # Given topics that differ from the plan: the job ends with status 1
    done = cluster.run(
        "helm", "install", "w", str(CHART), "-n", ward, "--set", r"podAnnotations.fake-kubelet/outcome=fail", *WAIT
    )
    # Then the install fails at once, and the job stays with its reason
    assert done.returncode != 0
    assert "w-gem-bedside-topics" in done.stderr
    conditions = cluster.get("job", "w-gem-bedside-topics", "-n", ward)["status"]["conditions"]
    (failed,) = [c for c in conditions if c["type"] == "Failed"]
    assert failed["reason"] == "PodFailurePolicy"
    assert "exit code 1" in failed["message"]
    assert not cluster.get("deploy", "-n", ward)["items"]

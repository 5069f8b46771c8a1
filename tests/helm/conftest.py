"""A real Kubernetes API server with fake nodes (setting GEM_BEDSIDE_TEST_K8S_HOME), started once for all tests here."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "gem-bedside"
SCENARIOS = ("small-ward", "hospital", "air-gapped")
READY_S = 120  # the first start unpacks 200 MB; on a busy machine a start takes several times its 8 s
COMMAND_S = 180
# Nothing runs in the fake pods, so nothing has to settle between two of them.
AT_ONCE = ("--set", "workers.monitor.minReadySeconds=0,workers.publisher.minReadySeconds=0")

# What a site provides: secrets, the claim with the weights, a runtime class.
SECRETS = {
    "gem-bedside-kafka": {"username": "monitor", "password": "kafka-pass-7"},
    "gem-bedside-redis": {"username": "publisher", "password": "redis-pass-7"},
    "redis-url": {"url": "rediss://publisher:redis-pass-7@redis:6380/0"},
    "hospital-ca": {"ca.crt": "-----BEGIN CERTIFICATE-----"},
    "gem-bedside-client": {"tls.crt": "client-certificate", "tls.key": "client-key-7"},
    "station-keys": {"keys": "station-key-7"},
}


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
        return subprocess.run(
            command, env=self.env, input=stdin, capture_output=True, text=True, timeout=COMMAND_S, check=False
        )

    def ok(self, *command: str, stdin: str | None = None) -> str:
        done = self.run(*command, stdin=stdin)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr[-3000:]}{done.stdout[-500:]}"
        return done.stdout

    def get(self, *what: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ok("kubectl", "get", *what, "-o", "json"))
        return found

    def pods(self, namespace: str, component: str) -> list[dict[str, Any]]:
        """The pods of a component that are not being deleted."""
        label = f"app.kubernetes.io/component={component}"
        pods = self.get("pods", "-n", namespace, "-l", label)["items"]
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def template(self, *flags: str, namespace: str = "ward") -> str:
        return self.ok("helm", "template", "w", str(CHART), "--namespace", namespace, *flags)

    def refusal(self, *flags: str) -> str:
        """Message with which helm refuses these values."""
        done = self.run("helm", "template", "w", str(CHART), *flags)
        assert done.returncode != 0, f"accepted: {' '.join(flags)}"
        return done.stderr

    def until(self, what: str, *command: str, timeout_s: float = 60) -> None:
        """Wait until a command prints ``what``."""
        deadline = time.monotonic() + timeout_s
        while (out := self.run(*command).stdout) != what:
            assert time.monotonic() < deadline, f"{' '.join(command)} prints {out!r}, not {what!r}"
            time.sleep(0.1)

    @contextlib.contextmanager
    def watched(self, namespace: str, deployment: str, path: str) -> Iterator[list[str]]:
        """Every value that a field of a deployment takes inside the block."""
        command = ["kubectl", "get", "deploy", deployment, "-n", namespace, "-w", "-o", f"jsonpath={{{path}}}\n"]
        values: list[str] = []
        with subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, text=True) as watch:
            assert watch.stdout is not None
            values.append(watch.stdout.readline().strip())  # it watches from here on
            yield values
            mark = f"m{time.monotonic_ns()}"  # the last event: what came before it has been printed
            self.ok("kubectl", "annotate", "deploy", deployment, "-n", namespace, f"test/mark={mark}", "--overwrite")
            time.sleep(1.0)
            watch.terminate()
            values += [line.strip() for line in watch.stdout.read().splitlines()]


def _prepared(cluster: Cluster) -> Cluster:
    runtime = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "nvidia"}}
    cluster.ok("kubectl", "apply", "-f", "-", stdin=yaml.safe_dump(runtime | {"handler": "nvidia"}))
    return cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if running := os.environ.get("GEM_BEDSIDE_TEST_K8S_RUNNING"):  # the folder of a cluster, for many runs in a row
        yield _prepared(Cluster(Path(running)))
        return
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
            time.sleep(0.2)
        yield _prepared(Cluster(home))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@pytest.fixture
def ward(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace that enforces Pod Security `restricted`, with what a site provides; deleted at the end."""
    name = f"ward-{abs(hash(request.node.nodeid)) % 10**8}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    objects: list[Mapping[str, Any]] = [_object("Namespace", name, labels=labels)]
    objects += [_object("Secret", secret, name, stringData=data) for secret, data in SECRETS.items()]
    for claim in ("gem-weights", "weights"):
        volume = f"{name}-{claim}"
        capacity = {"storage": "40Gi"}
        spec = {"accessModes": ["ReadOnlyMany"], "storageClassName": ""}
        of_claim = {"namespace": name, "name": claim}
        objects.append(
            _object("PersistentVolume", volume, spec=spec | {
                "capacity": capacity, "claimRef": of_claim, "nfs": {"server": "nas", "path": "/"},
            })
        )  # fmt: skip
        wanted = {"volumeName": volume, "resources": {"requests": capacity}}
        objects.append(_object("PersistentVolumeClaim", claim, name, spec=spec | wanted))
    cluster.ok("kubectl", "apply", "-f", "-", stdin=yaml.safe_dump_all(objects))
    yield name
    for release in json.loads(cluster.ok("helm", "list", "-n", name, "-o", "json")):
        cluster.ok("helm", "uninstall", release["name"], "-n", name, "--no-hooks")
    cluster.ok("kubectl", "delete", "namespace", name, "--wait=false")


def _object(
    kind: str, name: str, namespace: str | None = None, labels: Mapping[str, str] | None = None, **body: Any
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "labels": dict(labels or {})}
    if namespace is not None:
        metadata["namespace"] = namespace
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata} | body


def scenario(name: str) -> tuple[str, str]:
    """Flags of a scenario."""
    return "-f", str(CHART / "scenarios" / f"{name}.yaml")

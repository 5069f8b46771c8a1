"""The chart as rendered: what it refuses, where its secrets lie, and that its files are current."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import kubernetes_validate
import pytest
import yaml

from agents.settings import PREFIX, Settings
from tests.deploy.command import DONE, gem_bedside
from tests.helm.conftest import CHART, ROOT, SCENARIOS, SECRETS, Cluster, scenario

SHA = "0" * 64
EVERYTHING = (  # what no scenario switches on
    "weights.image.reference=registry/weights:1", "weights.encoder=coca", "weights.gem=gem-7b",
    "workers.interpreter.gpu=1", "workers.interpreter.autoscaling.enabled=true", "redis.existingSecret.name=redis-url",
    "metrics.podMonitor.enabled=true", "station.auth.mode=open", "station.service.type=NodePort",
    "networkPolicy.kafkaPorts={9094}", "extraEnv[0].name=TZ", "extraEnv[0].value=UTC",
    "extraVolumes[0].name=x", "extraVolumes[0].emptyDir.medium=Memory", "extraVolumeMounts[0].name=x",
    "extraVolumeMounts[0].mountPath=/x", "commonLabels.team=icu", "podLabels.tier=clinical", "podAnnotations.a=b",
    "serviceAccount.annotations.a=b", "affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution=null",
    "workers.monitor.env[0].name=OMP_NUM_THREADS", "workers.monitor.env[0].value=one", "global.team=icu",
)  # fmt: skip
BETWEEN = [pytest.param(f"1.{minor}", marks=pytest.mark.slow) for minor in range(30, 37)]
VERSIONS = ["1.29", *BETWEEN, "1.37"]


def flags(*options: str) -> list[str]:
    return [flag for option in options for flag in ("--set", option)]


def documents(manifests: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(manifests) if document]


def all_manifests(cluster: Cluster) -> dict[str, str]:
    made = {name: cluster.template(*scenario(name)) for name in SCENARIOS}
    return made | {"defaults": cluster.template(), "everything": cluster.template(*flags(*EVERYTHING))}


@pytest.fixture(scope="module")
def manifests(cluster: Cluster) -> dict[str, str]:
    """Each scenario, the defaults, and every option that no scenario uses."""
    return all_manifests(cluster)


REFUSED = {
    "sitee=icu": "sitee",
    "priorityClass=high": "priorityClass",
    "extraEnvs[0].name=A": "extraEnvs",
    "kafka.bootstrpa=kafka:9092": "bootstrpa",
    "kafka.bootstrap=kafka": "kafka/bootstrap",
    "workers.monitor.resourcse.limits.cpu=1": "resourcse",
    "workers.monitr.replicas=3": "monitr",
    "settings.SITE=icu": "settings.SITE: the chart makes this setting from site",
    "settings.REDIS=redis://u:p@redis:6379": "redis.existingSecret",
    "settings.AF_CONFIRM=60": "no setting GEM_BEDSIDE_AF_CONFIRM",
    "workers.monitor.env[0].name=GEM_BEDSIDE_SITE": "makes GEM_BEDSIDE_SITE from site",
    "extraEnv[0].name=GEM_BEDSIDE_PARTITION": "no setting GEM_BEDSIDE_PARTITION",
    "redis.url=redis://:secret@redis:6379/0": "holds credentials",
    "workers.monitor.autoscaling.minReplicas=9,workers.monitor.autoscaling.maxReplicas=8": "minReplicas is 9",
    "workers.monitor.autoscaling.minReplicas=1": "minReplicas",
    "workers.monitor.autoscaling.maxReplicas=50": "must not pass kafka.partitions 8",
    "workers.monitor.replicas=9": "more replicas than partitions",
    "station.service.port=99999": "station/service/port",
    "metrics.port=99999": "metrics/port",
    "kafka.partitions=0": "kafka/partitions",
    "workers.monitor.resources.limits.cpu=lots": "workers/monitor/resources/limits/cpu",
    "workers.interpreter.gpu=1,workers.interpreter.variant=cpu": "the cpu image cannot use a GPU",
    f"workers.interpreter.gpu=1,image.digest=sha256:{SHA}": "set workers.interpreter.image.digest",
    "image.digest=latest": "image/digest",
    "weights.gem=gem-7b": "without a source",
    "weights.existingClaim=weights": "neither weights.gem nor weights.encoder",
    "weights.gem=a,weights.existingClaim=b,weights.image.reference=c": "one source",
    f"weights.gem=a,weights.download.image=i@sha256:{SHA}": "weights.sha256",
    "kafka.sasl.mechanism=GSSAPI": "kafka/sasl/mechanism",
    "kafka.sasl.mechanism=PLAIN": "kafka.sasl.existingSecret is not",
    "kafka.tls.caSecret=ca": "kafka.tls.enabled is false",
    "redis.tls.caSecret=ca": "rediss://",
    "metrics.podMonitor.enabled=true,metrics.serviceMonitor.enabled=true": "scraped twice",
    "metrics.podMonitor.interval=often": "metrics/podMonitor/interval",
    "station.auth.mode=token": "station.auth.tokenKeysSecret",
    "logFormat=xml": "logFormat",
}


@pytest.mark.parametrize("values", REFUSED)
def test_wrong_values_are_refused_with_the_key_in_the_message(values: str, cluster: Cluster) -> None:
    assert REFUSED[values] in cluster.refusal("--set-string" if "AF_CONFIRM" in values else "--set", values)


def test_an_old_server_is_told_that_it_has_no_image_volumes(cluster: Cluster) -> None:
    values = flags("weights.gem=a", "weights.image.reference=r:1")
    assert "needs image volumes" in cluster.refusal(*values, "--kube-version", "1.29.0")


def test_no_secret_is_in_a_manifest(manifests: dict[str, str]) -> None:
    secrets = [value for data in SECRETS.values() for key, value in data.items() if key != "username"]
    for name, text in manifests.items():
        assert not [secret for secret in secrets if secret in text]
        for document in documents(text):
            assert document["kind"] != "Secret", name
            if document["kind"] == "ConfigMap" and "files" not in document["metadata"]["name"]:
                keys = [key for key in document["data"] if "PASSWORD" in key or "REDIS" in key]
                assert not keys, f"{name}: {document['metadata']['name']} has {keys}"


def test_each_pod_gets_the_secrets_and_weights_of_its_own_services_alone(manifests: dict[str, str]) -> None:
    used: dict[str, set[str]] = {}
    for document in documents(manifests["hospital"]):
        if document["kind"] == "Deployment":
            component = document["metadata"]["labels"]["app.kubernetes.io/component"]
            text = json.dumps(document)
            names = {*SECRETS, "gem-weights"}
            used[component] = {name for name in names if f'"{name}"' in text}
    assert used == {
        "monitor": {"gem-bedside-kafka", "hospital-ca"},
        "interpreter": {"gem-bedside-kafka", "hospital-ca", "gem-weights"},
        "publisher": {"gem-bedside-kafka", "gem-bedside-redis", "hospital-ca"},
        "station": {"gem-bedside-redis", "hospital-ca"},
    }


def test_every_variable_is_a_setting_and_every_command_exists(manifests: dict[str, str]) -> None:
    commands: set[tuple[str, ...]] = set()
    for document in (d for text in manifests.values() for d in documents(text)):
        for container in _containers(document):
            names = {v["name"] for v in container.get("env", [])} - {"TZ", "OMP_NUM_THREADS"}
            assert {name.removeprefix(PREFIX).lower() for name in names} <= Settings.model_fields.keys()
            if "args" in container:
                commands.add(tuple(word for word in container["args"] if not word.startswith(("--", "http"))))
        if document["kind"] == "ConfigMap" and document["metadata"]["name"].endswith("gem-bedside"):
            names = {name.removeprefix(PREFIX).lower() for name in document["data"]}
            assert names <= Settings.model_fields.keys()
    assert len(commands) == 6
    for command in commands:
        assert gem_bedside(*command, "--help").status == DONE


def _containers(document: dict[str, Any]) -> list[dict[str, Any]]:
    spec = document if document["kind"] == "Pod" else document.get("spec", {}).get("template", {})
    found: list[dict[str, Any]] = spec.get("spec", {}).get("containers", [])
    return found


def test_each_worker_may_have_its_own_image_environment_and_place(cluster: Cluster) -> None:
    text = cluster.template(*flags(
        "image.registry=reg", "workers.interpreter.gpu=1", "workers.interpreter.runtimeClassName=nvidia",
        "workers.publisher.image.repository=other", "workers.publisher.image.tag=v7", "priorityClassName=low",
        "workers.monitor.priorityClassName=ward", "workers.monitor.env[0].name=A", "workers.monitor.env[0].value=b",
        "workers.monitor.nodeSelector.disk=ssd", "nodeSelector.pool=clinical", "global.imageRegistry=mirror:5000",
    ))  # fmt: skip
    pods = {
        d["metadata"]["labels"]["app.kubernetes.io/component"]: d["spec"]["template"]["spec"]
        for d in documents(text)
        if d["kind"] == "Deployment"
    }
    image = {name: pod["containers"][0]["image"] for name, pod in pods.items()}
    assert image == {
        "monitor": "mirror:5000/gem-bedside:0.1.0", "interpreter": "mirror:5000/gem-bedside:0.1.0-gpu",
        "publisher": "mirror:5000/other:v7", "station": "mirror:5000/gem-bedside:0.1.0",
    }  # fmt: skip
    assert pods["interpreter"]["runtimeClassName"] == "nvidia"
    assert "runtimeClassName" not in pods["monitor"]
    assert (pods["monitor"]["priorityClassName"], pods["station"]["priorityClassName"]) == ("ward", "low")
    assert {"name": "A", "value": "b"} in pods["monitor"]["containers"][0]["env"]
    assert pods["monitor"]["nodeSelector"] == {"disk": "ssd", "pool": "clinical"}
    assert pods["station"]["nodeSelector"] == {"pool": "clinical"}


def test_downloaded_weights_are_compared_before_the_interpreter_alone_starts(cluster: Cluster) -> None:
    digest = "ab" * 32
    text = cluster.template(*flags(
        "weights.gem=gem-7b", f"weights.download.image=fetch@sha256:{SHA}", "weights.download.command={fetch,gem-7b}",
        f"weights.sha256.gem-7b/model\\.safetensors={digest}",
    ))  # fmt: skip
    found = documents(text)
    (sums,) = [d["data"]["SHA256SUMS"] for d in found if d["metadata"]["name"] == "w-gem-bedside-weights"]
    assert sums == f"{digest}  /models/gem-7b/model.safetensors\n"
    for deployment in (d for d in found if d["kind"] == "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        first = [container["name"] for container in pod.get("initContainers", [])]
        mounts = [mount["name"] for mount in pod["containers"][0]["volumeMounts"]]
        interprets = deployment["metadata"]["name"].endswith("-interpreter")
        assert first == (["download", "digests"] if interprets else [])
        assert ("weights" in mounts) == interprets
        if interprets:
            assert pod["containers"][0]["image"] == "gem-bedside:0.1.0-gem"
            writers = [c["name"] for c in pod["initContainers"] for m in c["volumeMounts"]
                       if m["name"] == "weights" and not m.get("readOnly")]  # fmt: skip
            assert writers == ["download"]


def test_the_network_policies_name_every_connection(manifests: dict[str, str]) -> None:
    policies = {d["metadata"]["name"]: d["spec"] for d in documents(manifests["air-gapped"])
                if d["kind"] == "NetworkPolicy"}  # fmt: skip
    base = policies["w-gem-bedside"]
    assert base["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in base, "nothing comes in but what the other policies name"
    (kafka,) = policies["w-gem-bedside-kafka"]["egress"]
    assert kafka["to"] == [{"ipBlock": {"cidr": "10.20.0.0/28"}}]
    assert kafka["ports"] == [{"port": 9093, "protocol": "TCP"}]
    (redis,) = policies["w-gem-bedside-redis"]["egress"]
    assert redis["ports"] == [{"port": 6380, "protocol": "TCP"}]
    for name, policy in policies.items():
        for rule in policy.get("ingress", []):
            assert rule["from"], f"{name} admits everybody"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_manifests_are_valid_for_kubernetes(version: str, manifests: dict[str, str]) -> None:
    checked = 0
    for name, text in manifests.items():
        if name == "everything" and version == "1.29":
            continue  # it has an image volume
        for document in documents(text):
            if "keda.sh" in document["apiVersion"] or "coreos.com" in document["apiVersion"]:
                continue  # the API server's own schemas check these
            kubernetes_validate.validate(document, version, strict=True)
            checked += 1
    assert checked > 60


def test_the_generated_files_are_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "helm" / "generate.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_every_value_is_described() -> None:
    described = (CHART / "README.md").read_text()
    missing = [
        key for key in _leaves(yaml.safe_load((CHART / "values.yaml").read_text())) if f"| `{key}`" not in described
    ]
    assert not missing


def _leaves(values: dict[str, Any], at: str = "") -> list[str]:
    found = []
    for key, value in values.items():
        inside = key not in ("requests", "limits", "resources", "labels") and isinstance(value, dict) and value
        found += _leaves(value, f"{at}{key}.") if inside else [f"{at}{key}"]
    return found

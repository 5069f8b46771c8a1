"""Messages as workers take them from Kafka and give them to it."""

from __future__ import annotations

from dataclasses import dataclass

from agents.worker.bounded_batches import BATCH_ERROR, VALUE_BYTES
from streams.telemetry import Headers


@dataclass(frozen=True)
class Outgoing:
    """One message: topic, key (the bed stream), value, headers."""

    topic: str
    key: str
    value: bytes
    headers: Headers = ()


@dataclass(frozen=True)
class Incoming:
    """One message as it came from Kafka; ``append_ns`` is the broker's append time, UTC."""

    topic: str
    partition: int
    offset: int
    append_ns: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def place(self) -> str:
        """Topic, partition and offset, as reasons and logs name them."""
        return f"{self.topic}/{self.partition} offset {self.offset}"

    @property
    def batch_error(self) -> str:
        """Why the batch of this message, or its value, was rejected before it was read; empty for a message."""
        if not self.headers:
            return ""
        return next(((v or b"").decode(errors="replace") for name, v in self.headers if name == BATCH_ERROR), "")

    @property
    def whole_bytes(self) -> int | None:
        """Length of a value of which only the beginning was kept; None for a whole one."""
        if not self.headers:
            return None
        found = next((value for name, value in self.headers if name == VALUE_BYTES), None)
        return int(found) if self.batch_error and found is not None and found.isdigit() else None

"""Which partition a key belongs on: Kafka's own murmur2, so that all topics of a bed meet in one worker."""

from __future__ import annotations

from functools import lru_cache

from kafka.partitioner import murmur2

KEYS_REMEMBERED = 65_536  # a thousand beds fit many times over; the hash in Python costs some ten microseconds


@lru_cache(maxsize=KEYS_REMEMBERED)
def partition_of(key: bytes, n_partitions: int) -> int:
    """The partition that Kafka's Java client chooses for a key.

    >>> partition_of(b"icu-3/07", 8)
    2
    """
    return int((murmur2(key) & 0x7FFFFFFF) % n_partitions)

"""Partition of a key by Kafka's own murmur2, so that one worker holds all topics of a bed."""

from __future__ import annotations

from functools import lru_cache

from kafka.partitioner import murmur2

CACHED_KEYS = 65_536  # far more than the beds of a site; without the cache the hash in Python costs some 10 µs


@lru_cache(maxsize=CACHED_KEYS)
def partition_of(key: bytes, n_partitions: int) -> int:
    """The partition that Kafka's Java client chooses for a key.

    >>> partition_of(b"icu-3/07", 8)
    2
    """
    return int((murmur2(key) & 0x7FFFFFFF) % n_partitions)

"""Lets aiokafka's producers compress with LZ4's fast levels.

aiokafka compresses at level 9, as Kafka's brokers do where they compress themselves: 10 ms for 100 kB of digits, which
is what documents with signal are made of, and 0.2 ms at level 1 for a tenth more bytes. Of a monitor's time outside the
analysis this was more than half. The replaced name is that of aiokafka 0.14, which the lock file pins.
"""

from __future__ import annotations

import functools
import importlib

from aiokafka import codec

LEVEL = 1  # below LZ4's slow, "high compression" levels, which begin at 3
_MODULES = ("aiokafka.record.default_records", "aiokafka.record._crecords.default_records")


def compress_quickly() -> None:
    """Set the level for every aiokafka producer of this process; call it before one is started.

    Raises
    ------
    RuntimeError
        aiokafka compresses by another name.
    """
    quick = functools.partial(codec.lz4_encode, level=LEVEL)
    for name in _MODULES:
        try:
            module = importlib.import_module(name)
        except ImportError:  # aiokafka without its C extensions
            continue
        if not hasattr(module, "lz4_encode"):
            raise RuntimeError(f"{name} has no lz4_encode: this aiokafka is not the one that was tested")
        module.lz4_encode = quick  # type: ignore[attr-defined]

"""States of a partition (docs/delivery.md, "States of a partition").

===========  =========================================================================================================
RESTORING    the beds and their signal state are read from Kafka; messages wait
LIVE         each window is processed as it comes; a backfill may run beside it
CATCHING_UP  the partition lags: windows are skipped up to the latest, whose tail is then processed
REVOKED      another worker may hold the partition; nothing is written. `reassign` leads back, `discard` is final
===========  =========================================================================================================
"""

from __future__ import annotations

from enum import StrEnum


class PartitionState(StrEnum):
    """States of a `PartitionProcessor`."""

    RESTORING = "restoring"
    LIVE = "live"
    CATCHING_UP = "catching up"
    REVOKED = "revoked"

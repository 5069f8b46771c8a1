"""The skip of a partition that catches up: which windows are skipped, and the tails that are processed live."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from agents.monitor.bed import BedMonitor
from agents.worker.sender import Incoming

TAIL_S = 8.0  # of the latest signal: every lethal rhythm can be detected in it anew (EXTREME_BRADY needs 8 s)
SHORTEST_MESSAGE_S = 0.2


@dataclass(eq=False)
class Skip:
    """Windows below offset ``until`` are skipped; ``tails`` holds the last `TAIL_S` of each bed."""

    until: int
    tails: dict[str, deque[Incoming]] = field(default_factory=dict)

    def keep(self, bed: BedMonitor, message: Incoming) -> None:
        """Keep a message as one of the last of its bed."""
        tail = self.tails.get(bed.bed.bed_stream)
        if tail is None:
            length = math.ceil(TAIL_S / max(SHORTEST_MESSAGE_S, bed.live.reassembly.message_s))
            tail = self.tails[bed.bed.bed_stream] = deque(maxlen=length)
        tail.append(message)

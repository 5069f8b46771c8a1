"""One partition that a monitor holds: its beds, one thing at a time.

Windows, actions, interpretations and the passing of time of one partition meet here under one lock, so that each turn
of a bed is delivered before the next begins.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass, field

from agents.monitor.bed import BedMonitor
from agents.worker.sender import Incoming

TAIL_S = 8.0  # of the newest signal: every lethal rhythm can be judged afresh in it (EXTREME_BRADY needs 8 s)


@dataclass(eq=False)
class PassingOver:
    """Windows up to offset ``until`` (exclusive) are passed over; the newest end of each bed's is kept at hand."""

    until: int
    tails: dict[str, deque[Incoming]] = field(default_factory=dict)

    def keep(self, bed: BedMonitor, message: Incoming) -> None:
        """Remember a message, as one of the last `TAIL_S` of its bed."""
        tail = self.tails.get(bed.bed.bed_stream)
        if tail is None:
            length = math.ceil(TAIL_S / max(0.2, bed.live.reassembly.message_s))
            tail = self.tails[bed.bed.bed_stream] = deque(maxlen=length)
        tail.append(message)


@dataclass(eq=False)
class Partition:
    """State of one partition.

    Attributes
    ----------
    number : int
    beds : dict
        Bed stream to its monitor.
    lock : asyncio.Lock
        Held for one message, or one tick, and its delivery.
    ready : asyncio.Event
        The beds have their memory back.
    next_offset : int
        Of the windows: the first that has not been handled.
    passing : PassingOver or None
    generation : int
        In every document of the partition.
    """

    number: int
    beds: dict[str, BedMonitor] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    next_offset: int = 0
    passing: PassingOver | None = None
    behind: asyncio.Task[None] | None = None
    held: bool = True
    generation: int = 0

    def hold_in(self, generation: int, written: int) -> None:
        """Held in this generation of the group; ``written`` is the highest that stands in a document.

        It is the group's own. Only where the group was forgotten (its offsets expire after a week without workers) does
        it count from the beginning again; readers drop lower ones, so documents then go on from what they know.
        """
        self.generation = generation if generation > written else written + 1
        for bed in self.beds.values():
            bed.set_generation(self.generation)

"""Flagged segments that wait for GEM: the most urgent first, among these the newest; bounded. Pure.

A busy ward flags faster than a model reads. The newest asystole goes before an older one, and a segment that no longer
fits into the queue gets a rule-based report at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
URGENCY = {"PH": 0, "PM": 1, "PL": 2, "PN": 3}


@dataclass(frozen=True, slots=True)
class Waiting(Generic[Item]):
    """A waiting segment, with the values that its order depends on."""

    item: Item
    priority: str
    start_ns: int
    deadline_ns: int

    @property
    def order(self) -> tuple[int, int]:
        """The smallest goes first."""
        return URGENCY.get(self.priority, len(URGENCY)), -self.start_ns


class InterpretationQueue(Generic[Item]):
    """At most ``most`` wait.

    >>> queue = InterpretationQueue[str](2)
    >>> [queue.put(Waiting(name, p, t, 99)) for name, p, t in (("a", "PM", 1), ("b", "PM", 2), ("c", "PH", 0))][-1].item
    'a'
    >>> queue.next().item, queue.next().item, queue.next()
    ('c', 'b', None)
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: list[Waiting[Item]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, waiting: Waiting[Item]) -> Waiting[Item] | None:
        """Let one wait; the one that has to give way, if any."""
        self._waiting.append(waiting)
        if len(self._waiting) <= self._most:
            return None
        last = max(self._waiting, key=lambda w: w.order)
        self._waiting.remove(last)
        return last

    def next(self) -> Waiting[Item] | None:
        """Take the first out."""
        if not self._waiting:
            return None
        first = min(self._waiting, key=lambda w: w.order)
        self._waiting.remove(first)
        return first

    def overdue(self, now_ns: int) -> list[Waiting[Item]]:
        """Take out those whose deadline has passed."""
        late = [w for w in self._waiting if w.deadline_ns <= now_ns]
        self._waiting = [w for w in self._waiting if w.deadline_ns > now_ns]
        return late

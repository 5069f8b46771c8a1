"""A worker's beacon on ``ecg.workers``: several times within the time after which its group counts it as stopped."""

from __future__ import annotations

from pydantic import Field

from streams.document import Document


class Beacon(Document):
    """One beacon; the broker's append time is its time.

    Attributes
    ----------
    group : str
        Consumer group of the worker.
    member : str
        Id of the worker in its group.
    generation : int
        Of the group, in which the worker holds its partitions.
    finished : dict
        Partition of ``ecg.windows`` to the offset after the last finished window: all outputs of the windows before it
        are acknowledged.
    rejected : dict
        Partition to offsets of windows on which workers ended twice: nobody may take them.
    """

    schema_: int = Field(default=1, alias="schema")
    group: str
    member: str
    generation: int = -1
    finished: dict[int, int] = {}
    rejected: dict[int, list[int]] = {}

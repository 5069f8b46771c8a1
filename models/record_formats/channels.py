"""Channels of a recording file, as its header describes them, and the interface of a format's reader.

A reader gives physical values in the unit that the file names; `models.record_formats.selection` decides which
channels are ECG and how many millivolts a unit is. Needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

MAX_GAP_S = 86400.0  # a longer gap between data records is a damaged onset; a record with one would not fit anywhere


class RecordError(ValueError):
    """A record that cannot be read; the message names the file, the place and the remedy."""


@dataclass(frozen=True)
class Channel:
    """One channel of a file.

    Parameters
    ----------
    label : str
        As the file names it; empty where it names none.
    unit : str
        As the file names it; empty where it names none.
    fs_hz : float
        Samples a second of this channel.
    n_samples : int
        Samples of this channel, gaps included.
    fault : str
        Reason why the values cannot be used at all (no calibration, text only); empty where they can.
    """

    label: str
    unit: str
    fs_hz: float
    n_samples: int
    fault: str = ""


class ChannelReader(Protocol):
    """Reader of one open file.

    Attributes
    ----------
    channels : sequence of Channel
        All signals of the file, in its order.
    notes : list of str
        Remarks for the user: cells that are no numbers, a truncated file.
    """

    notes: list[str]

    @property
    def channels(self) -> Sequence[Channel]:
        """All signals of the file."""
        ...

    def read(self, rows: Sequence[int], start: int, stop: int) -> NDArray[np.floating[Any]]:
        """Samples ``start`` to ``stop`` of channels of one rate, [channels, samples]; NaN where one is missing."""
        ...


def require_file(path: Path) -> None:
    """Raise `RecordError` where there is no such file."""
    if not path.is_file():
        raise RecordError(f"{path}: no such file")

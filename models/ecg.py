"""`Ecg`: leads, sampling rate, samples in millivolts and start time, the value that all packages exchange.

Needs NumPy alone, so that `streams` and `station` may import it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.leads import canonical_lead

Millivolts = NDArray[np.float32]

MIN_FS_HZ, MAX_FS_HZ = 50.0, 2000.0  # the range that the wire format allows
MORPHOLOGY_FS_HZ = 100.0  # below it only beats and rhythm are analysed


@dataclass(frozen=True, eq=False)
class Ecg:
    """A piece of ECG on some leads.

    Parameters
    ----------
    leads : tuple of str
        Lead names in canonical spelling (``I`` … ``V6``, or a rhythm lead's own name), each once.
    fs_hz : float
        Sampling rate, 50 to 2000 Hz.
    mv : float32 array, shape [leads, samples]
        Millivolts; NaN where there is no sample.
    start_ns : int
        UTC of the first sample, nanoseconds; 0 where only relative time matters.
    derived : tuple of str
        Those of ``leads`` that were computed from others, not recorded.
    leads_off : tuple of str
        Those of ``leads`` whose electrode is reported detached.
    pacer_marks : int array
        Sample indices of pacing pulses, where the device marks them.
    paced : bool
        The patient has a pacemaker.
    age_years : int
        0: unknown.
    sex : str
        ``"F"``, ``"M"`` or ``""``.

    Raises
    ------
    ValueError
        Shapes, names or rates that do not fit; the message names both sides.
    """

    leads: tuple[str, ...]
    fs_hz: float
    mv: Millivolts
    start_ns: int = 0
    derived: tuple[str, ...] = ()
    leads_off: tuple[str, ...] = ()
    pacer_marks: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    paced: bool = False
    age_years: int = 0
    sex: str = ""

    def __post_init__(self) -> None:
        mv = np.asarray(self.mv, np.float32)
        object.__setattr__(self, "mv", mv)
        if mv.ndim != 2 or mv.shape[0] != len(self.leads):
            raise ValueError(
                f"mv has shape {mv.shape}, but there are {len(self.leads)} leads: expected [leads, samples]"
            )
        if len(set(self.leads)) != len(self.leads):
            twice = sorted({lead for lead in self.leads if self.leads.count(lead) > 1})
            raise ValueError(f"leads named twice: {', '.join(twice)}")
        if not MIN_FS_HZ <= self.fs_hz <= MAX_FS_HZ:
            raise ValueError(f"sampling_rate {self.fs_hz} is not in {MIN_FS_HZ:g}…{MAX_FS_HZ:g} Hz")

    @property
    def n_samples(self) -> int:
        """Samples of each lead."""
        return int(self.mv.shape[1])

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return self.n_samples / self.fs_hz

    def lead(self, name: str) -> Millivolts:
        """One lead's samples, [samples] mV; KeyError names the leads there are."""
        name = canonical_lead(name)
        if name not in self.leads:
            raise KeyError(f"no lead {name}; there are {', '.join(self.leads)}")
        samples: Millivolts = self.mv[self.leads.index(name)]
        return samples

    def slice(self, start: int, stop: int) -> Ecg:
        """Samples ``start`` to ``stop`` (exclusive), with start time and pacer marks moved along."""
        start, stop = max(0, start), min(self.n_samples, stop)
        marks = self.pacer_marks
        if start == 0 and stop == self.n_samples and not len(marks):
            return self
        return replace(
            self,
            mv=self.mv[:, start:stop],
            start_ns=self.start_ns + round(start / self.fs_hz * 1e9),
            pacer_marks=marks[(marks >= start) & (marks < stop)] - start,
        )

    def select(self, leads: Sequence[str]) -> Ecg:
        """The named leads only, in the order given."""
        rows = [self.leads.index(canonical_lead(lead)) for lead in leads]
        names = tuple(self.leads[k] for k in rows)
        return replace(
            self,
            leads=names,
            mv=self.mv[rows],
            derived=tuple(x for x in self.derived if x in names),
            leads_off=tuple(x for x in self.leads_off if x in names),
        )


def appended(mv: Millivolts, new: Millivolts, keep: int) -> Millivolts:
    """The newest ``keep`` samples of [leads, samples] and those that follow, as an array of no more than these."""
    old = max(0, keep - new.shape[1])
    return np.concatenate([mv[:, max(0, mv.shape[1] - old) :], new[:, -keep:]], axis=1)


class NewestSamples:
    """The newest samples of a stream, [leads, samples], in an array with room behind them.

    They are moved to its begin when the room is used up, and not with each append.

    Parameters
    ----------
    leads, keep : int
        Leads, and the samples that are kept.
    room : int
        Samples.
    """

    def __init__(self, leads: int, keep: int, room: int) -> None:
        self._keep, self._room = keep, room
        self._array: Millivolts = np.empty((leads, 0), np.float32)
        self._start = self._stop = 0

    @property
    def mv(self) -> Millivolts:
        """A view of them, until the next append; may be written to."""
        return self._array[:, self._start : self._stop]

    @mv.setter
    def mv(self, mv: Millivolts) -> None:
        kept = mv[:, -self._keep :]
        self._array = np.empty((len(mv), kept.shape[1] + self._room), np.float32)
        self._array[:, : kept.shape[1]] = kept
        self._start, self._stop = 0, kept.shape[1]

    def append(self, new: Millivolts) -> None:
        """Take the samples that follow."""
        n = new.shape[1]
        if self._stop + n > self._array.shape[1]:
            self.mv = appended(self.mv, new, self._keep)
            return
        self._array[:, self._stop : self._stop + n] = new
        self._stop += n
        self._start = max(self._start, self._stop - self._keep)


def rows_of(mv: Millivolts, rows: Sequence[int]) -> Millivolts:
    """Rows of [leads, samples] in another order; NaN in those of number -1."""
    out = np.full((len(rows), mv.shape[1]), np.nan, np.float32)
    there = [k for k, row in enumerate(rows) if row >= 0]
    out[there] = mv[[rows[k] for k in there]]
    return out


class EcgSource(Protocol):
    """An ECG whose samples are read in pieces: an `Ecg` in memory, or a record in a file."""

    @property
    def leads(self) -> tuple[str, ...]:
        """Lead names, each once."""
        ...

    @property
    def fs_hz(self) -> float:
        """Sampling rate, Hz."""
        ...

    @property
    def n_samples(self) -> int:
        """Samples a lead."""
        ...

    @property
    def duration_s(self) -> float:
        """Seconds from the first sample to the end."""
        ...

    @property
    def leads_off(self) -> tuple[str, ...]:
        """Leads whose electrode is reported detached."""
        ...

    @property
    def paced(self) -> bool:
        """The patient has a pacemaker."""
        ...

    def slice(self, start: int, stop: int) -> Ecg:
        """Samples ``start`` to ``stop`` (exclusive), as far as there are any."""
        ...

"""Fiducials of one beat, and those of all its leads as one small table.

An hour of twelve leads is 50,000 `Fiducials`, and each bed keeps those of a minute. A `FiducialTable` is a mapping of
lead to `Fiducials`, as a dict of them is, in a tenth of the memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Fiducials:
    """Positions of one beat's waves, samples of the signal as given; None where a wave is absent."""

    p_on: int | None = None
    p_peak: int | None = None
    p_off: int | None = None
    qrs_on: int | None = None
    qrs_off: int | None = None
    t_on: int | None = None
    t_peak: int | None = None
    t_off: int | None = None

    @classmethod
    def of_samples(cls, row: NDArray[np.float64]) -> Fiducials:
        """Of [marks], NaN where a wave is absent."""
        return cls(*[None if v != v else int(v) for v in row.tolist()])  # NaN alone is not itself

    def as_dict(self) -> dict[str, int | None]:
        """Mark to sample."""
        return {name: getattr(self, name) for name in MARKS}

    def span_ms(self, first: str, last: str, fs_hz: float) -> float | None:
        """Milliseconds from one mark to another; None where either is absent."""
        a, b = getattr(self, first), getattr(self, last)
        return None if a is None or b is None else (b - a) * 1000.0 / fs_hz


MARKS = tuple(f.name for f in fields(Fiducials))
COLUMNS = {name: k for k, name in enumerate(MARKS)}
_P_MARKS = [k for k, name in enumerate(MARKS) if name.startswith("p_")]


class FiducialTable(Mapping[str, Fiducials]):
    """Mapping of lead to `Fiducials`.

    Parameters
    ----------
    leads : tuple of str
        Its keys, in order; one tuple may serve many beats.
    samples : float64 [leads, marks]
        In the order of `MARKS`; NaN where a wave is absent.
    """

    __slots__ = ("_leads", "_samples")

    def __init__(self, leads: tuple[str, ...], samples: NDArray[np.float64]) -> None:
        self._leads, self._samples = leads, samples

    @classmethod
    def of(cls, fiducials: Mapping[str, Fiducials]) -> FiducialTable:
        """The table of a mapping."""
        rows = [[np.nan if (v := getattr(each, name)) is None else v for name in MARKS] for each in fiducials.values()]
        return cls(tuple(fiducials), np.array(rows, np.float64).reshape(len(fiducials), len(MARKS)))

    def __getitem__(self, lead: str) -> Fiducials:
        """Fiducials of one lead."""
        if lead not in self._leads:
            raise KeyError(lead)
        return Fiducials.of_samples(self._samples[self._leads.index(lead)])

    def __iter__(self) -> Iterator[str]:
        """Leads in order."""
        return iter(self._leads)

    def __len__(self) -> int:
        """Number of leads."""
        return len(self._leads)

    def mark(self, name: str, leads: Sequence[str]) -> NDArray[np.float64]:
        """One mark of each of ``leads``, samples, [leads]; NaN where the wave or the lead is absent."""
        column = self._samples[:, COLUMNS[name]]
        if self._leads == tuple(leads):
            return column
        return np.array([column[self._leads.index(x)] if x in self._leads else np.nan for x in leads], np.float64)

    def without_p(self) -> FiducialTable:
        """The same table without P waves."""
        samples = self._samples.copy()
        samples[:, _P_MARKS] = np.nan
        return FiducialTable(self._leads, samples)


def mark_of(fiducials: Mapping[str, Fiducials], name: str, leads: Sequence[str]) -> NDArray[np.float64]:
    """`FiducialTable.mark` of any mapping of lead to `Fiducials`."""
    return (fiducials if isinstance(fiducials, FiducialTable) else FiducialTable.of(fiducials)).mark(name, leads)

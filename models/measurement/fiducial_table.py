"""Fiducials of one beat in all leads, as a small table: an hour of twelve leads is 50,000 of them.

A `FiducialTable` is a mapping of lead to `Fiducials`, as a dict of them is, in a tenth of the memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from models.measurement.delineation import MARKS, Fiducials

_ABSENT = -1
_P_MARKS = [k for k, name in enumerate(MARKS) if name.startswith("p_")]


class FiducialTable(Mapping[str, Fiducials]):
    """Mapping of lead to `Fiducials`.

    Parameters
    ----------
    fiducials : mapping
        Lead to `Fiducials`.
    leads : tuple of str
        Its keys, in order; one tuple may serve many beats.
    """

    __slots__ = ("_leads", "_samples")

    def __init__(self, fiducials: Mapping[str, Fiducials], leads: tuple[str, ...]) -> None:
        self._leads = leads
        rows = [[_ABSENT if (v := getattr(fiducials[lead], name)) is None else v for name in MARKS] for lead in leads]
        self._samples = np.array(rows, np.int64).reshape(len(leads), len(MARKS))

    def __getitem__(self, lead: str) -> Fiducials:
        """Fiducials of one lead."""
        if lead not in self._leads:
            raise KeyError(lead)
        row = self._samples[self._leads.index(lead)].tolist()
        return Fiducials(*(None if sample == _ABSENT else sample for sample in row))

    def __iter__(self) -> Iterator[str]:
        """Leads in order."""
        return iter(self._leads)

    def __len__(self) -> int:
        """Number of leads."""
        return len(self._leads)

    def without_p(self) -> FiducialTable:
        """The same table without P waves."""
        out = FiducialTable.__new__(FiducialTable)
        out._leads, out._samples = self._leads, self._samples.copy()
        out._samples[:, _P_MARKS] = _ABSENT
        return out

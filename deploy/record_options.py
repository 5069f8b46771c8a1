"""Options that say how a record is read: sampling rate, channels and unit, the same for every command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploy.failures import WrongUse
from deploy.output import complain

if TYPE_CHECKING:
    from models.ecg import Ecg
    from models.records import Record


@dataclass(frozen=True)
class RecordOptions:
    """How records are read.

    Parameters
    ----------
    fs_hz : float, optional
        Sampling rate of CSV files.
    channels : tuple of str
        Channels to take; empty: every ECG channel.
    unit : str, optional
        Unit of all channels, whatever the file says.
    """

    fs_hz: float | None = None
    channels: tuple[str, ...] = ()
    unit: str | None = None

    @classmethod
    def parsed(cls, fs_hz: float | None, channels: str | None, unit: str | None) -> RecordOptions:
        """Options as a command line gives them; `WrongUse` where one makes no sense."""
        from models.record_formats.units import mv_per_unit

        names = tuple(name.strip() for name in (channels or "").split(",") if name.strip())
        if channels is not None and not names:
            raise WrongUse(f"--channels {channels!r} names no channel: give labels, as II,V1")
        if unit is not None and mv_per_unit(unit) is None:
            raise WrongUse(f"--unit {unit} is no unit of voltage: give mV or uV")
        if fs_hz is not None and not fs_hz > 0:
            raise WrongUse(f"--fs {fs_hz:g} is not above 0")
        return cls(fs_hz, names, unit)

    def open(self, record: str) -> Record:
        """Open one record, and print its notes to standard error."""
        from models.records import open_record

        opened = open_record(record, self.fs_hz, self.channels, self.unit)
        for note in opened.notes:
            complain(f"{record}: {note}")
        return opened

    def read(self, record: str) -> Ecg:
        """Read all of one record."""
        opened = self.open(record)
        return opened.slice(0, opened.n_samples)

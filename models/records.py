"""Record readers: WFDB, EDF, BDF and CSV files as ECG in millivolts.

In: a path. WFDB records are named without extension; EDF, BDF and CSV files end in ``.edf``, ``.bdf`` and ``.csv``.
Out: `Record`, which reads the samples that are asked for, or all of them as `Ecg`; millivolts, leads in canonical
spelling and order, NaN where there is no sample. Channels are chosen by label and unit (`docs/records.md`). Needs NumPy
alone until a file is read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from models.ecg import Ecg, Millivolts
from models.record_formats.channels import ChannelReader, RecordError
from models.record_formats.selection import select
from models.record_formats.units import MV_PER_UNIT

__all__ = ["MV_PER_UNIT", "Record", "RecordError", "open_record", "read_record"]

BLOCK_S = 30.0  # seconds of signal that are read from the file at a time
_TEXT_SUFFIXES = {".csv", ".tsv", ".txt"}
_DAMAGED = (OSError, ValueError, LookupError, TypeError, AttributeError, NameError, ArithmeticError, RuntimeError)


class Record:
    """The ECG channels of one file, read in pieces.

    Parameters
    ----------
    path : Path
        Of the file.
    reader : ChannelReader
        Of its format.
    channels : sequence of str
        Channels that the user chose; empty: all that are ECG.
    unit : str, optional
        Unit of all channels, whatever the file says.

    Attributes
    ----------
    leads : tuple of str
        Names in canonical spelling and order, each once.
    fs_hz : float
        Sampling rate.
    n_samples : int
        Samples a lead, missing ones included.
    paced : bool
        False: no recording format says so.
    notes : tuple of str
        Remarks for the user: channels that are not analysed, missing samples, a truncated file.
    """

    paced = False
    leads_off: tuple[str, ...] = ()

    def __init__(
        self, path: Path, reader: ChannelReader, channels: Sequence[str] = (), unit: str | None = None
    ) -> None:
        chosen = select(path, reader.channels, channels, unit)
        self.path = path
        self.leads = chosen.leads
        self.fs_hz = chosen.fs_hz
        self.n_samples = chosen.n_samples
        self.notes = (*reader.notes, *chosen.notes)
        self._reader = reader
        self._rows = chosen.rows
        self._factors = np.array(chosen.mv_per_unit)[:, None]
        self._block_samples = max(1, round(BLOCK_S * self.fs_hz))
        self._block_number, self._block = -1, np.zeros((0, 0), np.float32)

    @property
    def duration_s(self) -> float:
        """Seconds from the first sample to the end."""
        return self.n_samples / self.fs_hz

    def slice(self, start: int, stop: int) -> Ecg:
        """Samples ``start`` to ``stop`` (exclusive), as far as the record has them; the first sample is at 0 ns."""
        start, stop = max(0, start), max(0, min(self.n_samples, stop))
        out = np.empty((len(self.leads), max(0, stop - start)), np.float32)
        at = start
        while at < stop:
            number, offset = divmod(at, self._block_samples)
            block = self._read_block(number)
            take = min(stop - at, block.shape[1] - offset)
            out[:, at - start : at - start + take] = block[:, offset : offset + take]
            at += take
        return Ecg(self.leads, self.fs_hz, out, start_ns=round(start / self.fs_hz * 1e9))

    def _read_block(self, number: int) -> Millivolts:
        """A block of the file, [leads, samples] mV; the newest one is kept."""
        if number != self._block_number:
            start = number * self._block_samples
            stop = min(self.n_samples, start + self._block_samples)
            with _damage_named(self.path):
                values = self._reader.read(self._rows, start, stop)
                if values.shape[1] != stop - start:
                    raise ValueError(f"samples {start} to {stop} are not all there")
            self._block = (np.asarray(values, np.float64) * self._factors).astype(np.float32)
            self._block_number = number
        return self._block

    def require_samples(self) -> None:
        """Raise `RecordError` where every sample of every lead is missing."""
        for number in range(-(-self.n_samples // self._block_samples)):
            if np.isfinite(self._read_block(number)).any():
                return
        raise RecordError(f"{self.path}: every sample of {', '.join(self.leads)} is missing")


def open_record(
    path: str | Path, fs_hz: float | None = None, channels: Sequence[str] = (), unit: str | None = None
) -> Record:
    """Open one record.

    Parameters
    ----------
    path : str or Path
        WFDB record without extension (with ``.hea`` is fine too), an EDF, BDF or CSV file.
    fs_hz : float, optional
        Sampling rate of CSV files, which need it unless a time column gives it. Not used for other formats.
    channels : sequence of str, optional
        Labels, lead names or positions (1 is the first) of the channels to take, whatever their labels and units.
        Left out: every channel with the label of an ECG lead and a unit of voltage.
    unit : str, optional
        Unit of all channels, ``mV`` or ``uV``, where the file names none or a wrong one.

    Returns
    -------
    Record

    Raises
    ------
    RecordError
        The file is missing or damaged, or holds nothing to analyse; the message names each channel and the reason.
    """
    path = Path(path)
    with _damage_named(path):
        record = Record(path, _reader(path, fs_hz), channels, unit)
        record.require_samples()
    return record


def read_record(
    path: str | Path, fs_hz: float | None = None, channels: Sequence[str] = (), unit: str | None = None
) -> Ecg:
    """Read all of one record; parameters and errors as of `open_record`.

    Returns
    -------
    Ecg
        All ECG channels, millivolts.
    """
    record = open_record(path, fs_hz, channels, unit)
    return record.slice(0, record.n_samples)


def _reader(path: Path, fs_hz: float | None) -> ChannelReader:
    suffix = path.suffix.lower()
    if suffix in {".edf", ".bdf"}:
        from models.record_formats.edf_reader import EdfReader

        return EdfReader(path)
    if suffix in _TEXT_SUFFIXES:
        from models.record_formats.csv_reader import CsvReader

        return CsvReader(path, fs_hz)
    from models.record_formats.wfdb_reader import WfdbReader

    return WfdbReader(path.with_suffix("") if suffix in {".hea", ".dat"} else path)


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Turn the errors that a damaged file causes in a parser into `RecordError`, with the file's name."""
    try:
        yield
    except RecordError:
        raise
    except (*_DAMAGED, struct.error) as error:
        kind = path.suffix.lstrip(".").upper()
        kind = kind if f".{kind.lower()}" in {".edf", ".bdf", *_TEXT_SUFFIXES} else "WFDB"
        raise RecordError(f"{path}: cannot be read as {kind}: {error or type(error).__name__}") from error

"""EDF, EDF+ and BDF files, read a few data records at a time; each piece is parsed by the edfio package.

Data records of a discontinuous file (EDF+D, BDF+D) are placed by their onsets; samples between them are missing.
Sources: Kemp 1992 (EDF), Kemp and Olivan 2003 (EDF+), BioSemi (BDF, 24 bits a sample).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.record_formats.channels import MAX_GAP_S, Channel, RecordError, require_file
from models.record_formats.units import repaired

_FIXED_BYTES, _SIGNAL_BYTES = 256, 256  # of the header: for the file, and for each signal
_BDF_VERSION = b"\xffBIOSEMI"
_LABEL_AT, _SAMPLES_AT = 0, 216  # where these fields begin, bytes a signal
_ONSET = re.compile(rb"^\x00*([+-]\d+(?:\.\d*)?)(?:\x15[\d.]*)?\x14")


class EdfReader:
    """One EDF or BDF file.

    Parameters
    ----------
    path : Path

    Raises
    ------
    RecordError
        The file is missing or damaged, or holds no data record.
    """

    def __init__(self, path: Path) -> None:
        require_file(path)
        self._path = path
        self.notes: list[str] = []
        with path.open("rb") as file:
            fixed = file.read(_FIXED_BYTES)
            n_signals = self._number(fixed, 252, 4, "number of signals")
            self._header = fixed + file.read(round(n_signals) * _SIGNAL_BYTES)
        self._is_bdf = fixed.startswith(_BDF_VERSION)
        if not self._is_bdf and fixed[:8].strip() != b"0":
            raise RecordError(f"{path}: the first 8 bytes are {fixed[:8]!r}: neither EDF nor BDF")
        if n_signals < 1 or len(self._header) < _FIXED_BYTES + n_signals * _SIGNAL_BYTES:
            raise RecordError(f"{path}: the header names {n_signals:g} signals and ends too early: the file is damaged")
        self._record_s = self._number(fixed, 244, 8, "data record duration")
        if not self._record_s > 0:
            raise RecordError(
                f"{path}: data record duration is {self._record_s:g} s (header bytes 244 to 251): "
                "no sampling rate follows from it; the file holds annotations only or is damaged"
            )
        samples = [round(self._signal_number(k, _SAMPLES_AT, "samples per data record")) for k in range(self._count)]
        self._bytes_per_sample = 3 if self._is_bdf else 2
        self._record_bytes = sum(samples) * self._bytes_per_sample
        if self._record_bytes <= 0:
            raise RecordError(f"{path}: the signals have no samples per data record: the header is damaged")
        n_records = self._records_there(round(self._number(fixed, 236, 8, "number of data records")))
        if n_records < 1:
            raise RecordError(f"{path}: holds no data records: the recording is empty or was cut off after the header")
        self._starts_s = self._record_starts(samples, n_records, b"+D" in fixed[192:197])
        self._describe()

    @property
    def _count(self) -> int:
        return len(self._header) // _SIGNAL_BYTES - 1

    def _number(self, header: bytes, at: int, length: int, name: str) -> float:
        text = header[at : at + length].decode("latin-1").strip()
        try:
            return float(text)
        except ValueError:
            raise RecordError(
                f"{self._path}: {name} is {text!r} (header byte {at}): no EDF or BDF, or damaged"
            ) from None

    def _signal_number(self, k: int, field_at: int, name: str) -> float:
        return self._number(self._header, _FIXED_BYTES + field_at * self._count + 8 * k, 8, f"{name} of signal {k + 1}")

    def _records_there(self, declared: int) -> int:
        """Whole data records in the file; -1 in the header means that the recorder did not count them."""
        there = (self._path.stat().st_size - len(self._header)) // self._record_bytes
        if declared >= 0 and there < declared:
            self.notes.append(f"the header names {declared} data records, the file holds {there}: its end is missing")
        return there if declared < 0 else min(there, declared)

    def _record_starts(self, samples: list[int], n_records: int, discontinuous: bool) -> NDArray[np.float64]:
        """Onset of each data record, seconds after the first."""
        evenly = np.arange(n_records, dtype=np.float64) * self._record_s
        labels = [self._header[_FIXED_BYTES + 16 * k : _FIXED_BYTES + 16 * (k + 1)].strip() for k in range(self._count)]
        notes = [k for k, label in enumerate(labels) if label in (b"EDF Annotations", b"BDF Annotations")]
        if not discontinuous or not notes:
            return evenly
        skip, length = (n * self._bytes_per_sample for n in (sum(samples[: notes[0]]), samples[notes[0]]))
        onsets: NDArray[np.float64] = np.empty(n_records)
        with self._path.open("rb") as file:
            for k in range(n_records):
                file.seek(len(self._header) + k * self._record_bytes + skip)
                onset = _ONSET.match(file.read(length))
                if onset is None:
                    raise RecordError(
                        f"{self._path}: data record {k + 1} of a discontinuous file has no onset: damaged"
                    )
                onsets[k] = float(onset.group(1))
        step = np.diff(onsets)
        wrong = np.flatnonzero((step < self._record_s * (1 - 1e-3)) | (step > self._record_s + MAX_GAP_S))
        if len(wrong):
            k = int(wrong[0])
            raise RecordError(
                f"{self._path}: data record {k + 2} begins {step[k]:g} s after the one before, which lasts "
                f"{self._record_s:g} s: the onsets overlap or leave more than {MAX_GAP_S / 3600:g} h out; damaged"
            )
        onsets -= onsets[0]
        return onsets

    def _describe(self) -> None:
        self.channels: list[Channel] = []
        for signal in self._parse(b"").signals:
            fs_hz = signal.samples_per_data_record / self._record_s
            n = round(self._starts_s[-1] * fs_hz) + signal.samples_per_data_record
            fault = ""
            try:
                if signal.physical_min == signal.physical_max or signal.digital_min == signal.digital_max:
                    fault = "no calibration: its minimum is its maximum"
            except ValueError:
                fault = "no calibration: its physical or digital range is not readable"
            self.channels.append(Channel(repaired(signal.label), repaired(signal.physical_dimension), fs_hz, n, fault))

    def _parse(self, data: bytes) -> Any:
        """Header and data records as an edfio object."""
        import edfio

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the number of data records in the header is that of the whole file
            if self._is_bdf:
                return edfio.read_bdf(BytesIO(self._header + data), header_encoding="latin-1")
            return edfio.read_edf(self._header + data, lazy_load_data=False, header_encoding="latin-1")

    def read(self, rows: Sequence[int], start: int, stop: int) -> NDArray[np.floating[Any]]:
        """Samples of channels of one rate, [channels, samples], physical units; NaN in gaps between data records."""
        out = np.full((len(rows), stop - start), np.nan)
        fs_hz = self.channels[rows[0]].fs_hz
        size = round(fs_hz * self._record_s)
        begins = np.round(self._starts_s * fs_hz).astype(np.int64)
        first = max(0, int(np.searchsorted(begins, start, side="right")) - 1)
        last = int(np.searchsorted(begins, stop))
        if last <= first:
            return out
        with self._path.open("rb") as file:
            file.seek(len(self._header) + first * self._record_bytes)
            signals = self._parse(file.read((last - first) * self._record_bytes)).signals
        values = np.stack([signals[row].data for row in rows])
        for k in range(first, last):
            at = int(begins[k])
            lo, hi = max(start, at), min(stop, at + size)
            if lo < hi:
                out[:, lo - start : hi - start] = values[:, (k - first) * size + lo - at : (k - first) * size + hi - at]
        return out

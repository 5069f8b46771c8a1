"""WFDB records: single and multi-segment, with any number of samples a frame; parsed by the wfdb package.

The header defaults of WFDB (header(5)) hold: a signal line without gain has 200 units per mV. Unit symbols are read
from the bytes of the header, because wfdb drops every character that is not ASCII and would read "µV" as "V".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.record_formats.channels import Channel, RecordError

_UNIT = re.compile(r"^\S+\s+\S+\s+[^\s/]+/(\S+)")


class WfdbReader:
    """One WFDB record.

    Parameters
    ----------
    path : Path
        Of the record, without extension.

    Raises
    ------
    RecordError
        There is no such header, or no signal.
    """

    def __init__(self, path: Path) -> None:
        import wfdb

        header_path = path.with_name(path.name + ".hea")
        if not header_path.is_file():
            raise RecordError(f"{path}: no header {path.name}.hea beside it; give the record's path without extension")
        self._path = path
        self.notes: list[str] = []
        header = wfdb.rdheader(str(path), rd_segments=True)
        signals = header
        if isinstance(header, wfdb.MultiRecord):
            signals, header_path = self._layout(header)
        if not header.n_sig:
            raise RecordError(f"{path}: the header {path.name}.hea names no signal")
        frames = header.sig_len
        self._whole: list[NDArray[np.float64]] = []
        if frames is None:  # the header may leave the length out; wfdb then reads the whole record only
            record = wfdb.rdrecord(str(path), smooth_frames=False, return_res=64)
            frames, self._whole = record.sig_len, record.e_p_signal
        if not frames:
            raise RecordError(f"{path}: holds no samples")
        self._frames = int(frames)
        self._per_frame = [int(n or 1) for n in signals.samps_per_frame or [1] * header.n_sig]
        units = _units(header_path, [u or "" for u in signals.units or [""] * header.n_sig])
        labels = signals.sig_name or [None] * header.n_sig
        self.channels = [
            Channel(label or "", unit, float(header.fs) * n, self._frames * n)
            for label, unit, n in zip(labels, units, self._per_frame, strict=True)
        ]

    def _layout(self, header: Any) -> tuple[Any, Path]:
        """The segment header that describes the signals of a multi-segment record, and its path."""
        for name, segment in zip(header.seg_name, header.segments, strict=True):
            if segment is not None and name != "~" and segment.n_sig:
                return segment, self._path.with_name(f"{name}.hea")
        raise RecordError(f"{self._path}: no segment holds a signal")

    def read(self, rows: Sequence[int], start: int, stop: int) -> NDArray[np.floating[Any]]:
        """Samples of channels with one number of samples a frame, [channels, samples], physical units."""
        import wfdb

        if self._whole:
            return np.stack([self._whole[row][start:stop] for row in rows])
        per_frame = self._per_frame[rows[0]]
        first, last = start // per_frame, min(self._frames, -(-stop // per_frame))
        try:
            record = wfdb.rdrecord(
                str(self._path), sampfrom=first, sampto=last, channels=list(rows), smooth_frames=False, return_res=64
            )
        except ValueError as error:
            raise RecordError(
                f"{self._path}: frames {first} to {last} of {self._frames} cannot be read ({error}): a signal file is "
                "shorter than its header says, or damaged"
            ) from error
        values = np.stack([np.asarray(row, np.float64) for row in record.e_p_signal])
        return values[:, start - first * per_frame : stop - first * per_frame]


def _units(header_path: Path, parsed: list[str]) -> list[str]:
    """The unit of each signal, non-ASCII characters included."""
    raw = header_path.read_bytes()
    if raw.isascii():
        return parsed
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")][1:]
    named = [_UNIT.match(line) for line in lines]
    return [m.group(1) if m else unit for m, unit in zip(named, parsed, strict=False)] or parsed

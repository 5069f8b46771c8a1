"""CSV files: a header row of lead names, then one row a sample.

The rows are read once, a few thousand at a time, into a temporary file of float32 [samples, columns], so that a long
file needs no memory. A cell that is no number is a missing sample; how many there are is noted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.record_formats.channels import Channel, RecordError, require_file
from models.record_formats.csv_dialect import BLANKS, csv_dialect
from models.record_formats.csv_time import is_index, is_time, rate_of, seconds

_ROWS = 8192  # read at a time
_IN_MEMORY = 1 << 23  # bytes of samples; more go to a temporary file
_MISSING = {"", "nan", "na", "n/a", "#n/a", "null", "none", "-", "--", "?"}  # spellings of a missing sample
_RATE_DIFFERS = 0.01  # from here on the rate of the time column and that of the user are not the same
DEFAULT_UNIT = "mV"  # of a column whose header names none


class CsvReader:
    """One CSV file.

    Parameters
    ----------
    path : Path
    fs_hz : float, optional
        Sampling rate; needed where no time column gives it.

    Raises
    ------
    RecordError
        The file is missing, has no header row, no samples or no sampling rate.
    """

    def __init__(self, path: Path, fs_hz: float | None = None) -> None:
        require_file(path)
        self._path = path
        self.notes: list[str] = []
        self._dialect = csv_dialect(path)
        columns = self._dialect.columns
        self._times = [k for k, c in enumerate(columns) if is_time(c)]
        self._values = [k for k, c in enumerate(columns) if k not in self._times and not is_index(c)]
        if not self._values:
            names = ", ".join(c.name for c in columns)
            raise RecordError(f"{path}: the columns are {names}: none can hold ECG; the first row must hold lead names")
        self._spool = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  (open as long as the reader)
        self._text_cells = np.zeros(len(self._values), int)
        self._first_text: dict[int, str] = {}  # of each column
        self._numbers = np.zeros(len(self._values), np.int64)
        self._n = 0
        times = self._load(keep_times=fs_hz is None or bool(self._times))
        if not self._n:
            raise RecordError(f"{path}: no rows of samples below the header")
        rate = self._rate(times, fs_hz)
        for j, first in self._first_text.items():
            if self._numbers[j]:
                name, count = columns[self._values[j]].name, self._text_cells[j]
                self.notes.append(f"column {name}: {count} cells hold no number, taken as missing samples; {first}")
        self.channels = [
            Channel(columns[k].name, columns[k].unit or DEFAULT_UNIT, rate, self._n, self._fault(j))
            for j, k in enumerate(self._values)
        ]

    def _fault(self, j: int) -> str:
        if self._numbers[j]:
            return ""
        return "holds text instead of numbers" if self._text_cells[j] else "holds no numbers"

    def _load(self, keep_times: bool) -> tuple[NDArray[np.float64], bool]:
        """Read all rows; the first time column and whether its cells are clock times."""
        times: list[NDArray[np.float64]] = []
        as_clock = False
        with self._path.open(encoding=self._dialect.encoding, errors="replace", newline=None) as file:
            lines = iter(enumerate(file, 1))
            for _ in islice(lines, self._dialect.first_row):
                pass
            while block := [(k, line) for k, line in islice(lines, _ROWS) if line.strip()]:
                values = self._parse(block)
                self._numbers += np.isfinite(values).sum(axis=0)
                self._n += len(values)
                self._spool.write(values.astype(np.float32).tobytes())
                if keep_times and self._times:
                    cells = [cell for _, line in block for cell in self._time_cell(line)]
                    as_clock = as_clock or self._dialect.number(cells[0]) is None
                    times.append(seconds(cells, self._dialect))
        return (np.concatenate(times) if times else np.zeros(0)), as_clock

    def _time_cell(self, line: str) -> Iterator[str]:
        cells = self._dialect.cells(line)
        yield cells[self._times[0]] if len(cells) > self._times[0] else ""

    def _parse(self, block: Sequence[tuple[int, str]]) -> NDArray[np.float64]:
        """Rows of value columns, [rows, columns]; NaN where a cell is no number."""
        dialect, lines = self._dialect, [line for _, line in block]
        if dialect.delimiter != BLANKS and not dialect.decimal_comma:
            expected = len(dialect.columns) - 1
            if all(line.count(dialect.delimiter) == expected for line in lines):
                try:
                    values: NDArray[np.float64] = np.loadtxt(
                        lines, delimiter=dialect.delimiter, usecols=self._values, comments=None, ndmin=2,
                        quotechar=dialect.quote,
                    )  # fmt: skip
                except ValueError:  # a cell is empty or no number
                    pass
                else:
                    values[~np.isfinite(values)] = np.nan
                    return values
        return np.array([self._parse_row(number, line) for number, line in block], float)

    def _parse_row(self, line_number: int, line: str) -> list[float]:
        dialect = self._dialect
        cells = dialect.cells(line)
        if any(cell.strip() for cell in cells[len(dialect.columns) :]):
            raise RecordError(
                f"{self._path}: line {line_number} has {len(cells)} cells, the header {len(dialect.columns)}; "
                "numbers with decimal commas need another delimiter, as ;, or quotes"
            )
        row = []
        for j, k in enumerate(self._values):
            cell = cells[k].strip() if k < len(cells) else ""
            value = dialect.number(cell)
            if value is None and cell.lower() not in _MISSING:
                self._text_cells[j] += 1
                self._first_text.setdefault(j, f"the first is {cell[:20]!r} in line {line_number}")
            row.append(value if value is not None and np.isfinite(value) else np.nan)
        return row

    def _rate(self, times: tuple[NDArray[np.float64], bool], fs_hz: float | None) -> float:
        """The user's sampling rate, else that of the time column."""
        rate, problem = None, "no column holds time"
        if self._times:
            rate, problem = rate_of(times[0], self._dialect.columns[self._times[0]], times[1])
        if fs_hz is None and rate is None:
            raise RecordError(f"{self._path}: no sampling rate: {problem}; give it with --fs")
        if fs_hz is not None and rate is not None and abs(rate / fs_hz - 1.0) > _RATE_DIFFERS:
            self.notes.append(f"the time column gives {rate:g} Hz; --fs {fs_hz:g} is used")
        return float(rate if fs_hz is None else fs_hz)  # type: ignore[arg-type]

    def read(self, rows: Sequence[int], start: int, stop: int) -> NDArray[np.floating[Any]]:
        """Samples of the named columns, [columns, samples], in the unit of each; NaN where one is missing."""
        width = len(self._values)
        self._spool.seek(4 * width * start)
        values = np.frombuffer(self._spool.read(4 * width * (stop - start)), np.float32).reshape(-1, width)
        out: NDArray[np.floating[Any]] = values[:, list(rows)].T
        return out

"""Dialect of a CSV file: encoding, delimiter, quotes, decimal sign, and the header row with units.

Read: UTF-8 (with or without byte order mark), UTF-16 with byte order mark, Latin-1; semicolons, tabs, bars, commas or
blanks between cells; double or single quotes; decimal points or commas; a second header row with units (PhysioBank).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.record_formats.channels import RecordError
from models.record_formats.units import mv_per_unit

_SAMPLE_BYTES, _SAMPLE_ROWS = 1 << 18, 50  # of the file's start: what the dialect is read from
_DELIMITERS = (";", "\t", "|", ",")
BLANKS = " "  # the delimiter that stands for any run of blanks
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_IN_BRACKETS = re.compile(r"^(.*?)[\s_]*[(\[]\s*([^()\[\]]+?)\s*[)\]]$")
_AS_SUFFIX = re.compile(
    r"^(.*\S)[\s_./-]+([uµμmn]V|microvolts?|millivolts?|s|sec|secs|ms|msec|us|µs|ns)$", re.IGNORECASE
)
_TIME_UNITS = {"s", "sec", "secs", "second", "seconds", "ms", "msec", "milliseconds", "us", "µs", "μs", "ns"}
_OTHER_UNITS = {"mmhg", "%", "bpm", "nu", "adu", "a.u.", "au", "kpa", "cmh2o", "ohm", "g", "l/min", "l/s", "hz", "°c"}
_CLOCK_UNIT = re.compile(r"[hmsd:./ -]+", re.IGNORECASE)  # "hh:mm:ss.mmm"
_DECIMAL_COMMA, _DECIMAL_POINT = (
    re.compile(r"[+-]?\d*,\d+(?:e[+-]?\d+)?", re.IGNORECASE),
    re.compile(r"[+-]?\d*\.\d+.*"),
)


@dataclass(frozen=True)
class Column:
    """One column by its header: name without unit, and the unit, empty where none is named."""

    name: str
    unit: str


@dataclass(frozen=True)
class CsvDialect:
    """How a file is written.

    Parameters
    ----------
    encoding, delimiter, quote : str
        As for `open` and `csv.reader`; the delimiter `BLANKS` is any run of blanks.
    decimal_comma : bool
        Numbers are written as ``0,25``.
    columns : tuple of Column
        By the header.
    first_row : int
        Lines before the first row of samples.
    """

    encoding: str
    delimiter: str
    quote: str
    decimal_comma: bool
    columns: tuple[Column, ...]
    first_row: int

    def cells(self, line: str) -> list[str]:
        """The cells of one line."""
        return _cells(line, self.delimiter, self.quote)

    def number(self, cell: str) -> float | None:
        """The number in a cell; None where it holds none."""
        return number(cell, self.decimal_comma)


def number(cell: str, decimal_comma: bool = False) -> float | None:
    """The number in a cell; None where it holds none."""
    text = cell.strip()
    if decimal_comma and "." not in text:
        text = text.replace(",", ".")
    try:
        return float(text)
    except ValueError:
        return None


def csv_dialect(path: Path) -> CsvDialect:
    """Detect the dialect of a file by its first lines.

    Raises
    ------
    RecordError
        The file is empty, or no row names the columns.
    """
    with path.open("rb") as file:
        raw = file.read(_SAMPLE_BYTES)
    encoding = _encoding(raw)
    lines = raw.decode(encoding, errors="replace").splitlines()
    at = 0
    while at < len(lines) and (not lines[at].strip() or lines[at].lower().startswith("sep=")):
        at += 1
    header_at, comment = at, ""
    while header_at < len(lines) and lines[header_at].lstrip().startswith("#") and not _is_header(lines, header_at):
        comment, header_at = lines[header_at], header_at + 1
    if header_at >= len(lines):
        raise RecordError(f"{path}: holds no rows; the first row must hold lead names, e.g. I,II,V1")
    header = lines[header_at]
    first_row = header_at + 1
    if comment and _all_numbers(header):  # the names are in the comment, as numpy.savetxt writes them
        header, first_row = comment.lstrip("# \t"), header_at
    rows = [line for line in lines[first_row : first_row + _SAMPLE_ROWS] if line.strip()]
    quote = "'" if header.lstrip().startswith("'") else '"'
    delimiter = _delimiter(header, rows)
    names = [cell.strip() for cell in _cells(header, delimiter, quote)]
    if all(not name or number(name, decimal_comma=True) is not None for name in names):
        raise RecordError(f"{path}: the first row must hold lead names, e.g. I,II,V1; it holds {header.strip()[:60]!r}")
    columns = [_column(name) for name in names]
    if rows and (units := _units(_cells(rows[0], delimiter, quote), len(columns))):
        columns = [Column(c.name, c.unit or unit) for c, unit in zip(columns, units, strict=True)]
        first_row = lines.index(rows[0], first_row) + 1
        rows = rows[1:]
    cells = [cell.strip() for row in rows for cell in _cells(row, delimiter, quote)]
    commas = any(_DECIMAL_COMMA.fullmatch(c) for c in cells) and not any(_DECIMAL_POINT.fullmatch(c) for c in cells)
    return CsvDialect(encoding, delimiter, quote, commas, tuple(columns), first_row)


def _encoding(raw: bytes) -> str:
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return encoding
    try:
        raw[: raw.rfind(b"\n") + 1 or len(raw)].decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def _is_header(lines: Sequence[str], at: int) -> bool:
    """Whether a line that begins with # is the header itself, as in ``#,I,II``."""
    return lines[at].lstrip()[1:].lstrip(" \t")[:1] in _DELIMITERS


def _all_numbers(line: str) -> bool:
    return all(number(cell, decimal_comma=True) is not None for cell in re.split(r"[;\t|,\s]+", line.strip()))


def _delimiter(header: str, rows: Sequence[str]) -> str:
    """The first delimiter that stands in the header outside of quotes; else blanks, where they part the rows too."""
    bare = re.sub(r"\"[^\"]*\"|'[^']*'", "", header)
    for delimiter in _DELIMITERS:
        if delimiter in bare:
            return delimiter
    names, cells = header.split(), rows[0].split() if rows else []
    parted = len(names) == len(cells) > 1 and any(number(c, decimal_comma=True) is not None for c in cells)
    return BLANKS if parted else ";"  # a single column, which may have decimal commas


def _cells(line: str, delimiter: str, quote: str) -> list[str]:
    if delimiter == BLANKS:
        return line.split()
    return next(csv.reader([line], delimiter=delimiter, quotechar=quote, skipinitialspace=True), [])


def _column(header: str) -> Column:
    """Name and unit of a header cell.

    >>> _column("I (uV)"), _column("time_ms"), _column("ECG (II)")
    (Column(name='I', unit='uV'), Column(name='time', unit='ms'), Column(name='ECG (II)', unit=''))
    """
    bracketed = _IN_BRACKETS.match(header)
    if bracketed and _is_unit(bracketed.group(2)):
        return Column(bracketed.group(1).strip(), bracketed.group(2))
    suffix = _AS_SUFFIX.match(header)
    return Column(suffix.group(1).strip(" _"), suffix.group(2)) if suffix else Column(header, "")


def _is_unit(text: str) -> bool:
    plain = text.strip().lower()
    return mv_per_unit(text) is not None or plain in _TIME_UNITS | _OTHER_UNITS


def _units(cells: Sequence[str], n_columns: int) -> list[str]:
    """The units of a second header row; empty where the row is none."""
    texts = [cell.strip().strip("()[]") for cell in cells]
    named = [t for t in texts if t]
    if len(texts) != n_columns or not any(mv_per_unit(t) is not None for t in named):
        return []
    return texts if all(_is_unit(t) or _CLOCK_UNIT.fullmatch(t) for t in named) else []

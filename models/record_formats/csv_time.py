"""Time columns of CSV files: which columns hold time or a running number, and the sampling rate that they give."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from models.ecg import MAX_FS_HZ, MIN_FS_HZ
from models.record_formats.csv_dialect import Column, CsvDialect

_INDEX = re.compile(
    r"|#|(?:sample|samp|row|frame)s?[\s_]*(?:#|no\.?|nr\.?|num|number|index|idx)?|index|idx|n|no\.?|nr\.?"
    r"|unnamed: ?\d+",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"t|(?:elapsed[\s_]*|relative[\s_]*|rel[\s_]*|device[\s_]*|utc[\s_]*)?time(?:[\s_]?stamp)?|elapsed|timestamps?|ts"
    r"|date[\s_]*/?[\s_]*time|date|clock|s|secs?|seconds?|ms|msec|milliseconds?|us|µs|microseconds?|ns",
    re.IGNORECASE,
)
_SECONDS = {"s": 1.0, "sec": 1.0, "second": 1.0, "ms": 1e-3, "msec": 1e-3, "millisecond": 1e-3}
_SECONDS |= {"us": 1e-6, "µs": 1e-6, "μs": 1e-6, "microsecond": 1e-6, "ns": 1e-9}
_SINCE_1970 = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))  # a time stamp this large counts in these seconds
_CLOCK = re.compile(r"\[?(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)\]?")
_OFF_GRID = 0.75  # of a sample, or of the column's resolution: how far a regular sample may be from its place


def is_index(column: Column) -> bool:
    """Whether the column holds a running number."""
    return not column.unit and _INDEX.fullmatch(column.name) is not None


def is_time(column: Column) -> bool:
    """Whether the column holds the time of each sample."""
    return _TIME.fullmatch(column.name) is not None and (not column.unit or _per_unit(column.unit) is not None or (
        ":" in column.unit
    ))  # fmt: skip


def _per_unit(unit: str) -> float | None:
    plain = unit.strip().lower()
    return _SECONDS.get(plain) or _SECONDS.get(plain.removesuffix("s"))


def seconds(cells: Sequence[str], dialect: CsvDialect) -> NDArray[np.float64]:
    """Time cells as numbers: as they are, clock times and dates in seconds; NaN where a cell is neither."""
    return np.array([_time_of(cell.strip(), dialect) for cell in cells], float)


def _time_of(cell: str, dialect: CsvDialect) -> float:
    value = dialect.number(cell)
    if value is not None:
        return value
    clock = _CLOCK.fullmatch(cell)
    if clock:
        hours, minutes, rest = clock.groups()
        return 3600.0 * int(hours or 0) + 60.0 * int(minutes) + float(rest.replace(",", "."))
    try:
        return datetime.fromisoformat(cell.replace(",", ".")).timestamp()
    except ValueError:
        return float("nan")


def rate_of(times: NDArray[np.float64], column: Column, as_clock: bool) -> tuple[float | None, str]:
    """Sampling rate of a time column.

    Parameters
    ----------
    times : float array, [samples]
        As `seconds` gives them.
    column : Column
        Its name and unit.
    as_clock : bool
        The cells are clock times or dates: seconds, whatever the header says.

    Returns
    -------
    rate : float or None
        Hz.
    problem : str
        Reason why there is none.
    """
    name = column.name or "time"
    if len(times) < 2:
        return None, f"column {name} has a single row"
    if not np.isfinite(times).all():
        return (
            None,
            f"column {name} has no time in row {int(np.flatnonzero(~np.isfinite(times))[0]) + 1} of the samples",
        )
    times = (times - times[0]) * _scale(column, float(times[0]), as_clock)
    step = np.diff(times)
    if (step < 0).any() or times[-1] <= 0:
        return None, f"column {name} runs backwards or stands still at row {int(np.argmin(step)) + 2} of the samples"
    fs_hz = (len(times) - 1) / float(times[-1])
    resolution_s = float(np.min(step[step > 0]))
    off = np.abs(times - np.arange(len(times)) / fs_hz)
    if float(off.max()) > _OFF_GRID * max(1.0 / fs_hz, resolution_s):
        k = int(np.argmax(step))
        return None, (
            f"column {name} is not evenly spaced: {step[k]:g} s from row {k + 1} to row {k + 2} of the samples, "
            f"{float(np.median(step)):g} s usually"
        )
    exact = round(fs_hz)
    if exact and abs(exact / fs_hz - 1.0) <= resolution_s / float(times[-1]) + 1e-9:
        fs_hz = float(exact)
    if not MIN_FS_HZ <= fs_hz <= MAX_FS_HZ:
        unit = column.unit or "s"
        return None, (
            f"column {name}, read in {unit}, gives {fs_hz:g} Hz, which is not in {MIN_FS_HZ:g}…{MAX_FS_HZ:g} Hz; "
            f"name its unit, as time_ms"
        )
    return float(f"{fs_hz:.6g}"), ""


def _scale(column: Column, first: float, as_clock: bool) -> float:
    """Seconds of one unit of the column."""
    if as_clock:
        return 1.0
    named = _per_unit(column.unit) or _per_unit(column.name)
    if named is not None:
        return named
    return next((scale for limit, scale in _SINCE_1970 if first > limit), 1.0)

"""Record readers: WFDB, EDF and CSV files to `Ecg`.

In: a path. WFDB records are named without extension, EDF files end in ``.edf``, CSV files in ``.csv`` (first row:
lead names; values in millivolts). Out: `Ecg` in millivolts, leads in canonical spelling and order; channels that are no
voltage (pressure, pulse, respiration) are left out. Needs NumPy alone until a file is read.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.ecg import Ecg
from models.leads import canonical_lead, lead_order

MV_PER_UNIT = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "v": 1e3, "": 1.0}
"""Millivolts per unit, by lower-case name; a file that names no unit holds millivolts."""

_TIME_COLUMNS = {"time", "t", "time_s", "seconds", "sample", "index", ""}


class RecordError(ValueError):
    """A record that cannot be read; the message names the file and what to do."""


def read_record(path: str | Path, fs_hz: float | None = None) -> Ecg:
    """Read one record.

    Parameters
    ----------
    path : str or Path
        WFDB record without extension (with ``.hea`` is fine too), an EDF file or a CSV file.
    fs_hz : float, optional
        Sampling rate; needed for CSV, where no header carries it. Overrides nothing elsewhere.

    Returns
    -------
    Ecg
        All voltage channels, millivolts.

    Raises
    ------
    RecordError
        The file is missing, damaged, or holds no ECG.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    try:
        if suffix == ".edf":
            return _read_edf(path)
        if suffix == ".csv":
            return _read_csv(path, fs_hz)
        return _read_wfdb(path.with_suffix("") if suffix in {".hea", ".dat"} else path)
    except RecordError:
        raise
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, RuntimeError) as e:
        raise RecordError(f"{path}: cannot be read as {suffix.lstrip('.').upper() or 'WFDB'}: {e}") from e


def _ecg(
    path: Path, names: Sequence[str], units: Sequence[str], rows: Sequence[NDArray[np.floating]], fs_hz: float
) -> Ecg:
    """Voltage channels in millivolts, canonical order; a name that comes twice gets a number."""
    by_name: dict[str, NDArray[np.float32]] = {}
    for name, unit, row in zip(names, units, rows, strict=True):
        factor = MV_PER_UNIT.get(unit.strip().lower())
        if factor is None:
            continue
        lead = canonical_lead(name) or "ECG"
        k = 2
        unique = lead
        while unique in by_name:
            unique, k = f"{lead}-{k}", k + 1
        by_name[unique] = (np.asarray(row, np.float64) * factor).astype(np.float32)
    if not by_name:
        raise RecordError(
            f"{path}: no channel in V, mV or µV (units are {', '.join(units) or 'none'}); "
            "give a record with an ECG channel"
        )
    leads = lead_order(list(by_name))
    return Ecg(tuple(leads), float(fs_hz), np.stack([by_name[x] for x in leads]))


def _read_wfdb(path: Path) -> Ecg:
    import wfdb

    if not path.with_name(path.name + ".hea").is_file():
        raise RecordError(f"{path}: no header {path.name}.hea beside it; give the record's path without extension")
    record = wfdb.rdrecord(str(path))
    signal = record.p_signal
    if signal is None or signal.size == 0:
        raise RecordError(f"{path}: holds no samples")
    return _ecg(path, record.sig_name, [u or "" for u in record.units], list(signal.T), record.fs)


def _read_edf(path: Path) -> Ecg:
    import edfio

    if not path.is_file():
        raise RecordError(f"{path}: no such file")
    edf = edfio.read_edf(path)
    voltages = [s for s in edf.signals if MV_PER_UNIT.get(s.physical_dimension.strip().lower()) is not None]
    if not voltages:
        raise RecordError(f"{path}: no signal in V, mV or µV; give a file with an ECG signal")
    fs = max(s.sampling_frequency for s in voltages)
    same = [s for s in voltages if s.sampling_frequency == fs]
    names = [s.label.strip().removeprefix("ECG ").removeprefix("EKG ") for s in same]
    return _ecg(path, names, [s.physical_dimension for s in same], [s.data for s in same], fs)


def _read_csv(path: Path, fs_hz: float | None) -> Ecg:
    if fs_hz is None:
        raise RecordError(f"{path}: a CSV file carries no sampling rate; give it with --fs")
    if not path.is_file():
        raise RecordError(f"{path}: no such file")
    with path.open(newline="") as f:
        header = [h.strip() for h in next(csv.reader(f), [])]
        if not header or all(_is_number(h) for h in header):
            raise RecordError(f"{path}: the first row must hold lead names, e.g. I,II,V1")
        values = np.genfromtxt(f, delimiter=",", dtype=np.float64, ndmin=2)
    if values.size == 0 or values.shape[1] != len(header):
        columns_there = values.shape[1] if values.size else 0
        raise RecordError(f"{path}: {len(header)} lead names, but {columns_there} columns of numbers")
    columns = [(h, values[:, k]) for k, h in enumerate(header) if h.lower() not in _TIME_COLUMNS]
    return _ecg(path, [h for h, _ in columns], ["mV"] * len(columns), [c for _, c in columns], fs_hz)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

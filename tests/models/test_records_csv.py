"""CSV files in the dialects that spreadsheets, recorders and scripts write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.records import Record, RecordError, open_record, read_record

FS = 250
WAVE = 0.5 * np.sin(np.linspace(0, 40, 2000))


def write(path: Path, header: str, row: Callable[[int, float], str], encoding: str = "utf-8") -> Path:
    """A header and a row a sample; `row` is given the sample's number and its value in mV."""
    lines = [header, *(row(k, float(x)) for k, x in enumerate(WAVE))]
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


def assert_wave(record: Record, leads: tuple[str, ...], fs_hz: float = FS) -> None:
    """Every lead holds the wave."""
    assert (record.leads, record.fs_hz, record.n_samples) == (leads, fs_hz, len(WAVE))
    for row in record.slice(0, record.n_samples).mv:
        np.testing.assert_allclose(row, WAVE, atol=1e-3)


def comma(x: float) -> str:
    return f"{x:.4f}".replace(".", ",")


DIALECTS: dict[str, tuple[str, Callable[[int, float], str], str]] = {
    "commas": ("I,II", lambda k, x: f"{x:.4f},{x:.4f}", "utf-8"),
    "blanks": ("I II", lambda k, x: f"{x:.4f} {x:.4f}", "utf-8"),
    "tabs": ("Lead I\tLead II", lambda k, x: f"{x:.4f}\t{x:.4f}", "utf-8"),
    "semicolons and decimal commas": ("I;II", lambda k, x: f"{comma(x)};{comma(x)}", "utf-8"),
    "quoted decimal commas": ('"I","II"', lambda k, x: f'"{comma(x)}","{comma(x)}"', "utf-8"),
    "quotes": ('"I","II"', lambda k, x: f'"{x:.4f}","{x:.4f}"', "utf-8"),
    "byte order mark": ("I,II", lambda k, x: f"{x:.4f},{x:.4f}", "utf-8-sig"),
    "utf-16": ("I\tII", lambda k, x: f"{x:.4f}\t{x:.4f}", "utf-16"),
    "carriage returns": ("I,II\r", lambda k, x: f"{x:.4f},{x:.4f}\r", "utf-8"),
    "comment header": ("# I,II", lambda k, x: f"{x:.4f},{x:.4f}", "utf-8"),
    "spreadsheet separator line": ("sep=;\nI;II", lambda k, x: f"{x:.4f};{x:.4f}", "utf-8"),
    "trailing delimiter": ("I,II,", lambda k, x: f"{x:.4f},{x:.4f},", "utf-8"),
    "microvolts": ("I (uV),II_uV", lambda k, x: f"{1000 * x:.2f},{1000 * x:.2f}", "utf-8"),
    "micro sign in utf-8": ("I [µV],II (μV)", lambda k, x: f"{1000 * x:.2f},{1000 * x:.2f}", "utf-8"),
    "micro sign in latin-1": ("I (µV),II (µV)", lambda k, x: f"{1000 * x:.2f},{1000 * x:.2f}", "latin-1"),
    "row of units": ("I,II\nuV,mV", lambda k, x: f"{1000 * x:.2f},{x:.4f}", "utf-8"),
    "running numbers": ("sample #,I,II", lambda k, x: f"{k},{x:.4f},{x:.4f}", "utf-8"),
    "unnamed index": (",I,II", lambda k, x: f"{k},{x:.4f},{x:.4f}", "utf-8"),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects(tmp_path: Path, dialect: str) -> None:
    header, row, encoding = DIALECTS[dialect]
    assert_wave(open_record(write(tmp_path / "a.csv", header, row, encoding), FS), ("I", "II"))


def test_a_single_column_with_decimal_commas(tmp_path: Path) -> None:
    assert_wave(open_record(write(tmp_path / "a.csv", "II", lambda k, x: comma(x)), FS), ("II",))


TIMES: dict[str, tuple[str, Callable[[int], str]]] = {
    "Time (s)": ("Time (s)", lambda k: f"{k / FS:.3f}"),
    "time": ("time", lambda k: f"{k / FS:.3f}"),
    "t": ("t", lambda k: f"{10 + k / FS:.3f}"),
    "time_ms": ("time_ms", lambda k: f"{4 * k}"),
    "timestamp in ms since 1970": ("timestamp", lambda k: f"{1_700_000_000_000 + 4 * k}"),
    "timestamp in text": ("timestamp", lambda k: f"2026-01-01T00:00:{k / FS:06.3f}"),
    "clock": ("'Elapsed time'", lambda k: f"0:{k / FS:06.3f}"),
}


@pytest.mark.parametrize("time", TIMES)
def test_a_time_column_gives_the_rate_and_is_no_lead(tmp_path: Path, time: str) -> None:
    header, cell = TIMES[time]
    path = write(tmp_path / "a.csv", f"{header},ECG", lambda k, x: f"{cell(k)},{x:.4f}")
    assert_wave(open_record(path), ("ECG",))


def test_physiobank_export(tmp_path: Path) -> None:
    header = "'Elapsed time','MLII','V5'\n'hh:mm:ss.mmm','mV','mV'"
    path = write(tmp_path / "a.csv", header, lambda k, x: f"{k / 360 // 60:.0f}:{k / 360 % 60:06.3f},{x:.4f},{x:.4f}")
    assert_wave(open_record(path), ("II", "V5"), 360.0)


def test_without_a_rate_the_error_asks_for_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "sample,II", lambda k, x: f"{k},{x:.4f}")
    with pytest.raises(RecordError, match="no sampling rate: no column holds time; give it with --fs"):
        read_record(path)


def test_a_time_column_with_a_jump_gives_no_rate_and_the_row_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "time,II", lambda k, x: f"{k / FS + 5 * (k > 1000):.3f},{x:.4f}")
    with pytest.raises(RecordError, match=r"not evenly spaced: 5.004 s from row 1001 to row 1002.*--fs"):
        read_record(path)
    assert_wave(open_record(path, FS), ("II",))


def test_the_users_rate_wins_over_the_time_column(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "time,II", lambda k, x: f"{k / FS:.3f},{x:.4f}")
    record = open_record(path, 500)
    assert record.fs_hz == 500.0
    assert record.notes == ("the time column gives 250 Hz; --fs 500 is used",)


def test_cells_of_text_are_missing_samples_and_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "I,II", lambda k, x: f"{x:.4f},{'off' if k < 50 else x}")
    record = open_record(path, FS)
    missing = np.isnan(record.slice(0, 100).mv).sum(axis=1)
    assert missing.tolist() == [0, 50]
    assert record.notes == (
        "column II: 50 cells hold no number, taken as missing samples; the first is 'off' in line 2",
    )


def test_a_column_of_text_is_refused_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "I,II", lambda k, x: f"{x:.4f},text")
    assert open_record(path, FS).leads == ("I",)
    path = write(tmp_path / "b.csv", "I,II", lambda k, x: "some,text")
    with pytest.raises(RecordError, match=r"I \(holds text instead of numbers\); II \(holds text"):
        read_record(path, FS)


@pytest.mark.parametrize("cells", [",", "nan,nan", "NA,NA"])
def test_a_file_with_every_sample_missing_is_an_error(tmp_path: Path, cells: str) -> None:
    with pytest.raises(RecordError, match=r"I \(holds no numbers\)"):
        read_record(write(tmp_path / "a.csv", "I,II", lambda k, x: cells), FS)


def test_a_marker_column_is_refused_by_name_unless_chosen(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "marker,other", lambda k, x: f"{x:.4f},{x:.4f}")
    with pytest.raises(RecordError, match=r"marker \(status or marker\); other \(label is not known as an ECG lead\)"):
        read_record(path, FS)
    assert_wave(open_record(path, FS, channels=["marker"]), ("marker",))


def test_the_users_unit_holds(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "I,II", lambda k, x: f"{1000 * x:.2f},{1000 * x:.2f}")
    assert_wave(open_record(path, FS, unit="uV"), ("I", "II"))


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "holds no rows"), ("I,II\n", "no rows of samples"), ("0.1,0.2\n0.1,0.2\n", "first row must hold lead names"),
     ("I,II\n0,1,0,2\n", "line 2 has 4 cells, the header 2"), ("time,sample\n0,1\n", "none can hold ECG"),
     ("time,I\n0,1\n1,1\n2,1\n", "gives 1 Hz, which is not in 50…2000 Hz")],
)  # fmt: skip
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(RecordError, match=message):
        read_record(tmp_path / "a.csv", None if "time,I" in text else FS)


def test_a_long_file_is_read_in_pieces(tmp_path: Path) -> None:
    """More rows than are parsed at a time: what was written is what is read, from a temporary file."""
    mv = np.random.default_rng(2).normal(0, 1, (30_000, 3)).round(3)
    np.savetxt(tmp_path / "a.csv", mv, delimiter=",", header="I,II,V1", comments="", fmt="%.3f")
    record = open_record(tmp_path / "a.csv", FS)
    np.testing.assert_allclose(record.slice(8000, 25_000).mv, mv[8000:25_000].T, atol=1e-6)

"""EDF and BDF files: the ECG is found beside other signals, gaps stay gaps, and a damaged header says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import edfio
import numpy as np
import pytest

from models.records import RecordError, open_record, read_record

SECONDS = 20


def sine_uv(fs: int, seconds: int = SECONDS) -> np.ndarray:
    return 500.0 * np.sin(np.linspace(0, 10 * seconds, fs * seconds))


def write_edf(path: Path, signals: Sequence[tuple[str, str, int]], bdf: bool = False) -> Path:
    """Signals by label, unit and sampling rate, each a sine of 500 units."""
    edf, signal = (edfio.Bdf, edfio.BdfSignal) if bdf else (edfio.Edf, edfio.EdfSignal)
    made = [
        signal(sine_uv(fs), sampling_frequency=fs, label=label, physical_dimension=unit) for label, unit, fs in signals
    ]
    edf(made, data_record_duration=1.0).write(path)  # type: ignore[arg-type]
    return path


def patched(path: Path, change: Callable[[bytearray], object]) -> Path:
    raw = bytearray(path.read_bytes())
    change(raw)
    path.write_bytes(bytes(raw))
    return path


@pytest.mark.parametrize("suffix", ["edf", "bdf"])
def test_microvolts_come_as_millivolts(tmp_path: Path, suffix: str) -> None:
    path = write_edf(tmp_path / f"a.{suffix}", [("ECG II", "uV", 250), ("Status", "Boolean", 250)], suffix == "bdf")
    record = open_record(path)
    assert (record.leads, record.fs_hz, record.n_samples) == (("II",), 250.0, 5000)
    expected = sine_uv(250) / 1000
    np.testing.assert_allclose(record.slice(0, 5000).mv[0], expected, atol=2e-4)
    np.testing.assert_allclose(record.slice(777, 1234).mv[0], expected[777:1234], atol=2e-4)
    assert record.notes == ("not analysed: Status (status or marker)",)


def test_the_ecg_is_analysed_beside_a_faster_eeg(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.edf", [("EEG Fpz-Cz", "uV", 256), ("ECG II", "uV", 128), ("Resp", "uV", 32)])
    record = open_record(path)
    assert (record.leads, record.fs_hz) == (("II",), 128.0)
    assert record.notes == ("not analysed: EEG Fpz-Cz (EEG); Resp (respiration)",)


def test_of_several_rates_the_group_with_most_of_the_twelve_leads_is_taken(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.edf", [("ECG1", "uV", 256), ("ECG I", "uV", 128), ("ECG II", "uV", 128)])
    record = open_record(path)
    assert (record.leads, record.fs_hz) == (("I", "II"), 128.0)
    assert record.notes == ("not analysed: ECG1 (sampled at 256 Hz, the analysed channels at 128 Hz)",)
    # And among equals the one with the highest rate
    path = write_edf(tmp_path / "b.edf", [("ECG1", "uV", 128), ("ECG2", "uV", 256)])
    assert open_record(path).leads == ("ECG2",)
    # And what the user chose is not left out silently
    with pytest.raises(RecordError, match="choose channels of one rate"):
        open_record(path, channels=["ECG1", "ECG2"])


def test_a_channel_without_unit_is_refused_by_name_unless_chosen(tmp_path: Path) -> None:
    status = write_edf(tmp_path / "status.edf", [("Status", "", 256)])
    with pytest.raises(RecordError, match=r"Status \(status or marker, no unit\).*--channels"):
        read_record(status)
    assert read_record(status, channels=["Status"]).leads == ("Status",)
    ecg = write_edf(tmp_path / "ecg.edf", [("ECG II", "", 256)])
    with pytest.raises(RecordError, match=r"ECG II \(no unit: give it with --unit mV or uV\)"):
        read_record(ecg)
    assert read_record(ecg, unit="uV").lead("II").max() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("unit", ["µV".encode("latin-1"), "µV".encode(), "μV".encode()])
def test_the_micro_sign_in_latin_1_and_utf_8(tmp_path: Path, unit: bytes) -> None:
    path = write_edf(tmp_path / "a.edf", [("ECG II", "uV", 250)])
    patched(path, lambda raw: raw.__setitem__(slice(256 + 96, 256 + 104), unit.ljust(8)))
    assert read_record(path).lead("II").max() == pytest.approx(0.5, abs=0.01)


def discontinuous(path: Path, onsets: Sequence[float]) -> np.ndarray:
    """An EDF+D file of one-second data records at 128 Hz with those onsets; the sine in mV, without the gaps."""
    signal = sine_uv(128, len(onsets))
    made = edfio.EdfSignal(signal, sampling_frequency=128, label="ECG II", physical_dimension="uV")
    edfio.Edf([made], annotations=[edfio.EdfAnnotation(0, None, "x")], data_record_duration=1.0).write(path)
    raw = bytearray(path.read_bytes())
    raw[192:197] = b"EDF+D"
    n = int(raw[252:256])
    labels = [bytes(raw[256 + 16 * k : 272 + 16 * k]).strip() for k in range(n)]
    samples = [int(raw[256 + 216 * n + 8 * k : 264 + 216 * n + 8 * k]) for k in range(n)]
    notes = labels.index(b"EDF Annotations")
    for k, onset in enumerate(onsets):
        at = 256 * (n + 1) + 2 * (k * sum(samples) + sum(samples[:notes]))
        raw[at : at + 2 * samples[notes]] = f"+{onset}\x14\x14\x00".encode().ljust(2 * samples[notes], b"\x00")
    path.write_bytes(bytes(raw))
    return signal / 1000


def test_gaps_between_data_records_are_missing_samples(tmp_path: Path) -> None:
    sine = discontinuous(tmp_path / "a.edf", [0.5, 1.5, 2.5, 5.5, 7.0, 8.0])
    record = open_record(tmp_path / "a.edf")
    mv = record.slice(0, record.n_samples).mv[0]
    assert record.n_samples == round(8.5 * 128)
    missing = np.flatnonzero(np.diff(np.isnan(mv).astype(int))) + 1
    assert missing.tolist() == [3 * 128, 5 * 128, 6 * 128, round(6.5 * 128)]
    np.testing.assert_allclose(mv[5 * 128 : 6 * 128], sine[3 * 128 : 4 * 128], atol=1e-4)
    np.testing.assert_allclose(mv[-256:], sine[-256:], atol=1e-4)
    assert np.isnan(record.slice(400, 600).mv).all()  # a piece inside of a gap


def test_data_records_that_overlap_are_an_error(tmp_path: Path) -> None:
    discontinuous(tmp_path / "a.edf", [0, 1, 1.5, 5])
    with pytest.raises(RecordError, match=r"data record 3 begins 0.5 s after the one before"):
        read_record(tmp_path / "a.edf")


def test_a_file_that_was_cut_off_is_read_as_far_as_it_goes_and_says_so(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.edf", [("ECG II", "uV", 250)])
    record = open_record(patched(path, lambda raw: raw.__delitem__(slice(len(raw) - 1200, None))))
    assert record.n_samples == 17 * 250
    assert record.notes == ("the header names 20 data records, the file holds 17: its end is missing",)
    # And a recorder that did not count its data records writes -1
    path = write_edf(tmp_path / "b.edf", [("ECG II", "uV", 250)])
    assert open_record(patched(path, lambda raw: raw.__setitem__(slice(236, 244), b"-1      "))).n_samples == 5000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.__delitem__(slice(512, None)), "holds no data records"),
        (lambda raw: raw.__setitem__(slice(236, 244), b"0       "), "holds no data records"),
        (lambda raw: raw.__setitem__(slice(244, 252), b"0       "), "data record duration is 0 s"),
        (lambda raw: raw.__setitem__(slice(252, 256), b"abcd"), "number of signals is 'abcd'"),
        (lambda raw: raw.__delitem__(slice(300, None)), "ends too early"),
        (lambda raw: raw.__setitem__(slice(0, 8), b"RIFFRIFF"), "neither EDF nor BDF"),
        (lambda raw: raw.clear(), "number of signals"),
    ],
)
def test_a_damaged_file_is_an_error_that_says_what_is_wrong(
    tmp_path: Path, change: Callable[[bytearray], object], message: str
) -> None:
    path = patched(write_edf(tmp_path / "a.edf", [("ECG II", "uV", 250)]), change)
    with pytest.raises(RecordError, match=message) as damaged:
        read_record(path)
    assert str(path) in str(damaged.value)

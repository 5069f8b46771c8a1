"""Records are read in millivolts, whatever the file says its unit is; an unreadable one names the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.records import RecordError, read_record


def wave(n: int = 1000) -> np.ndarray:
    return 0.5 * np.sin(np.linspace(0, 20, n))


def write_wfdb(folder: Path, names: list[str], units: list[str], signal: np.ndarray, gain: float) -> Path:
    import wfdb

    wfdb.wrsamp(
        "rec",
        fs=250,
        units=units,
        sig_name=names,
        p_signal=signal,
        fmt=["16"] * len(names),
        adc_gain=[gain] * len(names),
        baseline=[0] * len(names),
        write_dir=str(folder),
    )
    return folder / "rec"


def test_wfdb_in_microvolts_comes_as_millivolts_in_canonical_order(tmp_path: Path) -> None:
    path = write_wfdb(tmp_path, ["v1", "MLII"], ["uV", "uV"], np.stack([wave(), 2 * wave()], axis=1) * 1000, 10)
    ecg = read_record(path)
    assert ecg.leads == ("II", "V1")
    assert ecg.fs_hz == 250.0
    assert ecg.lead("II").max() == pytest.approx(1.0, abs=0.01)


def test_pressure_channels_are_left_out(tmp_path: Path) -> None:
    path = write_wfdb(tmp_path, ["II", "ABP"], ["mV", "mmHg"], np.stack([wave(), 80 + wave()], axis=1), 200)
    assert read_record(path).leads == ("II",)


def test_missing_samples_are_nan(tmp_path: Path) -> None:
    signal = wave()[:, None].copy()
    signal[100:200] = np.nan
    ecg = read_record(write_wfdb(tmp_path, ["II"], ["mV"], signal, 200))
    assert np.isnan(ecg.mv[0, 100:200]).all()
    assert np.isfinite(ecg.mv[0, 200:]).all()


def test_csv_needs_a_sampling_rate_and_leaves_time_out(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    columns = np.stack([np.arange(1000) / 500, wave(), -wave()], axis=1)
    np.savetxt(path, columns, delimiter=",", header="time,I,avR", comments="")
    ecg = read_record(path, fs_hz=500)
    assert ecg.leads == ("I", "aVR")
    assert ecg.mv.shape == (2, 1000)
    with pytest.raises(RecordError, match="--fs"):
        read_record(path)


def test_csv_without_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    np.savetxt(path, wave(), delimiter=",")
    with pytest.raises(RecordError, match="lead names"):
        read_record(path, fs_hz=500)


def test_edf(tmp_path: Path) -> None:
    import edfio

    signal = edfio.EdfSignal(wave() * 1000, sampling_frequency=250, label="ECG II", physical_dimension="uV")
    edfio.Edf([signal]).write(tmp_path / "a.edf")
    ecg = read_record(tmp_path / "a.edf")
    assert ecg.leads == ("II",)
    assert ecg.lead("II").max() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("name", ["nothing", "nothing.edf", "nothing.csv"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecordError, match="nothing"):
        read_record(tmp_path / name, fs_hz=250)


def test_two_channels_of_one_name_are_both_kept(tmp_path: Path) -> None:
    path = write_wfdb(tmp_path, ["II", "MLII"], ["mV", "mV"], np.stack([wave(), wave()], axis=1), 200)
    assert read_record(path).leads == ("II", "II-2")

"""Records are read in millivolts, whatever the file says its unit is; an unreadable one names the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.records import RecordError, open_record, read_record


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


@pytest.mark.parametrize("name", ["nothing", "nothing.edf", "nothing.bdf", "nothing.csv"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecordError, match="nothing"):
        read_record(tmp_path / name, fs_hz=250)


def test_two_channels_of_one_name_are_both_kept(tmp_path: Path) -> None:
    path = write_wfdb(tmp_path, ["II", "MLII"], ["mV", "mV"], np.stack([wave(), wave()], axis=1), 200)
    assert read_record(path).leads == ("II", "II-2")


def raw_wfdb(folder: Path, header: bytes, samples: np.ndarray, name: str = "rec") -> Path:
    """A record in format 16 with a header given byte by byte; the path without extension."""
    (folder / f"{name}.hea").write_bytes(header)
    samples.astype("<i2").tofile(folder / f"{name}.dat")
    return folder / name


@pytest.mark.parametrize("unit", ["µV".encode("latin-1"), "µV".encode(), "μV".encode(), b"uV", b"UV"])
def test_microvolts_in_every_spelling(tmp_path: Path, unit: bytes) -> None:
    """wfdb itself drops the µ and reads volts, 10^6 times too large."""
    header = b"rec 1 250 1000\nrec.dat 16 0.2/" + unit + b" 16 0 0 0 0 II\n"
    ecg = read_record(raw_wfdb(tmp_path, header, np.round(wave() * 200)))
    assert ecg.lead("II").max() == pytest.approx(0.5, abs=0.01)


def test_several_samples_a_frame_are_read_at_their_own_rate(tmp_path: Path) -> None:
    # Given 1250 frames a 1/125 s, with four samples of lead II and one of respiration
    ii = np.round(200 * wave(5000))
    frames = np.concatenate([ii.reshape(1250, 4), np.zeros((1250, 1))], axis=1)
    header = b"rec 2 125 1250\nrec.dat 16x4 200/mV 16 0 0 0 0 II\nrec.dat 16 200/mV 16 0 0 0 0 RESP\n"
    # When it is read
    record = open_record(raw_wfdb(tmp_path, header, frames))
    # Then lead II has 500 Hz and every sample, also where a piece begins inside of a frame
    assert (record.leads, record.fs_hz, record.n_samples) == (("II",), 500.0, 5000)
    np.testing.assert_allclose(record.slice(7, 4002).mv[0], ii[7:4002] / 200, atol=1e-6)


def test_a_line_without_gain_and_name_has_the_formats_defaults(tmp_path: Path) -> None:
    """header(5): 200 units per mV; a lone signal without a description is a rhythm lead."""
    ecg = read_record(raw_wfdb(tmp_path, b"rec 1 250 1000\nrec.dat 16\n", np.round(200 * wave())))
    assert ecg.leads == ("ECG",)
    assert ecg.mv.max() == pytest.approx(0.5, abs=0.01)


def test_a_line_without_name_beside_an_ecg_lead_is_left_out_by_its_position(tmp_path: Path) -> None:
    header = b"rec 2 250 500\nrec.dat 16 200/mV 16 0 0 0 0 II\nrec.dat 16\n"
    record = open_record(raw_wfdb(tmp_path, header, np.round(200 * wave())))
    assert record.leads == ("II",)
    assert any("channel 2 (has no label)" in note for note in record.notes)


def test_a_header_without_a_length_is_read_to_the_end_of_the_signal_file(tmp_path: Path) -> None:
    header = b"rec 1 250\nrec.dat 16 200/mV 16 0 0 0 0 II\n"
    assert read_record(raw_wfdb(tmp_path, header, np.round(200 * wave()))).n_samples == 1000


def test_multi_segment_records_have_missing_samples_between_their_segments(tmp_path: Path) -> None:
    ii = np.round(200 * wave(5000))
    raw_wfdb(tmp_path, b"one 1 250 5000\none.dat 16 200/mV 16 0 0 0 0 II\n", ii, "one")
    both = b"two 2 250 2500\ntwo.dat 16 200/mV 16 0 0 0 0 II\ntwo.dat 16 200/mV 16 0 0 0 0 V\n"
    raw_wfdb(tmp_path, both, ii, "two")
    (tmp_path / "layout.hea").write_text("layout 2 250 0\n~ 0 200/mV 16 0 0 0 0 II\n~ 0 200/mV 16 0 0 0 0 V\n")
    (tmp_path / "all.hea").write_text("all/4 2 250 27500\nlayout 0\none 5000\n~ 20000\ntwo 2500\n")
    record = open_record(tmp_path / "all")
    assert (record.leads, record.n_samples) == (("II", "V"), 27_500)
    missing = [np.isnan(record.slice(a, b).mv).mean(axis=1).tolist() for a, b in ((0, 5000), (5000, 25000))]
    assert missing == [[0.0, 1.0], [1.0, 1.0]]
    assert np.isfinite(record.slice(25_000, 27_500).mv).all()


def test_a_signal_file_that_ends_too_early_is_named_with_the_place(tmp_path: Path) -> None:
    path = raw_wfdb(tmp_path, b"rec 1 250 9000\nrec.dat 16 200/mV 16 0 0 0 0 II\n", wave())
    with pytest.raises(RecordError, match=r"rec: frames 0 to 7500 of 9000.*shorter than its header"):
        read_record(path)


@pytest.mark.parametrize(
    ("header", "message"),
    [(b"rec 0 250 100\n", "names no signal"), (b"rec 1 250 0\nrec.dat 16 200/mV 16 0 0 0 0 II\n", "no samples"),
     (b"", "cannot be read as WFDB"), (b"rec 1 250 9\nnone.dat 16 200/mV 16 0 0 0 0 II\n", "none.dat")],
)  # fmt: skip
def test_a_damaged_header_is_an_error_that_says_why(tmp_path: Path, header: bytes, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        read_record(raw_wfdb(tmp_path, header, wave()))


def test_a_record_whose_every_sample_is_missing_is_an_error(tmp_path: Path) -> None:
    header = b"rec 1 250 1000\nrec.dat 16 200/mV 16 0 0 0 0 II\n"
    with pytest.raises(RecordError, match="every sample of II is missing"):
        read_record(raw_wfdb(tmp_path, header, np.full(1000, -32768)))


def test_nothing_to_analyse_names_each_channel_with_its_reason(tmp_path: Path) -> None:
    names, units = ["ABP", "ECG", "thing"], ["mmHg", "NU", "mV"]
    path = write_wfdb(tmp_path, names, units, np.stack([wave()] * 3, axis=1), 200)
    with pytest.raises(RecordError) as refused:
        read_record(path)
    for part in (
        "ABP (pressure)",
        "ECG (unit NU is no voltage)",
        "thing (label is not known as an ECG lead)",
        "--channels",
    ):
        assert part in str(refused.value)


def test_channels_are_chosen_by_label_lead_or_position_whatever_they_are(tmp_path: Path) -> None:
    signal = np.stack([wave(), 2 * wave(), 3 * wave()], axis=1)
    path = write_wfdb(tmp_path, ["MLII", "ABP", "V1"], ["mV", "mmHg", "mV"], signal, 200)
    assert read_record(path).leads == ("II", "V1")
    assert read_record(path, channels=["v1"]).leads == ("V1",)
    assert read_record(path, channels=["ii", "3"]).leads == ("II", "V1")
    chosen = open_record(path, channels=["abp"])
    assert chosen.leads == ("ABP",)
    assert any("mmHg is no voltage" in note for note in chosen.notes)
    with pytest.raises(RecordError, match="no channel V6; there are: MLII, ABP, V1"):
        read_record(path, channels=["V6"])


def test_the_users_unit_holds_where_the_file_names_a_wrong_one(tmp_path: Path) -> None:
    path = write_wfdb(tmp_path, ["II"], ["mV"], 1000 * wave()[:, None], 10)
    assert read_record(path, unit="uV").lead("II").max() == pytest.approx(0.5, abs=0.01)


def test_a_record_is_read_in_pieces_as_it_is_read_at_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    path = write_wfdb(tmp_path, ["I", "V1"], ["mV", "uV"], rng.normal(0, 1, (20_000, 2)), 1000)
    whole, record = read_record(path), open_record(path)
    for start, stop in ((0, 20_000), (7_400, 7_600), (19_990, 30_000), (25_000, 26_000)):
        np.testing.assert_array_equal(record.slice(start, stop).mv, whole.mv[:, start:stop])

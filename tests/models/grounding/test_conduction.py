"""Pacing and AV block of a segment are named: P waves, QRS complexes and pulses at known places, 500 Hz."""

from __future__ import annotations

import numpy as np
import pytest

from models.beats.detector import Beat
from models.ecg import Ecg
from models.evidence import Evidence
from models.grounding.claims import ExtractedClaim
from models.grounding.conduction import block_degree
from models.grounding.finding_rules import judge_finding
from models.grounding.gem_scope import reason_against_gem
from models.grounding.ground import ground
from models.grounding.rule_based_report import rule_based_report
from models.grounding.segment_measurements import SegmentMeasurements, _axis_visible, measure_segment
from models.measurement.delineation import Fiducials, MeasuredBeat

FS = 500.0
P = [0.5 + 0.8 * k for k in range(12)]
CONDUCTED = [x + 0.16 for x in P]
DROPPED = [x + 0.16 for k, x in enumerate(P) if k % 4 != 3]  # every fourth beat
INDEPENDENT = [0.6 + 1.45 * k for k in range(7)]  # an escape rhythm of 41 a minute
SIZES = {"I": 0.7, "II": 1.0, "V2": -0.8, "V5": 1.2}


def made(
    p_at: list[float], qrs_at: list[float], *, pulses_mv: float = 0.0, qrs_s: float = 0.012
) -> SegmentMeasurements:
    """Four leads with P waves and QRS-T complexes at these times, each complex after a pulse of 2 ms."""
    at, rng = np.arange(round(10 * FS)) / FS, np.random.default_rng(0)
    mv = np.zeros(len(at))
    for p in p_at:
        mv += 0.14 * np.exp(-(((at - p) / 0.028) ** 2))
    for q in qrs_at:
        mv += 1.1 * np.exp(-(((at - q) / qrs_s) ** 2)) + 0.3 * np.exp(-(((at - q - 0.3) / 0.05) ** 2))
        first = round((q - 2.2 * qrs_s - 0.012) * FS)
        mv[first : first + 1] += pulses_mv
    rows = [size * mv + 0.004 * rng.standard_normal(len(at)) for size in SIZES.values()]
    return measure_segment(Ecg(tuple(SIZES), FS, np.array(rows, np.float32)))


def _text(measured: SegmentMeasurements) -> str:
    return rule_based_report(measured.ecg, reason=None, measured=measured).text


def _verdict(subject: str, measured: SegmentMeasurements) -> str:
    return judge_finding(ExtractedClaim.finding(subject), measured)[0]


def test_dropped_beats_are_a_second_degree_block_and_its_p_waves_are_cited() -> None:
    measured = made(P, DROPPED)
    assert measured.block == "second" and len(measured.blocked) >= 2
    dropped = [x for k, x in enumerate(P) if k % 4 == 3]
    middles = [(e.start + e.end) / 2 / FS for e in measured.blocked]
    assert all(min(abs(m - d) for d in dropped) < 0.03 for m in middles)
    assert "Second-degree AV block" in _text(measured)
    assert (_verdict("AVB2", measured), _verdict("AVB3", measured)) == ("supported", "unsupported")
    assert _verdict("SINUS", measured) == "unsupported" and _verdict("NORMAL_ECG", measured) == "contradicted"
    assert "P waves that lead no QRS" in reason_against_gem(measured)


@pytest.mark.parametrize(("pr_s", "degree"), [((0.16, 0.16, 0.16, 0.16), "second"), ((0.12, 0.3, 0.2, 0.26), "third")])
def test_a_pr_that_changes_over_even_rr_shows_the_third_degree(pr_s: tuple[float, ...], degree: str) -> None:
    r = [round(FS * (1 + 1.5 * k)) for k in range(len(pr_s))]
    beats = []
    for at, pr in zip(r, pr_s, strict=True):
        marks = Fiducials(p_on=at - round((pr + 0.04) * FS), qrs_on=at - round(0.04 * FS))
        beats.append(MeasuredBeat(Beat(at, "N", ("II",)), marks, {"II": marks}))
    blocked = [Evidence("P", 140.0, ("II",), at + 200, at + 270, wave="p") for at in r[:2]]
    assert block_degree(beats, blocked, FS) == degree
    assert block_degree(beats, blocked[:1], FS) is None


@pytest.mark.parametrize("p_at", [P, [x + 0.02 for x in P]])
def test_conducted_beats_show_no_block(p_at: list[float]) -> None:
    measured = made(p_at, CONDUCTED)
    assert (measured.blocked, measured.block) == ((), None)
    assert "block" not in _text(measured)


def test_beats_after_pulses_are_a_paced_rhythm() -> None:
    measured = made([], INDEPENDENT, pulses_mv=0.4, qrs_s=0.035)
    assert measured.kinds["P"] >= 5
    assert _text(measured).startswith("Paced rhythm")
    assert reason_against_gem(measured) == "GEM does not describe paced rhythms"


@pytest.mark.parametrize(("cited", "axis"), [(1, 45.0), (4, None)])
def test_an_axis_that_the_cited_complex_does_not_show_is_not_stated(cited: int, axis: float | None) -> None:
    r = [500 + 450 * k for k in range(6)]
    mv = np.zeros((2, 3500), np.float32)
    beats = []
    for k, at in enumerate(r):
        mv[0, at - 10 : at + 10] = -1.0 if k == 4 else 1.0  # I: one complex of another axis
        mv[1, at - 10 : at + 10] = 0.866
        marks = Fiducials(qrs_on=at - 25, qrs_off=at + 25)
        beats.append(MeasuredBeat(Beat(at, "N", ("I", "aVF")), marks, {"I": marks, "aVF": marks}))
    qrs = Evidence("QRS", 100.0, ("I", "aVF"), r[cited] - 25, r[cited] + 25)
    shown = _axis_visible(Ecg(("I", "aVF"), FS, mv), beats, ("I", "aVF"), qrs)
    assert shown == (None if axis is None else pytest.approx(axis, abs=3.0))


def test_wide_beats_without_pulses_are_not_paced() -> None:
    measured = made([], INDEPENDENT, qrs_s=0.035)
    assert measured.kinds.get("P", 0) == 0
    assert "aced" not in _text(measured)


def test_a_short_sentence_about_a_block_is_english_and_not_confirmed_where_nothing_shows_it() -> None:
    measured = made(P, CONDUCTED)
    words = ground("Third-degree AV block is present.", measured.ecg, measured=measured)
    assert words.source == "gem"
    assert words.text.startswith("Third-degree AV block (not confirmed) is present.")

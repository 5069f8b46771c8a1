"""Limits of rules in texts, and conditions cited anew in a window: the value belongs on the side of the rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.arrhythmia.codes import CODES
from models.arrhythmia.episodes import Episode
from models.arrhythmia.limits import RULES
from models.ecg import Ecg
from models.evidence import Criterion, Evidence
from models.grounding.recitation import evidence_in_window
from models.grounding.rule_based_report import rule_based_report
from models.grounding.segment_measurements import measure_segment
from models.training.simulate import simulate

NORMAL = {"conduction": "normal", "repolarisation": "normal"}
SINUS = measure_segment(simulate(np.random.default_rng(1), rhythm="sinus", rate=72.0, **NORMAL).ecg)
AF = measure_segment(simulate(np.random.default_rng(20), rhythm="afib", **NORMAL).ecg)


# ---- a condition that began before the window ------------------------------------------------------------------------


def test_an_asystole_that_is_still_on_is_cited_inside_the_window() -> None:
    fs = 250
    window = Ecg(("II",), float(fs), np.zeros((1, 10 * fs), np.float32))
    rule = Criterion("no beat for 4 s or longer", 4.0, "unit setting")
    own = Evidence("SILENCE", 4.1, ("II",), 20 * fs, round(24.1 * fs), criterion=rule)
    on = Episode("ASYSTOLE", 20 * fs, 24 * fs, 60 * fs, evidence=(own,), leads=("II",))
    (cited,) = evidence_in_window(on, 40 * fs, window)
    assert (cited.measure, cited.value, cited.start, cited.end) == ("SILENCE", 10.0, 0, 10 * fs)
    assert cited.criterion == rule


def test_fibrillation_that_is_still_on_is_cited_over_its_last_four_seconds() -> None:
    fs = 250
    wave = 0.5 * np.sin(2 * np.pi * 5 * np.arange(10 * fs) / fs)
    window = Ecg(("II",), float(fs), wave[None].astype(np.float32))
    rule = Criterion("fibrillation or flutter waves for 4 s", 4.0, "unit setting")
    own = Evidence("AMPLITUDE", 1.3, ("II",), 5 * fs, 9 * fs, criterion=rule, wave="fibrillation")
    on = Episode("VFIB", 5 * fs, 9 * fs, 28 * fs, evidence=(own,), leads=("II",))
    (cited,) = evidence_in_window(on, 20 * fs, window)
    assert (cited.start, cited.end, cited.criterion) == (4 * fs, 8 * fs, rule)
    assert cited.value == pytest.approx(1.0, abs=0.02)


def test_a_value_that_no_longer_meets_the_limit_is_not_cited() -> None:
    rule = Criterion("mean of 8 beats over 120 bpm for 10 s", 120.0, "unit setting")
    own = Evidence("HR", 140.0, ("II",), 0, 4000, criterion=rule)
    on = Episode("TACHY", 0, 4000, 60_000, evidence=(own,), leads=("II",))
    assert evidence_in_window(on, 50_000, SINUS.ecg) == ()


def test_what_is_cited_anew_meets_the_limit_on_its_own_side() -> None:
    def anew(code: str, own: Evidence) -> tuple[Evidence, ...]:
        return evidence_in_window(Episode(code, 0, 4000, 60_000, evidence=(own,), leads=("II",)), 50_000, SINUS.ecg)

    hr, st = SINUS.evidence["HR"].value, SINUS.st["II"].value
    # Given evidence that was on the other side of its limit, within measuring accuracy
    slow = Criterion("5 beats in a row slower than 40 bpm", 40.0, "test", 5.0)
    assert anew("EXTREME_BRADY", Evidence("HR", 42.0, ("II",), 0, 4000, criterion=slow)) == ()
    # Given a rate of the window on the other side, within accuracy: the criterion has the accuracy
    brady = Criterion("mean of 8 beats under 70 bpm for 10 s", round(hr - 1.0, 1), "test")
    (cited,) = anew("BRADY", Evidence("HR", 60.0, ("II",), 0, 4000, criterion=brady))
    assert cited.criterion is not None and cited.criterion.accuracy == pytest.approx(0.05 * brady.limit)
    # Given ST levels against a baseline below zero: the shift counts
    elevation = "ST elevation of 0.1 mV off baseline in two neighbouring leads; baseline of II"
    for baseline, met in ((round(st - 0.15, 3), 1), (round(st - 0.05, 3), 0)):
        rule = Criterion(f"{elevation} {baseline:g} mV", 0.1, "test")
        own = Evidence("ST", baseline + 0.12, ("II",), 0, 100, criterion=rule)
        assert len(anew("ST_ELEVATION", own)) == met, baseline


def test_a_rhythm_is_cited_anew_from_as_many_beats_as_its_rule_needs() -> None:
    rule = Criterion("irregular without P waves for 60 s", 60.0, "test")
    own = [Evidence(x, 0.9, ("II",), 0, 4000, criterion=rule) for x in ("REGULARITY", "ABSENT_P")]
    on = Episode("AFIB", 0, 4000, 60_000, evidence=tuple(own), leads=("II",))
    assert {e.measure for e in evidence_in_window(on, 50_000, AF.ecg)} == {"REGULARITY", "ABSENT_P"}
    # Given a window that shows three or four of the beats
    part = AF.ecg.slice(0, round(2.0 * AF.ecg.fs_hz))
    assert 2 <= measure_segment(part).beats < 7
    assert evidence_in_window(on, 50_000, part) == ()
    # Given as few beats that fill the window, slow ones
    slow = simulate(np.random.default_rng(20), rhythm="afib", rate=36.0, **NORMAL).ecg
    assert 4 <= measure_segment(slow).beats < 7
    assert evidence_in_window(on, 50_000, slow) != ()
    # Given beats without P waves that are regular
    rr = AF.evidence["RR"]
    regular = replace(AF.ecg, mv=np.tile(AF.ecg.mv[:, rr.start : rr.end], 9))
    assert measure_segment(regular).beats >= 7 and "ABSENT_P" in measure_segment(regular).evidence
    assert evidence_in_window(on, 50_000, regular) == ()


def test_a_fast_rate_is_cited_anew_from_as_many_beats_as_its_rule_names() -> None:
    fast = Criterion("17 beats in a row faster than 60 bpm", 60.0, "test")
    tachycardia = Evidence("HR", 90.0, ("II",), 0, 4000, criterion=fast)
    on = Episode("EXTREME_TACHY", 0, 4000, 60_000, evidence=(tachycardia,), leads=("II",))
    assert SINUS.beats < 17 and SINUS.evidence["HR"].value > 60.0
    assert evidence_in_window(on, 50_000, SINUS.ecg) == ()


WITHIN = "within measuring accuracy"
LIMITS = [  # code, measure, rule, limit, values that meet it, values on the other side
    ("ASYSTOLE", "SILENCE", "no beat for 4 s or longer", 4.0, (4.0, 4.6), (3.86, 3.5)),
    ("ASYSTOLE", "RR", "no beat for 4 s or longer", 4.0, (4.0, 4.6), (3.86,)),
    ("PAUSE", "RR", "RR over 3 s", 3.0, (3.2,), (2.9,)),
    ("PAUSE", "SILENCE", "RR over 3 s", 3.0, (3.2,), (2.9,)),
    ("MISSED_BEAT", "RR", "RR over 1.8 times the mean of 8", 1.437, (1.438, 1.6), (1.39,)),
    ("PACER_NOT_PACING", "RR", "pause over 2 s without a pacing mark", 2.0, (2.1,), (1.95,)),
    ("EXTREME_BRADY", "HR", "5 beats in a row slower than 40 bpm", 40.0, (39.0, 40.4), (42.0,)),
    ("EXTREME_BRADY", "HR", "every RR of 8 s, the running one counted, slower than 40 bpm", 40.0, (39.0,), (42.0,)),
    ("BRADY", "HR", "mean of 8 beats under 50 bpm for 10 s", 50.0, (48.0,), (51.0,)),
    ("TACHY", "HR", "mean of 8 beats over 120 bpm for 10 s", 120.0, (123.0,), (118.0,)),
    ("EXTREME_TACHY", "HR", "17 beats in a row faster than 140 bpm", 140.0, (151.0,), (138.0,)),
    (
        "EXTREME_TACHY",
        "HR",
        "mean of 17 beats faster than 136 bpm, of the newest 9 faster than 140 bpm, rising",
        140.0,
        (141.0,),
        (137.0,),
    ),
    ("SVT", "HR", "5 narrow beats in a row faster than 180 bpm", 180.0, (184.0,), (177.0,)),
    ("VTACH", "HR", "5 ventricular beats in a row faster than 100 bpm", 100.0, (101.0, 99.6), (98.0,)),
    ("VRUN", "HR", "3 to 4 ventricular beats in a row faster than 100 bpm", 100.0, (101.0,), (98.0,)),
    ("VRHYTHM", "HR", "5 ventricular beats in a row or more, up to 100 bpm", 100.0, (70.0,), (102.0,)),
    ("QT_LONG", "QTcF", "QTcF over 500 ms for 60 s", 500.0, (512.0,), (495.0,)),
    ("WIDE_QRS", "QRS", "median QRS over 120 ms and 30 over baseline for 60 s", 120.0, (130.0,), (116.0,)),
    ("PR_LONG", "PR", "PR over 200 ms and 40 over baseline for 60 s", 200.0, (230.0,), (194.0,)),
    ("ST_ELEVATION", "ST", "ST elevation of 0.1 mV off baseline; baseline of II -0.1 mV", 0.1, (0.02,), (-0.03,)),
    (
        "ST_DEPRESSION",
        "ST",
        "ST depression of 0.1 mV off baseline; baseline of II 0.05 mV",
        0.1,
        (-0.06,),
        (0.0,),
    ),
    # Limits of another measure: beats, cycles, a time over which something holds
    ("VPAIR", "HR", "two ventricular beats in a row", 2.0, (130.0, 1.0), ()),
    ("VBIGEMINY", "RR", "every second beat ventricular, 3 cycles", 3.0, (0.8,), ()),
    ("R_ON_T", "RR", "ventricular beat within 40 ms of a T peak", 40.0, (0.3,), ()),
    ("PVC_RATE", "RR", "more than 10 ventricular beats a minute: 12 in 60 s", 10.0, (0.4,), ()),
    ("AV_BLOCK", "RR", "P waves that lead no QRS, 2 in 10 s", 2.0, (0.9,), ()),
    ("PACER_NOT_CAPTURING", "SILENCE", "pacing mark without a beat within 250 ms, 3 times", 250.0, (0.25,), ()),
    ("AFIB", "REGULARITY", "irregular without P waves for 30 s", 30.0, (0.2,), ()),
    ("AFIB_END", "REGULARITY", "no atrial fibrillation for 60 s", 60.0, (0.03,), ()),
    ("IRREGULAR", "REGULARITY", "irregular with P waves for 60 s", 60.0, (0.2,), ()),
    ("VTRIGEMINY", "RR", "every third beat ventricular, 3 cycles", 3.0, (0.8,), ()),
    ("VFIB", "AMPLITUDE", "fibrillation or flutter waves for 4 s", 4.0, (0.3,), ()),
]


@pytest.mark.parametrize(("code", "measure", "rule", "limit", "met", "missed"), LIMITS)
def test_a_value_on_the_other_side_of_its_limit_is_said_to_be_within_accuracy(
    code: str, measure: str, rule: str, limit: float, met: tuple[float, ...], missed: tuple[float, ...]
) -> None:
    for value in (*met, *missed):
        given = Evidence(measure, value, ("II",), 200, 4000, criterion=Criterion(rule, limit, "test", 5.0))
        text = rule_based_report(SINUS.ecg, reason=None, given=[given], code=code, measured=SINUS).text
        first = text.partition(rule)[0]
        assert (WITHIN in first) is (value in missed), first
        assert ("and continuing" in first) is (value in missed and measure == "SILENCE"), first


def test_every_code_with_beats_or_waves_has_its_limit_tested() -> None:
    assert {row[0] for row in LIMITS} == {c for c in RULES if CODES[c].kind == "physiological"}


def test_the_part_of_a_pause_that_a_segment_shows_is_no_value_within_accuracy() -> None:
    rule = Criterion("RR over 3 s", 3.0, "test")
    given = Evidence("SILENCE", 2.5, ("II",), 200, 825, criterion=rule, over_s=12.0)
    text = rule_based_report(SINUS.ecg, reason=None, given=[given], code="PAUSE", measured=SINUS).text
    assert "silence for 2.50 s in lead II and continuing (RR over 3 s) [1]" in text

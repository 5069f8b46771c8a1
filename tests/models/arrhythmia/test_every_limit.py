"""Each limit that can be set changes detection: on one side of a condition at both of its bounds.

A condition lies between the bounds. With the limit at the bound that is easier to reach it is found, at the other bound
it is not. The rule of the evidence names the limit in force. `CANNOT_ANALYZE` and `SILENT_FEED`, which the monitor
raises: `tests/agents/monitor/test_technical_limits.py`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.arrhythmia.criteria.waves import RhythmBaseline
from models.arrhythmia.episode_tracker import Finding
from models.arrhythmia.evaluate import ConditionEvaluator
from models.arrhythmia.limits import RULES, Limits
from models.beats.series import BeatTrack
from tests.models.arrhythmia.contexts import Atrial, Views, Waves, context
from tests.models.arrhythmia.criteria.test_waves import beats
from tests.models.arrhythmia.tracks import FS, track

BY_THE_MONITOR = {("CANNOT_ANALYZE", "seconds"), ("SILENT_FEED", "seconds")}
LOWER_IS_EASIER = {
    ("VFIB", "seconds"),
    ("ASYSTOLE", "seconds"),
    ("VTACH", "beats"),
    ("VTACH", "rate"),
    ("EXTREME_TACHY", "rate"),
    ("PVC_RATE", "rate"),
    ("TACHY", "rate"),
    ("SVT", "rate"),
    ("PAUSE", "seconds"),
    ("IRREGULAR", "seconds"),
    ("AFIB", "seconds"),
    ("AFIB_END", "seconds"),
    ("ST_ELEVATION", "mv"),
    ("ST_DEPRESSION", "mv"),
    ("QT_LONG", "ms"),
    ("QT_LONG", "seconds"),
}
EVERY = [(code, part) for code, rule in RULES.items() for part in rule.bounds if (code, part) not in BY_THE_MONITOR]
MINUTES_S = 90.0  # of a condition that is confirmed over time: between 5 and 300 s


def limits_with(code: str, part: str, value: float) -> Limits:
    """Limits with one changed, and those that it would cross out of its way."""
    aside = {"EXTREME_BRADY": {"BRADY": {"rate": 60}}, "BRADY": {"EXTREME_BRADY": {"rate": 20}}}
    aside |= {"EXTREME_TACHY": {"TACHY": {"rate": 100}}, "TACHY": {"EXTREME_TACHY": {"rate": 220}}}
    return Limits().with_changes({**aside.get(code, {}), code: {part: value}})


def ventricular(n: int, bpm: float) -> BeatTrack:
    """A run of ``n`` ventricular beats after ten dominant ones."""
    correlation = [0.98] * 10 + [0.4] * n
    return track([0.8] * 9 + [0.5] + [60 / bpm] * (n - 1), "N" * 10 + "V" * n, correlation=correlation)


def one_update(code: str, part: str, limits: Limits) -> list[Finding]:
    """All findings on the condition of this limit."""
    waves, certain = Views(vfib=0.9, fibrillates_s=4.5), Views(vtach=0.55)
    present = {
        ("VFIB", "seconds"): lambda: context(track([0.8] * 9, after_s=4.5), limits, views=waves),
        ("ASYSTOLE", "seconds"): lambda: context(track([0.8] * 9, after_s=4.5), limits),
        ("VTACH", "beats"): lambda: context(ventricular(6, 140), limits, views=certain),
        ("VTACH", "rate"): lambda: context(ventricular(11, 120), limits, views=certain),
        ("EXTREME_BRADY", "rate"): lambda: context(track([0.8] * 6 + [60 / 35] * 5), limits),
        ("EXTREME_TACHY", "rate"): lambda: context(track([0.8] * 4 + [60 / 170] * 17), limits),
        ("PVC_RATE", "rate"): lambda: context(track([0.7] * 80, "NNNV" * 20), limits),
        ("BRADY", "rate"): lambda: context(track([60 / 45] * 20, after_s=1.0), limits),
        ("TACHY", "rate"): lambda: context(track([60 / 150] * 40), limits),
        ("SVT", "rate"): lambda: context(track([0.8] * 4 + [60 / 175] * 6), limits),
        ("PAUSE", "seconds"): lambda: context(track([0.8] * 4 + [2.5, 0.8]), limits),
    }[code, part]
    return ConditionEvaluator(FS).present(present())[0]


def minutes(code: str, limits: Limits) -> list[Finding]:
    """All findings after `MINUTES_S` of the condition, evaluated once a second."""
    evaluator, t, found = ConditionEvaluator(FS), track([0.8] * 9), []
    base = RhythmBaseline(st_mv={"II": 0.0, "V5": 0.0})
    for second in range(round(MINUTES_S)):
        now = replace(t, now=t.now + second * round(FS))
        af = code == "AFIB_END" and second < 8
        atrial = Atrial(irregular=code in ("AFIB", "IRREGULAR") or af, fibrillating=code == "AFIB" or af)
        sign = {"ST_ELEVATION": 0.3, "ST_DEPRESSION": -0.3}.get(code, 0.0)
        qt_ms = 520 if code == "QT_LONG" else 400
        measured = beats(qt_ms, st={"II": sign, "V5": sign})
        slow = replace(now, r=now.now - np.arange(9, -1, -1) * round(FS))  # at 60 a minute
        found += evaluator.present(context(slow, limits, atrial=atrial, waves=Waves(measured, base)))[0]
    return found


def found(code: str, part: str, value: float) -> list[Finding]:
    limits = limits_with(code, part, value)
    if code == "AFIB_END":
        limits = limits.with_changes({"AFIB": {"seconds": 5}})
    over_time = code in ("IRREGULAR", "AFIB", "AFIB_END", "ST_ELEVATION", "ST_DEPRESSION", "QT_LONG")
    findings = minutes(code, limits) if over_time else one_update(code, part, limits)
    return [f for f in findings if f.code == code]


@pytest.mark.parametrize(("code", "part"), EVERY)
def test_a_limit_changes_detection_on_both_sides(code: str, part: str) -> None:
    low, high = RULES[code].bounds[part]
    easy, hard = (low, high) if (code, part) in LOWER_IS_EASIER else (high, low)
    raised = found(code, part, easy)
    assert raised, f"{code} with {part} {easy:g}"
    assert not found(code, part, hard), f"{code} with {part} {hard:g}"
    for evidence in raised[0].evidence:
        assert evidence.criterion is not None
        assert f"{easy:g} " in evidence.criterion.rule


def test_every_limit_is_here() -> None:
    names = {(code, part) for code, rule in RULES.items() for part in rule.bounds}
    assert names == set(EVERY) | BY_THE_MONITOR

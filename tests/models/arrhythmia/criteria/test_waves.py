"""Criteria of waves and pacing on beats with known intervals, at 250 samples a second."""

from __future__ import annotations

import numpy as np
import pytest

from models.arrhythmia.baseline import baseline_of
from models.arrhythmia.confirmation import Confirmation
from models.arrhythmia.criteria.pacing import not_capturing, not_pacing
from models.arrhythmia.criteria.waves import (
    RhythmBaseline,
    WaveBeat,
    neighbours,
    pr_long,
    qt_long,
    st_change,
    wide_qrs,
)
from models.arrhythmia.limits import Limits
from models.beats.detector import Beat
from models.measurement.delineation import Fiducials, MeasuredBeat
from tests.models.arrhythmia.tracks import FS, track

LIMITS = Limits()
LEADS = ("II", "V5")


def beats(
    qt_ms: float = 400,
    qrs_ms: float = 90,
    pr_ms: float | None = 160,
    st: dict[str, float] | None = None,
    kind: str = "N",
    n: int = 8,
) -> list[WaveBeat]:
    """``n`` beats a second apart with these intervals."""
    out = []
    for k in range(n):
        on = 250 * (k + 1)
        marks = Fiducials(
            p_on=None if pr_ms is None else on - round(pr_ms / 4),
            qrs_on=on,
            qrs_off=on + round(qrs_ms / 4),
            t_off=on + round(qt_ms / 4),
        )
        measured = MeasuredBeat(Beat(on + 10, kind, LEADS), marks, {})
        out.append(WaveBeat(measured, st or {}, qrs_ms, pr_ms, qt_ms))
    return out


@pytest.mark.parametrize(
    ("qt_ms", "rr_s", "present"), [(520, 1.0, True), (480, 1.0, False), (480, 0.8, True), (520, 1.2, False)]
)
def test_a_long_qt_is_corrected_after_fridericia(qt_ms: float, rr_s: float, present: bool) -> None:
    got, evidence = qt_long(beats(qt_ms), rr_s, LIMITS["QT_LONG"], LEADS, 60.0)
    assert got is present
    if evidence is not None:
        assert evidence.measure == "QTcF" and evidence.value == pytest.approx(qt_ms / np.cbrt(rr_s), abs=0.1)
        assert (evidence.end - evidence.start) * 4 == qt_ms and evidence.over_s == 60.0


def test_no_qt_alarm_on_a_wide_qrs_or_outside_40_to_130() -> None:
    assert qt_long(beats(540, qrs_ms=150), 1.0, LIMITS["QT_LONG"], LEADS, 60.0) == (None, None)
    assert qt_long(beats(540), 0.45, LIMITS["QT_LONG"], LEADS, 60.0) == (None, None)
    assert qt_long(beats(540, kind="V"), 1.0, LIMITS["QT_LONG"], LEADS, 60.0) == (None, None)


def test_a_wide_qrs_is_over_the_limit_and_over_the_baseline() -> None:
    base = RhythmBaseline(qrs_ms=95.0)
    assert wide_qrs(beats(qrs_ms=132), LIMITS["WIDE_QRS"], base, LEADS)[0] is True
    assert wide_qrs(beats(qrs_ms=122), LIMITS["WIDE_QRS"], base, LEADS)[0] is False
    assert wide_qrs(beats(qrs_ms=140), LIMITS["WIDE_QRS"], RhythmBaseline(qrs_ms=130.0), LEADS)[0] is False
    assert wide_qrs(beats(qrs_ms=140), LIMITS["WIDE_QRS"], RhythmBaseline(), LEADS)[0] is None


def test_a_long_pr_is_over_the_limit_and_over_the_baseline() -> None:
    base = RhythmBaseline(pr_ms=160.0)
    assert pr_long(beats(pr_ms=240), LIMITS["PR_LONG"], base, LEADS)[0] is True
    assert pr_long(beats(pr_ms=200), LIMITS["PR_LONG"], base, LEADS)[0] is False
    assert pr_long(beats(pr_ms=240), LIMITS["PR_LONG"], RhythmBaseline(pr_ms=216.0), LEADS)[0] is False
    assert pr_long(beats(pr_ms=None), LIMITS["PR_LONG"], base, LEADS)[0] is None


def test_st_asks_for_two_neighbouring_leads_or_two_tenths_in_one() -> None:
    base = RhythmBaseline(st_mv={"II": 0.02, "aVF": 0.0, "V2": 0.0})
    limit, leads = LIMITS["ST_ELEVATION"], ("II", "aVF", "V2")

    def present(**st: float) -> bool | None:
        return st_change(beats(st=st), "ST_ELEVATION", limit, base, leads, FS)[0]

    assert present(II=0.13, aVF=0.11) is True
    assert present(II=0.13, V2=0.12) is False  # no neighbours
    assert present(II=0.13) is False
    assert present(II=0.23) is True
    assert present(II=0.11, aVF=0.11) is False  # 0.09 above the baseline
    assert st_change(beats(st={"II": -0.1, "aVF": -0.12}), "ST_DEPRESSION", limit, base, leads, FS)[0] is True
    evidence = st_change(beats(st={"II": 0.13, "aVF": 0.15}), "ST_ELEVATION", limit, base, leads, FS)[1]
    assert [(e.measure, e.leads, e.value) for e in evidence] == [("ST", ("aVF",), 0.15), ("ST", ("II",), 0.13)]


def test_neighbours_run_round_the_frontal_plane_and_along_the_chest() -> None:
    assert neighbours("V1", "V2") and neighbours("aVL", "I") and neighbours("aVF", "III")
    assert not neighbours("V1", "V3") and not neighbours("I", "III") and not neighbours("II", "V2")


def test_the_baseline_is_the_median_of_conducted_beats() -> None:
    mixed = beats(qrs_ms=100, pr_ms=150, st={"II": 0.05}) + beats(qrs_ms=170, kind="V", st={"II": -0.4}, n=5)
    assert baseline_of(mixed) == RhythmBaseline(st_mv={"II": 0.05}, qrs_ms=100.0, pr_ms=150.0)


def test_confirmation_counts_present_time_forgives_short_lapses_and_stops_for_noise() -> None:
    def confirmed(pattern: str) -> list[bool]:
        c = Confirmation(FS)
        return [
            c.update({"+": True, "-": False, "?": None}[x], round((k + 1) * FS), 10.0, 0 if k == 0 else None)
            is not None
            for k, x in enumerate(pattern)
        ]

    assert confirmed("+" * 12).index(True) == 9
    assert True not in confirmed("+" * 8 + "-" * 5 + "+" * 9)
    assert confirmed("+" * 8 + "-" * 3 + "+" * 3)[-1]
    assert confirmed("+" * 8 + "?" * 40 + "+" * 3).index(True) == 49


def test_two_marks_without_a_beat_are_a_pacer_that_does_not_capture() -> None:
    t = track([1.0] * 8, "P" * 9, after_s=2.4)
    answered = t.r - 10
    failed = np.array([t.r[-1] + 250, t.r[-1] + 500])
    found = not_capturing(t, np.concatenate([answered, failed]), LIMITS["PACER_NOT_CAPTURING"])
    assert found is None  # the second may still be answered
    later = track([1.0] * 8, "P" * 9, after_s=3.2)
    found = not_capturing(later, np.concatenate([answered, failed]), LIMITS["PACER_NOT_CAPTURING"])
    assert found is not None and found.onset == failed[0] and len(found.evidence) == 2
    assert not_capturing(later, answered, LIMITS["PACER_NOT_CAPTURING"]) is None


def test_an_atrial_pulse_asks_for_no_beat_of_its_own() -> None:
    t = track([1.0] * 8, "P" * 9, after_s=1.0)
    both = np.sort(np.concatenate([t.r - 10, t.r - 50]))  # atrial 160 ms before ventricular
    assert not_capturing(t, both, LIMITS["PACER_NOT_CAPTURING"]) is None


def test_a_pause_over_two_seconds_without_a_mark_is_a_pacer_that_does_not_pace() -> None:
    t = track([1.0, 1.0, 2.3, 1.0], after_s=0.3)
    found = not_pacing(t, np.array([t.r[0] - 10, t.r[1] - 10, t.r[2] - 10]), LIMITS["PACER_NOT_PACING"])
    assert found is not None and found.onset == t.r[2] and found.evidence[0].value == 2.3
    assert not_pacing(t, np.array([t.r[2] + 300]), LIMITS["PACER_NOT_PACING"]) is None

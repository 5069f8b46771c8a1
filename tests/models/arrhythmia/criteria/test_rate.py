"""Criteria of rate on small beat lists: the table of docs/alarms.md, row by row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.arrhythmia.criteria.rate import (
    asystole,
    extreme_brady,
    extreme_tachy,
    missed_beats,
    pauses,
    slow_or_fast,
    svt,
)
from models.arrhythmia.episode_tracker import Finding
from models.arrhythmia.limits import Limits
from models.beats.series import BeatTrack
from tests.models.arrhythmia.tracks import FS, track

LIMITS = Limits()


def silent(t: BeatTrack, plausible: tuple[str, ...] = ("II", "V5")) -> Finding | None:
    return asystole(t, LIMITS["ASYSTOLE"], plausible)


def test_asystole_from_three_and_a_half_seconds_with_the_last_beat_as_onset() -> None:
    assert silent(track([0.8] * 5, after_s=3.4)) is None
    found = silent(track([0.8] * 5, after_s=3.6))
    assert found is not None and found.onset == 5.0 * FS and found.last_held == 8.6 * FS
    evidence = found.evidence[0]
    assert (evidence.measure, evidence.value, evidence.start, evidence.end) == ("SILENCE", 3.6, 5.0 * FS, 8.6 * FS)
    assert evidence.criterion is not None and evidence.criterion.limit == 4.0


def test_a_silence_that_a_beat_has_just_ended_is_asystole_too() -> None:
    found = silent(track([0.8, 0.8, 4.2], after_s=0.5))
    assert found is not None and (found.evidence[0].measure, found.evidence[0].value) == ("RR", 4.2)
    assert silent(track([0.8, 0.8, 4.2, 0.8], after_s=0.8)) is None


def test_no_asystole_where_no_lead_is_plausible_or_watched() -> None:
    assert silent(track([0.8] * 5, after_s=6.0), plausible=()) is None
    assert silent(track([0.8] * 5, after_s=6.0, unusable=[(6.0, 8.0)])) is None
    found = silent(track([0.8] * 5, after_s=6.0, unusable=[(5.5, 7.0)]))  # watched again since 7.0, now 11.0
    assert found is not None and found.onset == 7.0 * FS


def test_a_lower_limit_alarms_earlier() -> None:
    limit = LIMITS.with_changes({"ASYSTOLE": {"seconds": 3}})["ASYSTOLE"]
    assert asystole(track([0.8] * 5, after_s=2.6), limit, ("II",))


@pytest.mark.parametrize(("bpm", "raised"), [(38, True), (40, True), (45, False), (60, False)])
def test_extreme_brady_is_five_beats_under_forty(bpm: float, raised: bool) -> None:
    found = extreme_brady(track([0.8] * 4 + [60 / bpm] * 4, after_s=0.3), LIMITS["EXTREME_BRADY"])
    assert (found is not None) == raised
    if found is not None:
        assert found.onset == pytest.approx((1.0 + 3.2) * FS, abs=1)
        assert found.evidence[0].value == pytest.approx(bpm, abs=0.3) and len(found.evidence[0].beats) == 4


def test_four_slow_beats_are_not_yet_five() -> None:
    assert extreme_brady(track([0.8] * 4 + [60 / 38] * 3, after_s=0.3), LIMITS["EXTREME_BRADY"]) is None


def test_extreme_brady_counts_the_running_rr_of_eight_seconds() -> None:
    # RRs of 3.2 s and 3.0 s and 1.9 s running: 8.1 s in which every RR is long
    found = extreme_brady(track([0.8] * 6 + [3.2, 3.0], after_s=1.9), LIMITS["EXTREME_BRADY"])
    assert found is not None and found.onset == pytest.approx(5.8 * FS, abs=1)
    assert extreme_brady(track([0.8] * 6 + [3.2], after_s=1.0), LIMITS["EXTREME_BRADY"]) is None


def test_each_of_the_five_beats_is_slow_and_one_pause_does_not_make_a_heart_slow() -> None:
    limit = LIMITS["EXTREME_BRADY"]
    assert extreme_brady(track([0.8] * 4 + [1.9, 0.9, 2.4, 2.2], after_s=0.3), limit) is None
    assert extreme_brady(track([0.8] * 6 + [4.5, 0.8, 0.8], after_s=0.3), limit) is None
    assert extreme_brady(track([1.2] * 6 + [2.45, 1.25, 1.25, 1.25], after_s=0.3), limit) is None


def test_the_rule_of_a_bradycardia_is_the_reading_that_applied() -> None:
    rules = []
    for t in (track([0.8] * 4 + [1.6] * 4), track([0.8] * 6 + [3.2, 3.0], after_s=1.9)):
        found = extreme_brady(t, LIMITS["EXTREME_BRADY"])
        assert found is not None and found.evidence[0].criterion is not None
        rules.append(found.evidence[0].criterion.rule)
    assert rules == [
        "5 beats in a row slower than 40 bpm",
        "every RR of 8 s, the running one counted, slower than 40 bpm",
    ]


def test_a_run_that_ended_since_the_last_update_is_found() -> None:
    fast = track([0.8] * 4 + [60 / 150] * 16 + [0.7], after_s=0.1)
    assert extreme_tachy(fast, LIMITS["EXTREME_TACHY"])
    assert extreme_tachy(track([0.8] * 4 + [60 / 150] * 16 + [0.7, 0.7, 0.7]), LIMITS["EXTREME_TACHY"]) is None


@pytest.mark.parametrize(
    ("bpm", "beats", "raised"), [(141, 17, True), (141, 16, False), (135, 30, False), (180, 17, True)]
)
def test_extreme_tachy_is_seventeen_beats_over_one_hundred_and_forty(bpm: float, beats: int, raised: bool) -> None:
    found = extreme_tachy(track([0.8] * 4 + [60 / bpm] * (beats - 1), after_s=0.2), LIMITS["EXTREME_TACHY"])
    assert (found is not None) == raised
    if found is not None:
        assert found.onset == pytest.approx(4.2 * FS, abs=2) and len(found.evidence[0].beats) == 16


def test_extreme_tachy_of_an_irregular_rhythm_is_its_mean_while_the_newest_beats_are_as_fast() -> None:
    irregular = [0.5, 0.34] * 5  # 143 a minute on the mean, each second beat 120
    rising, falling = [0.427] * 6 + irregular, irregular + [0.44] * 6
    found = extreme_tachy(track([0.8] * 4 + rising, after_s=0.2), LIMITS["EXTREME_TACHY"])
    assert found is not None and found.evidence[0].criterion is not None
    assert found.evidence[0].criterion.rule == (
        "mean of 17 beats faster than 136 bpm, of the newest 9 faster than 140 bpm, rising"
    )
    assert extreme_tachy(track([0.8] * 4 + falling, after_s=0.2), LIMITS["EXTREME_TACHY"]) is None


def test_two_short_rrs_of_an_artefact_make_no_extreme_tachy() -> None:
    assert extreme_tachy(track([0.46] * 14 + [0.276, 0.164]), LIMITS["EXTREME_TACHY"]) is None
    assert extreme_tachy(track([0.43] * 13 + [0.38, 0.37, 0.36]), LIMITS["EXTREME_TACHY"]) is not None


def test_an_irregular_rate_that_wanders_about_the_limit_is_no_extreme_tachy() -> None:
    """141 a minute on the mean, and 135 before: the newest beats must be clearly faster, once on they need not be."""
    about_140 = [0.52, 0.332] * 8
    wanders = track([0.445] * 20 + about_140, after_s=0.2)
    assert extreme_tachy(wanders, LIMITS["EXTREME_TACHY"]) is None
    assert extreme_tachy(wanders, LIMITS["EXTREME_TACHY"], on=True)
    found = extreme_tachy(track([0.445] * 20 + [0.5, 0.31] * 8, after_s=0.2), LIMITS["EXTREME_TACHY"])
    assert found is not None and found.evidence[0].criterion is not None
    assert found.evidence[0].criterion.rule == (
        "mean of 17 beats faster than 140 bpm, of the newest 9 faster than 145 bpm"
    )


def test_the_onset_of_extreme_tachy_does_not_depend_on_where_the_updates_fall() -> None:
    fast = track([0.8] * 12 + [0.38] * 30, after_s=0.2)
    onsets = set()
    for phase in range(10):
        updates = range(round(9 * FS) + round(phase * 0.1 * FS), fast.now, round(FS))
        found = (extreme_tachy(fast.until(now), LIMITS["EXTREME_TACHY"]) for now in updates)
        onsets.add(next(f.onset for f in found if f))
    assert onsets == {round(1.0 * FS) + 12 * round(0.8 * FS)}


def test_beats_of_low_confidence_do_not_make_a_rate() -> None:
    """T waves of a rate of 100 found as beats in noise."""
    t = track([0.32, 0.28] * 20, after_s=0.1)
    assert extreme_tachy(t, LIMITS["EXTREME_TACHY"])
    unclear = replace(t, confidence=np.where(np.arange(len(t.r)) % 2 == 0, 0.95, 0.1))
    assert extreme_tachy(unclear, LIMITS["EXTREME_TACHY"]) is None


def test_brady_and_tachy_need_ten_seconds() -> None:
    slow = [60 / 45] * 16
    found = slow_or_fast(track([0.8] * 8 + slow), LIMITS["BRADY"], "BRADY")
    assert found is not None and found.evidence[0].value == pytest.approx(45, abs=0.5)
    assert slow_or_fast(track([0.8] * 8 + slow[:10]), LIMITS["BRADY"], "BRADY") is None
    assert slow_or_fast(track([60 / 130] * 40), LIMITS["TACHY"], "TACHY")
    assert slow_or_fast(track([60 / 130] * 20), LIMITS["TACHY"], "TACHY") is None
    assert slow_or_fast(track([60 / 115] * 40), LIMITS["TACHY"], "TACHY") is None


def test_svt_is_five_narrow_beats_over_one_hundred_and_eighty() -> None:
    fast = [0.7] * 5 + [60 / 190] * 4
    assert svt(track(fast), LIMITS["SVT"])
    assert svt(track(fast, qrs_ms=150), LIMITS["SVT"]) is None
    assert svt(track(fast, "NNNNNNNNVN"), LIMITS["SVT"]) is None
    assert svt(track([0.7] * 5 + [60 / 170] * 4), LIMITS["SVT"]) is None


def test_a_pause_is_an_rr_over_two_and_a_half_seconds_ended_or_running() -> None:
    found = pauses(track([0.8, 2.6, 0.8]), LIMITS["PAUSE"])
    assert [(f.onset / FS, f.evidence[0].measure, f.evidence[0].value) for f in found] == [(1.8, "RR", 2.6)]
    running = pauses(track([0.8, 0.8], after_s=2.7), LIMITS["PAUSE"])
    assert [(f.onset / FS, f.evidence[0].measure) for f in running] == [(2.6, "SILENCE")]
    assert pauses(track([0.8, 2.4, 0.8]), LIMITS["PAUSE"]) == []
    assert pauses(track([0.8, 2.6, 0.8], unusable=[(2.5, 3.0)]), LIMITS["PAUSE"]) == []


def test_a_missed_beat_is_one_point_eight_times_the_mean_of_eight_unless_a_ventricular_beat_explains_it() -> None:
    rr = [0.8] * 8 + [1.5, 0.8]
    assert [f.onset / FS for f in missed_beats(track(rr), LIMITS["MISSED_BEAT"])] == [pytest.approx(7.4)]
    assert missed_beats(track(rr, "NNNNNNNNVN"), LIMITS["MISSED_BEAT"]) == []
    assert missed_beats(track([0.8] * 8 + [1.4, 0.8]), LIMITS["MISSED_BEAT"]) == []


@pytest.mark.parametrize(
    ("newest_bpm", "returns", "found"), [(148, False, True), (148, True, False), (153, True, True)]
)
def test_a_rate_that_returns_soon_after_its_alarm_needs_faster_newest_beats(
    newest_bpm: float, returns: bool, found: bool
) -> None:
    uneven = [60 / newest_bpm - 0.03, 60 / newest_bpm + 0.03] * 5
    t = track([0.44] * 20 + uneven, after_s=0.2)
    run = extreme_tachy(t, LIMITS["EXTREME_TACHY"], returns=returns)
    assert (run is not None) == found
    if run is not None:
        criterion = run.evidence[0].criterion
        assert criterion is not None and criterion.rule.endswith(f"newest 9 faster than {150 if returns else 145} bpm")


def test_beats_that_are_each_fast_are_extreme_tachy_however_soon_they_return() -> None:
    fast = track([0.8] * 4 + [60 / 145] * 17, after_s=0.2)
    assert extreme_tachy(fast, LIMITS["EXTREME_TACHY"], returns=True) is not None


@pytest.mark.parametrize(("bpm", "held"), [(44, True), (46, False)])
def test_an_extreme_brady_goes_on_until_its_mean_is_beyond_measuring_accuracy(bpm: float, held: bool) -> None:
    t = track([0.8] * 4 + [60 / bpm - 0.1, 60 / bpm + 0.1] * 3)
    assert extreme_brady(t, LIMITS["EXTREME_BRADY"]) is None
    assert (extreme_brady(t, LIMITS["EXTREME_BRADY"], on=True) is not None) == held

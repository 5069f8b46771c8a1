"""Criteria of ventricular beats on small beat lists: the table of docs/alarms.md, row by row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.arrhythmia.criteria.tachycardia import (
    WAVES_S,
    fused_run,
    non_dominant_beats,
    organised,
    own_rhythm_goes_on,
    vtach,
)
from models.arrhythmia.criteria.ventricular import every_nth, pvc_rate, r_on_t, vpairs, vrhythm, vruns
from models.arrhythmia.episode_tracker import Finding
from models.arrhythmia.limits import Limits
from models.arrhythmia.views import RhythmViews
from models.beats.regular_waves import RegularWaves
from models.beats.series import BeatTrack
from models.ecg import Ecg
from tests.models.arrhythmia.contexts import Views
from tests.models.arrhythmia.tracks import FS, track

LIMITS = Limits()


def tachycardia(t: BeatTrack, network: float, on: bool = False) -> Finding | None:
    """VTACH at this network probability."""
    return vtach(t, Views(vtach=network), LIMITS["VTACH"], on)  # type: ignore[arg-type]


def run_of(n: int, bpm: float, after: str = "N") -> tuple[list[float], str]:
    """Six normal beats, ``n`` ventricular ones at ``bpm``, then ``after``."""
    return [0.8] * 5 + [0.5] + [60 / bpm] * (n - 1) + [0.9] * len(after), "N" * 6 + "V" * n + after


@pytest.mark.parametrize(("n", "bpm", "found"), [(5, 120, True), (2, 120, False), (5, 90, False), (8, 180, True)])
def test_a_tachycardia_is_five_ventricular_beats_over_one_hundred(n: int, bpm: float, found: bool) -> None:
    rr, kinds = run_of(n, bpm, after="")
    run = tachycardia(track(rr, kinds, first_s=10.0), 0.95)
    assert (run is not None) == found
    if run is not None:
        assert len(run.evidence[0].beats) == n - 1 and run.evidence[0].value == pytest.approx(bpm, abs=1)
        criterion = run.evidence[0].criterion
        assert criterion is not None and (criterion.limit, criterion.accuracy) == (100.0, 5.0)
        assert criterion.rule == "5 ventricular beats in a row faster than 100 bpm"


def test_the_run_found_does_not_depend_on_where_the_updates_fall() -> None:
    rr, kinds = run_of(12, 150, after="N" * 6)
    t = track(rr, kinds, first_s=10.0)
    onsets = set()
    for phase in range(4):
        updates = range(round((13.0 + 0.25 * phase) * FS), t.now, round(FS))
        found = (tachycardia(t.until(now), 0.95) for now in updates)
        onsets.add(next(f.onset for f in found if f))
    assert onsets == {int(t.r[6])}


def test_a_run_that_is_long_over_is_no_tachycardia_now() -> None:
    rr, kinds = run_of(6, 150, after="N" * 14)
    assert tachycardia(track(rr, kinds, first_s=10.0), 0.95) is None


def test_an_unusable_interval_breaks_a_run() -> None:
    rr, kinds = run_of(4, 150, after="")
    middle = 10.0 + sum(rr[:7]) + 0.1
    assert tachycardia(track(rr, kinds, first_s=10.0, unusable=[(middle, middle + 0.1)]), 0.95) is None


def test_three_or_four_fast_ventricular_beats_are_a_run_and_five_are_not() -> None:
    for n, found in ((2, False), (3, True), (4, True), (5, False)):
        rr, kinds = run_of(n, 140)
        runs = vruns(track(rr, kinds), LIMITS["VRUN"], LIMITS["VTACH"])
        assert [len(f.evidence[0].beats) + 1 for f in runs] == ([n] if found else [])
    rr, kinds = run_of(3, 80)
    assert vruns(track(rr, kinds), LIMITS["VRUN"], LIMITS["VTACH"]) == []


def test_a_run_is_reported_when_it_is_over_with_its_first_beat_as_onset() -> None:
    rr, kinds = run_of(3, 140, after="")
    assert vruns(track(rr, kinds), LIMITS["VRUN"], LIMITS["VTACH"]) == []
    rr, kinds = run_of(3, 140)
    assert [f.onset / FS for f in vruns(track(rr, kinds), LIMITS["VRUN"], LIMITS["VTACH"])] == [pytest.approx(5.5)]


def test_a_slow_ventricular_rhythm_is_five_beats_up_to_one_hundred() -> None:
    rr, kinds = run_of(6, 70, after="")
    found = vrhythm(track(rr, kinds), LIMITS["VTACH"])
    assert found is not None and found.evidence[0].value == pytest.approx(70, abs=0.5)
    rr, kinds = run_of(6, 120, after="")
    assert vrhythm(track(rr, kinds), LIMITS["VTACH"]) is None


def test_a_couplet_is_two_in_a_row_and_no_third() -> None:
    assert len(vpairs(track([0.8] * 9, "NNNVVNNNN"))) == 1
    assert vpairs(track([0.8] * 9, "NNNVVVNNN")) == []
    assert vpairs(track([0.8] * 4, "NNNVV")) == []  # a third may come


def test_r_on_t_is_within_one_hundred_milliseconds_of_the_t_peak() -> None:
    t = track([0.8, 0.8, 0.36, 1.0], "NNNVN")
    r = t.r.tolist()
    peak = r[2] + round(0.30 * FS)  # 60 ms before the ventricular R
    assert [f.onset for f in r_on_t(t, LIMITS["R_ON_T"], [None, None, peak, None, None])] == [r[3]]
    assert r_on_t(t, LIMITS["R_ON_T"], [None, None, peak - round(0.06 * FS), None, None]) == []
    assert r_on_t(t, LIMITS["R_ON_T"], [None] * 5) == []


@pytest.mark.parametrize(
    ("kinds", "code", "n", "found"),
    [
        ("NNNVNVNV", "VBIGEMINY", 2, True),
        ("NNNVNVNN", "VBIGEMINY", 2, False),
        ("NVNVNVN", "VBIGEMINY", 2, True),
        ("NNVNNVNNV", "VTRIGEMINY", 3, True),
        ("NNVNNVNNN", "VTRIGEMINY", 3, False),
        ("NVNVNV", "VTRIGEMINY", 3, False),
    ],
)
def test_bigeminy_and_trigeminy_are_three_cycles(kinds: str, code: str, n: int, found: bool) -> None:
    assert (every_nth(track([0.7] * (len(kinds) - 1), kinds), code, n) is not None) == found


def test_more_than_ten_ventricular_beats_a_minute() -> None:
    ten = track([0.7] * 59, "NNNNV" * 10 + "N" * 10)
    eleven = track([0.7] * 59, "NNNNV" * 11 + "N" * 5)
    assert pvc_rate(ten, LIMITS["PVC_RATE"]) is None
    found = pvc_rate(eleven, LIMITS["PVC_RATE"])
    assert found is not None and {e.over_s for e in found.evidence} == {60.0}
    ventricular = set(eleven.r[eleven.ectopic].tolist())
    assert found.evidence and all(e.end in ventricular for e in found.evidence)
    criterion = found.evidence[0].criterion
    assert criterion is not None and criterion.rule == "more than 10 ventricular beats a minute: 11 in 60 s"


DOMINANT, OTHER = 0.98, 0.4


def run_of_others(n: int, bpm: float = 150.0, own: int = 20, after_s: float = 0.3) -> BeatTrack:
    """``own`` dominant beats, then ``n`` of another morphology whose kind is N."""
    rr = [0.8] * (own - 1) + [0.5] + [60 / bpm] * (n - 1)
    return track(rr, correlation=[DOMINANT] * own + [OTHER] * n, after_s=after_s)


def test_a_run_of_non_dominant_beats_is_a_ventricular_run_whatever_their_kind() -> None:
    t = run_of_others(6)
    assert non_dominant_beats(t)[-6:].all() and not non_dominant_beats(t)[:-6].any()
    found = tachycardia(t, 0.55)
    assert found is not None and (found.onset, found.last_held) == (t.r[20], t.r[25])


def test_the_correlation_is_not_used_where_no_beat_is_dominant() -> None:
    assert not non_dominant_beats(track([0.5] * 25, correlation=[OTHER] * 26)).any()


def test_paced_beats_are_never_non_dominant() -> None:
    correlation = [0.97] * 20 + [OTHER] * 6
    t = track([0.7] * 25, kinds="N" * 20 + "PPPVVV", correlation=correlation)
    assert not non_dominant_beats(t)[:-3].any() and non_dominant_beats(t)[-3:].all()


@pytest.mark.parametrize(
    ("beats", "network", "raised"),
    [(5, 0.55, True), (5, 0.45, False), (3, 0.85, True), (3, 0.75, False), (2, 0.99, False)],
)
def test_a_shorter_run_needs_a_higher_network_probability_and_its_rule_says_so(
    beats: int, network: float, raised: bool
) -> None:
    found = tachycardia(run_of_others(beats, after_s=1.2), network)
    assert (found is not None) == raised
    if found is not None and beats < 5:
        criterion = found.evidence[0].criterion
        assert criterion is not None and criterion.rule.startswith("3 ventricular beats in a row faster than 100 bpm, ")
        assert "by the rhythm network" in criterion.rule and len(found.evidence[0].beats) == 2


def test_a_beat_that_looks_dominant_does_not_hide_a_run_that_the_network_sees() -> None:
    correlation = [DOMINANT] * 20 + [OTHER, OTHER, DOMINANT, OTHER, OTHER]
    t = track([0.8] * 19 + [0.5] + [0.4] * 4, correlation=correlation)
    found = tachycardia(t, 0.85)
    assert found is not None and found.evidence[0].criterion is not None
    assert found.evidence[0].criterion.rule == "5 beats in a row faster than 100 bpm, tachycardia by the rhythm network"
    assert tachycardia(t, 0.75) is None


def test_couplets_between_dominant_beats_are_no_tachycardia_at_any_probability() -> None:
    rr = [0.5, 0.6, 0.9] * 6  # a couplet and a pause, over and over
    often = track([0.7] * 20 + rr, correlation=[DOMINANT] * 20 + [DOMINANT, OTHER, OTHER] * 6 + [DOMINANT])
    assert tachycardia(often, 0.99) is None


@pytest.mark.parametrize(("network", "raised"), [(0.8, False), (0.9, True)])
def test_where_all_beats_look_ventricular_the_network_probability_must_be_higher(network: float, raised: bool) -> None:
    block = track([0.45] * 29, "V" * 30, correlation=[DOMINANT] * 30)
    assert (tachycardia(block, network) is not None) == raised


@pytest.mark.parametrize(("network", "raised"), [(0.8, False), (0.9, True)])
def test_in_the_first_seconds_of_a_bed_the_network_probability_must_be_high(network: float, raised: bool) -> None:
    assert (tachycardia(track([0.4] * 9, "V" * 10), network) is not None) == raised


def test_a_tachycardia_that_lasts_goes_on_when_it_has_become_the_dominant_rhythm() -> None:
    lasting = track([0.4] * 29, "V" * 30, correlation=[DOMINANT] * 30)
    assert tachycardia(lasting, 0.4, on=True)
    over = track([0.8] * 29, correlation=[DOMINANT] * 30)
    assert tachycardia(over, 0.4, on=True) is None


@pytest.mark.parametrize(("before_s", "run_s", "raised"), [(0.59, 0.55, False), (0.8, 0.55, True), (0.51, 0.45, True)])
def test_a_beds_own_rhythm_is_a_tachycardia_where_it_is_much_faster_than_the_limit_or_begins_abruptly(
    before_s: float, run_s: float, raised: bool
) -> None:
    t = track([before_s] * 30 + [run_s] * 8, "V" * 39, correlation=[DOMINANT] * 39)
    assert (tachycardia(t, 0.95) is not None) == raised


def test_a_tachycardia_of_the_beds_own_beats_goes_on_for_as_long_as_slower_ones_are_remembered() -> None:
    slow, fast = [0.8] * 20, [0.55] * 60
    lasting = track(slow + fast, "V" * 81, correlation=[DOMINANT] * 81)
    assert tachycardia(lasting, 0.4, on=True) is not None and tachycardia(lasting, 0.95) is None
    usual = track([0.58] * 20 + fast, "V" * 81, correlation=[DOMINANT] * 81)
    assert tachycardia(usual, 0.9, on=True) is None


def test_a_lower_probability_holds_a_whole_run_and_no_short_one() -> None:
    assert tachycardia(run_of_others(5), 0.35, on=True) is not None
    assert tachycardia(run_of_others(3, after_s=1.2), 0.6, on=True) is None


@pytest.mark.parametrize(("longest_s", "raised"), [(0.7, True), (1.1, False)])
def test_a_run_has_no_pause(longest_s: float, raised: bool) -> None:
    rr = [0.8] * 19 + [0.5, longest_s, 0.35, 0.35, 0.35]
    t = track(rr, correlation=[DOMINANT] * 20 + [OTHER] * 5)
    found = tachycardia(t, 0.6)
    assert (found is not None) == raised


def test_ventricular_beats_are_no_couplets_where_all_beats_look_ventricular() -> None:
    rr, kinds = [0.8] * 12, "NNNNNNNNNVVNN"
    assert len(vpairs(track(rr, kinds))) == 1
    assert vpairs(track(rr, kinds, correlation=[DOMINANT] * 13)) == []


def fused(n: int, bpm: float, beats: int = 0, probability: float = 0.9) -> Finding | None:
    """VTACH by ``n`` regular waves, among which so many beats were detected."""
    rr = 60 / bpm
    t = track([0.8] * 8, after_s=n * rr)
    crests = np.round(t.now - (np.arange(n)[::-1] * rr + 0.2) * FS).astype(np.int64)
    if beats:  # the detector saw them
        t = replace(t, r=np.append(t.r[: 9 - beats], crests[:beats]))
    views = Views(vtach=probability, regular=RegularWaves("V5", crests, 0.8))
    return fused_run(t, views, LIMITS["VTACH"], on=False)  # type: ignore[arg-type]


def test_regular_waves_are_a_tachycardia_of_their_own_rule() -> None:
    run = fused(8, 160)
    assert run is not None and run.leads == ("V5",)
    cited, criterion = run.evidence[0], run.evidence[0].criterion
    assert criterion is not None and len(cited.beats) == 7 and cited.value == pytest.approx(160, abs=1)
    assert criterion.rule == "5 regular ventricular waves in a row faster than 100 bpm, beats fused"
    assert (run.onset, run.last_held) == (cited.start, cited.end)


def test_waves_that_are_few_slow_flutter_or_visible_beats_are_no_fused_tachycardia() -> None:
    assert fused(4, 160) is None
    assert fused(8, 92) is None
    assert fused(12, 230) is None  # flutter
    assert fused(8, 160, beats=7) is None  # the beats are there to be counted
    assert fused(8, 160, probability=0.6) is None


def test_waves_that_have_just_begun_are_sought_in_a_shorter_time() -> None:
    """Waves of two seconds after a rest: five seconds of signal rest too much."""
    t = np.arange(round(20 * FS)) / FS
    mv = np.where(t > 18.0, np.sin(2 * np.pi * t * 3.0) + 0.3 * np.sin(4 * np.pi * t * 3.0 + 0.7), 0.0)
    mv += np.random.default_rng(0).normal(0, 0.01, len(t))
    views = RhythmViews(Ecg(("II",), FS, mv[None].astype(np.float32)), ("II",))
    views._networks = {ended_s: {"vtach": 0.9, "vfib": 0.0} for ended_s in views.instants}
    beats = replace(track([0.8] * 19), now=len(t))
    found = fused_run(beats, views, LIMITS["VTACH"], on=False)
    assert found is not None and found.evidence[0].value == pytest.approx(180, abs=5)
    assert found.onset >= 17.9 * FS and views.regular_waves(WAVES_S, len(t)) is None


def test_a_regular_run_that_fills_the_time_is_no_fibrillation() -> None:
    regular = run_of_others(12, bpm=180)
    assert organised(regular, tachycardia(regular, 0.95), 3.0)
    assert not organised(regular, None, 3.0)
    short = run_of_others(5, bpm=180)
    assert not organised(short, tachycardia(short, 0.95), 4.0)
    uneven = track([0.8] * 19 + [0.5] + [0.2, 0.5] * 6, "N" * 33, correlation=[0.98] * 20 + [0.4] * 13)
    assert not organised(uneven, tachycardia(uneven, 0.95), 3.0)


def test_regular_beats_of_the_beds_own_morphology_are_no_fibrillation() -> None:
    own = track([0.5] * 20, "V" * 21, correlation=[DOMINANT] * 21)
    assert organised(own, None, 4.0)
    assert not organised(replace(own, correlation=np.full(21, OTHER)), None, 4.0)
    assert not organised(replace(own, now=own.now + round(2 * FS)), None, 4.0)  # they have stopped
    uneven = track([0.3, 0.7] * 10, correlation=[DOMINANT] * 21)
    assert not organised(uneven, None, 4.0)


def test_a_single_instant_of_high_probability_makes_no_tachycardia() -> None:
    """The rhythm network decides by the mean of two instants; one of them alone may be high by chance."""
    beats = run_of_others(6, bpm=150)
    views = RhythmViews(Ecg(("II",), FS, np.zeros((1, beats.now), np.float32)), ("II",))

    def found(high: set[float]) -> Finding | None:
        instants = [k * 0.25 for k in range(8)]
        views._networks = {at: {"vtach": 0.95 if at in high else 0.02, "vfib": 0.0} for at in instants}
        return vtach(beats, views, LIMITS["VTACH"], False)

    assert found(set()) is None and found({0.5}) is None
    steady = found({0.25, 0.5})
    assert steady is not None and steady.code == "VTACH"


def test_the_steady_probability_is_the_mean_of_instants_that_have_signal() -> None:
    views = RhythmViews(Ecg(("II",), FS, np.zeros((1, round(FS)), np.float32)), ("II",))
    views._networks = {at: {"vtach": p, "vfib": 0.0} for at, p in ((0.0, 0.9), (0.25, 0.3), (0.5, 0.6), (0.75, 0.1))}
    assert views.steady_network(0.0)["vtach"] == pytest.approx(0.6)
    assert views.steady_network(0.25)["vtach"] == pytest.approx(0.45)
    assert views.steady_network(0.75)["vtach"] == pytest.approx(0.1)  # the stream is one second old


def test_beats_that_are_certainly_ventricular_need_no_network() -> None:
    rr, kinds = [0.8] * 19 + [0.5] + [0.5] * 5, "N" * 20 + "V" * 6
    certain = track(rr, kinds, correlation=[0.98] * 20 + [0.3] * 6)
    assert tachycardia(certain, 0.0) is not None
    assert tachycardia(replace(certain, confidence=np.full(26, 0.2)), 0.0) is None
    assert tachycardia(track(rr, kinds, correlation=[0.98] * 20 + [0.7] * 6), 0.0) is None
    of_none = track(rr, kinds, correlation=[0.98, 0.3] * 10 + [0.3] * 6)  # a template that fits half of the beats
    assert tachycardia(of_none, 0.0) is None and tachycardia(of_none, 0.6) is not None


@pytest.mark.parametrize(
    ("unlike", "network", "marked", "found"),
    [
        (-0.4, 0.95, False, True),
        (-0.4, 0.95, True, False),  # the device marks each pulse: they are paced
        (-0.4, 0.7, False, False),
        (0.7, 0.95, False, False),  # nearly the bed's own
    ],
)
def test_beats_taken_for_paced_without_a_mark_hide_no_tachycardia(
    unlike: float, network: float, marked: bool, found: bool
) -> None:
    rr, _ = run_of(5, 118, after="")
    t = track([0.55] * 8 + rr, "N" * 14 + "P" * 5, first_s=10.0, correlation=[0.98] * 14 + [unlike] * 5)
    views = Views(vtach=network)
    views.device_marks = marked
    assert (vtach(t, views, LIMITS["VTACH"], False) is not None) == found  # type: ignore[arg-type]


def test_a_tachycardia_cites_the_part_of_its_run_that_is_over_the_limit_of_its_rule() -> None:
    fast, slow = [60 / 130] * 5, [60 / 92] * 4
    for rr, beats in ((fast + slow, 6), (slow + fast, 6), ([60 / 98] * 8, 9)):
        t = track([0.8] * 5 + [0.5] + rr, "N" * 6 + "V" * (len(rr) + 1), first_s=10.0)
        run = tachycardia(t, 0.95)
        assert run is not None
        cited = run.evidence[0]
        assert len(cited.beats) + 1 >= beats
        assert cited.value > 100 or beats == 9, "within measuring accuracy where no five beats are faster"


def test_a_short_run_with_beats_undetected_cites_the_rate_of_its_waves() -> None:
    t = track([0.8] * 5 + [0.5, 0.36, 0.36, 0.6], "N" * 7 + "VVV", after_s=0.5, first_s=10.0)
    crests = t.r[-3] + np.arange(6) * 80  # 187 a minute
    waves = RegularWaves("II", crests.astype(np.int64), 1.0)
    run = vtach(t, Views(vtach=0.95, regular=waves), LIMITS["VTACH"], False)  # type: ignore[arg-type]
    assert run is not None and run.evidence[0].value == pytest.approx(187.5)
    criterion = run.evidence[0].criterion
    assert criterion is not None and "5 regular ventricular waves in a row" in criterion.rule
    few = RegularWaves("II", crests[:4].astype(np.int64), 1.0)
    run = vtach(t, Views(vtach=0.95, regular=few), LIMITS["VTACH"], False)  # type: ignore[arg-type]
    assert run is not None and run.evidence[0].measure == "HR" and run.evidence[0].leads == t.leads


def test_fused_waves_are_sought_wherever_the_own_rhythm_may_have_ended() -> None:
    """Its beats are missing, fewer, irregular, of another morphology, or the last one is too long ago."""
    own = [DOMINANT] * 13
    assert own_rhythm_goes_on(track([0.8] * 12, correlation=own))
    assert not own_rhythm_goes_on(track([0.8] * 12))
    assert not own_rhythm_goes_on(track([0.8] * 12, after_s=1.3, correlation=own))
    assert not own_rhythm_goes_on(track([0.8] * 12, correlation=[*own[:-3], 0.4, 0.4, 0.4]))
    assert not own_rhythm_goes_on(track([0.5, 1.1] * 6, correlation=own))
    assert not own_rhythm_goes_on(track([0.8] * 2, correlation=own[:3]))

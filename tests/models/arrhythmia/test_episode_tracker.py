"""Episodes out of findings, at 250 samples a second, one update a second."""

from __future__ import annotations

from models.arrhythmia.episode_tracker import EpisodeTracker, Finding

FS = 250


def found(code: str, onset_s: float, held_s: float) -> Finding:
    return Finding(code, round(onset_s * FS), round(held_s * FS))


def run(code: str, present: dict[int, float], seconds: int, unusable: set[int] = frozenset()) -> list[tuple]:  # type: ignore[type-arg,assignment]
    """Updates 1…seconds; ``present``: update -> onset; returns (onset_s, update of the end or None, end_s)."""
    tracker, ended, on = EpisodeTracker(FS), [], []
    for update in range(1, seconds + 1):
        findings = [found(code, present[update], update)] if update in present else []
        episodes = tracker.update(findings, update * FS, {code} if update in unusable else ())
        ended += [(e.onset / FS, update, e.end / FS) for e in episodes if e.end is not None]
        on = [(e.onset / FS, None, None) for e in episodes if e.end is None]
    return ended + on


def test_a_condition_ends_when_absent_for_five_seconds_and_its_end_is_where_it_last_held() -> None:
    assert run("ASYSTOLE", {4: 0.5, 5: 0.5, 6: 0.5}, 20) == [(0.5, 11, 6.0)]


def test_back_within_five_seconds_it_is_the_same_episode() -> None:
    assert run("VTACH", {4: 2.0, 8: 7.5}, 10) == [(2.0, None, None)]


def test_back_later_it_is_a_new_one() -> None:
    assert run("VTACH", {4: 2.0, 12: 10.0}, 14) == [(2.0, 9, 4.0), (10.0, None, None)]


def test_an_episode_that_lapsed_between_two_updates_is_over() -> None:
    """Last held at 4 s, held again from 9.1 s: absent for 5.1 s, whether an update fell into the last 0.1 s or not."""
    for since, over in ((8.9, False), (9.1, True)):
        tracker = EpisodeTracker(FS)
        tracker.update([found("EXTREME_TACHY", 0, 4)], 4 * FS)
        for update in range(5, 9):
            tracker.update([], update * FS)
        back = Finding("EXTREME_TACHY", 6 * FS, round(9.2 * FS), held_from=round(since * FS))
        assert [e.end is not None for e in tracker.update([back], round(9.3 * FS))] == [over]


def test_without_usable_signal_it_is_held() -> None:
    # present until 6, then 30 s of noise, then 4 s of clean signal without it: not yet over
    assert run("VFIB", {5: 1.0, 6: 1.0}, 40, set(range(7, 37))) == [(1.0, None, None)]
    assert run("VFIB", {5: 1.0, 6: 1.0}, 41, set(range(7, 37))) == [(1.0, 41, 6.0)]


def test_held_is_said_and_taken_back() -> None:
    tracker = EpisodeTracker(FS)
    assert not tracker.update([found("VFIB", 0, 4)], 4 * FS)[0].held
    assert tracker.update([], 5 * FS, {"VFIB"})[0].held
    assert not tracker.update([found("VFIB", 0, 6)], 6 * FS)[0].held


def test_an_instant_stays_for_twenty_seconds_and_never_merges() -> None:
    assert run("PAUSE", {3: 0.4, 6: 4.0}, 22) == [(0.4, None, None), (4.0, None, None)]
    assert run("PAUSE", {3: 0.4, 6: 4.0}, 30) == [(0.4, 23, 3.0), (4.0, 26, 6.0)]


def test_an_instant_found_again_is_not_a_second_one() -> None:
    assert run("VPAIR", dict.fromkeys(range(3, 30), 2.0), 40) == [(2.0, 23, 23.0)]


def test_what_has_ended_is_not_raised_again_by_a_criterion_that_looks_back() -> None:
    tracker = EpisodeTracker(FS)
    tracker.update([found("TACHY", 1, 4)], 4 * FS)
    assert tracker.update([], 9 * FS)[0].end == 4 * FS
    assert tracker.update([found("TACHY", 1, 4)], 10 * FS) == []
    assert tracker.update([found("TACHY", 1, 11)], 11 * FS)[0].onset == 4 * FS + 1


def test_the_onset_stays_as_first_recorded() -> None:
    tracker = EpisodeTracker(FS)
    tracker.update([found("TACHY", 5, 10)], 10 * FS)
    assert [e.onset for e in tracker.update([found("TACHY", 3, 11)], 11 * FS)] == [5 * FS]


def test_end_all_ends_at_once() -> None:
    tracker = EpisodeTracker(FS)
    tracker.update([found("BRADY", 1, 4), found("AFIB", 0, 4)], 4 * FS)
    assert [e.code for e in tracker.end_all({"BRADY"})] == ["BRADY"]
    assert [e.code for e in tracker.update([], 5 * FS)] == ["AFIB"]


def test_a_condition_ended_within_a_time_while_it_is_not_on() -> None:
    tracker = EpisodeTracker(FS)
    for update in range(1, 10):
        tracker.update([found("VTACH", 1, update)] if update <= 3 else [], update * FS)
        if update == 3:
            assert not tracker.ended_within("VTACH", update * FS, 30 * FS)  # it is on
    assert tracker.ended_within("VTACH", 13 * FS, 10 * FS)
    assert not tracker.ended_within("VTACH", 13 * FS, 9 * FS)
    assert not tracker.ended_within("ASYSTOLE", 13 * FS, 30 * FS)

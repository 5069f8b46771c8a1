"""Criteria of rate: asystole, bradycardia and tachycardia, SVT, pauses and missed beats.

In: a `BeatTrack` and the code's limit. Out: a `Finding` where the condition is present now, else None; instants come as
a list. Detection may act within measuring accuracy (``docs/alarms.md#codes``): the evidence has the measured value, and
its criterion the accuracy. A criterion of beats is evaluated at each beat of the last update and not only at the newest
one: whether a run is found does not depend on where the updates fall.
Sources: PhysioNet/CinC Challenge 2015 (asystole, extreme rates); Philips IntelliVue and GE EK-Pro manuals (the others).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from models.arrhythmia.episode_tracker import Finding
from models.arrhythmia.episodes import INSTANT_LOOKBACK_S
from models.arrhythmia.limits import BeatCountLimit, DurationLimit, RateCode, RateLimit, RunLimit, criterion_of
from models.beats.series import METHOD, BeatTrack
from models.evidence import BeatSpan, Criterion, Evidence
from models.normal_limits import QRS_WIDE_MS

TIME_ACCURACY_S = 0.5  # measuring accuracy: asystole is detected from 3.5 s on (docs/alarms.md#codes)
RATE_ACCURACY_BPM = 5.0  # measuring accuracy of rates (docs/alarms.md#codes; IEC 60601-2-27)
JUST_ENDED_S = 1.5  # a time without beats that ended since the last update, and the beats that came or moved since then
BRADY_HOLD_BPM, TACHY_HOLD_BPM = 5.0, 5.0  # an extreme rate is over when its mean is this far on the other side
BRADY_MARGIN_BPM = 3.0  # of the mean of five beats, each of which may be `RATE_ACCURACY_BPM` faster than the limit
SLOW_BEAT_BPM = 10.0  # the one of five beats that is less slow is at most this much faster than the limit
TACHY_MARGIN_BPM = 1.0  # of each beat; 5 is allowed
TACHY_NEWEST = 8  # number of newest RRs, as many as the heart rate is a mean of
# A mean over the limit needs newest beats that are this much faster than it: an irregular rate that wanders about the
# limit is not raised again and again. A rate that has risen by `RISE_BPM` or more is found while it still rises: its
# mean may be `TACHY_MEAN_MARGIN_BPM` slower than the limit, with newest beats faster than the limit itself.
NEWEST_FASTER_BPM = 5.0
RISE_BPM, TACHY_MEAN_MARGIN_BPM = 20.0, 4.0
# A rate that is back so soon after its alarm ended wandered about the limit: its newest beats must be this much faster.
RETURN_S, RETURN_FASTER_BPM = 30.0, 10.0
CLEAR_BEAT = 0.25  # least confidence of a beat of a fast rate: in noise, T waves are found as beats of less
MIN_RRS_BEFORE = 4  # RRs, of as many as the rule has, by which the rate before is known
BRADY_WINDOW_RRS = 2  # least number of RRs in the last 8 s, the running one counted
SUSTAINED_S = 10.0  # BRADY and TACHY: the mean of 8 beats is beyond the limit for this long
MISSED_FACTOR = 1.8  # Philips IntelliVue: 1.8 times the mean RR
QUICK_FACTOR = MISSED_FACTOR - 1e-6  # rounding of a mean is less


def asystole(track: BeatTrack, limit: DurationLimit, plausible: tuple[str, ...]) -> Finding | None:
    """No beat in any usable lead for ``limit.seconds``, running or just ended. Onset: the last beat.

    Parameters
    ----------
    plausible : tuple of str
        Leads on which asystole is plausible (`models.arrhythmia.silence`).
    """
    least = limit.seconds - TIME_ACCURACY_S
    start, stop = track.silent_from, track.now
    if track.silent_s < least:
        if len(track.r) < 2 or not track.rr_s[-1] >= least or track.age_s(-1) > JUST_ENDED_S:  # NaN: unusable interval
            return None
        start, stop = int(track.r[-2]), int(track.r[-1])
    if not plausible:
        return None
    rule = f"no beat for {limit.seconds:g} s or longer"
    criterion = criterion_of("ASYSTOLE", rule, limit.seconds, TIME_ACCURACY_S)
    value = round((stop - start) / track.fs_hz, 4)
    measure = "SILENCE" if stop == track.now else "RR"
    evidence = Evidence(
        measure, value, plausible, start, stop, (BeatSpan(start, start, stop, value),), criterion, method=METHOD
    )
    return Finding("ASYSTOLE", start, stop, (evidence,), plausible)


def extreme_brady(track: BeatTrack, limit: RateLimit, on: bool = False) -> Finding | None:
    """Five beats in a row slower than the limit, or every RR of the last 8 s. Onset: the first beat of them.

    The 8 s are measured with the accuracy of times. Five beats are slow when their mean RR is, and each of their RRs
    within measuring accuracy; one of the RRs may be `SLOW_BEAT_BPM` faster than the limit, and the rule then says so.
    One pause among faster beats is no bradycardia.
    While ``on``, the condition holds until the rate is beyond measuring accuracy.
    """
    if len(track.r) < 2 or not track.age_s(-1) <= limit.seconds:
        return None
    n, each_s = limit.beats - 1, 60.0 / (limit.rate + RATE_ACCURACY_BPM)
    slow_s = 60.0 / (limit.rate + (BRADY_HOLD_BPM if on else BRADY_MARGIN_BPM))
    least_s = 60.0 / (limit.rate + SLOW_BEAT_BPM)

    def rrs(last: int) -> list[float]:
        return _rrs(track, last - n, last)

    readings: list[tuple[str, Holds]] = [
        (
            f"{limit.beats} beats in a row slower than {limit.rate:g} bpm",
            lambda last: (on or min(rrs(last)) >= each_s) and _mean(rrs(last)) >= slow_s,
        ),
        (
            f"mean of {limit.beats} beats slower than {limit.rate:g} bpm, one of them less slow",
            lambda last: min(rrs(last)) >= least_s and sorted(rrs(last))[1] >= each_s and _mean(rrs(last)) >= slow_s,
        ),
    ]
    run = _first_run(track, n, readings)
    if run is not None:
        rule, oldest, newest = run
        first, last, until = oldest - n, oldest, track.now if newest == len(track.r) - 1 else int(track.r[newest])
    else:
        rule = f"every RR of {limit.seconds:g} s, the running one counted, slower than {limit.rate:g} bpm"
        slow = _slow_seconds(track, limit, slow_s)
        if slow is None:
            return None
        first, last, until = slow
    criterion = criterion_of("EXTREME_BRADY", rule, limit.rate, RATE_ACCURACY_BPM)
    return Finding(
        "EXTREME_BRADY", int(track.r[first]), until, (track.rate_evidence(first, last, criterion),), track.leads
    )


def _slow_seconds(track: BeatTrack, limit: RateLimit, slow_s: float) -> tuple[int, int, int] | None:
    """A run of RRs of ``slow_s``, the running one counted, that fills the seconds: beats to cite, and its end."""
    last, run = len(track.r) - 1, _run_at_end(track.rr_s >= slow_s)
    running = track.running_s >= slow_s
    first, until = last - run, track.now if running else int(track.r[last])
    enough = run > 0 and run + running >= BRADY_WINDOW_RRS
    if not enough or until - track.r[first] < (limit.seconds - TIME_ACCURACY_S) * track.fs_hz:
        return None
    return max(first, last - limit.beats + 1), last, until


def extreme_tachy(track: BeatTrack, limit: RunLimit, on: bool = False, returns: bool = False) -> Finding | None:
    """``limit.beats`` beats in a row faster than the limit. Onset: the first of them with a fast RR after it.

    Either each beat is faster, or the mean of all is, and the mean of the newest 9 is faster than the limit by
    `NEWEST_FASTER_BPM`: atrial fibrillation is fast without being regular. Half of the newest RRs are as fast, since
    an artefact adds one or two short ones.
    While ``on``, the condition holds until the mean is `TACHY_HOLD_BPM` slower. Beats of low confidence are left out.

    Parameters
    ----------
    on : bool
        Its alarm is on.
    returns : bool
        Its alarm ended at most `RETURN_S` ago: a mean then needs newest beats faster by `RETURN_FASTER_BPM`.
    """
    track = track.confident(CLEAR_BEAT)
    n = limit.beats - 1
    if not track.running_s < 2.0:
        return None
    each_s, hold_s = 60.0 / (limit.rate - TACHY_MARGIN_BPM), 60.0 / (limit.rate - TACHY_HOLD_BPM)
    rising_s, slower_s = 60.0 / (limit.rate - TACHY_MEAN_MARGIN_BPM), 60.0 / (limit.rate - RISE_BPM)
    faster_bpm = RETURN_FASTER_BPM if returns else NEWEST_FASTER_BPM
    limit_s, faster_s = 60.0 / limit.rate, 60.0 / (limit.rate + faster_bpm)
    median_s = 60.0 / (limit.rate - RATE_ACCURACY_BPM)

    def each_is_fast(last: int) -> bool:
        return max(_rrs(track, last - n, last)) < each_s

    def mean_is_fast(last: int) -> bool:
        rr, newest_rr = _rrs(track, last - n, last), _rrs(track, last - TACHY_NEWEST, last)
        fast = _mean(rr) < hold_s if on else _mean(rr) < limit_s and _mean(newest_rr) < faster_s
        return fast and statistics.median(newest_rr) < median_s

    def mean_is_rising(last: int) -> bool:
        rr, newest_rr = _rrs(track, last - n, last), _rrs(track, last - TACHY_NEWEST, last)
        before = [seconds for seconds in _rrs(track, max(0, last - 2 * n), last - n) if math.isfinite(seconds)]
        has_risen = len(before) >= MIN_RRS_BEFORE and _mean(before) > slower_s
        fast = _mean(rr) < rising_s and _mean(newest_rr) < limit_s
        return not returns and has_risen and fast and statistics.median(newest_rr) < median_s

    def of_means(all_bpm: float, newest_bpm: float) -> str:
        newest = f"of the newest {TACHY_NEWEST + 1} faster than {newest_bpm:g} bpm"
        return f"mean of {limit.beats} beats faster than {all_bpm:g} bpm, {newest}"

    readings: list[tuple[str, Holds]] = [
        (f"{limit.beats} beats in a row faster than {limit.rate:g} bpm", each_is_fast),
        (of_means(limit.rate, limit.rate + faster_bpm), mean_is_fast),
        (f"{of_means(limit.rate - TACHY_MEAN_MARGIN_BPM, limit.rate)}, rising", mean_is_rising),
    ]
    run = _first_run(track, n, readings)
    if run is None:
        return None
    rule, oldest, newest = run
    criterion = criterion_of("EXTREME_TACHY", rule, limit.rate, RATE_ACCURACY_BPM)
    evidence = track.rate_evidence(oldest - n, oldest, criterion)
    first = oldest - n + int(np.argmax(track.rr_s[oldest - n : oldest] < hold_s))
    onset, last_held, held_from = (int(track.r[k]) for k in (first, newest, oldest))
    return Finding("EXTREME_TACHY", onset, last_held, (evidence,), track.leads, held_from)


Holds = Callable[[int], bool]  # whether a beat, by its index, and those before it hold a reading


def _first_run(track: BeatTrack, n: int, readings: Sequence[tuple[str, Holds]]) -> tuple[str, int, int] | None:
    """The reading that held first since the last update, the beat at which it did, and the newest that holds one.

    A beat holds a reading by the ``n`` RRs before it; NaN holds nothing. The onset of a run thus does not depend on
    where the updates fall.
    """
    found: list[tuple[int, str]] = []
    for last in range(len(track.r) - 1, n - 1, -1):
        if track.age_s(last) > JUST_ENDED_S:
            break
        if all(math.isfinite(seconds) for seconds in _rrs(track, last - n, last)):
            rule = next((rule for rule, holds in readings if holds(last)), None)
            if rule is not None:
                found.append((last, rule))
    if not found:
        return None
    oldest, rule = found[-1]
    return rule, oldest, found[0][0]


def _rrs(track: BeatTrack, first: int, last: int) -> list[float]:
    """RRs from the beat ``first`` to the beat ``last``, s."""
    rr: list[float] = track.rr_s[first:last].tolist()
    return rr


def _mean(rr: Sequence[float]) -> float:
    return sum(rr) / len(rr)


def slow_or_fast(track: BeatTrack, limit: RateLimit, code: RateCode) -> Finding | None:
    """BRADY or TACHY: the mean of 8 beats beyond the limit for 10 s. Onset: the first beat of the first mean."""
    n = limit.beats
    if len(track.r) < n + 1 or not track.running_s < 60.0 / 10.0:
        return None
    rate = mean_rates(track.rr_s, n - 1)  # one value a beat from the n-th on
    beyond = rate < limit.rate if code == "BRADY" else rate > limit.rate
    run = _run_at_end(beyond)
    last = len(track.r) - 1
    if run == 0 or (track.r[last] - track.r[last - run + 1]) / track.fs_hz < SUSTAINED_S:
        return None
    first = last - run + 1 - (n - 1)
    word = "under" if code == "BRADY" else "over"
    rule = f"mean of {n} beats {word} {limit.rate:g} bpm for {SUSTAINED_S:g} s"
    criterion = criterion_of(code, rule, limit.rate)
    evidence = track.rate_evidence(last - n + 1, last, criterion)
    return Finding(code, int(track.r[first]), int(track.r[-1]), (evidence,), track.leads)


def svt(track: BeatTrack, limit: RunLimit) -> Finding | None:
    """Five narrow beats in a row faster than the limit."""
    n = limit.beats - 1
    if not track.running_s < 2.0:
        return None

    def holds(last: int) -> bool:
        if max(_rrs(track, last - n, last)) >= 60.0 / limit.rate:
            return False
        beats = slice(last - n, last + 1)
        widths = track.qrs_ms[beats][np.isfinite(track.qrs_ms[beats])]
        is_wide = track.ventricular[beats].any() or (len(widths) > 0 and np.median(widths) > QRS_WIDE_MS)
        return not is_wide

    rule = f"{limit.beats} narrow beats in a row faster than {limit.rate:g} bpm"
    run = _first_run(track, n, [(rule, holds)])
    if run is None:
        return None
    _, oldest, newest = run
    evidence = track.rate_evidence(oldest - n, oldest, criterion_of("SVT", rule, limit.rate))
    return Finding("SVT", int(track.r[oldest - n]), int(track.r[newest]), (evidence,), track.leads)


def pauses(track: BeatTrack, limit: DurationLimit) -> list[Finding]:
    """RRs over the limit, the running one counted. Onset: the beat before."""
    criterion = criterion_of("PAUSE", f"RR over {limit.seconds:g} s", limit.seconds)
    rr = np.append(track.rr_s, track.running_s) if len(track.r) else np.zeros(0)
    return [
        _instant(track, "PAUSE", int(k), criterion)
        for k in np.flatnonzero(rr > limit.seconds)
        if track.age_s(int(k)) <= INSTANT_LOOKBACK_S
    ]


def missed_beats(track: BeatTrack, limit: BeatCountLimit) -> list[Finding]:
    """RRs over 1.8 times the mean of the 8 before, not after a ventricular beat. Onset: the beat before.

    The caller does not evaluate this criterion in atrial fibrillation and irregular rhythm.
    """
    n, rr, out = limit.beats, track.rr_s, []
    seconds = rr.tolist()
    for k in range(max(n, track.first_within(INSTANT_LOOKBACK_S)), len(rr)):
        before = rr[k - n : k]
        if (
            seconds[k] > QUICK_FACTOR * min(seconds[k - n : k])  # a quick check: no mean is below the least
            and np.all(np.isfinite(before))
            and rr[k] > MISSED_FACTOR * np.mean(before)
            and not track.ventricular[k - 1 : k + 2].any()
        ):
            limit_s = round(MISSED_FACTOR * float(np.mean(before)), 3)
            criterion = criterion_of("MISSED_BEAT", f"RR over {MISSED_FACTOR:g} times the mean of {n}", limit_s)
            out.append(_instant(track, "MISSED_BEAT", k, criterion))
    return out


def mean_rates(rr_s: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Rate over each ``n`` RRs in a row, per minute, [len(rr_s) - n + 1]; NaN where one of them is NaN."""
    if len(rr_s) < n:
        return np.zeros(0)
    return 60.0 / np.convolve(rr_s, np.full(n, 1.0 / n), "valid")


def _instant(track: BeatTrack, code: str, first: int, criterion: Criterion) -> Finding:
    evidence = track.rr_evidence(first, criterion)
    return Finding(code, int(track.r[first]), evidence.end, (evidence,), track.leads)


def _run_at_end(holds: NDArray[np.bool_]) -> int:
    """Number of values at the end that hold without a break."""
    misses = np.flatnonzero(~holds)
    return len(holds) if not len(misses) else len(holds) - 1 - int(misses[-1])

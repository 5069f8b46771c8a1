"""Criteria of rate: asystole, bradycardia and tachycardia, SVT, pauses and missed beats.

In: a `BeatTrack` and the code's limit. Out: a `Finding` where the condition is present now, else None; instants come as
a list. Detection may act within measuring accuracy (``docs/alarms.md#codes``): the evidence has the measured value, and
its criterion the accuracy. A criterion of beats is evaluated at each beat of the last update and not only at the newest
one: whether a run is found does not depend on where the updates fall.
Sources: PhysioNet/CinC Challenge 2015 (asystole, extreme rates); Philips IntelliVue and GE EK-Pro manuals (the others).
"""

from __future__ import annotations

import math
from collections.abc import Callable

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
HOLD_BPM = 5.0
BRADY_MARGIN_BPM = 3.0  # of the mean of five beats, each of which may be `RATE_ACCURACY_BPM` faster than the limit;
# once on, an extreme rate is over only when its mean is more than `RATE_ACCURACY_BPM` on the other side of the limit
SLOW_BEAT_BPM = 10.0  # the one of five beats that is less slow is at most this much faster than the limit
TACHY_MARGIN_BPM = 1.0  # of each beat; 5 is allowed
TACHY_MEAN_MARGIN_BPM = 4.0  # of the mean, where the newest beats are faster than the limit: a rate that still rises
TACHY_NEWEST = 8  # number of newest RRs, as many as the heart rate is a mean of
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
    slow_s = 60.0 / (limit.rate + (HOLD_BPM if on else BRADY_MARGIN_BPM))
    rule = f"{limit.beats} beats in a row slower than {limit.rate:g} bpm"
    last = _newest_that(track, n, lambda rr: (on or min(rr) >= each_s) and float(np.mean(rr)) >= slow_s)
    if last is None:
        least_s = 60.0 / (limit.rate + SLOW_BEAT_BPM)
        rule = f"mean of {limit.beats} beats slower than {limit.rate:g} bpm, one of them less slow"
        last = _newest_that(
            track, n, lambda rr: min(rr) >= least_s and sorted(rr)[1] >= each_s and float(np.mean(rr)) >= slow_s
        )
    if last is not None:
        found = last - n, last, track.now if last == len(track.r) - 1 else int(track.r[last])
    else:
        rule = f"every RR of {limit.seconds:g} s, the running one counted, slower than {limit.rate:g} bpm"
        slow = _slow_seconds(track, limit, slow_s)
        if slow is None:
            return None
        found = slow
    first, last, until = found
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


def extreme_tachy(track: BeatTrack, limit: RunLimit, on: bool = False) -> Finding | None:
    """``limit.beats`` beats in a row faster than the limit. Onset: the first of them.

    Either each beat is faster, or the mean of all and the mean of the newest 8: atrial fibrillation is fast without
    being regular. Half of the newest 8 are as fast, since an artefact adds one or two short RRs. While ``on``, the
    condition holds until the mean is beyond measuring accuracy.
    """
    n = limit.beats - 1
    if not track.running_s < 2.0:
        return None
    each_s, newest_s = 60.0 / (limit.rate - TACHY_MARGIN_BPM), 60.0 / limit.rate
    median_s = 60.0 / (limit.rate - RATE_ACCURACY_BPM)
    mean_s = 60.0 / (limit.rate - (HOLD_BPM if on else TACHY_MEAN_MARGIN_BPM))
    rule = f"{limit.beats} beats in a row faster than {limit.rate:g} bpm"
    last = _newest_that(track, n, lambda rr: max(rr) < each_s)
    if last is None:
        rule = f"mean of {limit.beats} beats, and of the newest {TACHY_NEWEST}, faster than {limit.rate:g} bpm"
        last = _newest_that(
            track,
            n,
            lambda rr: (
                float(np.mean(rr)) < mean_s
                and (on or float(np.mean(rr[-TACHY_NEWEST:])) < newest_s)
                and float(np.median(rr[-TACHY_NEWEST:])) < median_s
            ),
        )
    if last is None:
        return None
    criterion = criterion_of("EXTREME_TACHY", rule, limit.rate, RATE_ACCURACY_BPM)
    evidence = track.rate_evidence(last - n, last, criterion)
    return Finding("EXTREME_TACHY", int(track.r[last - n]), int(track.r[last]), (evidence,), track.leads)


def _newest_that(track: BeatTrack, n: int, holds: Callable[[list[float]], bool]) -> int | None:
    """The newest beat since the last update at which ``holds`` the ``n`` RRs before it; NaN holds nothing."""
    for last in range(len(track.r) - 1, n - 1, -1):
        if track.age_s(last) > JUST_ENDED_S:
            return None
        rr = track.rr_s[last - n : last].tolist()
        if all(math.isfinite(seconds) for seconds in rr) and holds(rr):
            return last
    return None


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
    last = _newest_that(track, n, lambda rr: max(rr) < 60.0 / limit.rate)
    if last is None:
        return None
    beats = slice(last - n, last + 1)
    widths = track.qrs_ms[beats][np.isfinite(track.qrs_ms[beats])]
    if track.ventricular[beats].any() or (len(widths) and np.median(widths) > QRS_WIDE_MS):
        return None
    criterion = criterion_of("SVT", f"{limit.beats} narrow beats in a row faster than {limit.rate:g} bpm", limit.rate)
    evidence = track.rate_evidence(last - n, last, criterion)
    return Finding("SVT", int(track.r[last - n]), int(track.r[last]), (evidence,), track.leads)


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

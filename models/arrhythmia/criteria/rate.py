"""Criteria of rate: asystole, bradycardia and tachycardia, SVT, pauses and missed beats.

In: a `BeatTrack` and the code's limit. Out: a `Finding` where the condition is present now, else None; instants come as
a list. Detection may act within measuring accuracy (``docs/alarms.md#codes``); the evidence has the measured value.
Sources: PhysioNet/CinC Challenge 2015 (asystole, extreme rates); Philips IntelliVue and GE EK-Pro manuals (the others).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.arrhythmia.episode_tracker import Finding
from models.arrhythmia.episodes import INSTANT_LOOKBACK_S
from models.arrhythmia.limits import BeatCountLimit, DurationLimit, RateCode, RateLimit, RunLimit, criterion_of
from models.beats.series import METHOD, BeatTrack
from models.evidence import BeatSpan, Criterion, Evidence
from models.normal_limits import QRS_WIDE_MS

ASYSTOLE_MARGIN_S = 0.5  # measuring accuracy: asystole is detected from 3.5 s on (docs/alarms.md#codes)
JUST_ENDED_S = 1.5  # a time without beats that ended since the last update
BRADY_MARGIN_BPM = 1.0  # 5 is allowed (docs/alarms.md#codes); rates near the limit raise it twice as often at 3
TACHY_MARGIN_BPM = 1.0  # of each beat; 5 is allowed
TACHY_MEAN_MARGIN_BPM = 4.0  # where the newest of them are faster than the limit: a rate that is still rising
TACHY_NEWEST = 8  # number of newest RRs, as many as the heart rate is a mean of
BRADY_HOLD_BPM = 6.0  # once on, extreme bradycardia is over only when the rate is this far above its limit
TACHY_HOLD_BPM = 5.0  # once on, extreme tachycardia is over only when the rate is this far below its limit
SLOW_BEAT_BPM = 50.0  # at a limit of 40: one of the five beats may come earlier than this (escape, premature beat)
BRADY_WINDOW_BEATS = 2  # least number of RRs in the last 8 s, the running one counted
SUSTAINED_S = 10.0  # BRADY and TACHY: the mean of 8 beats is beyond the limit for this long
MISSED_FACTOR = 1.8  # Philips IntelliVue: 1.8 times the mean RR


def asystole(track: BeatTrack, limit: DurationLimit, plausible: tuple[str, ...]) -> Finding | None:
    """No beat in any usable lead for ``limit.seconds``, running or just ended. Onset: the last beat.

    Parameters
    ----------
    plausible : tuple of str
        Leads on which asystole is plausible (`models.arrhythmia.silence`).
    """
    least = limit.seconds - ASYSTOLE_MARGIN_S
    start, stop = track.silent_from, track.now
    if track.silent_s < least:
        if len(track.r) < 2 or not track.rr_s[-1] >= least or track.age_s(-1) > JUST_ENDED_S:  # NaN: unusable interval
            return None
        start, stop = int(track.r[-2]), int(track.r[-1])
    if not plausible:
        return None
    criterion = criterion_of("ASYSTOLE", f"no beat for {limit.seconds:g} s or longer", limit.seconds)
    value = round((stop - start) / track.fs_hz, 4)
    measure = "SILENCE" if stop == track.now else "RR"
    evidence = Evidence(
        measure, value, plausible, start, stop, (BeatSpan(start, start, stop, value),), criterion, method=METHOD
    )
    return Finding("ASYSTOLE", start, stop, (evidence,), plausible)


def extreme_brady(track: BeatTrack, limit: RateLimit, on: bool = False) -> Finding | None:
    """Five beats in a row slower than the limit, or every RR of the last 8 s. Onset: the first beat of them.

    Five beats are slow when their mean RR is, and all their RRs but one are: one escape or premature beat among them is
    allowed. While ``on``, the condition holds until the rate is `BRADY_HOLD_BPM` above the limit.
    """
    rr, last = track.rr_s, len(track.r) - 1
    if last < 1 or not track.age_s(last) <= limit.seconds:
        return None
    slow_s = 60.0 / (limit.rate + (BRADY_HOLD_BPM if on else BRADY_MARGIN_BPM))
    first = _five_slow_beats(rr, limit.beats - 1, slow_s, 60.0 / (SLOW_BEAT_BPM / 40.0 * limit.rate))
    if first is None:
        run = _run_at_end(rr >= slow_s)
        running_slow = track.running_s >= slow_s
        first = last - run
        spanned = (track.now if running_slow else int(track.r[last])) - int(track.r[first])
        if run == 0 or run + running_slow < BRADY_WINDOW_BEATS or spanned < limit.seconds * track.fs_hz:
            return None
    rule = f"{limit.beats} beats in a row, or every RR of {limit.seconds:g} s, under {limit.rate:g} bpm"
    criterion = criterion_of("EXTREME_BRADY", rule, limit.rate)
    evidence = track.rate_evidence(max(first, last - limit.beats + 1), last, criterion)
    return Finding("EXTREME_BRADY", int(track.r[first]), track.now, (evidence,), track.leads)


def _five_slow_beats(rr: NDArray[np.float64], n: int, slow_s: float, slow_beat_s: float) -> int | None:
    """First beat of the last ``n`` RRs where their mean is slow and all but one of them are; None otherwise."""
    if len(rr) < n:
        return None
    newest = rr[-n:]
    if not np.mean(newest) >= slow_s or np.sum(newest >= slow_beat_s) < n - 1:
        return None
    return len(rr) - n + int(np.argmax(newest >= slow_beat_s))


def extreme_tachy(track: BeatTrack, limit: RunLimit, on: bool = False) -> Finding | None:
    """``limit.beats`` beats in a row faster than the limit. Onset: the first of them.

    Either each beat is faster, or the mean of all, and the mean of the newest 8 as well: AF is fast without being
    regular. While ``on``, the condition holds until the mean rate is `TACHY_HOLD_BPM` below the limit.
    """
    n = limit.beats
    if len(track.r) < n or not track.running_s < 2.0:
        return None
    rr = track.rr_s[-(n - 1) :]
    rate, newest, slowest = (60.0 / float(x) for x in (np.mean(rr), np.mean(rr[-TACHY_NEWEST:]), np.max(rr)))
    if on:
        fast = rate > limit.rate - TACHY_HOLD_BPM
    else:
        fast = slowest > limit.rate - TACHY_MARGIN_BPM or (
            rate > limit.rate - TACHY_MEAN_MARGIN_BPM and newest > limit.rate
        )
    if not fast:  # NaN: an unusable interval
        return None
    last = len(track.r) - 1
    criterion = criterion_of("EXTREME_TACHY", f"{n} beats in a row faster than {limit.rate:g} bpm", limit.rate)
    evidence = track.rate_evidence(last - n + 1, last, criterion)
    return Finding("EXTREME_TACHY", int(track.r[last - n + 1]), int(track.r[-1]), (evidence,), track.leads)


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
    criterion = criterion_of(code, f"mean of {n} beats {word} {limit.rate:g} bpm for {SUSTAINED_S:g} s", limit.rate)
    evidence = track.rate_evidence(last - n + 1, last, criterion)
    return Finding(code, int(track.r[first]), int(track.r[-1]), (evidence,), track.leads)


def svt(track: BeatTrack, limit: RunLimit) -> Finding | None:
    """Five narrow beats in a row faster than the limit."""
    n = limit.beats
    if len(track.r) < n or not track.running_s < 2.0:
        return None
    rr = track.rr_s[-(n - 1) :]
    widths = track.qrs_ms[-n:][np.isfinite(track.qrs_ms[-n:])]
    wide = track.ventricular[-n:].any() or (len(widths) and np.median(widths) > QRS_WIDE_MS)
    if wide or not np.all(rr < 60.0 / limit.rate):
        return None
    last = len(track.r) - 1
    criterion = criterion_of("SVT", f"{n} narrow beats in a row faster than {limit.rate:g} bpm", limit.rate)
    evidence = track.rate_evidence(last - n + 1, last, criterion)
    return Finding("SVT", int(track.r[last - n + 1]), int(track.r[-1]), (evidence,), track.leads)


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
    for k in range(n, len(rr)):
        before = rr[k - n : k]
        if (
            track.age_s(k) <= INSTANT_LOOKBACK_S
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

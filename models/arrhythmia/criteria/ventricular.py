"""Criteria of ventricular beats: runs, slow rhythm, couplets, R on T, bigeminy, trigeminy, PVC rate.

In: a `BeatTrack`, whose ectopic beats are ventricular and not of the dominant morphology, and the code's limit. Out: a
`Finding` where the condition is present now, else None; instants come as a list.
Sources: Philips IntelliVue and GE EK-Pro manuals. Ventricular tachycardia: `models.arrhythmia.criteria.tachycardia`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.arrhythmia.episode_tracker import Finding
from models.arrhythmia.episodes import INSTANT_LOOKBACK_S
from models.arrhythmia.limits import BeatCountLimit, DistanceLimit, EventRateLimit, RunLimit, criterion_of
from models.beats.series import BeatTrack
from models.evidence import BeatSpan, Criterion, Evidence

RUN_BEATS = 3  # fewer in a row are a couplet or single beats
RUN_OVER_S = 3.0  # a run whose last beat is older is over
PVC_WINDOW_S = 60.0  # PVC_RATE counts over a minute
PVC_CITED, PVC_CITED_S = 5, 9.0  # ventricular beats cited at most, of the last seconds: those inside an alert's segment
CYCLES = 3  # Philips IntelliVue: bigeminy and trigeminy are three cycles


def runs(ventricular: NDArray[np.bool_], broken: NDArray[np.bool_] | None = None) -> list[tuple[int, int]]:
    """First and last index of each run of ventricular beats; ``broken[k]``: the RR after beat k is NaN."""
    out: list[tuple[int, int]] = []
    for k in np.flatnonzero(ventricular):
        if out and out[-1][1] == k - 1 and not (broken is not None and broken[k - 1]):
            out[-1] = (out[-1][0], int(k))
        else:
            out.append((int(k), int(k)))
    return out


def run_rate(track: BeatTrack, first: int, last: int) -> float:
    """Beats a minute over a run."""
    return 60.0 * (last - first) * track.fs_hz / float(track.r[last] - track.r[first])


def vrhythm(track: BeatTrack, vtach_limit: RunLimit) -> Finding | None:
    """VTACH's count of ventricular beats or more, up to its rate."""
    newest = _newest_run(track, vtach_limit.beats)
    if newest is None or run_rate(track, *newest) > vtach_limit.rate:
        return None
    rule = f"{vtach_limit.beats} ventricular beats in a row or more, up to {vtach_limit.rate:g} bpm"
    return _run_finding(track, "VRHYTHM", *newest, criterion_of("VRHYTHM", rule, vtach_limit.rate))


def vruns(track: BeatTrack, limit: BeatCountLimit, vtach_limit: RunLimit) -> list[Finding]:
    """Three ventricular beats up to VTACH's count less one, above its rate."""
    least = limit.beats
    rule = f"{least} to {vtach_limit.beats - 1} ventricular beats in a row faster than {vtach_limit.rate:g} bpm"
    criterion = criterion_of("VRUN", rule, vtach_limit.rate)
    return [
        _run_finding(track, "VRUN", a, b, criterion)
        for a, b in _closed_runs(track)
        if least <= b - a + 1 < vtach_limit.beats and run_rate(track, a, b) > vtach_limit.rate
    ]


def vpairs(track: BeatTrack) -> list[Finding]:
    """Two ventricular beats in a row, and no third."""
    criterion = criterion_of("VPAIR", "two ventricular beats in a row", 2)
    return [_run_finding(track, "VPAIR", a, b, criterion) for a, b in _closed_runs(track) if b - a == 1]


def r_on_t(track: BeatTrack, limit: DistanceLimit, t_peaks: Sequence[int | None]) -> list[Finding]:
    """Ventricular beats within ``limit.ms`` of the T peak of the beat before.

    Parameters
    ----------
    t_peaks : sequence
        T peak of each beat of the track, None where there is none.
    """
    criterion = criterion_of("R_ON_T", f"ventricular beat within {limit.ms:g} ms of a T peak", limit.ms)
    out = []
    for k in (np.flatnonzero(track.ectopic[1:] & ~track.ectopic[:-1]) + 1).tolist():
        peak = t_peaks[k - 1]
        if (
            peak is not None
            and track.age_s(k) <= INSTANT_LOOKBACK_S
            and abs(int(track.r[k]) - peak) <= limit.ms / 1000.0 * track.fs_hz
        ):
            out.append(
                Finding("R_ON_T", int(track.r[k]), int(track.r[k]), (track.rr_evidence(k - 1, criterion),), track.leads)
            )
    return out


def every_nth(track: BeatTrack, code: str, n: int) -> Finding | None:
    """Every second (``n`` = 2) or third beat ventricular, three cycles. Onset: the first ventricular beat of them."""
    length = CYCLES * n
    if len(track.r) < length or track.running_s > RUN_OVER_S:
        return None
    for last in (len(track.r) - 1 - k for k in range(n)):  # the cycle may stand at any of its beats now
        window = track.ectopic[last - length + 1 : last + 1]
        if (
            last - length + 1 >= 0
            and window[n - 1 :: n].all()
            and window.sum() == CYCLES
            and np.isfinite(track.rr_s[last - length + 1 : last]).all()
        ):
            word = "second" if n == 2 else "third"
            criterion = criterion_of(code, f"every {word} beat ventricular, {CYCLES} cycles", CYCLES)
            first = last - length + n
            return Finding(
                code,
                int(track.r[first]),
                int(track.r[last]),
                (track.rate_evidence(first, last, criterion),),
                track.leads,
            )
    return None


def pvc_rate(track: BeatTrack, limit: EventRateLimit) -> Finding | None:
    """More than ``limit.rate`` ventricular beats in the last minute. Onset: the first of them.

    The rule names their number, and the evidence is the RR before each of the newest `PVC_CITED`.
    """
    since = track.now - PVC_WINDOW_S * track.fs_hz
    found = np.flatnonzero(track.ectopic & (track.r > since))
    if len(found) <= limit.rate:
        return None
    rule = f"more than {limit.rate:g} ventricular beats a minute: {len(found)} in {PVC_WINDOW_S:g} s"
    criterion = criterion_of("PVC_RATE", rule, limit.rate)
    cited = [k for k in found.tolist() if k > 0 and track.age_s(k - 1) < PVC_CITED_S][-PVC_CITED:] or [int(found[-1])]
    evidence = tuple(replace(track.rr_evidence(max(0, k - 1), criterion), over_s=PVC_WINDOW_S) for k in cited)
    return Finding("PVC_RATE", int(track.r[found[0]]), track.now, evidence, track.leads)


def _newest_run(track: BeatTrack, beats: int) -> tuple[int, int] | None:
    """The last run of at least ``beats``, where it has not ended."""
    found = runs(track.ventricular, ~np.isfinite(track.rr_s))
    if not found:
        return None
    first, last = found[-1]
    if last - first + 1 < beats or track.age_s(last) > RUN_OVER_S:
        return None
    return first, last


def _closed_runs(track: BeatTrack) -> list[tuple[int, int]]:
    """Runs that another beat has ended, recent enough to be reported."""
    return [
        (a, b)
        for a, b in runs(track.ectopic, ~np.isfinite(track.rr_s))
        if b < len(track.r) - 1 and track.age_s(b) <= INSTANT_LOOKBACK_S
    ]


def _run_finding(track: BeatTrack, code: str, first: int, last: int, criterion: Criterion) -> Finding:
    evidence = track.rate_evidence(first, last, criterion)
    widths = track.qrs_ms[first : last + 1]
    cited = [evidence]
    known = np.flatnonzero(np.isfinite(widths))
    if len(known):
        k = first + int(known[len(known) // 2])
        r, width = int(track.r[k]), float(track.qrs_ms[k])
        half = round(width / 2000.0 * track.fs_hz)
        cited.append(
            Evidence(
                "QRS",
                round(width, 1),
                evidence.leads,
                r - half,
                r + half,
                (BeatSpan(r, r - half, r + half, round(width, 1)),),
                criterion,
                confidence=evidence.confidence,
                method=evidence.method,
            )
        )
    return Finding(code, int(track.r[first]), int(track.r[last]), tuple(cited), track.leads)

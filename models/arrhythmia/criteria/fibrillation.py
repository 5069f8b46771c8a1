"""Ventricular fibrillation and tachycardia as the signal shows them, told from artefact by more than one view.

In: a `BeatTrack`, the `RhythmViews` of the moment, the code's `Limit`. Out: a `Finding` where the condition is present.
Fibrillation: the waves of most usable leads look so (spectrum, organisation, no rest between complexes) and the rhythm
network, which has seen real alarms true and false, agrees. Tachycardia: a run of beats unlike the bed's own, and a
network that agrees, the surer the shorter the run. A bundle-branch block or a pacemaker makes all of a bed's beats look
ventricular: such beats make a run only where the network is surer still.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.arrhythmia.criteria.ventricular import RATE_MARGIN_BPM, RUN_BEATS, run_rate, runs
from models.arrhythmia.episode_tracker import Finding
from models.arrhythmia.fibrillation_features import FEATURES, WINDOW_S
from models.arrhythmia.limits import RULES, Limit
from models.arrhythmia.views import RhythmViews
from models.beats.series import LIKE_FROM, BeatTrack
from models.evidence import Criterion, Evidence
from models.measurement.intervals import FIBRILLATION

# Limits of the views, between the fibrillation of CUDB and MIT-BIH 207 and everything else in MIT-BIH and CinC 2015:
# the first line holds 84 to 93 % of it and 0.2 % of the other MIT-BIH windows, the second 76 to 86 % and 0.01 %.
LIKELY = {"leakage": 0.65, "rest_share": 0.5, "slope_kurtosis": 10.0, "peak_share": 0.33, "rms_mv": 0.05}
CERTAIN = {"leakage": 0.62, "rest_share": 0.36, "slope_kurtosis": 6.0, "peak_share": 0.38, "rms_mv": 0.05}
AT_LEAST = ("peak_share", "rms_mv")  # of these a wave must have more, of the others less
AGREE, NOT_AGAINST = 0.65, 0.2  # the network's say for likely and for certain waves
HOLD_NETWORK = 0.3  # once on
WAIT_FOR_WAVES_S = 1.0  # asystole may be this much later where fibrillation is likelier

# The network's say that a tachycardia needs: beside a run of the limit's length, beside a shorter one (beats that melt
# into each other are missed), beside two strange beats that make none, beside a run that looks as the bed always does
VT_RUN, VT_SHORT_RUN, VT_NO_RUN, VT_FAMILIAR = 0.5, 0.6, 0.75, 0.85
VT_HOLDS, VT_ALONE_HOLDS = 0.3, 0.8  # once on: beside a strange beat or a ventricular run, beside none
NEW_S = 8.0  # in the first seconds of a bed the network, which sees 16 s, must be sure
FEW_STRANGERS = 2  # fewer strange beats are no tachycardia, whatever the network says
ROOM_S = 2.0  # five beats at 150 a minute and what is around them
SETTLED = 0.7  # share of the beats before a run that must be alike for likeness to tell
SETTLED_BEATS, FEWEST_SETTLED = 20, 6
LOOK_S = 9.0  # a run whose last beat is older is over
METHOD = "views 1"


def waves_like_fibrillation(features: NDArray[np.float64], bounds: dict[str, float]) -> NDArray[np.bool_]:
    """Which leads' rows of fibrillation features lie within the bounds, [leads]."""
    within = np.ones(len(features), bool)
    for name, bound in bounds.items():
        column = features[:, FEATURES.index(name)]
        within &= column > bound if name in AT_LEAST else column < bound
    return within


def vfib(track: BeatTrack, views: RhythmViews, limit: Limit, on: bool) -> Finding | None:
    """Fibrillation or flutter waves for ``limit.seconds``. Onset: the first wave."""
    assert limit.seconds is not None
    if not views.may_fibrillate:
        return None
    likely = waves_like_fibrillation(views.fibrillation, LIKELY)
    if 2 * likely.sum() < len(likely) or not likely.any():
        return None
    certain = waves_like_fibrillation(views.fibrillation, CERTAIN)
    network = views.network["vfib"]
    needed = HOLD_NETWORK if on else NOT_AGAINST if certain.mean() >= 0.75 else AGREE
    if network < needed:
        return None
    span = (track.now - round(WINDOW_S * track.fs_hz), track.now)
    leads = tuple(lead for lead, votes in zip(track.leads, likely, strict=True) if votes)
    criterion = Criterion(f"fibrillation or flutter waves for {limit.seconds:g} s", limit.seconds, RULES["VFIB"].source)
    height = round(views.peak_to_peak(leads[0], WINDOW_S), 3)
    size = Evidence(
        "AMPLITUDE",
        height,
        leads[:1],
        *span,
        criterion=criterion,
        wave=FIBRILLATION,
        confidence=round(network, 3),
        method=METHOD,
    )
    clean = Evidence(
        "QUALITY", round(views.quality(leads[0], WINDOW_S), 3), leads[:1], *span, criterion=criterion, method=METHOD
    )
    return Finding("VFIB", span[0], span[1], (size, clean), leads)


def wait_for_waves(track: BeatTrack, views: RhythmViews, limit: Limit) -> bool:
    """A silence that looks like the first seconds of fibrillation: another second will tell, but no more than that."""
    assert limit.seconds is not None
    if not views.may_fibrillate or not 1.0 <= track.silent_s <= limit.seconds + WAIT_FOR_WAVES_S:
        return False
    return bool(waves_like_fibrillation(views.waves(track.silent_s), LIKELY).any())


def vtach(track: BeatTrack, views: RhythmViews, limit: Limit, on: bool) -> Finding | None:
    """``limit.beats`` ventricular beats in a row faster than ``limit.rate``. Onset: the first of them.

    Where beats melt into each other the detector misses some: then the network must be surer, and the longest run at
    hand is what is cited.
    """
    assert limit.beats is not None and limit.rate is not None
    strange = strangers(track)
    run = longest_run(track, strange, limit.rate - RATE_MARGIN_BPM)
    needed = _network_needed(track, strange, run, limit, on)
    if needed is None or views.network["vtach"] < needed:
        return None
    cited = run or fastest_run(track, RUN_BEATS, limit.rate - RATE_MARGIN_BPM) or _last_beats(track)
    if cited is None:
        return None
    first, last = cited
    rule = f"{limit.beats} ventricular beats in a row faster than {limit.rate:g} bpm"
    criterion = Criterion(rule, limit.rate, RULES["VTACH"].source)
    return Finding(
        "VTACH", int(track.r[first]), int(track.r[last]), (track.rate_evidence(first, last, criterion),), track.leads
    )


def _network_needed(
    track: BeatTrack, strange: NDArray[np.bool_], run: tuple[int, int] | None, limit: Limit, on: bool
) -> float | None:
    """How sure the network must be for these beats to be a tachycardia; None: no network makes them one."""
    assert limit.beats is not None
    beats = 0 if run is None else run[1] - run[0] + 1
    seen = int(np.sum(strange & _recent(track)))
    familiar = ventricular_run(track, limit) is not None
    if on:
        return VT_HOLDS if seen or familiar else VT_ALONE_HOLDS
    if not familiar and beats < RUN_BEATS and seen < FEW_STRANGERS:
        return None
    if not familiar and beats < limit.beats and not _room_for_a_run(track, strange):
        return None
    if track.now - track.since < NEW_S * track.fs_hz:
        return VT_FAMILIAR
    if beats >= RUN_BEATS:
        return VT_RUN if beats >= limit.beats else VT_SHORT_RUN
    return VT_NO_RUN if seen >= FEW_STRANGERS else VT_FAMILIAR


def _room_for_a_run(track: BeatTrack, strange: NDArray[np.bool_]) -> bool:
    """Between two of the bed's own beats, or since the newest, strange beats had time enough to make a run.

    Pairs and short runs between own beats have not, however often they come: nothing was missed beside them.
    """
    since = track.now - round((LOOK_S + ROOM_S) * track.fs_hz)
    own = track.r[~strange & (track.r > since)]
    for a, b in pairwise([since, *own.tolist(), track.now]):
        enough = b - a >= ROOM_S * track.fs_hz and b > track.now - LOOK_S * track.fs_hz
        if enough and np.sum(strange & (track.r > a) & (track.r < b)) >= FEW_STRANGERS:
            return True
    return False


def _recent(track: BeatTrack) -> NDArray[np.bool_]:
    return np.asarray(track.r > track.now - LOOK_S * track.fs_hz, bool)


def strangers(track: BeatTrack) -> NDArray[np.bool_]:
    """Which beats are unlike the bed's own, or look ventricular where likeness cannot be told, [beats].

    What follows a pacing pulse is the pacemaker's, and no stranger. Likeness tells nothing where the beats before were
    not alike either: noise, or a rhythm of many shapes.
    """
    unlike = track.like < LIKE_FROM  # NaN: not told
    recent = np.flatnonzero(unlike & _recent(track))
    if len(recent):
        first = int(recent[0])
        while first > 0 and unlike[first - 1]:
            first -= 1
        before = track.like[max(0, first - SETTLED_BEATS) : first]
        before = before[np.isfinite(before)]
        if len(before) < FEWEST_SETTLED or np.mean(before >= LIKE_FROM) < SETTLED:
            unlike = np.zeros(len(unlike), bool)
    paced = np.array([kind == "P" for kind in track.kinds], bool)
    return np.asarray((unlike & ~paced) | track.ectopic, bool)


def longest_run(track: BeatTrack, strange: NDArray[np.bool_], over_bpm: float) -> tuple[int, int] | None:
    """The longest stretch of strange beats in the last seconds that is fast enough, two beats at least."""
    best: tuple[int, int] | None = None
    for first, last in reversed(runs(strange, ~np.isfinite(track.rr_s))):
        if track.age_s(last) > LOOK_S:
            break
        shortest = RUN_BEATS - 1 if best is None else best[1] - best[0] + 2
        for n in range(last - first + 1, shortest - 1, -1):
            start = next((k for k in range(first, last - n + 2) if run_rate(track, k, k + n - 1) > over_bpm), None)
            if start is not None:
                best = (start, start + n - 1)
                break
    return best


def ventricular_run(track: BeatTrack, limit: Limit) -> tuple[int, int] | None:
    """The newest run of enough ventricular beats, fast enough, that goes on or has just ended."""
    assert limit.beats is not None and limit.rate is not None
    for first, last in _recent_runs(track):
        for start in range(first, last - limit.beats + 2):
            if run_rate(track, start, start + limit.beats - 1) > limit.rate - RATE_MARGIN_BPM:
                return start, last
    return None


def fastest_run(track: BeatTrack, beats: int, over_bpm: float) -> tuple[int, int] | None:
    """The fastest ``beats`` beats in a row of the last seconds, where they are fast enough."""
    recent = np.flatnonzero(track.r > track.now - LOOK_S * track.fs_hz)
    if len(recent) < beats:
        return None
    first = int(recent[0])
    mean_rr = np.convolve(track.rr_s[first:], np.full(beats - 1, 1.0 / (beats - 1)), "valid")
    if not len(mean_rr) or not np.isfinite(mean_rr).any():
        return None
    k = int(np.nanargmin(mean_rr))
    return (first + k, first + k + beats - 1) if 60.0 / mean_rr[k] > over_bpm else None


def _last_beats(track: BeatTrack) -> tuple[int, int] | None:
    """The newest two beats, where there are as many."""
    return (len(track.r) - 2, len(track.r) - 1) if len(track.r) > 1 else None


def _recent_runs(track: BeatTrack) -> list[tuple[int, int]]:
    """Runs of ventricular beats that go on or have just ended, the newest first."""
    found = runs(track.ventricular, ~np.isfinite(track.rr_s))
    return [(first, last) for first, last in reversed(found) if track.age_s(last) <= LOOK_S]

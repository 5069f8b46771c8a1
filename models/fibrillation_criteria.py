"""Ventricular fibrillation and tachycardia as the signal shows them, told from artefact by more than one view.

In: a `BeatTrack`, the `RhythmViews` of the moment, the code's `Limit`. Out: a `Finding` where the condition is present.
Fibrillation: the waves of most usable leads look so (spectrum, organisation, no rest between complexes) and the rhythm
network, which has seen real alarms true and false, agrees. Tachycardia: beats of ventricular shape, or a rhythm that
the network takes for one; never where the network is sure of the opposite.
"""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.beat_track import BeatTrack
from models.episode_tracker import Finding
from models.evidence import Criterion, Evidence
from models.fibrillation import FEATURES, WINDOW_S
from models.intervals import FIBRILLATION
from models.limits import RULES, Limit
from models.rhythm_views import RhythmViews
from models.ventricular_criteria import RATE_MARGIN_BPM, RUN_BEATS, run_rate, runs

# Limits of the views, between the fibrillation of CUDB and MIT-BIH 207 and everything else in MIT-BIH and CinC 2015:
# the first line holds 84 to 93 % of it and 0.2 % of the other MIT-BIH windows, the second 76 to 86 % and 0.01 %.
LIKELY = {"leakage": 0.65, "rest_share": 0.5, "slope_kurtosis": 10.0, "peak_share": 0.33, "rms_mv": 0.05}
CERTAIN = {"leakage": 0.62, "rest_share": 0.36, "slope_kurtosis": 6.0, "peak_share": 0.38, "rms_mv": 0.05}
AT_LEAST = ("peak_share", "rms_mv")          # of these a wave must have more, of the others less
AGREE, NOT_AGAINST = 0.65, 0.2               # the network's say for likely and for certain waves
HOLD_NETWORK = 0.3                           # once on
WAIT_FOR_WAVES_S = 1.0                       # asystole may be this much later where fibrillation is likelier

VT_SURE, VT_AGREES, VT_HOLDS = 0.7, 0.2, 0.3  # network alone, beside ventricular beats, once on
SOME_VENTRICULAR = 2                         # beats of ventricular shape beside which the network is believed alone
MELTED = 0.75                                # of the limit's rate: what is left of it where some beats are missed
LOOK_S = 9.0                                 # a run whose last beat is older is over
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
    size = Evidence("AMPLITUDE", height, leads[:1], *span, criterion=criterion, wave=FIBRILLATION,
                    confidence=round(network, 3), method=METHOD)
    clean = Evidence("QUALITY", round(views.quality(leads[0], WINDOW_S), 3), leads[:1], *span, criterion=criterion,
                     method=METHOD)
    return Finding("VFIB", span[0], span[1], (size, clean), leads)


def wait_for_waves(track: BeatTrack, views: RhythmViews, limit: Limit) -> bool:
    """A silence that looks like the first seconds of fibrillation: another second will tell, but no more than that."""
    assert limit.seconds is not None
    if not views.may_fibrillate or not 1.0 <= track.silent_s <= limit.seconds + WAIT_FOR_WAVES_S:
        return False
    return bool(waves_like_fibrillation(views.waves(track.silent_s), LIKELY).any())


def vtach(track: BeatTrack, views: RhythmViews, limit: Limit, on: bool) -> Finding | None:
    """``limit.beats`` ventricular beats in a row faster than ``limit.rate``. Onset: the first of them.

    Where beats melt into each other the detector misses some: then the network decides, and the fastest beats at hand
    are what is cited.
    """
    assert limit.beats is not None and limit.rate is not None
    run = ventricular_run(track, limit)
    cited = run or fastest_run(track, limit.beats, limit.rate - RATE_MARGIN_BPM)
    cited = cited or fastest_run(track, RUN_BEATS, limit.rate - RATE_MARGIN_BPM) or _last_ventricular(track, limit)
    if cited is None or (run is None and _ventricular_beats(track) < SOME_VENTRICULAR):
        return None
    needed = VT_HOLDS if on else VT_AGREES if run else VT_SURE
    if views.network["vtach"] < needed and not (run and views.network["vfib"] > AGREE):
        return None
    first, last = cited
    rule = f"{limit.beats} ventricular beats in a row faster than {limit.rate:g} bpm"
    criterion = Criterion(rule, limit.rate, RULES["VTACH"].source)
    return Finding("VTACH", int(track.r[first]), int(track.r[last]), (track.rate_evidence(first, last, criterion),),
                   track.leads)


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


def _ventricular_beats(track: BeatTrack) -> int:
    """How many of the last seconds' beats are ventricular."""
    return int(np.sum(track.ventricular & (track.r > track.now - LOOK_S * track.fs_hz)))


def _last_ventricular(track: BeatTrack, limit: Limit) -> tuple[int, int] | None:
    """The newest ventricular beats in a row, two at least, about as fast as the limit."""
    assert limit.rate is not None
    for first, last in _recent_runs(track):
        if last > first and run_rate(track, first, last) > MELTED * limit.rate:
            return first, last
    return None


def _recent_runs(track: BeatTrack) -> list[tuple[int, int]]:
    """Runs of ventricular beats that go on or have just ended, the newest first."""
    found = runs(track.ventricular, ~np.isfinite(track.rr_s))
    return [(first, last) for first, last in reversed(found) if track.age_s(last) <= LOOK_S]

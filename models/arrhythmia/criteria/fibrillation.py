"""Criteria of ventricular fibrillation and ventricular tachycardia.

In: a `BeatTrack`, the `RhythmViews` of the newest signal, and the code's limit. Out: a `Finding` where the condition is
present now, else None.
Fibrillation is present where the waves of most usable leads have the features of fibrillation
(`models.arrhythmia.fibrillation_features`) and the rhythm network agrees. Tachycardia is present where a run of beats
is not of the bed's dominant morphology and the rhythm network agrees; a shorter run needs a higher probability. In
bundle-branch block and pacing all beats of the bed look ventricular: a run of them needs the highest probability.
Sources: PhysioNet/CinC Challenge 2015 (definitions); limits chosen on MIT-BIH, CUDB and CinC 2015 as noted below.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.arrhythmia.criteria.ventricular import RATE_MARGIN_BPM, RUN_BEATS, run_rate, runs
from models.arrhythmia.episode_tracker import Finding
from models.arrhythmia.fibrillation_features import FEATURES, WINDOW_S
from models.arrhythmia.limits import DurationLimit, RunLimit, criterion_of
from models.arrhythmia.views import RhythmViews
from models.beats.series import MIN_DOMINANT_CORRELATION, BeatTrack
from models.evidence import Evidence
from models.measurement.intervals import FIBRILLATION

# Bounds of the features, chosen between the fibrillation of CUDB and MIT-BIH 207 and all other signal of MIT-BIH and
# CinC 2015. LIKELY holds for 84 to 93 % of the fibrillation and 0.2 % of the other MIT-BIH windows, CERTAIN for 76 to
# 86 % and 0.01 %.
LIKELY = {"leakage": 0.65, "rest_share": 0.5, "slope_kurtosis": 10.0, "peak_share": 0.33, "rms_mv": 0.05}
CERTAIN = {"leakage": 0.62, "rest_share": 0.36, "slope_kurtosis": 6.0, "peak_share": 0.38, "rms_mv": 0.05}
LOWER_BOUNDS = ("peak_share", "rms_mv")  # the bounds of the other features are upper bounds
VF_LIKELY, VF_CERTAIN = 0.65, 0.2  # network probability that likely and certain waves need
VF_HOLD = 0.3  # network probability that holds an episode that is on
MAX_WAIT_S = 1.0  # asystole may be delayed by this where fibrillation is likely

# Network probability that a tachycardia needs with a run of the limit's length, with a shorter run (fused beats are
# missed), with two non-dominant beats but no run, and with a run of the morphology that all beats of the bed have.
VT_RUN, VT_SHORT_RUN, VT_NO_RUN, VT_DOMINANT = 0.5, 0.6, 0.75, 0.85
VT_HOLD, VT_HOLD_ALONE = 0.3, 0.8  # once on: with a non-dominant beat or a ventricular run, and without
NEW_BED_S = 8.0  # the network uses 16 s: within the first seconds of a bed VT_DOMINANT is needed
MIN_NON_DOMINANT = 2  # with fewer non-dominant beats there is no tachycardia, whatever the network's probability
MIN_RUN_SPAN_S = 2.0  # five beats at 150 a minute with the RRs before and after
MIN_DOMINANT_SHARE = 0.7  # share of dominant beats before a run, below which the correlation is not used
DOMINANCE_BEATS, MIN_DOMINANCE_BEATS = 20, 6  # that share is taken over up to 20 beats, and over 6 at least
LOOKBACK_S = 9.0  # a run whose last beat is older is over
METHOD = "views 1"


def waves_like_fibrillation(features: NDArray[np.float64], bounds: dict[str, float]) -> NDArray[np.bool_]:
    """Which leads have features within the bounds, [leads], for ``features`` [leads, features]."""
    within = np.ones(len(features), bool)
    for name, bound in bounds.items():
        column = features[:, FEATURES.index(name)]
        within &= column > bound if name in LOWER_BOUNDS else column < bound
    return within


def vfib(track: BeatTrack, views: RhythmViews, limit: DurationLimit, on: bool) -> Finding | None:
    """Fibrillation or flutter waves for ``limit.seconds``. Onset: the first wave."""
    if not views.may_fibrillate:
        return None
    likely = waves_like_fibrillation(views.fibrillation, LIKELY)
    if 2 * likely.sum() < len(likely) or not likely.any():
        return None
    certain = waves_like_fibrillation(views.fibrillation, CERTAIN)
    network = views.network["vfib"]
    needed = VF_HOLD if on else VF_CERTAIN if certain.mean() >= 0.75 else VF_LIKELY
    if network < needed:
        return None
    span = (track.now - round(WINDOW_S * track.fs_hz), track.now)
    leads = tuple(lead for lead, is_likely in zip(track.leads, likely, strict=True) if is_likely)
    criterion = criterion_of("VFIB", f"fibrillation or flutter waves for {limit.seconds:g} s", limit.seconds)
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


def fibrillation_starting(track: BeatTrack, views: RhythmViews, limit: DurationLimit) -> bool:
    """Whether the time without beats has the features of starting fibrillation; then asystole waits `MAX_WAIT_S`."""
    if not views.may_fibrillate or not 1.0 <= track.silent_s <= limit.seconds + MAX_WAIT_S:
        return False
    return bool(waves_like_fibrillation(views.waves(track.silent_s), LIKELY).any())


def vtach(track: BeatTrack, views: RhythmViews, limit: RunLimit, on: bool) -> Finding | None:
    """``limit.beats`` ventricular beats in a row faster than ``limit.rate``. Onset: the first of them.

    The detector misses some of the beats that fuse with each other. A shorter run then needs a higher network
    probability, and the evidence cites the longest run found.
    """
    non_dominant = non_dominant_beats(track)
    run = longest_run(track, non_dominant, limit.rate - RATE_MARGIN_BPM)
    needed = _network_needed(track, non_dominant, run, limit, on)
    if needed is None or views.network["vtach"] < needed:
        return None
    cited = run or fastest_run(track, RUN_BEATS, limit.rate - RATE_MARGIN_BPM) or _last_beats(track)
    if cited is None:
        return None
    first, last = cited
    rule = f"{limit.beats} ventricular beats in a row faster than {limit.rate:g} bpm"
    criterion = criterion_of("VTACH", rule, limit.rate)
    return Finding(
        "VTACH", int(track.r[first]), int(track.r[last]), (track.rate_evidence(first, last, criterion),), track.leads
    )


def _network_needed(
    track: BeatTrack, non_dominant: NDArray[np.bool_], run: tuple[int, int] | None, limit: RunLimit, on: bool
) -> float | None:
    """Network probability that these beats need to be a tachycardia; None: they are none at any probability."""
    beats = 0 if run is None else run[1] - run[0] + 1
    seen = int(np.sum(non_dominant & _recent(track)))
    dominant_run = ventricular_run(track, limit) is not None
    if on:
        return VT_HOLD if seen or dominant_run else VT_HOLD_ALONE
    if not dominant_run and beats < RUN_BEATS and seen < MIN_NON_DOMINANT:
        return None
    if not dominant_run and beats < limit.beats and not _long_enough_for_a_run(track, non_dominant):
        return None
    if track.now - track.since < NEW_BED_S * track.fs_hz:
        return VT_DOMINANT
    if beats >= RUN_BEATS:
        return VT_RUN if beats >= limit.beats else VT_SHORT_RUN
    return VT_NO_RUN if seen >= MIN_NON_DOMINANT else VT_DOMINANT


def _long_enough_for_a_run(track: BeatTrack, non_dominant: NDArray[np.bool_]) -> bool:
    """Whether non-dominant beats fill `MIN_RUN_SPAN_S` between two dominant beats, or since the newest one.

    Couplets and short runs between dominant beats do not, however frequent they are: no beat was missed there.
    """
    since = track.now - round((LOOKBACK_S + MIN_RUN_SPAN_S) * track.fs_hz)
    dominant = track.r[~non_dominant & (track.r > since)]
    for a, b in pairwise([since, *dominant.tolist(), track.now]):
        enough = b - a >= MIN_RUN_SPAN_S * track.fs_hz and b > track.now - LOOKBACK_S * track.fs_hz
        if enough and np.sum(non_dominant & (track.r > a) & (track.r < b)) >= MIN_NON_DOMINANT:
            return True
    return False


def _recent(track: BeatTrack) -> NDArray[np.bool_]:
    return np.asarray(track.r > track.now - LOOKBACK_S * track.fs_hz, bool)


def non_dominant_beats(track: BeatTrack) -> NDArray[np.bool_]:
    """Which beats are not of the dominant morphology, or are ventricular where there is no correlation, [beats].

    A paced beat is never one of them. The correlation is not used where the beats before the run are not dominant
    either, as in noise or in a rhythm of many morphologies.
    """
    differs = track.correlation < MIN_DOMINANT_CORRELATION  # False where it is NaN
    recent = np.flatnonzero(differs & _recent(track))
    if len(recent):
        first = int(recent[0])
        while first > 0 and differs[first - 1]:
            first -= 1
        before = track.correlation[max(0, first - DOMINANCE_BEATS) : first]
        before = before[np.isfinite(before)]
        if len(before) < MIN_DOMINANCE_BEATS or np.mean(before >= MIN_DOMINANT_CORRELATION) < MIN_DOMINANT_SHARE:
            differs = np.zeros(len(differs), bool)
    paced = np.array([kind == "P" for kind in track.kinds], bool)
    return np.asarray((differs & ~paced) | track.ectopic, bool)


def longest_run(track: BeatTrack, non_dominant: NDArray[np.bool_], over_bpm: float) -> tuple[int, int] | None:
    """The longest run of non-dominant beats in the last seconds that is fast enough; two beats at least."""
    best: tuple[int, int] | None = None
    for first, last in reversed(runs(non_dominant, ~np.isfinite(track.rr_s))):
        if track.age_s(last) > LOOKBACK_S:
            break
        shortest = RUN_BEATS - 1 if best is None else best[1] - best[0] + 2
        for n in range(last - first + 1, shortest - 1, -1):
            start = next((k for k in range(first, last - n + 2) if run_rate(track, k, k + n - 1) > over_bpm), None)
            if start is not None:
                best = (start, start + n - 1)
                break
    return best


def ventricular_run(track: BeatTrack, limit: RunLimit) -> tuple[int, int] | None:
    """The newest run of enough ventricular beats, fast enough, that is going on or has just ended."""
    for first, last in _recent_runs(track):
        for start in range(first, last - limit.beats + 2):
            if run_rate(track, start, start + limit.beats - 1) > limit.rate - RATE_MARGIN_BPM:
                return start, last
    return None


def fastest_run(track: BeatTrack, beats: int, over_bpm: float) -> tuple[int, int] | None:
    """The fastest ``beats`` beats in a row of the last seconds, where they are fast enough."""
    recent = np.flatnonzero(track.r > track.now - LOOKBACK_S * track.fs_hz)
    if len(recent) < beats:
        return None
    first = int(recent[0])
    mean_rr = np.convolve(track.rr_s[first:], np.full(beats - 1, 1.0 / (beats - 1)), "valid")
    if not len(mean_rr) or not np.isfinite(mean_rr).any():
        return None
    k = int(np.nanargmin(mean_rr))
    return (first + k, first + k + beats - 1) if 60.0 / mean_rr[k] > over_bpm else None


def _last_beats(track: BeatTrack) -> tuple[int, int] | None:
    """The newest two beats, where there are two."""
    return (len(track.r) - 2, len(track.r) - 1) if len(track.r) > 1 else None


def _recent_runs(track: BeatTrack) -> list[tuple[int, int]]:
    """Runs of ventricular beats that are going on or have just ended, the newest first."""
    found = runs(track.ventricular, ~np.isfinite(track.rr_s))
    return [(first, last) for first, last in reversed(found) if track.age_s(last) <= LOOKBACK_S]

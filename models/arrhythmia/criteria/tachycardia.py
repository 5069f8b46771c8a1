"""Criterion of ventricular tachycardia: a run of beats that is not of the bed's dominant morphology, and the network.

In: a `BeatTrack`, the `RhythmViews` of the newest signal, and the code's limit. Out: a `Finding` where the condition is
present now, else None. The rule has five readings; the evidence names the one that applied, and its beats satisfy it:

1. the limit's number of non-dominant beats in a row, faster than its rate and without a pause; without the network
   where each of them is ventricular, clearly detected, and unlike the dominant beat (`certain_beats`), and most beats
   before them are dominant;
2. as many beats in a row, most of them non-dominant, on a higher network probability: the morphology correlation
   fails for single beats;
3. up to `FUSED` beats fewer, three at least, faster than `FUSED_BPM`, on a higher network probability (lower for one
   beat fewer, each certainly ventricular): beats that fuse with their neighbours are not detected;
4. as reading 1, of the morphology that all beats of the bed have (bundle-branch block, pacing), on the highest one,
   where the run is `MUCH_FASTER` than the limit or begins abruptly: the bed's own rhythm becomes fast by degrees;
5. the limit's number of regular waves in a row, faster than its rate (`models.beats.regular_waves`), where the
   beats are fused and few of them detected (`fused_run`). Faster than `FLUTTER_BPM` they are flutter.

Fibrillation gives way to regular waves, and to regular beats, of a run or of the bed's own, that fill its time
(`organised`).

In a bed whose device marks no pulses a wide beat may have been taken for a paced one: after a pulse that it only
happens to follow, or because the patient is known to be paced. Such beats count in reading 1 where they are certainly
unlike the dominant beat, on the highest network probability (`maybe_paced_beats`).

The network's probability is that of the last 16 s, the mean of two instants a quarter of a second apart: single
instants differ by chance. A run is found by its beats, wherever the updates fall.
Sources: PhysioNet/CinC Challenge 2015 (definition); probabilities chosen on MIT-BIH and CinC 2015.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from models.arrhythmia.criteria.rate import RATE_ACCURACY_BPM
from models.arrhythmia.criteria.ventricular import RUN_BEATS, run_rate, runs
from models.arrhythmia.episode_tracker import Finding
from models.arrhythmia.limits import RunLimit, criterion_of
from models.arrhythmia.views import RhythmViews
from models.beats.regular_waves import evidence
from models.beats.series import MIN_DOMINANT_CORRELATION, BeatTrack
from models.evidence import Criterion, Evidence
from models.signal.windows import windows

FUSED_BPM = 110.0  # beats of a slower run do not fuse
FUSED = 2  # beats of the limit's number that may be missing in a short run
# Network probability that a run needs, by reading, and one that holds an episode that is on.
CERTAIN_RUN, CERTAIN_SHORT_RUN, RUN, NETWORK_RUN, SHORT_RUN, DOMINANT_RUN, HOLD = 0.0, 0.6, 0.5, 0.8, 0.8, 0.85, 0.3
CERTAIN_CORRELATION, CERTAIN_CONFIDENCE = 0.5, 0.3  # of each beat: at most, and at least
MOST = 0.6  # share of the beats of reading 2 that are not dominant, the first and the last one among them
NEW_BED_S = 8.0  # the network uses 16 s: within the first seconds of a bed the probability of reading 4 is needed
MIN_DOMINANT_SHARE = 0.7  # share of dominant beats before a run, below which the correlation is not used
PAUSE = 1.5  # times the mean RR that a run needs: no RR of a tachycardia is longer
MUCH_FASTER = 1.2  # times the limit: ventricular tachycardia is mostly faster than 120 a minute
ABRUPT = 0.8  # the RRs of a run that begins abruptly, as a share of those before it
SLOW_SHARE = 0.9  # quantile of the RRs that are slow
DOMINANCE_BEATS, MIN_DOMINANCE_BEATS = 20, 6  # that share is taken over up to 20 beats, and over 6 at least
LOOKBACK_S = 9.0  # a run whose last beat is older is over
WAVES, WAVES_HOLD = 0.7, 0.5  # network probability of tachycardia or fibrillation that waves need, and while on
WAVES_S = 5.0  # time over which waves are sought, longer where the limit needs it
RUN_WAVES_S = (2.0, 2.5, 3.0, 4.0, 5.0)  # over which the waves of a short run are sought
SHORT_WAVES_S = (3.0, 2.5)  # and this much, where they have just begun and the beats before still rest
FLUTTER_BPM = 200.0  # regular waves without QRS complexes are flutter above this (usual definitions: 200 and more)
OWN_BEAT_S = 1.2  # five waves at `FLUTTER_BPM` take as long: after the bed's own last beat there is no room for them
SEEN_SHARE = 0.7  # of the waves: with more beats detected than that they are not fused
REGULAR = 0.15  # sd of the RRs of an organised run, as a share of their mean


def vtach(track: BeatTrack, views: RhythmViews, limit: RunLimit, on: bool) -> Finding | None:
    """``limit.beats`` ventricular beats in a row faster than ``limit.rate``, by one of the readings above.

    Evaluated at each of `RhythmViews.instants`, with the beats and the network's steady probability of that instant:
    the run found does not depend on where the updates fall. It is that of the first instant at which one is present,
    with the beats that continue it up to the last. Onset: its first beat.
    """
    readings = [r for r in _readings(track, views, limit) if _run_of(track, r, limit, 0.0, dict) is not None]
    if not readings:
        return None
    found: tuple[_Reading, tuple[int, int]] | None = None
    last_held = 0
    for ended_s in reversed(views.instants):
        newer = _run_at(track, views, limit, on, readings, ended_s)
        if newer is not None:
            last_held = max(last_held, newer[1][1])
            if found is None or newer[1][0] == found[1][0]:
                found = newer
    if found is None:
        return None
    reading, run = found
    criterion = criterion_of("VTACH", reading.rule, limit.rate, RATE_ACCURACY_BPM)
    cited = track.rate_evidence(*cited_beats(track, run, reading.count, limit.rate), criterion)
    if reading.least < limit.beats:
        cited = waves_evidence(track, views, limit, run) or cited
    return Finding("VTACH", int(track.r[run[0]]), int(track.r[last_held]), (cited,), track.leads)


def _run_at(
    track: BeatTrack, views: RhythmViews, limit: RunLimit, on: bool, readings: Sequence[_Reading], ended_s: float
) -> tuple[_Reading, tuple[int, int]] | None:
    """The reading that holds at one instant, ``ended_s`` before now, and first and last beat of its run."""
    at = track.until(track.now - round(ended_s * track.fs_hz)) if ended_s else track
    new_bed = at.now - at.since < NEW_BED_S * at.fs_hz
    for reading in readings:
        whole = reading.least == limit.beats  # a shorter run, or one of few ventricular beats, is no continuation
        needed = min(HOLD, reading.needed) if on and whole else DOMINANT_RUN if new_bed and not on else reading.needed
        run = _run_of(at, reading, limit, needed, partial(views.steady_network, ended_s))
        if run is not None and (not reading.of_the_bed or _not_of_the_bed(at, run, limit, on)):
            return reading, run
    return None


def _run_of(
    track: BeatTrack, reading: _Reading, limit: RunLimit, needed: float, network: Callable[[], Mapping[str, float]]
) -> tuple[int, int] | None:
    return fast_run(track, reading, max(limit.rate - RATE_ACCURACY_BPM, reading.over_bpm), needed, network)


def _readings(track: BeatTrack, views: RhythmViews, limit: RunLimit) -> Sequence[_Reading]:
    """The readings of the rule; none where no beat counts as ventricular in any of them."""
    if len(track.r) < RUN_BEATS:
        return ()
    faster = f"in a row faster than {limit.rate:g} bpm"
    least, one_less = max(RUN_BEATS, limit.beats - FUSED), max(RUN_BEATS, limit.beats - 1)
    non_dominant, certain = non_dominant_beats(track), certain_beats(track)
    maybe_paced = maybe_paced_beats(track, views)
    # Of the first two the certain ones are a part.
    if not (non_dominant.any() or track.ventricular.any() or maybe_paced.any()):
        return ()
    by_network = "tachycardia by the rhythm network"
    run_rule = f"{limit.beats} ventricular beats {faster}"
    return (
        _Reading(certain & after_dominant_beats(track), limit.beats, limit.beats, CERTAIN_RUN, run_rule),
        _Reading(non_dominant, limit.beats, limit.beats, RUN, run_rule),
        _Reading(
            non_dominant,
            limit.beats,
            math.ceil(MOST * limit.beats),
            NETWORK_RUN,
            f"{limit.beats} beats {faster}, {by_network}",
            of_the_bed=True,
        ),
        _Reading(
            certain,
            one_less,
            one_less,
            CERTAIN_SHORT_RUN,
            f"{one_less} ventricular beats {faster}, {by_network}",
            FUSED_BPM,
        ),
        _Reading(
            non_dominant,
            least,
            least,
            SHORT_RUN,
            f"{least} ventricular beats {faster}, {by_network}",
            FUSED_BPM,
        ),
        _Reading(track.ventricular, limit.beats, limit.beats, DOMINANT_RUN, run_rule, of_the_bed=True),
        _Reading(non_dominant | maybe_paced, limit.beats, limit.beats, DOMINANT_RUN, run_rule),
    )


def fused_run(track: BeatTrack, views: RhythmViews, limit: RunLimit, on: bool) -> Finding | None:
    """``limit.beats`` regular waves in a row faster than ``limit.rate``, where beats are fused. Onset: the first."""
    if not views.may_fibrillate:
        return None
    longest = max(WAVES_S, 60.0 / limit.rate * limit.beats + 1.0)
    found = (views.regular_waves(seconds, track.now) for seconds in (longest, *SHORT_WAVES_S))
    waves = next((each for each in found if each is not None and len(each.crests) >= limit.beats), None)
    if waves is None:
        return None
    r = waves.crests
    rate = waves.rate(track.fs_hz)
    seen = int(np.sum((track.r >= r[0]) & (track.r <= r[-1])))
    if not limit.rate - RATE_ACCURACY_BPM < rate <= FLUTTER_BPM or seen > SEEN_SHARE * len(r):
        return None
    needed = WAVES_HOLD if on else WAVES
    networks = (views.network_at(ended_s) for ended_s in views.instants)
    probabilities = (max(network["vtach"], network["vfib"]) for network in networks)
    probability = next((p for p in probabilities if p >= needed), None)
    if probability is None:
        return None
    cited = replace(evidence(waves, track.fs_hz, _of_waves(limit)), confidence=round(probability, 3))
    return Finding("VTACH", int(r[0]), int(r[-1]), (cited,), (waves.lead,))


def _probability(track: BeatTrack, network: Mapping[str, float], first: int, last: int) -> float:
    """The network's probability of tachycardia; of fibrillation too, where the run is regular and thus is none."""
    rr = track.rr_s[first:last]
    regular = len(rr) >= RUN_BEATS and float(np.std(rr)) <= REGULAR * float(np.mean(rr))
    return max(network["vtach"], network["vfib"]) if regular else network["vtach"]


def organised(track: BeatTrack, run: Finding | None, seconds: float) -> bool:
    """Whether regular beats of a run, or of the bed's own, fill the newest ``seconds``: no fibrillation."""
    if run is not None and _fills(track, (track.r >= run.onset) & (track.r <= run.last_held), seconds):
        return True
    return _fills(track, track.correlation >= MIN_DOMINANT_CORRELATION, seconds)  # False where it is NaN


def own_rhythm_goes_on(track: BeatTrack) -> bool:
    """Whether the bed's own regular beats fill the newest seconds up to now: no beats of a tachycardia are fused there.

    In none of 21,620 such updates of four data sets were regular waves found beside them (docs/sizing.md).
    """
    return track.running_s < OWN_BEAT_S and organised(track, None, WAVES_S)


def _fills(track: BeatTrack, counted: NDArray[np.bool_], seconds: float) -> bool:
    """Whether the beats that count of the newest ``seconds`` are regular and fill that time."""
    first = int(np.searchsorted(track.r, track.now - (seconds + 0.5) * track.fs_hz, side="right"))
    r = track.r[first:][counted[first:]]
    if len(r) < RUN_BEATS or r[-1] - r[0] < (seconds - 1.0) * track.fs_hz:
        return False
    rr = np.diff(r)
    return bool(np.std(rr) <= REGULAR * np.mean(rr))


@dataclass(frozen=True, eq=False)
class _Reading:
    """One reading of the rule.

    Attributes
    ----------
    ventricular : bool [beats]
        Beats that count as ventricular; the first and the last of a run are.
    count, least : int
        Beats in a row, and how many of them are ventricular at least.
    needed : float
        The network's mean probability of tachycardia over them is at least this.
    rule : str
        Its words.
    over_bpm : float
        The run is faster than this, too.
    of_the_bed : bool
        The beats may be of the bed's own morphology: the run must begin abruptly.
    """

    ventricular: NDArray[np.bool_]
    count: int
    least: int
    needed: float
    rule: str
    over_bpm: float = 0.0
    of_the_bed: bool = False


def _not_of_the_bed(track: BeatTrack, run: tuple[int, int], limit: RunLimit, on: bool) -> bool:
    """Whether a run of the bed's own morphology is more than its own rhythm: much faster than the limit, or abrupt."""
    return run_rate(track, *run) > MUCH_FASTER * limit.rate or begins_abruptly(track, run[0], on)


def begins_abruptly(track: BeatTrack, first: int, on: bool = False) -> bool:
    """Whether the RRs from the beat ``first`` on are much shorter than those before; True without enough of either.

    While ``on``, most of those before may be of the tachycardia: the slow ones of two minutes count.
    """
    before, after = track.rr_s[:first], track.rr_s[first : first + RUN_BEATS + 1]
    before = before if on else before[-DOMINANCE_BEATS:]
    before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    if len(before) < MIN_DOMINANCE_BEATS or not len(after):
        return True
    return bool(np.mean(after) < ABRUPT * np.quantile(before, SLOW_SHARE if on else 0.5))


def fast_run(
    track: BeatTrack,
    reading: _Reading,
    over_bpm: float,
    needed: float,
    network: Callable[[], Mapping[str, float]],
) -> tuple[int, int] | None:
    """First and last beat of the newest run that satisfies a reading; each of its beats belongs to as many in a row.

    Parameters
    ----------
    track : BeatTrack
        Beats of the instant; ``reading`` may be of more.
    over_bpm : float
        They are faster than this.
    needed : float
        In place of the reading's.
    network : callable
        Gives the rhythm network's probabilities at the instant.
    """
    count = reading.count
    newest = int(np.searchsorted(track.r, track.now - LOOKBACK_S * track.fs_hz, side="right"))  # last beats of runs
    starts = np.arange(max(0, newest - count + 1), len(track.r) - count + 1)
    if not len(starts) or not reading.ventricular[starts[0] : len(track.r)].any():
        return None
    ventricular = windows(reading.ventricular[starts[0] : len(track.r)], count)
    together = ventricular[:, 0] & ventricular[:, -1] & (ventricular.sum(axis=1) >= reading.least)
    pause_s = PAUSE * 60.0 / over_bpm  # False where the RR is NaN
    together &= (windows(track.rr_s[starts[0] :], count - 1) <= pause_s).all(axis=1)
    length_s = (track.r[starts + count - 1] - track.r[starts]) / track.fs_hz
    starts = starts[together & (length_s < 60.0 * (count - 1) / over_bpm)]
    if not len(starts):
        return None
    good = [k for k in starts.tolist() if needed <= 0 or _probability(track, network(), k, k + count - 1) >= needed]
    if not good:
        return None
    first = last = good[-1]
    for k in reversed(good):
        if k < first - 1 or run_rate(track, k, last + count - 1) <= over_bpm:
            break
        first = k
    return first, last + count - 1


def waves_evidence(track: BeatTrack, views: RhythmViews, limit: RunLimit, run: tuple[int, int]) -> Evidence | None:
    """The rate of the regular waves of a run whose beats fuse, some of them undetected; None where there are too few.

    The waves are the limit's number, faster than the beats detected, and overlap them.
    """
    found = (views.regular_waves(seconds, track.now) for seconds in RUN_WAVES_S)
    rows = [waves for waves in found if waves is not None and waves.crests[0] < track.r[run[1]]]
    waves = max(rows, key=lambda each: len(each.crests), default=None)
    if waves is None or len(waves.crests) < limit.beats or waves.rate(track.fs_hz) <= run_rate(track, *run):
        return None
    return replace(evidence(waves, track.fs_hz, _of_waves(limit)), confidence=round(views.network["vtach"], 3))


def _of_waves(limit: RunLimit) -> Criterion:
    rule = f"{limit.beats} regular ventricular waves in a row faster than {limit.rate:g} bpm, beats fused"
    return criterion_of("VTACH", rule, limit.rate, RATE_ACCURACY_BPM)


def cited_beats(track: BeatTrack, run: tuple[int, int], count: int, over_bpm: float) -> tuple[int, int]:
    """First and last beat of the longest part of a run, the newest one, that is faster than the limit of its rule.

    The whole run where none of ``count`` beats or more is: detection acts within measuring accuracy.
    """
    first, last = run
    r, beat_s = track.r[first : last + 1], 60.0 / over_bpm
    for n in range(last - first, count - 2, -1):
        fast = np.flatnonzero(r[n:] - r[: len(r) - n] < n * beat_s * track.fs_hz)
        if len(fast):
            return first + int(fast[-1]), first + int(fast[-1]) + n
    return run


def certain_beats(track: BeatTrack) -> NDArray[np.bool_]:
    """Which beats are certainly ventricular, [beats]: by the delineation and by their morphology, clearly detected."""
    unlike = track.ventricular & (track.correlation < CERTAIN_CORRELATION)
    return np.asarray(unlike & (track.confidence >= CERTAIN_CONFIDENCE), bool)


def maybe_paced_beats(track: BeatTrack, views: RhythmViews) -> NDArray[np.bool_]:
    """Which beats were taken for paced without a mark of the device, and are certainly unlike the dominant, [beats]."""
    if views.device_marks or "P" not in track.kinds:
        return np.zeros(len(track.r), bool)
    paced = np.array([kind == "P" for kind in track.kinds], bool)
    return np.asarray(paced & (track.correlation < CERTAIN_CORRELATION) & after_dominant_beats(track), bool)


def non_dominant_beats(track: BeatTrack) -> NDArray[np.bool_]:
    """Which beats are not of the dominant morphology, or are ventricular where there is no correlation, [beats].

    A paced beat is never one of them.
    """
    paced = np.array([kind == "P" for kind in track.kinds], bool)
    return np.asarray((after_dominant_beats(track) & ~paced) | track.ectopic, bool)


def after_dominant_beats(track: BeatTrack) -> NDArray[np.bool_]:
    """Which beats are of a run that is not of the dominant morphology, where most beats before it are, [beats].

    Elsewhere, as in noise or in a rhythm of many morphologies, the correlation says nothing. Beats from before the last
    seconds are not evaluated.
    """
    differs = track.correlation < MIN_DOMINANT_CORRELATION  # False where it is NaN
    used = np.zeros(len(differs), bool)
    for first, last in reversed(runs(differs)):
        if track.age_s(last) > 2 * LOOKBACK_S:
            break
        before = track.correlation[max(0, first - DOMINANCE_BEATS) : first]
        before = before[np.isfinite(before)]
        if len(before) >= MIN_DOMINANCE_BEATS and np.mean(before >= MIN_DOMINANT_CORRELATION) >= MIN_DOMINANT_SHARE:
            used[first : last + 1] = True
    return used

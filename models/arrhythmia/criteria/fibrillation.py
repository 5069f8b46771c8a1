"""Criterion of ventricular fibrillation, and its distinction from tachycardia and artefact.

In: a `BeatTrack`, the `RhythmViews` of the newest signal, and the code's limit. Out: a `Finding` where the condition is
present now, else None.
Fibrillation is present where the waves of most leads have the features of fibrillation for the limit's time
(`models.arrhythmia.fibrillation_features`) and the rhythm network agrees. The windows of this length are a quarter of a
second apart, and do not depend on where the updates fall. A flat lead beside one with activity is not counted.
Sources: PhysioNet/CinC Challenge 2015 (definition); limits chosen on MIT-BIH, CUDB and CinC 2015 as noted below.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.arrhythmia.episode_tracker import Finding
from models.arrhythmia.fibrillation_features import FEATURES
from models.arrhythmia.limits import DurationLimit, criterion_of
from models.arrhythmia.views import RhythmViews
from models.beats.series import BeatTrack
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
METHOD = "views 2"


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
    found: list[tuple[float, NDArray[np.bool_]]] = []  # end of each window with the waves, s before now, and its leads
    for ended_s, features in views.sliding_waves(limit.seconds, LIKELY):
        likely = waves_like_fibrillation(features, LIKELY)
        if 2 * likely.sum() < len(likely) or not likely.any():
            continue
        certain = waves_like_fibrillation(features, CERTAIN)
        if views.network["vfib"] >= (VF_HOLD if on else VF_CERTAIN if certain.mean() >= 0.75 else VF_LIKELY):
            found.append((ended_s, likely))
    if not found:
        return None
    begin_s, end_s = found[-1][0] + limit.seconds, found[0][0]
    span = (track.now - round(begin_s * track.fs_hz), track.now - round(end_s * track.fs_hz))
    leads = tuple(lead for lead, is_likely in zip(views.leads, found[0][1], strict=True) if is_likely)
    rule = f"fibrillation or flutter waves for {limit.seconds:g} s"
    criterion = criterion_of("VFIB", rule, limit.seconds)
    height, clean = views.waves_of(leads[0], begin_s, end_s)
    size = Evidence(
        "AMPLITUDE",
        round(height, 3),
        leads[:1],
        *span,
        criterion=criterion,
        wave=FIBRILLATION,
        confidence=round(views.network["vfib"], 3),
        method=METHOD,
    )
    quality = Evidence("QUALITY", round(clean, 3), leads[:1], *span, criterion=criterion, method=METHOD)
    return Finding("VFIB", span[0], span[1], (size, quality), leads)


def fibrillation_starting(track: BeatTrack, views: RhythmViews, limit: DurationLimit) -> bool:
    """Whether the time without beats has the features of starting fibrillation; then asystole waits `MAX_WAIT_S`."""
    if not views.may_fibrillate or not 1.0 <= track.silent_s <= limit.seconds + MAX_WAIT_S:
        return False
    return bool(waves_like_fibrillation(views.waves(track.silent_s), LIKELY).any())

"""Atrial rhythm: irregular or not, and fibrillating or not, from the beats of the last 30 s.

In, once an update: the beat track, the measured waves, and the two networks' probabilities (`RhythmViews`). Out:
`AtrialRhythm.irregular` and `.fibrillating`, None where the signal does not allow a decision, and the evidence of both.
Three log odds are averaged: a small classifier of ten features (scatter of the RR intervals, and the share of beats
without a P wave; trained by ``python -m models.training.atrial_classifier``), the rhythm network, and the atrial
network. Scatter from ectopic beats and pauses in a regular rhythm is not counted.
Sources: AHA/ACC/HRS 2014 (irregular RR without P waves); weights: ``models/weights/rhythm.md``.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.arrhythmia.criteria.waves import WaveBeat
from models.arrhythmia.views import RhythmViews
from models.beats.series import METHOD, BeatTrack
from models.evidence import Criterion, Evidence
from models.networks.loading import SmallNetwork
from models.signal.quantiles import middle

WINDOW_S = 30.0  # the decision is made over the beats of this time
MIN_RRS = 8
REGULAR_BELOW = 0.015  # median change between RRs, of the median RR: below it no fibrillation, without networks
IRREGULAR_ABOVE = 0.08
NOISY_ABOVE = 0.3  # network probability of noise above which no decision is made
CLASSIFIER_SHARE, RHYTHM_SHARE, ATRIAL_SHARE = 0.2, 0.2, 0.6  # weights of the three log odds
LEVEL = -1.5  # log odds above which fibrillation is called, for 89 of 100 of CinC 2017 found
MAX_LOG_ODDS = 6.0  # the classifier's log odds are clipped here
NETWORKS_FROM = -6.0  # below these log odds of the classifier the networks could not change the decision
CONDITIONS = {
    "AFIB": "irregular without P waves",
    "IRREGULAR": "irregular with P waves",
    "AFIB_END": "no atrial fibrillation",
}
"""Code to the words of its rule."""
FEATURES = (
    "median_change",
    "rmssd",
    "scatter",
    "share_changed",
    "turning",
    "lag1",
    "lag2",
    "near_pairs",
    "rate_hz",
    "absent_p",
)


class AtrialRhythm:
    """Irregularity and fibrillation of one bed after the last update.

    Parameters
    ----------
    fs_hz : float
        Samples a second of the stream.
    fold : str, optional
        Use weights trained without this fold (evaluation).

    Attributes
    ----------
    irregular, fibrillating : bool or None
        None where the signal does not allow a decision.
    onset : int or None
        First beat of the window, absolute sample.
    """

    def __init__(self, fs_hz: float, fold: str | None = None) -> None:
        self._fs = fs_hz
        self._fold = fold
        self.irregular: bool | None = None
        self.fibrillating: bool | None = None
        self.onset: int | None = None
        self._track: BeatTrack | None = None
        self._absent_p = float("nan")
        self._first = 0

    def update(self, track: BeatTrack, waves: Sequence[WaveBeat], views: RhythmViews) -> None:
        """Decide on the beats of the last `WINDOW_S`."""
        self.irregular = self.fibrillating = None
        self._track = track
        if not track.leads:
            return
        recent = np.flatnonzero(track.r > track.now - WINDOW_S * self._fs)
        if len(recent) < MIN_RRS + 1:
            return
        self._first = int(recent[0])
        self.onset = int(track.r[self._first])
        scatter = rr_features(track, self._first)
        if scatter is None:
            return
        conducted = [b for b in waves[bisect_left(waves, self.onset, key=_sample) :] if b.conducted]
        self._absent_p = float(np.mean([b.beat.overall.p_on is None for b in conducted])) if conducted else float("nan")
        if scatter[0] < REGULAR_BELOW:
            self.irregular = self.fibrillating = False
            return
        absent_p = 0.5 if np.isnan(self._absent_p) else self._absent_p
        odds = AtrialClassifier.load(self._fold)(np.array([*scatter, absent_p]))
        if odds > NETWORKS_FROM:
            if views.network["noise"] > NOISY_ABOVE:
                return
            classifier, rhythm = min(max(odds, -MAX_LOG_ODDS), MAX_LOG_ODDS), logit(views.network["af"])
            self.fibrillating = _above_level(CLASSIFIER_SHARE * classifier + RHYTHM_SHARE * rhythm, views)
        else:
            self.fibrillating = False
        self.irregular = self.fibrillating or float(scatter[0]) > IRREGULAR_ABOVE

    def evidence(self, code: str, over_s: float, source: str) -> tuple[Evidence, ...]:
        """REGULARITY over the beats of the window, and for atrial fibrillation and its end ABSENT_P."""
        track = self._track
        assert track is not None
        rr = np.diff(track.r[self._first :]) / self._fs
        start, end = int(track.r[self._first]), int(track.r[-1])
        criterion = Criterion(f"{CONDITIONS[code]} for {over_s:g} s", over_s, source)
        regularity = Evidence(
            "REGULARITY",
            round(float(np.std(rr) / np.mean(rr)), 3),
            track.leads,
            start,
            end,
            criterion=criterion,
            over_s=over_s,
            method=METHOD,
        )
        if code == "IRREGULAR" or not np.isfinite(self._absent_p):
            return (regularity,)
        absent = Evidence(
            "ABSENT_P",
            round(self._absent_p, 3),
            track.leads,
            start,
            end,
            criterion=criterion,
            over_s=over_s,
            method=METHOD,
        )
        return regularity, absent


def _sample(beat: WaveBeat) -> int:
    return beat.sample


def _above_level(others: float, views: RhythmViews) -> bool:
    """Whether the average of the log odds is above `LEVEL`; ``others``: the share of the other two in it."""
    above = False
    for low, high in views.atrial_bounds():
        above = others + ATRIAL_SHARE * low > LEVEL
        if above == (others + ATRIAL_SHARE * high > LEVEL):
            break
    return above


def rr_features(track: BeatTrack, first: int) -> NDArray[np.float64] | None:
    """The first nine of `FEATURES`, float64 [9], over the beats from ``first`` on; None with too few RRs.

    RRs before and after ventricular beats are left out: ectopic beats are irregular without fibrillation.
    """
    rr = track.rr_s[first:]
    ventricular = track.ventricular[first:]
    good = np.isfinite(rr) & ~(ventricular[:-1] | ventricular[1:])
    pairs = good[:-1] & good[1:]
    if good.sum() < MIN_RRS or pairs.sum() < MIN_RRS - 2:
        return None
    used = rr[good]
    usual, mean = float(middle(used)), float(used.sum()) / len(used)
    steps = np.diff(rr)
    change = steps[pairs] / usual
    size = np.abs(change)
    kept = used / mean - 1.0
    turns = steps[:-1] * steps[1:]
    triples = pairs[:-1] & pairs[1:]
    power = float((kept**2).sum()) / len(kept) + 1e-6
    lag1 = float((kept[1:] * kept[:-1]).sum()) / (len(kept) - 1) / power
    lag2 = float((kept[2:] * kept[:-2]).sum()) / (len(kept) - 2) / power
    near = int(np.count_nonzero(np.abs(kept[:, None] - kept[None]) < 0.05))
    off_diagonal = (near - len(kept)) / (len(kept) * (len(kept) - 1))
    return np.array(
        [
            middle(size),
            min(1.0, math.sqrt(float(np.mean(change**2)))),
            min(1.0, float(np.std(kept))),
            np.count_nonzero(size > 0.1) / len(size),
            np.count_nonzero(turns[triples] < 0) / np.count_nonzero(triples) if triples.any() else 0.5,
            lag1,
            lag2,
            off_diagonal,
            1.0 / usual,
        ]
    )


class AtrialClassifier(SmallNetwork):
    """One hidden layer on standardised features, read from an ``.npz``."""

    name = "afib"
    made_by = "models.training.atrial_classifier"
    suffix = "npz"

    def __init__(self, path: Path) -> None:
        with np.load(path) as stored:
            self._mean, self._scale = stored["mean"], stored["scale"]
            self._w1, self._b1, self._w2, self._b2 = (stored[k] for k in ("w1", "b1", "w2", "b2"))

    def __call__(self, features: NDArray[np.float64]) -> float:
        """Log odds of atrial fibrillation."""
        hidden = np.maximum((features - self._mean) / self._scale @ self._w1 + self._b1, 0.0)
        return float((hidden @ self._w2 + self._b2).item())


def logit(p: float) -> float:
    """Log odds of a probability, bounded."""
    p = min(max(p, 1e-4), 1.0 - 1e-4)
    return float(np.log(p / (1.0 - p)))

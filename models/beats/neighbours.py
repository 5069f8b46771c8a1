"""Beats that look alike are of one kind: a patient's own beats of the last 30 s settle what one look leaves open.

The caliper network judges each beat by itself. `TemplateCache` keeps the shapes of the last beats with that judgement; a new
beat's judgement is drawn towards that of the beats it resembles. No training: one correlation, one weighted mean.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.ecg import Millivolts

BEFORE, AFTER = 28, 46  # samples at 250 Hz that are compared: -112 to +184 ms about R
PLAY = 6  # samples by which two shapes may be shifted to fit
LAGS = range(-PLAY, PLAY + 1, 3)
CENTRE = LAGS.index(0)
ALIKE_FROM = 0.8  # correlation from which a beat counts, fully at 1
WEIGHT = 1.0  # of a beat that is alike in everything, beside the beat's own judgement
KEPT_S, KEPT_BEATS = 30.0, 24
SAME_S = 0.1  # nearer shapes are one beat, seen twice
MOST = 6.9  # log odds beyond 0.999 are no surer
_AROUND = np.array(LAGS)[:, None] + np.arange(-BEFORE, AFTER)  # samples about R, [LAGS, BEFORE + AFTER]


@dataclass(frozen=True, eq=False)
class BeatMorphology:
    """One beat's looks.

    Attributes
    ----------
    at_s : float
        Time of its R peak.
    rows : tuple of int
        Leads that ``fits`` holds.
    fits : float32 [LAGS, leads * (BEFORE + AFTER)]
        Signal about R at 250 Hz, shifted by each of `LAGS`; each lead without mean, each shift of length one.
    log_odds : float
        Of being ventricular, by the network alone.
    """

    at_s: float
    rows: tuple[int, ...]
    fits: Millivolts
    log_odds: float


def morphology_at(x: Millivolts, rows: Sequence[int], r: int, at_s: float, probability: float) -> BeatMorphology:
    """Cut out the beat at sample ``r`` of [leads, samples] at 250 Hz; edge values beyond the ends."""
    cut = x[:, np.minimum(np.maximum(_AROUND + r, 0), x.shape[1] - 1)].transpose(1, 0, 2)  # [LAGS, leads, samples]
    cut = cut - cut.sum(axis=2, keepdims=True) / cut.shape[2]
    fits = cut.reshape(len(LAGS), -1)
    size = np.sqrt(np.einsum("ij,ij->i", fits, fits))[:, None]
    odds = math.log(max(probability, 1e-6) / max(1.0 - probability, 1e-6))
    return BeatMorphology(
        at_s, tuple(rows), np.asarray(fits / np.maximum(size, 1e-6), np.float32), min(max(odds, -MOST), MOST)
    )


def likeness(one: BeatMorphology, others: Sequence[BeatMorphology]) -> Millivolts:
    """Best correlation of a beat with each of the others over small shifts; all hold the same leads."""
    each = np.stack([o.fits for o in others]) @ one.fits[CENTRE]
    best: Millivolts = each.max(axis=1)
    return best


class TemplateCache:
    """The beats of the last 30 s."""

    def __init__(self) -> None:
        self._shapes: deque[BeatMorphology] = deque(maxlen=KEPT_BEATS)

    def add(self, shape: BeatMorphology) -> None:
        """Keep a beat; the oldest goes."""
        self._shapes.append(shape)

    def probability(self, shape: BeatMorphology, beside: Sequence[BeatMorphology] = ()) -> float:
        """How likely the beat is ventricular, by its own looks and by those it resembles.

        Parameters
        ----------
        shape : BeatMorphology
        beside : sequence of BeatMorphology
            Beats of the same look; those that the gallery holds already count once.
        """
        last = self._shapes[-1].at_s if self._shapes else -np.inf
        newer = [s for s in beside if s.at_s > last + SAME_S]
        known = [
            s for s in (*self._shapes, *newer) if s.rows == shape.rows and SAME_S < abs(shape.at_s - s.at_s) < KEPT_S
        ]
        if not known:
            return 1.0 / (1.0 + math.exp(-shape.log_odds))
        alike = (likeness(shape, known) - ALIKE_FROM) / (1.0 - ALIKE_FROM)
        weight = WEIGHT * np.minimum(np.maximum(alike, 0.0), 1.0)
        odds = np.array([s.log_odds for s in known])
        settled = (shape.log_odds + float(weight @ odds)) / (1.0 + float(weight.sum()))
        return 1.0 / (1.0 + math.exp(-settled))

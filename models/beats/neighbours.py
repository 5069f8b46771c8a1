"""Ventricular probability of a beat, corrected by the beats of the last 30 s that have the same morphology.

In: the signal about each R peak at 250 Hz, and the probability that the delineation network gives for that beat alone.
Out: the probability that the beat is ventricular. `TemplateCache` keeps the morphologies of the last 24 beats with
their log odds. The log odds of a new beat are averaged with those of the beats whose morphology correlates with it,
weighted by the correlation. The method has no trained weights of its own.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.ecg import Millivolts

BEFORE, AFTER = 28, 46  # samples at 250 Hz that are compared: -112 to +184 ms about R
MAX_LAG_SAMPLES = 6  # largest shift between two morphologies, samples at 250 Hz
LAGS = range(-MAX_LAG_SAMPLES, MAX_LAG_SAMPLES + 1, 3)
ZERO_LAG = LAGS.index(0)
MIN_CORRELATION = 0.8  # a beat counts from this correlation on, with full weight at 1
WEIGHT = 1.0  # of a beat with correlation 1, relative to the beat's own log odds
KEPT_S, KEPT_BEATS = 30.0, 24
SAME_BEAT_S = 0.1  # two morphologies nearer than this are one beat, found in two updates
MAX_LOG_ODDS = 6.9  # log odds are clipped here: a probability of 0.999
_OFFSETS = np.array(LAGS)[:, None] + np.arange(-BEFORE, AFTER)  # samples about R, [lags, BEFORE + AFTER]


@dataclass(frozen=True, eq=False, kw_only=True)
class BeatMorphology:
    """Signal of one beat about its R peak.

    Attributes
    ----------
    at_s : float
        Time of the R peak, s.
    rows : tuple of int
        Leads of ``shifted``, as rows of the stream.
    shifted : float32 [lags, leads * (BEFORE + AFTER)]
        Signal about R at 250 Hz, shifted by each of `LAGS`; zero mean per lead, unit norm per lag.
    log_odds : float
        Log odds of being ventricular, by the network alone.
    norm_mv : float
        Norm of the signal that is not shifted, mV; ``shifted`` times this is in mV.
    """

    at_s: float
    rows: tuple[int, ...]
    shifted: Millivolts
    log_odds: float
    norm_mv: float


def morphology_at(mv: Millivolts, rows: Sequence[int], r: int, at_s: float, probability: float) -> BeatMorphology:
    """Cut one beat out of the signal.

    Parameters
    ----------
    mv : float32 [leads, samples]
        Signal at 250 Hz, mV. Samples beyond the ends take the value of the edge.
    rows : sequence of int
        Rows of the stream that ``mv`` holds.
    r : int
        Sample of the R peak in ``mv``.
    at_s : float
        Time of the R peak in the stream, s.
    probability : float
        Probability of being ventricular, by the network alone.
    """
    cut = mv[:, np.minimum(np.maximum(_OFFSETS + r, 0), mv.shape[1] - 1)].transpose(1, 0, 2)  # [lags, leads, samples]
    cut = cut - cut.sum(axis=2, keepdims=True) / cut.shape[2]
    shifted = cut.reshape(len(LAGS), -1)
    norm = np.sqrt(np.einsum("ij,ij->i", shifted, shifted))[:, None]
    log_odds = math.log(max(probability, 1e-6) / max(1.0 - probability, 1e-6))
    return BeatMorphology(
        at_s=at_s,
        rows=tuple(rows),
        shifted=np.asarray(shifted / np.maximum(norm, 1e-6), np.float32),
        log_odds=min(max(log_odds, -MAX_LOG_ODDS), MAX_LOG_ODDS),
        norm_mv=max(float(norm[ZERO_LAG, 0]), 1e-6),
    )


def morphology_correlation(beat: BeatMorphology, others: Sequence[BeatMorphology]) -> Millivolts:
    """Largest correlation of a beat with each of the others over `LAGS`, [others]; all have the same leads."""
    each = np.stack([other.shifted for other in others]) @ beat.shifted[ZERO_LAG]
    best: Millivolts = each.max(axis=1)
    return best


class TemplateCache:
    """Morphologies of the last 24 beats; those older than 30 s are not used."""

    def __init__(self) -> None:
        self._beats: deque[BeatMorphology] = deque(maxlen=KEPT_BEATS)

    @property
    def beats(self) -> tuple[BeatMorphology, ...]:
        """The beats that are kept, the oldest first; also those older than 30 s."""
        return tuple(self._beats)

    def add(self, beat: BeatMorphology) -> None:
        """Keep a beat in place of the oldest one."""
        self._beats.append(beat)

    def set_rows(self, rows: Sequence[int]) -> None:
        """Number the leads anew; beats of a lead that left are forgotten.

        Parameters
        ----------
        rows : sequence of int
            For each new row of the stream the old one, -1 for a new lead.
        """
        new = {old: k for k, old in enumerate(rows) if old >= 0}
        stay = [beat for beat in self._beats if all(row in new for row in beat.rows)]
        moved = [replace(beat, rows=tuple(new[row] for row in beat.rows)) for beat in stay]
        self._beats = deque((beat for beat in moved if list(beat.rows) == sorted(beat.rows)), maxlen=KEPT_BEATS)

    def probability(self, beat: BeatMorphology, same_update: Sequence[BeatMorphology] = ()) -> float:
        """The probability of one of the beats of an update, as `probabilities` gives it."""
        return self.probabilities([beat], same_update)[0]

    def probabilities(self, beats: Sequence[BeatMorphology], same_update: Sequence[BeatMorphology] = ()) -> list[float]:
        """Probability that each beat is ventricular, by its own log odds and those of beats that correlate with it.

        Parameters
        ----------
        beats : sequence of BeatMorphology
            The beats to classify, all of the same leads.
        same_update : sequence of BeatMorphology
            Beats of the same update of the stream. Those that are in the cache already count once.
        """
        if not beats:
            return []
        last_s = self._beats[-1].at_s if self._beats else -np.inf
        newer = [b for b in same_update if b.at_s > last_s + SAME_BEAT_S]
        others = [b for b in (*self._beats, *newer) if b.rows == beats[0].rows]
        shifted = np.stack([b.shifted for b in others]) if others else None
        odds, at_s = (np.array([getattr(b, name) for b in others]) for name in ("log_odds", "at_s"))
        out = []
        for beat in beats:
            away_s = np.abs(beat.at_s - at_s)
            known = (away_s > SAME_BEAT_S) & (away_s < KEPT_S)
            averaged = beat.log_odds
            if shifted is not None and known.any():
                correlation = (shifted @ beat.shifted[ZERO_LAG]).max(axis=1)[known]
                above = (correlation - MIN_CORRELATION) / (1.0 - MIN_CORRELATION)
                weight = WEIGHT * np.minimum(np.maximum(above, 0.0), 1.0)
                averaged = (beat.log_odds + float(weight @ odds[known])) / (1.0 + float(weight.sum()))
            out.append(1.0 / (1.0 + math.exp(-averaged)))
        return out

"""Beats that lie in motion artefact: the signal round them does not repeat from beat to beat.

In: a segment and its beats, in order. Out: bool [leads, beats]. A moving electrode makes waves as large and as steep as
QRS complexes without reaching a rail, so each beat is compared with the median beat of its lead over `BEFORE_S` and
`AFTER_S`, as far as no other beat's waves lie there. It is distorted where the difference is large against the QRS
complex of the median beat, or where its own QRS complex has the shape neither of the median beat nor of another beat:
aberrant complexes come again, artefacts do not. Ventricular and paced beats repeat no median beat: they are distorted
where a conducted beat next to them is. The limits are our choice: of 302 windows of LUDB, PTB-XL and MIT-BIH
(`benchmarks.truth_windows`) they shorten the run of beats that a rhythm is named from in two, by two beats, and of 111
ICU windows in 22; no window loses its rhythm.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.ecg import Ecg
from models.measurement.delineation import MeasuredBeat
from models.signal.conditioning import fill_gaps, without_baseline
from models.signal.quantiles import median, quantile

BEFORE_S, AFTER_S = 0.25, 0.35  # of an R peak: P wave to most of the T wave
T_OVER_S = 0.4  # after another beat's R peak its T wave is over, or low
ONSET_S = 0.12  # before another beat's R peak its QRS complex begins at the latest
QRS_HALF_S = 0.08  # on either side of the R peak
DIFFERENCE = 0.6  # of the median beat's QRS peak to peak: above it a beat is distorted
LEAST_MV = 0.2  # and by this much: small complexes in noise are not motion
OTHER_SHAPE = 0.2  # correlation of the QRS complex with that of the median beat: below it the shape is another
SAME_SHAPE = 0.8  # correlation with another beat, from which on the two have one shape
LAG_S = 0.02  # by which complexes are shifted against each other
TEMPLATE_BEATS = 5  # fewer conducted beats give no median


def distorted_beats(ecg: Ecg, beats: Sequence[MeasuredBeat], conducted: Sequence[str]) -> NDArray[np.bool_]:
    """Which beats lie in motion artefact, in each lead.

    Parameters
    ----------
    ecg : Ecg
        The segment; beats are in its samples.
    beats : sequence of MeasuredBeat
    conducted : sequence of str
        Kinds of beats that are compared with their median.

    Returns
    -------
    bool [leads, beats]
    """
    r = np.array([m.beat.sample for m in beats], np.int64)
    normal = np.array([m.beat.kind in conducted for m in beats], bool)
    fs, n = ecg.fs_hz, ecg.n_samples
    before, after = round(BEFORE_S * fs), round(AFTER_S * fs)
    whole = normal & (r >= before) & (r + after < n)
    out = np.zeros((len(ecg.leads), len(r)), bool)
    if whole.sum() < TEMPLATE_BEATS:
        return out
    at = np.arange(-before, after + 1)
    gap = np.diff(r).astype(np.float64)
    first = np.minimum(0, np.concatenate([[-np.inf], T_OVER_S * fs - gap]))
    last = np.maximum(0, np.concatenate([gap - ONSET_S * fs, [np.inf]]))
    samples = r[:, None] + at
    own = (at >= first[:, None]) & (at <= last[:, None]) & (samples >= 0) & (samples < n)
    half, lag = round(QRS_HALF_S * fs), round(LAG_S * fs)
    qrs = np.abs(at) <= half
    for k, row in enumerate(without_baseline(fill_gaps(ecg.mv)[0], fs)):
        around = row[np.clip(samples, 0, n - 1)]
        template = median(around[whole].T)
        limit = max(DIFFERENCE * float(np.ptp(template[qrs])), LEAST_MV)
        for j in np.flatnonzero(normal):
            difference = (around[j] - template)[own[j]]
            out[k, j] = quantile(np.abs(difference - np.median(difference)), 0.9) > limit
        out[k] |= whole & _has_no_like(around[:, before - half - lag : before + half + lag + 1], template[qrs], lag)
    return out | (~normal & _beside(out))


def _has_no_like(around: NDArray[np.float32], template: NDArray[np.float32], lag: int) -> NDArray[np.bool_]:
    """Whether a QRS complex is like neither the median one nor any other, [beats]; ``around`` has ``lag`` at each end.

    ``shifted`` is [beats, lags, len(template)].
    """
    shifted = _normalised(np.lib.stride_tricks.sliding_window_view(around, len(template), axis=1))
    like_median = (shifted @ _normalised(template)).max(axis=1)
    others = np.einsum("aln,bn->abl", shifted, shifted[:, lag]).max(axis=2)
    np.fill_diagonal(others, -1.0)
    return np.asarray((like_median < OTHER_SHAPE) & (others.max(axis=1) < SAME_SHAPE))


def _normalised(x: NDArray[np.float32]) -> NDArray[np.float32]:
    x = x - x.mean(axis=-1, keepdims=True)
    return np.asarray(x / (np.linalg.norm(x, axis=-1, keepdims=True) + 1e-9))


def _beside(of_beats: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether the beat before or after is one, [leads, beats]."""
    out = np.zeros_like(of_beats)
    out[:, 1:] |= of_beats[:, :-1]
    out[:, :-1] |= of_beats[:, 1:]
    return out

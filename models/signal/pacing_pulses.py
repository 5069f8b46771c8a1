"""Pacing pulses in the signal itself: found where the device marks none, and taken out before beats are looked for.

A monitor's low-pass filter turns a pulse of 1 ms into a spike of 10 ms that rings to both sides: steep, tall, and no
heart beat. Counted as one it doubles the rate of a patient with a pacemaker, and hides asystole where it no longer
captures. What tells it from a QRS complex is that little of it is left once it is smoothed over 8 ms: nothing of an
unfiltered one; of a filtered one as little as of the sharpest complexes, but it rings before it comes as after it,
which no heart does. Told only where the device marks them: pulses filtered at 40 Hz or less.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from models.ecg import Millivolts
from models.signal.conditioning import fill_gaps

LOWEST_FS_HZ = 200.0  # below, a spike is one sample, as noise is
SMOOTH_S = 0.008  # standard deviation of the smoothing: of a QRS complex three quarters stay, of a spike a third
CORE_S = 0.020  # the tall part of a spike lies within this of its middle
SIDE_S = (0.030, 0.080)  # here, on both sides, it only rings: muscle noise goes on
ALONE = 3.0  # times taller than at its sides
SMALLEST_MV, ONE_LEAD_MV = 0.2, 0.9  # peak to peak of what smoothing takes; a lone lead may show a notched complex so
ABOVE_NOISE = 5.0  # times the usual second's
MAYBE_FROM = 1.4  # what smoothing takes, by what it leaves: of some sharp QRS complexes half are above
RINGING_FROM = 2.4  # filtered pulses: 3 and more mostly; but QRS complexes up to 3.4, so these must ring
SURE_FROM = 4.6  # unfiltered pulses: 4.8 and more at 250 Hz, 7 at 360 Hz; these need not
PULSE_FROM = 1.8  # where the bed has pulses, this sharp is one, too
RING_S = (0.018, 0.034)  # from its middle: where a spike's ringing is looked for, on both sides,
RING_SMOOTH_S = 0.005  # in what this smoothing takes
RINGS_FROM = 0.18  # of the spike's height: pulses 0.19 and more, QRS complexes 0.1 mostly
FEWEST, JUDGED_BY = 3, 8  # so many of the last spikes make a pacemaker: fewer are an artefact's
FORGOTTEN_S = 25.0  # what was seen longer ago does not count
EMPTIED_S = 0.028  # to both sides of a pulse nothing of the signal is believed
SMOOTHED_S = 0.070  # to here it is smoothed, which takes the ringing,
WIDE_SMOOTH_S = 0.010  # standard deviation of that smoothing
BLENDED_S = 0.030  # and over this time it goes back to what it was
BEFORE_S = 0.3  # of signal before what is looked at


@dataclass(frozen=True, slots=True)
class _Spike:
    at: int  # sample
    sharp: float  # what smoothing takes, by what it leaves
    ringing: float  # on its quieter side, by its height


class PacingPulses:
    """Pulses of one bed, second by second.

    Parameters
    ----------
    fs_hz : float
        Samples a second.
    """

    def __init__(self, fs_hz: float) -> None:
        self._fs = fs_hz
        self._spikes: deque[_Spike] = deque(maxlen=JUDGED_BY)
        self._found: list[int] = []

    @property
    def found(self) -> NDArray[np.int64]:
        """Where pulses were, absolute samples, the last 25 s."""
        return np.array(self._found, np.int64)

    def look(self, mv: Millivolts, seen: int, new_s: float, marks: NDArray[np.int64] | None = None) -> None:
        """Look at the newest seconds.

        Parameters
        ----------
        mv : [leads, samples]
            The leads that may speak, their newest seconds; NaN where there is no sample.
        seen : int
            Absolute number of the sample after the last one.
        new_s : float
            Seconds that no look has seen yet.
        marks : int array, optional
            Absolute samples at which the device says it paced: what is sharp there is a pulse.
        """
        if self._fs < LOWEST_FS_HZ or not len(mv):
            return
        unsettled_s = new_s + SIDE_S[1]  # what lies beside a spike was not all there when it was seen first
        part = mv[:, -round((unsettled_s + BEFORE_S) * self._fs) :]
        start, since = seen - part.shape[1], seen - round(unsettled_s * self._fs)
        spikes = [replace(s, at=s.at + start) for s in _spikes(fill_gaps(part)[0], self._fs) if s.at + start >= since]
        oldest = seen - FORGOTTEN_S * self._fs
        kept = [s for s in self._spikes if oldest <= s.at < since]
        self._spikes = deque([*kept, *spikes], maxlen=JUDGED_BY)
        believed = spikes if self._paces() else [s for s in spikes if self._marked(s, marks)]
        pulses = [s.at for s in believed if s.sharp >= PULSE_FROM]
        self._found = [*(at for at in self._found if oldest <= at < since), *pulses]

    def _marked(self, spike: _Spike, marks: NDArray[np.int64] | None) -> bool:
        return marks is not None and bool((np.abs(marks - spike.at) <= CORE_S * self._fs).any())

    def _paces(self) -> bool:
        return (
            sum(s.sharp >= SURE_FROM or (s.sharp >= RINGING_FROM and s.ringing >= RINGS_FROM) for s in self._spikes)
            >= FEWEST
        )

    def without(self, mv: Millivolts, start: int) -> Millivolts:
        """The signal without the pulses that were found in it; itself, where there are none.

        Parameters
        ----------
        mv : [leads, samples]
        start : int
            Absolute number of its first sample.
        """
        at = self.found - start
        reach = round((SMOOTHED_S + BLENDED_S) * self._fs)
        at = at[(at > -reach) & (at < mv.shape[1] + reach)]
        return _without(mv, at, self._fs) if len(at) else mv


def _spikes(x: Millivolts, fs: float) -> list[_Spike]:
    """What stands alone and goes when it is smoothed, all leads together: one lead's notched complex is no pulse."""
    smooth = gaussian_filter1d(x, SMOOTH_S * fs, axis=1)
    taken = np.abs(x - smooth).sum(axis=0, keepdims=True)
    core = 2 * round(CORE_S * fs) + 1
    near = maximum_filter1d(taken, core, axis=1)
    tall = (taken >= near) & (2.0 * taken > (ONE_LEAD_MV if len(x) == 1 else SMALLEST_MV))
    if not tall.any():
        return []
    left = (maximum_filter1d(smooth, core, axis=1) + maximum_filter1d(-smooth, core, axis=1)).sum(axis=0)
    sharp = 2.0 * taken[0] / np.maximum(left, 1e-3)
    alone = taken > ALONE * np.maximum(*_beside(taken, SIDE_S, fs))
    where = tall & alone & (taken > ABOVE_NOISE * np.median(near)) & (sharp >= MAYBE_FROM)
    if not where.any():
        return []
    fine = np.abs(x - gaussian_filter1d(x, RING_SMOOTH_S * fs, axis=1)).sum(axis=0, keepdims=True)
    height = maximum_filter1d(fine, 2 * round(RING_S[0] / 2 * fs) + 1, axis=1)
    ringing = np.minimum(*_beside(fine, RING_S, fs)) / np.maximum(height, 1e-3)
    return [_Spike(k, float(sharp[k]), float(ringing[0, k])) for k in np.flatnonzero(where[0]).tolist()]


def _beside(x: Millivolts, away_s: tuple[float, float], fs: float) -> tuple[Millivolts, Millivolts]:
    """The largest sample so far before, and so far after each one; zero beyond the ends."""
    n, middle = x.shape[1], round(sum(away_s) / 2 * fs)
    largest = maximum_filter1d(x, 2 * round((away_s[1] - away_s[0]) / 2 * fs) + 1, axis=1)
    padded = np.pad(largest, ((0, 0), (middle, middle)))
    return padded[:, :n], padded[:, 2 * middle :]


def _without(mv: Millivolts, at: NDArray[np.int64], fs: float) -> Millivolts:
    """Smoothed around each pulse by what lies beside it, its middle left out; elsewhere as it was."""
    reach, sigma = round((SMOOTHED_S + BLENDED_S) * fs), WIDE_SMOOTH_S * fs
    around = reach + round(4 * sigma)
    beside = np.arange(-around, around + 1)
    near = at[:, None] + beside
    inside = (near >= 0) & (near < mv.shape[1])
    away = np.abs(near[:, :, None] - at).min(axis=2) / fs
    part = mv[:, np.clip(near, 0, mv.shape[1] - 1)]  # [leads, pulses, samples]
    there = np.isfinite(part) & inside & (away > EMPTIED_S)
    weight = gaussian_filter1d(there.astype(np.float32), sigma, axis=2, mode="constant")
    total = gaussian_filter1d(np.where(there, part, np.float32(0.0)), sigma, axis=2, mode="constant")
    smooth = np.where(weight > 1e-3, total / np.maximum(weight, 1e-3), np.nan)
    smooth = fill_gaps(smooth.reshape(-1, near.shape[1]))[0].reshape(smooth.shape)
    share = np.clip(1.0 - (away - SMOOTHED_S) / BLENDED_S, 0.0, 1.0).astype(np.float32)
    mended = (share > 0.0) & inside & (np.abs(beside) <= reach)
    out = mv.copy()
    out[:, near[mended]] = (share * smooth + (1.0 - share) * part)[:, mended]
    return out

"""Pacing pulses in the signal: detected where the device marks none, and removed before beat detection.

In: the newest seconds of the analysis leads, float32 [leads, samples] in mV, at 200 Hz or more. Out: pulse positions as
absolute samples, and the signal without the pulses.
A monitor's low-pass filter turns a pulse of 1 ms into a spike of 10 ms with ringing on both sides. Counted as a beat it
doubles the rate of a paced patient, and hides asystole under loss of capture. Two features separate a spike from a QRS
complex. Smoothing over 8 ms removes an unfiltered spike completely, and a filtered one about as far as the sharpest QRS
complexes. A filtered spike also rings before and after its peak, which a QRS complex does not. Pulses that were
filtered at 40 Hz or less are recognised at the device's marks alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from models.ecg import Millivolts
from models.signal.conditioning import fill_gaps

LOWEST_FS_HZ = 200.0  # below it a spike is one sample and cannot be distinguished from noise
SMOOTH_S = 0.008  # standard deviation of the smoothing: of a QRS complex three quarters stay, of a spike a third
CORE_S = 0.020  # the tall part of a spike lies within this of its middle
SIDE_S = (0.030, 0.080)  # in this time on both sides a spike only rings; muscle noise continues
ISOLATED = 3.0  # times taller than at its sides
SMALLEST_MV, ONE_LEAD_MV = 0.2, 0.9  # peak to peak of the removed part; larger in one lead: notched QRS complexes
ABOVE_NOISE = 5.0  # times the usual second's
CANDIDATE_SHARPNESS = 1.4  # removed / remaining amplitude of a candidate; some sharp QRS complexes exceed it
RINGING_SHARPNESS = 2.4  # filtered pulses: mostly 3 and more; QRS complexes: up to 3.4, so ringing is required
CERTAIN_SHARPNESS = 4.6  # unfiltered pulses: 4.8 and more at 250 Hz, 7 at 360 Hz; no ringing required
PACED_SHARPNESS = 1.8  # of a further pulse in a bed that has pulses
RINGING_S = (0.018, 0.034)  # from the spike's middle: where its ringing is measured, on both sides,
RINGING_SMOOTH_S = 0.005  # in the part that this smoothing removes
MIN_RINGING = 0.18  # of the spike's height: pulses 0.19 and more, QRS complexes 0.1 mostly
MIN_SPIKES, KEPT_SPIKES = 3, 8  # of the last eight spikes, those that show a pacemaker; fewer are artefacts
MEMORY_S = 25.0  # older spikes do not count
DISCARDED_S = 0.028  # the signal this near to a pulse is discarded
SMOOTHED_S = 0.070  # up to here it is smoothed, which removes the ringing,
WIDE_SMOOTH_S = 0.010  # standard deviation of that smoothing
BLENDED_S = 0.030  # and over this time it is blended into the original
BEFORE_S = 0.3  # signal before the part that is analysed


@dataclass(frozen=True, slots=True)
class _Spike:
    at: int  # sample
    sharp: float  # amplitude that smoothing removes / amplitude that remains
    ringing: float  # on the side with less of it, as a share of the height

    @property
    def is_pulse(self) -> bool:
        """A pulse by itself: sharp enough, or sharp with ringing."""
        return self.sharp >= CERTAIN_SHARPNESS or (self.sharp >= RINGING_SHARPNESS and self.ringing >= MIN_RINGING)


class PacingPulses:
    """Pulses of one bed, updated second by second.

    Parameters
    ----------
    fs_hz : float
        Samples a second.
    """

    def __init__(self, fs_hz: float) -> None:
        self._fs = fs_hz
        self._spikes: deque[_Spike] = deque(maxlen=KEPT_SPIKES)
        self._found: list[int] = []

    @property
    def found(self) -> NDArray[np.int64]:
        """Pulse positions of the last 25 s, absolute samples."""
        return np.array(self._found, np.int64)

    def update(self, mv: Millivolts, end_sample: int, new_s: float, marks: NDArray[np.int64] | None = None) -> None:
        """Detect pulses in the newest seconds.

        Parameters
        ----------
        mv : float32 [leads, samples]
            Newest seconds of the analysis leads, mV; NaN where there is no sample.
        end_sample : int
            Absolute number of the sample after the last one.
        new_s : float
            Seconds that no earlier update has analysed.
        marks : int array, optional
            Pacing marks of the device, absolute samples: a spike at a mark is a pulse.
        """
        if self._fs < LOWEST_FS_HZ or not len(mv):
            return
        open_s = new_s + SIDE_S[1]  # the signal beside a spike was incomplete at the last update
        part = mv[:, -round((open_s + BEFORE_S) * self._fs) :]
        start, since = end_sample - part.shape[1], end_sample - round(open_s * self._fs)
        spikes = [replace(s, at=s.at + start) for s in _spikes(fill_gaps(part)[0], self._fs) if s.at + start >= since]
        oldest = end_sample - MEMORY_S * self._fs
        kept = [s for s in self._spikes if oldest <= s.at < since]
        self._spikes = deque([*kept, *spikes], maxlen=KEPT_SPIKES)
        accepted = spikes if self._paces() else [s for s in spikes if self._marked(s, marks)]
        pulses = [s.at for s in accepted if s.sharp >= PACED_SHARPNESS]
        self._found = [*(at for at in self._found if oldest <= at < since), *pulses]

    def _marked(self, spike: _Spike, marks: NDArray[np.int64] | None) -> bool:
        return marks is not None and bool((np.abs(marks - spike.at) <= CORE_S * self._fs).any())

    def _paces(self) -> bool:
        return sum(s.is_pulse for s in self._spikes) >= MIN_SPIKES

    def removed_from(self, mv: Millivolts, start: int) -> Millivolts:
        """The signal without the pulses detected in it; the same array where there are none.

        Parameters
        ----------
        mv : float32 [leads, samples]
            Millivolts.
        start : int
            Absolute number of its first sample.
        """
        at = self.found - start
        reach = round((SMOOTHED_S + BLENDED_S) * self._fs)
        at = at[(at > -reach) & (at < mv.shape[1] + reach)]
        return _without(mv, at, self._fs) if len(at) else mv


def _spikes(x: Millivolts, fs: float) -> list[_Spike]:
    """Isolated spikes that smoothing removes, all leads together: a notched complex in one lead is no pulse."""
    smooth = gaussian_filter1d(x, SMOOTH_S * fs, axis=1)
    taken = np.abs(x - smooth).sum(axis=0, keepdims=True)
    core = 2 * round(CORE_S * fs) + 1
    near = maximum_filter1d(taken, core, axis=1)
    tall = (taken >= near) & (2.0 * taken > (ONE_LEAD_MV if len(x) == 1 else SMALLEST_MV))
    if not tall.any():
        return []
    left = (maximum_filter1d(smooth, core, axis=1) + maximum_filter1d(-smooth, core, axis=1)).sum(axis=0)
    sharp = 2.0 * taken[0] / np.maximum(left, 1e-3)
    isolated = taken > ISOLATED * np.maximum(*_beside(taken, SIDE_S, fs))
    where = tall & isolated & (taken > ABOVE_NOISE * np.median(near)) & (sharp >= CANDIDATE_SHARPNESS)
    if not where.any():
        return []
    fine = np.abs(x - gaussian_filter1d(x, RINGING_SMOOTH_S * fs, axis=1)).sum(axis=0, keepdims=True)
    height = maximum_filter1d(fine, 2 * round(RINGING_S[0] / 2 * fs) + 1, axis=1)
    ringing = np.minimum(*_beside(fine, RINGING_S, fs)) / np.maximum(height, 1e-3)
    return [_Spike(k, float(sharp[k]), float(ringing[0, k])) for k in np.flatnonzero(where[0]).tolist()]


def _beside(x: Millivolts, away_s: tuple[float, float], fs: float) -> tuple[Millivolts, Millivolts]:
    """The largest sample at this distance before and after each sample; zero beyond the ends."""
    n, middle = x.shape[1], round(sum(away_s) / 2 * fs)
    largest = maximum_filter1d(x, 2 * round((away_s[1] - away_s[0]) / 2 * fs) + 1, axis=1)
    padded = np.pad(largest, ((0, 0), (middle, middle)))
    return padded[:, :n], padded[:, 2 * middle :]


def _without(mv: Millivolts, at: NDArray[np.int64], fs: float) -> Millivolts:
    """The signal, smoothed around each pulse from its surroundings without the pulse's middle."""
    reach, sigma = round((SMOOTHED_S + BLENDED_S) * fs), WIDE_SMOOTH_S * fs
    around = reach + round(4 * sigma)
    beside = np.arange(-around, around + 1)
    near = at[:, None] + beside
    inside = (near >= 0) & (near < mv.shape[1])
    away = np.abs(near[:, :, None] - at).min(axis=2) / fs
    part = mv[:, np.clip(near, 0, mv.shape[1] - 1)]  # [leads, pulses, samples]
    there = np.isfinite(part) & inside & (away > DISCARDED_S)
    weight = gaussian_filter1d(there.astype(np.float32), sigma, axis=2, mode="constant")
    total = gaussian_filter1d(np.where(there, part, np.float32(0.0)), sigma, axis=2, mode="constant")
    smooth = np.where(weight > 1e-3, total / np.maximum(weight, 1e-3), np.nan)
    smooth = fill_gaps(smooth.reshape(-1, near.shape[1]))[0].reshape(smooth.shape)
    share = np.clip(1.0 - (away - SMOOTHED_S) / BLENDED_S, 0.0, 1.0).astype(np.float32)
    mended = (share > 0.0) & inside & (np.abs(beside) <= reach)
    out = mv.copy()
    out[:, near[mended]] = (share * smooth + (1.0 - share) * part)[:, mended]
    return out

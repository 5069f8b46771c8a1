"""Pacing pulses in the signal: detected where the device marks none, and removed before beat detection.

In: the newest seconds of the leads, float32 [leads, samples] in mV, at 200 Hz or more. Out: pulse positions as absolute
samples, and the signal without the pulses.
A monitor's low-pass filter turns a pulse of 1 ms into a spike of 10 ms with ringing on both sides. Counted as a beat it
doubles the rate of a paced patient, and hides asystole under loss of capture. Two features separate a spike from a QRS
complex. Smoothing over 8 ms removes an unfiltered spike completely, and a filtered one about as far as the sharpest QRS
complexes. A filtered spike also rings before and after its peak, which a QRS complex does not. Pulses that were
filtered at 40 Hz or less are recognised at the device's marks alone (`models.beats.bursts_and_pulses`).
External pacing puts pulses of up to 50 mV on the leads, often clipped at the amplifier's rail and followed by its
recovery. No QRS complex is steep enough for a spike of `LARGE_MV`. The recovery is fitted as an exponential and
subtracted before the pulse itself is removed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d, gaussian_filter1d, maximum_filter1d, uniform_filter1d

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
ALIKE = (
    0.3  # least height of a further pulse, as a share of the lowest pulse: beside large pulses a narrow QRS is lower
)
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
LARGE_MV = 4.0  # peak to peak of the removed part in one lead: of QRS complexes of 6 mV it is 2.5 mV and less
RECOVERY_MV = 0.1  # a smaller recovery of the amplifier is left as it is
RECOVERY_S = (0.016, 0.110)  # after a large pulse: where the recovery of the amplifier is fitted,
RECOVERY_WEIGHT_S = 0.025  # with weights that decay within this time, because a captured beat follows
RECOVERY_SMOOTH_S = 0.008  # moving mean of the signal that is fitted, which removes the ringing of the pulse
RECOVERY_TAUS_S = (
    0.009,
    0.011,
    0.013,
    0.016,
    0.019,
    0.023,
    0.027,
    0.031,
    0.036,
    0.042,
    0.05,
)  # the time constants tried
RECOVERY_FROM_S = 0.004  # it begins this long after the pulse's middle
REMAINDER = 0.02  # of a large pulse's height: its removal leaves 1.2 % at most
LEVEL_S = (0.050, 0.012)  # before the pulse: the level that the amplifier returns to


@dataclass(frozen=True, slots=True)
class _Spike:
    at: int  # sample
    sharp: float  # amplitude that smoothing removes / amplitude that remains
    ringing: float  # on the side with less of it, as a share of the height
    height_mv: float  # peak to peak of the removed part, in the lead where it is largest

    @property
    def large(self) -> bool:
        """Larger than the removed part of any QRS complex."""
        return self.height_mv >= LARGE_MV

    @property
    def is_pulse(self) -> bool:
        """A pulse by itself: larger than QRS complexes, sharp enough, or sharp with ringing."""
        return (
            self.large
            or self.sharp >= CERTAIN_SHARPNESS
            or (self.sharp >= RINGING_SHARPNESS and self.ringing >= MIN_RINGING)
        )


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
        self._pulses: list[_Spike] = []

    @property
    def found(self) -> NDArray[np.int64]:
        """Pulse positions of the last 25 s, absolute samples."""
        return np.array([pulse.at for pulse in self._pulses], np.int64)

    @property
    def marks(self) -> NDArray[np.int64]:
        """The pulses found, where there are enough of them to show a pacemaker, absolute samples."""
        return self.found if len(self._pulses) >= MIN_SPIKES else np.zeros(0, np.int64)

    @property
    def remainder_mv(self) -> float:
        """Largest deflection that the removal of the large pulses found may leave, mV; 0 without any."""
        large = [pulse.height_mv for pulse in self._pulses if pulse.large]
        return REMAINDER * max(large, default=0.0)

    def newest(self, mv: Millivolts, new_s: float) -> Millivolts:
        """The end of [leads, samples] that `update` looks at: the signal beside a spike was incomplete before."""
        return mv[:, -round((new_s + SIDE_S[1] + BEFORE_S) * self._fs) :]

    def update(
        self,
        mv: Millivolts,
        end_sample: int,
        new_s: float,
        marks: NDArray[np.int64] | None = None,
        others: Millivolts | None = None,
    ) -> None:
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
        others : float32 [leads, samples], optional
            The same seconds of the other leads: pulses larger than any QRS complex are detected in them too.
        """
        if self._fs < LOWEST_FS_HZ or not len(mv):
            return
        part = self.newest(mv, new_s)
        start, since = end_sample - part.shape[1], end_sample - round((new_s + SIDE_S[1]) * self._fs)
        new = self._in_all(part, None if others is None else self.newest(others, new_s))
        spikes = [replace(s, at=s.at + start) for s in new if s.at + start >= since]
        oldest = end_sample - MEMORY_S * self._fs
        kept = [s for s in self._spikes if oldest <= s.at < since]
        self._spikes = deque([*kept, *spikes], maxlen=KEPT_SPIKES)
        known = [p for p in self._pulses if oldest <= p.at < since]
        paces, lowest_mv = self._paces(), ALIKE * min((s.height_mv for s in self._spikes if s.is_pulse), default=0.0)
        accepted = [
            s
            for s in spikes
            if s.large
            or (s.sharp >= PACED_SHARPNESS and (self._marked(s, marks) or (paces and s.height_mv >= lowest_mv)))
        ]
        self._pulses = [*known, *accepted]

    def _in_all(self, mv: Millivolts, others: Millivolts | None) -> list[_Spike]:
        """Spikes of the analysis leads together, and large ones of each other lead by itself."""
        found = _spikes(fill_gaps(mv)[0], self._fs)
        each = fill_gaps(mv[:0] if others is None else others)[0]
        for lead in each[np.ptp(each, axis=1) >= LARGE_MV]:
            found += [
                spike
                for spike in _spikes(lead[None], self._fs)
                if spike.large and all(abs(spike.at - other.at) > CORE_S * self._fs for other in found)
            ]
        return sorted(found, key=lambda spike: spike.at)

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
        reach = round((SMOOTHED_S + BLENDED_S) * self._fs)
        near = [p for p in self._pulses if -reach < p.at - start < mv.shape[1] + reach]
        if not near:
            return mv
        large = [p.at - start for p in near if p.large]
        if large:
            mv = _without_recovery(mv, large, self._fs)
        return _without(mv, np.array([p.at - start for p in near], np.int64), self._fs)


def _spikes(x: Millivolts, fs: float) -> list[_Spike]:
    """Isolated spikes that smoothing removes, all leads together: a notched complex in one lead is no pulse."""
    smooth = _smoothed(x, SMOOTH_S * fs)
    taken = np.abs(x - smooth).sum(axis=0)
    half = round(CORE_S * fs)
    near = maximum_filter1d(taken, 2 * half + 1)
    at = np.flatnonzero((taken >= near) & (2.0 * taken > (ONE_LEAD_MV if len(x) == 1 else SMALLEST_MV)))
    left = np.ptp(_around(smooth, at, half), axis=2).sum(axis=0)
    sharp = 2.0 * taken[at] / np.maximum(left, 1e-3)
    at, sharp = (each[sharp >= CANDIDATE_SHARPNESS] for each in (at, sharp))
    if not len(at):  # mostly: QRS complexes are blunt
        return []
    chosen = taken[at] > ISOLATED * np.maximum(*_beside(taken, at, SIDE_S, fs))
    if chosen.any():
        chosen &= taken[at] > ABOVE_NOISE * np.median(near)
    at, sharp = at[chosen], sharp[chosen]
    if not len(at):
        return []
    height_mv = 2.0 * np.abs(x[:, at] - smooth[:, at]).max(axis=0)
    fine = np.abs(x - _smoothed(x, RINGING_SMOOTH_S * fs)).sum(axis=0)
    height = _around(fine[None], at, round(RINGING_S[0] / 2 * fs))[0].max(axis=1)
    ringing = np.minimum(*_beside(fine, at, RINGING_S, fs)) / np.maximum(height, 1e-3)
    return [
        _Spike(*each) for each in zip(at.tolist(), sharp.tolist(), ringing.tolist(), height_mv.tolist(), strict=True)
    ]


@lru_cache(maxsize=64)
def _gaussian(sigma: float) -> NDArray[np.float64]:
    """A Gaussian of this standard deviation, up to four of them on either side; its sum is one."""
    t = np.arange(-int(4.0 * sigma + 0.5), int(4.0 * sigma + 0.5) + 1)
    weights = np.exp(-0.5 / (sigma * sigma) * t**2)
    return np.asarray(weights / weights.sum(), np.float64)


def _smoothed(x: Millivolts, sigma: float) -> Millivolts:
    """SciPy's ``gaussian_filter1d``, with its weights computed once."""
    return np.asarray(correlate1d(x, _gaussian(sigma), axis=1), np.float32)


def _around(x: Millivolts, at: NDArray[np.int64], half: int) -> Millivolts:
    """The samples of [leads, samples] up to ``half`` from each place, [leads, places, samples]; ends are repeated."""
    where = np.minimum(np.maximum(at[:, None] + np.arange(-half, half + 1), 0), x.shape[1] - 1)
    return x[:, where]


def _beside(
    x: Millivolts, at: NDArray[np.int64], away_s: tuple[float, float], fs: float
) -> tuple[Millivolts, Millivolts]:
    """The largest of [samples] at this distance before and after each place; zero beyond the ends."""
    middle, half = round(sum(away_s) / 2 * fs), round((away_s[1] - away_s[0]) / 2 * fs)
    before, after = at - middle, at + middle
    first, second = (
        np.where((p >= 0) & (p < len(x)), _around(x[None], np.clip(p, 0, len(x) - 1), half)[0].max(axis=1), 0.0)
        for p in (before, after)
    )
    return first, second


def _without_recovery(mv: Millivolts, at: list[int], fs: float) -> Millivolts:
    """The signal minus the exponential with which each lead's amplifier recovers from each pulse."""
    out = mv.copy()
    level, first, last = round(LEVEL_S[0] * fs), round(RECOVERY_S[0] * fs), round(RECOVERY_S[1] * fs)
    t = np.arange(first, last) / fs
    decays = np.exp(-t[None] / np.array(RECOVERY_TAUS_S)[:, None])  # [time constants, samples]
    weight = np.exp(-t / RECOVERY_WEIGHT_S)
    smooth = uniform_filter1d(mv, max(1, round(RECOVERY_SMOOTH_S * fs)), axis=1)
    for k in at:
        before, after = out[:, max(0, k - level) : max(0, k - round(LEVEL_S[1] * fs))], smooth[:, k + first : k + last]
        if not before.shape[1] or after.shape[1] < len(t) or k + first < 0:
            continue
        known, baseline = np.isfinite(before).any(axis=1), np.zeros(len(before), before.dtype)
        baseline[known] = np.nanmedian(before[known], axis=1)
        y = np.nan_to_num(after - baseline[:, None])  # [leads, samples]
        gain = (y * weight) @ decays.T / (weight * np.square(decays)).sum(axis=1)  # [leads, time constants]
        error = (weight * np.square(y[:, None] - gain[:, :, None] * decays[None])).sum(axis=2)
        best = error.argmin(axis=1)
        lead = np.arange(len(y))
        height = np.where(np.abs(gain[lead, best] * decays[best, 0]) >= RECOVERY_MV, gain[lead, best], 0.0)
        begin = max(0, k + round(RECOVERY_FROM_S * fs))
        since = np.arange(begin - k, out.shape[1] - k) / fs
        since = since[since < 8.0 * RECOVERY_TAUS_S[-1]]
        tail = height[:, None] * np.exp(-since[None] / np.array(RECOVERY_TAUS_S)[best][:, None])
        out[:, begin : begin + len(since)] -= tail.astype(np.float32)
    return out


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

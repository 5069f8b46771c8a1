"""Deflections in all leads that are no beats: bursts of mains interference, and pulses that the device marks.

In: the analysis leads at `NET_FS_HZ` without baseline, float32 [leads, samples] in mV, and a deflection in them. Two
rules:

* a moving mean over one period of the mains, twice, leaves hardly anything of it (`is_mains_burst`). Mains that come
  and go are too short for `models.signal.mains` to measure, and their edges look like beats. A QRS complex keeps more
  than half of its size;
* it stands at a pacing mark of the device, is narrower than any QRS complex, and no wave follows (`is_marked_pulse`). A
  pulse that a filter of 30 to 40 Hz made wide is too blunt for `models.signal.pacing_pulses`. A captured beat follows
  its pulse, and a pulse inside a beat has a T wave behind it.

Source: own rules; the limits were chosen on simulated bursts and pulses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.beats.single_lead_deflections import NARROW_S, NEAR_S
from models.ecg import Millivolts
from models.networks.delineator import NET_FS_HZ
from models.signal.mains import BURST_SHARE, MIN_BURST_MV

PERIOD_S = 0.020  # of 50 Hz; of 60 Hz the same mean, twice, leaves 0.03
MEAN_OF_PERIOD = np.full(round(PERIOD_S * NET_FS_HZ), 1.0 / round(PERIOD_S * NET_FS_HZ))
MEAN = np.convolve(MEAN_OF_PERIOD, MEAN_OF_PERIOD)
USUAL_SHARE = 0.4  # of the bed's usual beat: a beat under the burst keeps more than this,
UNKNOWN_MV = 0.3  # and more than this where no beat of the last 10 s is known
AT_MARK_S = (-0.02, 0.05)  # after the mark: where the top of a filtered pulse stands
WAVES_S = (0.08, 0.40)  # after the pulse: S wave, ST segment and T wave of a beat
WAVE_MV = 0.3  # peak to peak there in some lead; a P wave of a standstill is smaller


def is_mains_burst(flat: Millivolts, at: int, usual_mv: float | None) -> bool:
    """Whether the deflection at a sample consists of mains interference.

    Parameters
    ----------
    flat : float32 [leads, samples]
        Analysis leads, mV.
    at : int
        Sample of the deflection.
    usual_mv : float or None
        Peak to peak of the bed's usual beat, mV.
    """
    near = round(NEAR_S * NET_FS_HZ) + len(MEAN) // 2
    part = flat[:, max(0, at - near) : at + near + 1]
    beyond = max(0, at + near + 1 - flat.shape[1])  # a beat that has half arrived keeps its size when mirrored
    if beyond:
        part = np.pad(part, ((0, 0), (0, min(beyond, part.shape[1] - 1))), mode="reflect")
    size = np.ptp(part, axis=1)
    least_mv = UNKNOWN_MV if usual_mv is None else USUAL_SHARE * usual_mv
    if size.max() < MIN_BURST_MV:
        return False
    for lead, size_mv in zip(part, size, strict=True):
        kept_mv = np.ptp(np.convolve(lead, MEAN, "valid"))
        if kept_mv >= least_mv or (size_mv >= MIN_BURST_MV and kept_mv >= BURST_SHARE * size_mv):
            return False
    return True


def is_marked_pulse(flat: Millivolts, at: int, marks_s: NDArray[np.float64]) -> bool:
    """Whether the deflection at a sample is a pacing pulse without a beat.

    Parameters
    ----------
    flat : float32 [leads, samples]
        Analysis leads, mV.
    at : int
        Sample of the deflection.
    marks_s : float64 [marks]
        Pacing marks of the device, s from the first sample.
    """
    since_s = at / NET_FS_HZ - marks_s
    if not ((since_s >= AT_MARK_S[0]) & (since_s <= AT_MARK_S[1])).any():
        return False
    after = flat[:, at + round(WAVES_S[0] * NET_FS_HZ) : at + round(WAVES_S[1] * NET_FS_HZ)]
    if after.shape[1] < round((WAVES_S[1] - WAVES_S[0]) * NET_FS_HZ) or np.ptp(after, axis=1).max() >= WAVE_MV:
        return False
    near = round(NEAR_S * NET_FS_HZ)
    part = flat[:, max(0, at - near) : at + near + 1]
    away = np.abs(part - np.median(part, axis=1, keepdims=True))
    width_s = (away > 0.5 * away.max(axis=1, keepdims=True)).sum(axis=1) / NET_FS_HZ
    return bool((width_s[np.ptp(part, axis=1) >= MIN_BURST_MV] < NARROW_S).all())

"""Steps of the baseline, which are no beats: an electrode that comes back, an amplifier that leaves its rail.

In: the analysis leads, float32 [leads, samples] in mV, and a deflection in them. A step goes from one level to another
within a few hundredths of a second and stays there: the line is quiet before it and after it, and the levels differ by
far more. A QRS complex comes back to its level, and the waves of a tachycardia without a level are slower.
A deflection is a step where its largest lead shows one and each other lead shows a step or nothing of a beat.
Source: own method; the limits were chosen on simulated steps in MIT-BIH and on the beats of MIT-BIH (see
``tests/models/beats/test_steps.py``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.ecg import Millivolts
from models.signal.quantiles import middle

NEAR_S = 0.06  # the steepest change lies within this of the deflection
RISE_S = 0.024  # of the whole change, `RISE_SHARE` lies within this about the steepest place
RISE_SHARE = 0.7
BESIDE_S = (0.024, 0.2)  # before and after the steepest place: the line keeps its level there,
LEVEL_SHARE = 0.35  # within this share of the step, peak to peak
NOTHING_SHARE, NOTHING_MV = 0.1, 0.15  # of the lead's peak to peak; IEC 60601-2-27: a smaller deflection is no QRS


def is_step(mv: Millivolts, fs_hz: float, at: int) -> bool:
    """Whether the deflection at a sample is a step.

    Parameters
    ----------
    mv : float32 [leads, samples]
        Signal of the analysis leads with its baseline, mV; finite.
    fs_hz : float
        Sampling rate, Hz.
    at : int
        Sample of the deflection.
    """
    lo, hi = max(0, at - round(NEAR_S * fs_hz)), at + round(NEAR_S * fs_hz) + 1
    sizes = np.ptp(mv[:, lo:hi], axis=1)
    stands = np.array([_is_step(lead, fs_hz, lo, min(hi, mv.shape[1])) for lead in mv])
    if not stands[int(sizes.argmax())]:
        return False
    nothing = sizes < np.maximum(NOTHING_MV, NOTHING_SHARE * np.ptp(mv, axis=1))
    return bool((stands | nothing).all())


def _is_step(lead: NDArray[np.float32], fs_hz: float, lo: int, hi: int) -> bool:
    half = max(1, round(RISE_S / 2 * fs_hz))
    first, last = max(half, lo), min(len(lead) - half, hi)
    if last <= first:
        return False
    rises = lead[first + half : last + half] - lead[first - half : last - half]
    k = int(np.abs(rises).argmax())
    at, rise = first + k, float(rises[k])
    near, far = (round(s * fs_hz) for s in BESIDE_S)
    before, after = lead[max(0, at - far) : max(0, at - near)], lead[at + near : at + far + 1]
    if len(before) < (far - near) // 2 or len(after) < (far - near) // 2:
        return False
    step = float(middle(after)) - float(middle(before))
    if rise * step <= 0 or abs(rise) < RISE_SHARE * abs(step):
        return False
    return max(float(np.ptp(before)), float(np.ptp(after))) < LEVEL_SHARE * abs(step)

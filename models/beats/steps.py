"""Steps of the baseline, which are no beats: an electrode that comes back, an amplifier that leaves its rail.

In: the analysis leads, float32 [leads, samples] in mV. Out: the same without steps. A step goes from one level to
another within a few hundredths of a second and stays there: the line is quiet before it and after it, and the levels
differ by far more. A QRS complex comes back to its level, and the waves of a tachycardia without a level are slower.
Steps are removed before beats are found, since the network does not see a small beat beside a large step.
Source: own method; the limits were chosen on simulated steps in MIT-BIH and on the beats of MIT-BIH (see
``tests/models/beats/test_steps.py``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.ecg import Millivolts
from models.signal.quantiles import middle

STEP_MV = 0.15  # IEC 60601-2-27: a smaller deflection is not counted as a QRS complex
RISE_S = 0.024  # of the whole change, `RISE_SHARE` lies within this about the steepest place
RISE_SHARE = 0.7
BESIDE_S = (0.024, 0.2)  # before and after the steepest place: the line keeps its level there,
LEVEL_SHARE = 0.35  # within this share of the step, peak to peak
STEEPEST_S = 0.06  # nothing within this of a step is steeper


def without_steps(mv: Millivolts, fs_hz: float) -> Millivolts:
    """The signal with each lead's steps taken out; the same array where there is none.

    Parameters
    ----------
    mv : float32 [leads, samples]
        Signal of the analysis leads with its baseline, mV; finite.
    fs_hz : float
        Sampling rate, Hz.

    Returns
    -------
    float32 [leads, samples]
        Behind a step the lead keeps the level that it had before it. Within `BESIDE_S` of it stands a straight line.
    """
    half = max(1, round(RISE_S / 2 * fs_hz))
    near, far = (round(s * fs_hz) for s in BESIDE_S)
    if mv.shape[1] < 2 * far:
        return mv
    out = mv
    for row, places in enumerate(_may_be_steps(mv, fs_hz, half, near, far)):
        for at in places:
            step = _step(out[row], at, half, near, far)
            if step:
                out = out.copy() if out is mv else out
                out[row, at + near :] -= step
                inside = slice(at - near, at + near + 1)
                out[row, inside] = np.linspace(out[row, at - near], out[row, at + near], 2 * near + 1)
    return out


def _may_be_steps(mv: Millivolts, fs_hz: float, half: int, near: int, far: int) -> list[list[int]]:
    """Samples of each lead that are steep and have other levels before and after them, by their means."""
    sums = np.cumsum(mv, axis=1, dtype=np.float64)
    at = np.arange(far, mv.shape[1] - far)
    n = far - near
    steps = (sums[:, at + far] - sums[:, at + near] - sums[:, at - near] + sums[:, at - far]) / n
    rises = mv[:, at + half] - mv[:, at - half]
    same = (rises * steps > 0) & (np.abs(rises) >= STEP_MV) & (np.abs(steps) >= STEP_MV)
    steep = same & (np.abs(rises) >= 0.5 * np.abs(steps)) & (np.abs(rises) <= 2.0 * np.abs(steps))
    distance = max(1, round(STEEPEST_S * fs_hz))
    return [_steepest(at, np.abs(rise), places, distance) for rise, places in zip(rises, steep, strict=True)]


def _steepest(at: NDArray[np.int64], rise: NDArray[np.float32], places: NDArray[np.bool_], distance: int) -> list[int]:
    out: list[int] = []
    for k in np.flatnonzero(places):
        lo = max(0, k - distance)
        if rise[k] == rise[lo : k + distance + 1].max() and (not out or at[k] - out[-1] > distance):
            out.append(int(at[k]))
    return out


def _step(lead: NDArray[np.float32], at: int, half: int, near: int, far: int) -> float:
    """Change of the level at a sample, mV; 0 where it is no step."""
    before, after = lead[at - far : at - near], lead[at + near : at + far + 1]
    rise = float(lead[at + half] - lead[at - half])
    step = float(middle(after)) - float(middle(before))
    if abs(step) < STEP_MV or rise * step <= 0 or abs(rise) < RISE_SHARE * abs(step):
        return 0.0
    return step if max(float(np.ptp(before)), float(np.ptp(after))) < LEVEL_SHARE * abs(step) else 0.0

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
    stop, n = mv.shape[1] - far, far - near
    rises = mv[:, far + half : stop + half] - mv[:, far - half : stop - half]  # from the sample ``far`` on
    steep = np.abs(rises)
    sums = np.cumsum(mv, axis=1, dtype=np.float64)
    lead, place = np.nonzero(steep >= STEP_MV)  # the upstrokes of QRS complexes: few of the samples
    size, last = steep[lead, place], steep.shape[1] - 1
    steepest = size >= np.maximum(steep[lead, np.maximum(place - 1, 0)], steep[lead, np.minimum(place + 1, last)])
    lead, place = lead[steepest], place[steepest]  # with `STEEPEST_S` about them, none of the others is
    at, rise = place + far, rises[lead, place]
    step = (sums[lead, at + far] - sums[lead, at + near] - sums[lead, at - near] + sums[lead, at - far]) / n
    size = np.abs(rise)
    found = (rise * step > 0) & (np.abs(step) >= STEP_MV) & (size >= 0.5 * np.abs(step)) & (size <= 2.0 * np.abs(step))
    lead, place = lead[found], place[found]
    distance = max(1, round(STEEPEST_S * fs_hz))
    return [[at + far for at in _steepest(each, place[lead == row], distance)] for row, each in enumerate(steep)]


def _steepest(steep: NDArray[np.float32], places: NDArray[np.int64], distance: int) -> list[int]:
    """Of some places of a lead, those with nothing steeper near them, further than ``distance`` from each other."""
    out: list[int] = []
    for k in places.tolist():
        nothing_steeper = steep[k] == steep[max(0, k - distance) : k + distance + 1].max()
        if nothing_steeper and (not out or k - out[-1] > distance):
            out.append(k)
    return out


def _step(lead: NDArray[np.float32], at: int, half: int, near: int, far: int) -> float:
    """Change of the level at a sample, mV; 0 where it is no step."""
    before, after = lead[at - far : at - near], lead[at + near : at + far + 1]
    rise = float(lead[at + half] - lead[at - half])
    step = float(middle(after)) - float(middle(before))
    if abs(step) < STEP_MV or rise * step <= 0 or abs(rise) < RISE_SHARE * abs(step):
        return 0.0
    return step if max(float(np.ptp(before)), float(np.ptp(after))) < LEVEL_SHARE * abs(step) else 0.0

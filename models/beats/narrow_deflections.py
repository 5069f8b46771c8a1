"""Deflections that are no beats: narrower than QRS complexes, and absent in a lead that shows beats.

In: the signal of the analysis leads, float32 [leads, samples] in mV, and the sample of a deflection. Out: whether it is
one of these. A pacing pulse that a monitor's filter has made small is one, and so is the artefact of one electrode.
Source: own rule; the limits were chosen on simulated pulses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.ecg import Millivolts

NEAR_S = 0.06  # the deflection lies within this of its sample
NARROW_S = (
    0.024  # width at half height of the narrowest QRS complex; a pulse filtered at 40 Hz has 0.015 s, at 30 0.020
)
NARROW_SHARE = 0.4  # of the lead's peak to peak: a taller deflection is a beat whatever its width
OTHER_LEAD_MV = 0.3  # peak to peak of a lead that shows beats,
NOTHING_SHARE, NOTHING_MV = 0.1, 0.1  # and a deflection smaller than both of these is no part of one


def narrow_in_one_lead(
    mv: Millivolts, fs_hz: float, lead_mv: NDArray[np.float32], sizes: NDArray[np.float32], at: int
) -> bool:
    """Whether the deflection at a sample is narrower than QRS complexes, and absent in another lead with beats.

    Parameters
    ----------
    mv : float32 [leads, samples]
        Signal of the analysis leads, mV.
    fs_hz : float
        Sampling rate, Hz.
    lead_mv : float32 [leads]
        Peak to peak of each lead over the whole signal, mV.
    sizes : float32 [leads]
        Peak to peak of each lead near the deflection, mV.
    at : int
        Sample of the deflection.
    """
    k = int(sizes.argmax())
    absent = (lead_mv >= OTHER_LEAD_MV) & (sizes < np.minimum(NOTHING_MV, NOTHING_SHARE * lead_mv))
    if not absent.any() or sizes[k] >= NARROW_SHARE * lead_mv[k]:
        return False
    near = round(NEAR_S * fs_hz)
    part = mv[k, max(0, at - near) : at + near + 1]
    away = np.abs(part - np.median(part))
    return bool((away > 0.5 * away.max()).sum() < NARROW_S * fs_hz)

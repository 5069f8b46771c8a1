"""Dipole model of the heart: Gaussian waves of a heart vector, projected onto twelve leads.

In: waves, each with a time, widths and a vector in Frank's frame (x left, y down, z back), mV. Out: float32
[12, samples] mV in canonical lead order. All leads are projections of one vector, so III = II - I and
aVR = -(I + II)/2 hold exactly.

Sources: the dynamical Gaussian model of McSharry et al., IEEE TBME 2003;50:289, in three dimensions (Sameni et al.,
EURASIP JASP 2007:43407); lead matrix of Dower et al., J Electrocardiol 1980;13:109.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.leads import INDEPENDENT_8, STANDARD_12, derive_limb_leads

Vector = tuple[float, float, float]

_DOWER = {  # mV in the lead for 1 mV of the vector along x, y, z
    "I": (0.632, -0.235, 0.059),
    "II": (0.235, 1.066, -0.132),
    "V1": (-0.515, 0.157, -0.917),
    "V2": (0.044, 0.164, -1.387),
    "V3": (0.882, 0.098, -1.277),
    "V4": (1.213, 0.127, -0.601),
    "V5": (1.125, 0.127, -0.086),
    "V6": (0.831, 0.076, 0.230),
}
_REACH = 4.5  # widths to each side of a wave that are computed; beyond, it is below 0.004 % of its height


def _matrix() -> NDArray[np.float64]:
    rows = {lead: np.asarray(_DOWER[lead], np.float32) for lead in INDEPENDENT_8}
    rows |= derive_limb_leads({"I": rows["I"], "II": rows["II"]})
    return np.array([rows[lead] for lead in STANDARD_12], np.float64)


LEAD_MATRIX = _matrix()
"""[12, 3]: millivolts in each of the twelve leads for one millivolt along x, y, z."""


@dataclass(frozen=True, slots=True)
class GaussianWave:
    """One Gaussian: centre and widths (standard deviations) in seconds, peak vector in mV.

    ``rise_s`` and ``fall_s`` differ for T waves, which climb slowly and fall fast.
    """

    at_s: float
    rise_s: float
    fall_s: float
    vector: Vector


def heart_vector(waves: list[GaussianWave], n_samples: int, fs_hz: float) -> NDArray[np.float64]:
    """The sum of all waves, [3, samples] mV."""
    vector = np.zeros((3, n_samples))
    for wave in waves:
        first = max(0, int((wave.at_s - _REACH * wave.rise_s) * fs_hz))
        stop = min(n_samples, int((wave.at_s + _REACH * wave.fall_s) * fs_hz) + 1)
        if stop <= first:
            continue
        t = np.arange(first, stop) / fs_hz - wave.at_s
        width = np.where(t < 0, wave.rise_s, wave.fall_s)
        vector[:, first:stop] += np.multiply.outer(wave.vector, np.exp(-0.5 * (t / width) ** 2))
    return vector


def twelve_leads(vector_mv: NDArray[np.float64]) -> NDArray[np.float32]:
    """Projection of the vector [3, samples] onto the twelve leads, [12, samples] mV."""
    return (LEAD_MATRIX @ vector_mv).astype(np.float32)

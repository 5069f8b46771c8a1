"""Input of the ECG tower: the first 10 s of an ECG as float32 [12, 5000], mV at 500 Hz. NumPy and SciPy alone.

The torch and the ONNX run-time share it. The reference feeds records sample for sample at any rate; here leads are put
into canonical order by name and the signal is resampled to 500 Hz. ``parity=True`` switches both off.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.ecg import Ecg
from models.encoder.configuration import FS_HZ, LEADS, SAMPLES
from models.signal.conditioning import to_twelve

Floats = NDArray[np.float32]


def ecg_window(ecg: Ecg, *, parity: bool = False, samples: int = SAMPLES) -> Floats:
    """Window of the ECG tower.

    Parameters
    ----------
    ecg : Ecg
        Any leads and sampling rate; absent leads become zeros.
    parity : bool
        Leads and rate are taken as they are, as the reference does.
    samples : int
        Length of the window.

    Returns
    -------
    float32 [12, samples]
        Millivolts; samples that are not finite are 0, short signals are padded with zeros on the right.

    Raises
    ------
    ValueError
        With ``parity``, an ECG that has not twelve leads.

    Examples
    --------
    >>> ecg_window(Ecg(("II",), 360.0, np.ones((1, 3600), np.float32))).shape
    (12, 5000)
    """
    mv = ecg.mv if parity else to_twelve(ecg, FS_HZ)[0]
    if mv.shape[0] != LEADS:
        raise ValueError(f"the ECG has {mv.shape[0]} leads, the tower takes {LEADS}: {', '.join(ecg.leads)}")
    return fixed_length(mv, samples)


def fixed_length(mv: NDArray[Any], samples: int = SAMPLES) -> Floats:
    """[leads, n] → float32 [leads, samples]: non-finite samples become 0, padded or cut on the right."""
    out = np.zeros((mv.shape[0], samples), np.float32)
    part = mv[:, :samples]
    finite = np.isfinite(part)
    out[:, : part.shape[1]][finite] = part[finite]
    return out

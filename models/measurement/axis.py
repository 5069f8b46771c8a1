"""Frontal QRS axis from the net QRS areas in I and aVF.

In: an ECG [leads, samples] in mV and its measured beats. Out: degrees, (-180, 180].
Method: direction of the vector (I, 2/√3 · aVF), because aVF, an augmented lead, is smaller than a bipolar lead by √3/2
(Novosel 1999). The areas are summed from QRS onset to offset against the isoelectric level and are medians over the
beats. Without aVF its area is that of II less half of I (Einthoven, Goldberger).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np

from models.ecg import Ecg
from models.measurement.delineation import MeasuredBeat
from models.measurement.isoelectric import isoelectric_mv

AUGMENTED_TO_BIPOLAR = 2.0 / math.sqrt(3.0)


def qrs_axis_deg(ecg: Ecg, beats: Sequence[MeasuredBeat], leads: Collection[str] | None = None) -> float | None:
    """Frontal QRS axis.

    Parameters
    ----------
    ecg : Ecg
        The signal.
    beats : sequence of MeasuredBeat
        Conducted beats of it.
    leads : collection of str, optional
        Leads that may be used; all of ``ecg`` where it is left out.

    Returns
    -------
    float or None
        Degrees, (-180, 180]; None without I and aVF or II, or without a measured beat.
    """
    usable = set(ecg.leads if leads is None else leads)
    foot = next((lead for lead in ("aVF", "II") if lead in usable), None)
    if "I" not in usable or foot is None:
        return None
    pairs = [(_area(ecg, "I", m), _area(ecg, foot, m)) for m in beats]
    known = [pair for pair in pairs if np.isfinite(pair).all()]
    if not known:
        return None
    lead_i, lower = np.median(np.array(known), axis=0)
    avf = lower if foot == "aVF" else lower - lead_i / 2
    if lead_i == 0.0 and avf == 0.0:
        return None
    return float(np.degrees(np.arctan2(AUGMENTED_TO_BIPOLAR * avf, lead_i)))


def _area(ecg: Ecg, lead: str, measured: MeasuredBeat) -> float:
    """Sum of a beat's QRS samples above the isoelectric level, mV; NaN where it cannot be measured."""
    onset, offset = measured.overall.qrs_on, measured.overall.qrs_off
    if onset is None or offset is None or offset <= onset:
        return math.nan
    row = ecg.lead(lead)
    level = isoelectric_mv(row, onset, ecg.fs_hz)
    return math.nan if level is None else float(np.sum(row[onset : offset + 1] - level))

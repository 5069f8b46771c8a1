"""Adds the limb leads that follow from the recorded ones (Einthoven and Goldberger), marked as derived.

Input and output: `Ecg`, ``mv`` float32 [leads, samples] in millivolts.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.ecg import Ecg
from models.leads import LIMB, derive_limb_leads, lead_order


def with_derived_leads(ecg: Ecg) -> Ecg:
    """The signal with the limb leads that follow from those recorded, marked as derived.

    A lead that follows from a detached one counts as detached too.
    """
    have = [lead for lead in LIMB if lead in ecg.leads]
    derived = derive_limb_leads({lead: ecg.lead(lead) for lead in have})
    if not derived:
        return ecg
    by_name = dict(zip(ecg.leads, ecg.mv, strict=True)) | derived
    order = tuple(lead_order(list(by_name)))
    off = tuple(derived) if any(lead in ecg.leads_off for lead in have[:2]) else ()
    return replace(
        ecg,
        leads=order,
        mv=np.stack([by_name[x] for x in order]),
        derived=tuple(derived),
        leads_off=(*ecg.leads_off, *off),
    )

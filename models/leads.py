"""Lead names: the twelve in their order, aliases and MDC names, and the derivation of missing limb leads.

The canonical order is that of ECG-CoCa's PTB-XL data and of the drawn page: I, II, III, aVR, aVL, aVF, V1 … V6.
Sources: IEC 60601-2-25 (lead names), ISO/IEEE 11073-10101 (MDC names), Einthoven and Goldberger (derivations).
Needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LIMB = ("I", "II", "III", "aVR", "aVL", "aVF")
CHEST = ("V1", "V2", "V3", "V4", "V5", "V6")
STANDARD_12 = LIMB + CHEST
INDEPENDENT_8 = ("I", "II", *CHEST)

_ALIASES = {name.upper(): name for name in STANDARD_12} | {"MLII": "II"}  # modified lead II is read as II


@lru_cache(maxsize=1024)
def canonical_lead(label: str) -> str:
    """The canonical spelling of a lead label; a rhythm lead keeps its own name.

    >>> canonical_lead("avr"), canonical_lead("MDC_ECG_LEAD_V2"), canonical_lead("MLII"), canonical_lead("MCL1")
    ('aVR', 'V2', 'II', 'MCL1')
    """
    name = label.strip()
    short = name.upper().removeprefix("MDC_ECG_LEAD_")
    return _ALIASES.get(short, name)


def is_standard(lead: str) -> bool:
    """True for one of the twelve (canonical spelling); a rhythm lead is never used as one of them."""
    return lead in STANDARD_12


def lead_order(leads: Sequence[str]) -> list[str]:
    """The leads in canonical order: those of the twelve first, then rhythm leads as they came."""
    return [x for x in STANDARD_12 if x in leads] + [x for x in leads if x not in STANDARD_12]


def derive_limb_leads(by_name: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """The limb leads that are missing and follow from two that are there.

    Einthoven: III = II - I. Goldberger: aVR = -(I + II)/2, aVL = I - II/2, aVF = II - I/2.
    Any two of the six limb leads fix the other four, as long as they are not proportional to each other.

    Parameters
    ----------
    by_name : mapping
        Canonical lead name to mV, [samples].

    Returns
    -------
    dict
        Only the leads that were missing; empty when fewer than two limb leads are there.
    """
    weights = {
        "I": (1.0, 0.0),
        "II": (0.0, 1.0),
        "III": (-1.0, 1.0),
        "aVR": (-0.5, -0.5),
        "aVL": (1.0, -0.5),
        "aVF": (-0.5, 1.0),
    }
    have = [x for x in LIMB if x in by_name][:2]
    missing = [x for x in LIMB if x not in by_name]
    if len(have) < 2 or not missing:
        return {}
    to_i_ii = np.linalg.inv(np.array([weights[x] for x in have]))
    a, b = by_name[have[0]], by_name[have[1]]
    out = {}
    for lead in missing:
        wa, wb = np.array(weights[lead]) @ to_i_ii
        out[lead] = (wa * a + wb * b).astype(np.float32)
    return out


def independent_leads(leads: Sequence[str], derived: Sequence[str] = ()) -> int:
    """How many of the eight independent directions (two limb, six chest) the recorded leads span."""
    recorded = [x for x in leads if x not in derived]
    return min(2, sum(x in LIMB for x in recorded)) + sum(x in CHEST for x in recorded)

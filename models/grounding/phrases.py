"""Phrases for evidence in a report: a value with its unit, and a list of leads."""

from __future__ import annotations

import re
from collections.abc import Sequence

from models.evidence import Evidence
from models.leads import lead_order

_DIGITS = {"ms": 0, "bpm": 0, "mV": 2, "s": 2, "": 2}
"""Decimals by unit."""


def value_phrase(evidence: Evidence) -> str:
    """Value and unit, with the decimals that the unit deserves."""
    return f"{evidence.value:.{_DIGITS[evidence.unit]}f} {evidence.unit}".rstrip()


def displayed(evidence: Evidence) -> float:
    """The value as a text displays it."""
    return float(f"{evidence.value:.{_DIGITS[evidence.unit]}f}")


def leads_phrase(leads: Sequence[str]) -> str:
    """Leads in words; three or more consecutive chest leads as a range.

    >>> leads_phrase(("V4", "II", "V2", "V3")), leads_phrase(("II",))
    ('leads II and V2–V4', 'lead II')
    """
    ordered = lead_order(leads)
    parts: list[str] = []
    chest = [int(x[1:]) for x in ordered if re.fullmatch("V[1-6]", x)]
    for lead in ordered:
        if not re.fullmatch("V[1-6]", lead):
            parts.append(lead)
    while chest:
        run = 1
        while run < len(chest) and chest[run] == chest[0] + run:
            run += 1
        parts += [f"V{chest[0]}–V{chest[run - 1]}"] if run > 2 else [f"V{k}" for k in chest[:run]]
        chest = chest[run:]
    if len(ordered) == 12:
        return "all twelve leads"
    words = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"lead {words}" if len(ordered) == 1 else f"leads {words}"

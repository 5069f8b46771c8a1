"""Which measured values a compact GEM is told in its prompt: those that its text will state.

The order is fixed, values of one lead are named with it, and what was not measured is not there. The same list is used
for training, so the interpreter has to hand over exactly this one.
"""

from __future__ import annotations

from models.evidence import Evidence
from models.grounding.evidence import Facts

ST_STATED_MV = 0.1  # a lead's ST is stated from here on
MOST_ST_LEADS = 4
T_STATED_MV = -0.05  # inverted T waves are stated by their depth
T_LEADS = ("I", "II", "V3", "V4", "V5", "V6")
_ORDER = ("HR", "REGULARITY", "ABSENT_P", "PR", "QRS", "QT", "QTcF")


def stated(facts: Facts) -> list[Evidence]:
    """The values, in the order in which they are told; empty when no lead can be read."""
    if not facts.readable:
        return []
    if facts.fibrillation is not None:
        return [facts.fibrillation]
    if facts.beats == 0:
        return [] if facts.longest_rr is None else [facts.longest_rr]
    names = [n for n in _ORDER if n in facts.evidence and (n != "PR" or facts.p_waves is True)]
    out = [facts.evidence[n] for n in names]
    st = [e for lead, e in facts.st.items() if abs(e.value) >= ST_STATED_MV and lead != "aVR"]
    out += sorted(st, key=lambda e: -abs(e.value))[:MOST_ST_LEADS]
    waves = [e for lead in T_LEADS if (e := facts.wave_evidence(lead, "T")) is not None]
    return out + [e for e in waves if e.value <= T_STATED_MV]

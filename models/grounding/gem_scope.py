"""Segments that GEM cannot describe: `reason_against_gem` says why one gets the rule-based report instead.

Input: the segment's measurements and its alarm code. GEM was trained on conducted beats of diagnostic 10-s ECGs:
ventricular runs, pacing, blocks, pauses and low quality are outside of its training data, and its text on them is
mostly wrong.
"""

from __future__ import annotations

from models.arrhythmia.codes import CODES
from models.grounding.rhythm_rules import RUN
from models.grounding.segment_measurements import SegmentMeasurements

NOT_FOR_GEM = frozenset(
    {"VFIB", "ASYSTOLE", "VTACH", "VRUN", "VRHYTHM", "PAUSE", "AV_BLOCK", "PACER_NOT_CAPTURING", "PACER_NOT_PACING"}
)
"""Alarm codes of events that no text of GEM's names."""
VENTRICULAR_SHARE = 0.25  # of the beats; from there on the text describes the few beats that are conducted
MIN_QUALITY = 0.5  # mean quality of the usable leads
USABLE_SHARE = 0.5  # of the leads


def reason_against_gem(measured: SegmentMeasurements, code: str = "") -> str:
    """Why GEM does not describe a segment; empty where it can.

    >>> import numpy as np
    >>> from models.ecg import Ecg
    >>> reason_against_gem(SegmentMeasurements(ecg=Ecg(("II",), 250.0, np.zeros((1, 0), np.float32))), "VTACH")
    'GEM does not describe ventricular tachycardia'
    """
    if code in NOT_FOR_GEM:
        title = CODES[code].title
        return f"GEM does not describe {title if title[:2].isupper() else title[0].lower() + title[1:]}"
    if RUN.search(measured.kind_sequence):
        return "GEM does not describe ventricular runs"
    if measured.kinds.get("P", 0):
        return "GEM does not describe paced rhythms"
    if measured.blocked:
        return "GEM does not describe P waves that lead no QRS complex"
    if measured.beats and measured.kinds.get("V", 0) > VENTRICULAR_SHARE * measured.beats:
        return "GEM does not describe rhythms in which more than a quarter of the beats are ventricular"
    if measured.usable:
        quality = sum(measured.quality[x] for x in measured.usable) / len(measured.usable)
        if quality < MIN_QUALITY or len(measured.usable) < USABLE_SHARE * len(measured.ecg.leads):
            return "GEM does not describe signals of low quality"
    return ""

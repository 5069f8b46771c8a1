"""Channel labels of recording files: the ECG lead that a label names, or the kind of signal that it names instead.

The label dialects of EDF polysomnography ("ECG II", "EKG-Ref"), WFDB ("MLII", "mod.V1"), Holter and 12-lead exports
("Lead I", "D2", "I-Ref", "aVR") are read as leads. A label that names one of the twelve leads gives its canonical
name; another ECG label ("ECG1", "MCL1", "V") gives a rhythm lead under its own name. Every other label is no ECG lead:
electrode names of the 10-20 system ("C3", "O1") must not be taken as chest leads.
"""

from __future__ import annotations

import re

from models.leads import STANDARD_12, canonical_lead, is_standard

_TWELVE = {lead.upper(): lead for lead in STANDARD_12} | {
    "D1": "I",
    "D2": "II",
    "D3": "III",
    "DI": "I",
    "DII": "II",
    "DIII": "III",
    "LI": "I",
    "LII": "II",
    "LIII": "III",
    "MLII": "II",
    "VR": "aVR",
    "VL": "aVL",
    "VF": "aVF",
}
_PREFIX = re.compile(
    r"^(?:(?:MDC_ECG_LEAD_|MDC_ECG_ELEC_POTL_|E[CK]G|(?:LEAD|DERIVATION|ABLEITUNG|ABL\.?|CHANNEL|CH)(?![A-Z]))[\s._:/-]*)+",
    re.IGNORECASE,
)
_SUFFIX = re.compile(r"(?:[\s._:/-]+(?:REF|REFERENCE|LEAD|E[CK]G)|\s*\(E[CK]G\))$", re.IGNORECASE)

# Other leads of ECG recorders: right and posterior chest leads, modified and bipolar chest leads (Holter), EASI, Frank,
# pairs of limb electrodes.
_RHYTHM = re.compile(
    r"(?:V|V[7-9]|V[1-9]R|M?CL\s?-?\d?|MCL\s?-?V?\d|ML(?:\d|I{1,3})|MV\d|C[MCBSR]\s?-?V?\d[R]?|MOD\.?\s?V?\d?|ML|D[4-9]"
    r"|V[XYZ]|FRANK[\s_-]?[XYZ]|E-?S|A-?S|A-?I|-AVR|V\d\s?-\s?V\d|(?:RA|LA|LL|RL)\s?[-/]\s?(?:RA|LA|LL|RL)"
    r"|RHYTHM.*|HOLTER.*|LEAD[\s._-]?(?:\d{1,2}|[A-Z]))",
    re.IGNORECASE,
)
_ECG_WORD = re.compile(r"(?:^|[^A-Z])E[CK]G|^ELECTROCARDIO", re.IGNORECASE)

_OTHER_KINDS = (
    ("EEG", r".*(?:^|[^A-Z])EEG.*"),
    ("EEG", r"(?:FP|AF|FC|FT|CP|TP|PO|F|C|T|P|O|A|M)(?:Z|\d{1,2})(?:\s?-\s?\w+)?|(?:FP|F|C|P|O)Z.*"),
    ("EOG", r".*\bEOG.*|[LR]OC(?:-.*)?|E[12](?:-.*)?"),
    ("EMG", r".*(?:^|[^A-Z])EMG.*|CHIN.*|L?R?LEG.*|[LR]AT"),
    ("respiration", r".*RESP.*|.*AIR\s?FLOW.*|FLOW.*|.*THOR.*|ABD.*|CHEST|.*EFFORT.*|NASAL.*|IMP(?:EDANCE)?|CO2"),
    ("respiration", r".*SNORE.*|.*CAPNO.*"),
    ("pulse wave", r".*PLETH.*|PPG.*|.*PULSE.*|SPO2.*|SAO2.*|OX.*"),
    ("pressure", r"(?:ABP|ART|BP|CVP|PAP|ICP|IBP|NIBP|RAP|LAP|UAP|AO|PA)\d?(?:[\s_.-].*)?|.*PRESS.*"),
    ("status or marker", r".*(?:STATUS|MARK|EVENT|TRIG|ANNOT|FLAG|BATTERY|QUALITY|LABEL|COUNTER|CLASS|STAGE).*"),
    ("noise", r".*NOISE.*"),
    ("rate", r"(?:.*[^A-Z])?(?:HR|RR|HEART\s?RATE|PR)"),
    ("position, movement or temperature", r".*(?:ACC|GYRO|POSITION|BODY|TEMP|MOTION|ACTIV|LIGHT).*"),
)  # fmt: skip
_KINDS = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _OTHER_KINDS)
_MAYBE_RATE = re.compile(r"PR|RR", re.IGNORECASE)


def ecg_lead(label: str) -> str | None:
    """The lead that a label names: one of the twelve, or a rhythm lead under its own name; None for other labels.

    >>> [ecg_lead(x) for x in ("Lead I", "LII", "ecg ii", "I-Ref", "D1", "EKG-V1", "avr", "ECG1", "EEG Fpz-Cz", "C3")]
    ['I', 'II', 'II', 'I', 'I', 'V1', 'aVR', 'ECG1', None, None]
    """
    name = " ".join(label.split())
    core = _SUFFIX.sub("", _PREFIX.sub("", name)).strip(" ()")
    lead = _twelve(name) or _twelve(core) or _twelve(_SUFFIX.sub("", name))
    if lead is not None:
        return lead
    kind = other_kind(name)
    if kind is not None:
        return None
    if _RHYTHM.fullmatch(core):
        return name if _PREFIX.sub("", name) == name else core
    if _RHYTHM.fullmatch(name) or _ECG_WORD.search(name):
        return name
    return None


def _twelve(name: str) -> str | None:
    """One of the twelve by any of its names; None for another."""
    standard = canonical_lead(name)
    return standard if is_standard(standard) else _TWELVE.get(re.sub(r"[\s_]", "", name).upper())


def other_kind(label: str) -> str | None:
    """The kind of signal that a label names, where it is none of ECG; None where nothing is known about it.

    >>> other_kind("EEG Fpz-Cz"), other_kind("Resp nasal"), other_kind("Status"), other_kind("foo")
    ('EEG', 'respiration', 'status or marker', None)
    """
    name = " ".join(label.split())
    for kind, pattern in _KINDS:
        if pattern.fullmatch(name):
            return kind
    return None

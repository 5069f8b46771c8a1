"""Finding labels of the corpora: the labels of each data set as a table of finding to True or False.

A finding that a data set's labels do not mention is absent from the table, and the losses leave it out. PTB-XL's part
is z-scored per lead, so it trains shape, conduction and rhythm, never voltage (no hypertrophy).

Sources: SCP-ECG statements of PTB-XL (Wagner et al., Sci Data 2020;7:154), diagnoses of LUDB (Kalyakulina et al.,
IEEE Access 2020;8:186181), the classes of the PhysioNet Challenge 2021.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from models.finding_names import SUPERCLASS

FindingLabels = dict[str, bool]


def of_scp(codes: Iterable[str], superclass: str, rhythm: str) -> FindingLabels:
    """PTB-XL: the SCP codes, the superclasses and the rhythms of a manifest row, the latter two joined by ``|``."""
    statements = set(codes)
    classes = set(superclass.split("|"))
    rhythms = set(rhythm.split("|")) - {""}
    labels = {
        **{name: name in classes for name in SUPERCLASS},
        "PVC": bool(statements & {"PVC", "BIGU", "TRIGU"}),
        "PAC": "PAC" in statements,
        "AVB1": "1AVB" in statements or "LPR" in statements,
        "LBBB": "CLBBB" in statements,
        "RBBB": "CRBBB" in statements,
        "IRBBB": "IRBBB" in statements,
        "LAFB": "LAFB" in statements,
    }
    if "INVT" in statements or "NORM" in statements:
        labels["T_INVERTED"] = "INVT" in statements
    if "STD_" in statements or "NORM" in statements:
        labels["ST_DEPRESSED"] = "STD_" in statements
    if "LNGQT" in statements or "NORM" in statements:
        labels["QT_LONG"] = "LNGQT" in statements
    if rhythms:
        labels |= {
            "SINUS": bool(rhythms & {"SR", "SBRAD", "STACH", "SARRH"}),
            "AFIB": bool(rhythms & {"AFIB", "AFLT"}),
            "BRADY": "SBRAD" in rhythms,
            "TACHY": bool(rhythms & {"STACH", "SVTAC", "PSVT"}),
            "IRREGULAR_SINUS": "SARRH" in rhythms,
        }
    return labels


def of_ludb(row: Mapping[str, str]) -> FindingLabels:
    """LUDB: the diagnosis columns of its manifest row."""
    text = {
        k: row[k].lower() for k in ("rhythm", "conduction", "extrasystoles", "pacing", "ischemia", "repolarization")
    }
    conduction = text["conduction"]
    paced = bool(text["pacing"])
    blocks = ("hemiblock", "bundle branch block", "av block", "av-block", "conduction delay")
    labels = {
        "MI": "scar" in text["ischemia"] or "stemi" in text["ischemia"].replace("nstemi", ""),
        "CD": any(b in conduction for b in blocks),
        "STTC": bool(text["repolarization"]) or "ischemia" in text["ischemia"],
        "SINUS": "sinus" in text["rhythm"],
        "AFIB": "atrial f" in text["rhythm"],
        "BRADY": "bradycardia" in text["rhythm"],
        "TACHY": "tachycardia" in text["rhythm"],
        "IRREGULAR_SINUS": "sinus arrhythmia" in text["rhythm"] or "irregular sinus" in text["rhythm"],
        "PACED": paced,
        "PVC": "ventricular extrasystole" in text["extrasystoles"],
        "PAC": "atrial extrasystole" in text["extrasystoles"],
        "AVB1": "i degree av block" in conduction and "ii degree" not in conduction,
        "LBBB": "complete left bundle" in conduction.replace("incomplete", "partial"),
        "RBBB": "complete right bundle" in conduction.replace("incomplete", "partial"),
        "IRBBB": "incomplete right bundle" in conduction,
        "LAFB": "left anterior hemiblock" in conduction,
    }
    if "stemi" in text["ischemia"].replace("nstemi", ""):
        labels["ST_ELEVATED"] = True
    return labels


_CHALLENGE = {  # abbreviation in the sample's manifest -> findings that it implies
    "AF": ("AFIB",),
    "AFL": ("AFIB",),
    "NSR": ("SINUS",),
    "SB": ("SINUS", "BRADY"),
    "STach": ("SINUS", "TACHY"),
    "ST": ("SINUS", "TACHY"),
    "Brady": ("BRADY",),
    "SA": ("IRREGULAR_SINUS", "SINUS"),
    "RBBB": ("RBBB", "CD"),
    "LBBB": ("LBBB", "CD"),
    "IRBBB": ("IRBBB", "CD"),
    "IAVB": ("AVB1", "CD"),
    "1dAVb": ("AVB1", "CD"),
    "VEB": ("PVC",),
    "VPB": ("PVC",),
    "PVC": ("PVC",),
    "MI": ("MI",),
    "OldMI": ("MI",),
    "STD": ("ST_DEPRESSED", "STTC"),
    "TInv": ("T_INVERTED", "STTC"),
    "TAb": ("STTC",),
    "NSSTTA": ("STTC",),
    "LQT": ("QT_LONG", "STTC"),
}


def of_challenge(dx: str) -> FindingLabels:
    """Samples of the Challenge 2021 and CODE-15: a named finding is present; all others are unknown."""
    labels = {finding: True for name in dx.split("|") for finding in _CHALLENGE.get(name.strip(), ())}
    if labels.get("AFIB"):
        labels["SINUS"] = False
    elif labels.get("SINUS"):
        labels["AFIB"] = False
    return labels

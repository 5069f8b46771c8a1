"""Findings of the encoder's heads and of the compact GEM, and their names in words.

The labels of the data sets are mapped to them in `models.corpus.finding_labels`.
"""

from __future__ import annotations

SUPERCLASS = ("NORM", "MI", "CD", "STTC")
RHYTHM = ("SINUS", "AFIB", "BRADY", "TACHY", "IRREGULAR_SINUS", "PACED", "PVC", "PAC")
CONDUCTION = ("AVB1", "LBBB", "RBBB", "IRBBB", "LAFB")
REPOLARISATION = ("T_INVERTED", "ST_DEPRESSED", "ST_ELEVATED", "QT_LONG")
FINDINGS = SUPERCLASS + RHYTHM + CONDUCTION + REPOLARISATION

TITLES = {
    "NORM": "normal ECG",
    "MI": "myocardial infarction",
    "CD": "conduction disturbance",
    "STTC": "ST-T change",
    "SINUS": "sinus rhythm",
    "AFIB": "atrial fibrillation",
    "BRADY": "bradycardia",
    "TACHY": "tachycardia",
    "IRREGULAR_SINUS": "sinus arrhythmia",
    "PACED": "ventricular pacing",
    "PVC": "ventricular ectopic beats",
    "PAC": "atrial ectopic beats",
    "AVB1": "first-degree AV block",
    "LBBB": "left bundle branch block",
    "RBBB": "right bundle branch block",
    "IRBBB": "incomplete right bundle branch block",
    "LAFB": "left anterior fascicular block",
    "T_INVERTED": "T wave inversion",
    "ST_DEPRESSED": "ST depression",
    "ST_ELEVATED": "ST elevation",
    "QT_LONG": "prolonged QT interval",
}
"""Name of each finding in texts."""

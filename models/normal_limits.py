"""Clinical limits of the adult ECG, each once, with its source.

Measurements, reports, grounding rules and alarm criteria import these; alarm limits that people set at a bed are in
`models.arrhythmia.limits`. Units are in the names: bpm, ms, mV, degrees.

Sources. "Confirmed" limits were compared with an abstract, a review or a reprint that quotes the source; the others are
marked "not confirmed": their wording was not found, and they stand as in common use.

* Surawicz 2009: AHA/ACCF/HRS recommendations part III (JACC 53:976), conduction and axis. Confirmed.
* Rautaharju 2009: part IV (JACC 53:982), ST, T and QT. QTc confirmed, T waves not confirmed.
* Sokolow and Lyon 1949: hypertrophy, as quoted by later studies; that Hancock 2009 (part V) lists it, not confirmed.
* Kusumoto 2018: ACC/AHA/HRS guideline on bradycardia and conduction delay. Confirmed.
* Thygesen 2018: fourth universal definition of myocardial infarction. Confirmed.
* J Electrocardiol 2008, 41:281: low voltage. Confirmed.
"""

from __future__ import annotations

# Rate
HR_LOW_BPM = 60.0  # normal sinus rhythm is 60 to 100 bpm, by convention; a slower rate is called slow,
HR_HIGH_BPM = 100.0  # a faster one fast
SINUS_BRADYCARDIA_BPM = 50.0  # sinus bradycardia as a disorder (Kusumoto 2018): a slower ECG is not called normal
PAUSE_S = 2.0  # a time without a beat that a report mentions; our choice, two normal cycles at 60 bpm
LONG_PAUSE_S = 3.0  # sinus pause (Kusumoto 2018: over 3 s); a text may call it asystole

# PR
PR_SHORT_MS = 120.0  # the usual lower limit; shorter: pre-excitation or a junctional rhythm
PR_LONG_MS = 200.0  # longer: first-degree AV block (Kusumoto 2018)

# QRS
QRS_SLIGHTLY_WIDE_MS = 110.0  # over 110 ms is abnormal in adults (Surawicz 2009); of global intervals
QRS_INCOMPLETE_MS = 90.0  # shorter: no incomplete bundle branch block (Surawicz 2009: 110, of the widest lead)
QRS_WIDE_MS = 120.0  # 120 ms and more: bundle branch block (Surawicz 2009)

# Corrected QT
QTC_LONG_MS = {"F": 460.0, "M": 450.0, "": 460.0}  # from this on (Rautaharju 2009); "" unknown: the larger limit
QTC_SHORT_MS = 350.0  # Rautaharju 2009 calls 390 ms and less short; only clearly short intervals are named

# Frontal QRS axis, normal from -30 to 90 degrees (Surawicz 2009)
AXIS_LEFT_DEG = -30.0  # left axis deviation: -30 to -90 degrees
AXIS_RIGHT_DEG = 90.0  # right axis deviation: 90 to 180 degrees
AXIS_EXTREME_DEG = -90.0  # -90 to -180 degrees is neither left nor right
LAFB_AXIS_DEG = -45.0  # left anterior fascicular block: -45 to -90 degrees, one of its four criteria

# ST and T
ST_DEVIATION_MV = 0.1  # Thygesen 2018: elevation at the J point, but 0.15 to 0.25 mV in V2 and V3, and depression from
# 0.05 mV on; here one limit for both directions and all leads, 60 ms after the J point
T_INVERTED_MV = -0.05  # half a millimetre, our choice; -0.1 mV in Rautaharju 2009 (not confirmed)
T_FLAT_MV = 0.1  # T peak within this of the baseline: flat (Rautaharju 2009, not confirmed)
T_UPRIGHT_LEADS = ("I", "II", "V3", "V4", "V5", "V6")  # where the T wave of an adult is upright

# Amplitudes
LOW_VOLTAGE_LIMB_MV = 0.5  # QRS peak to peak in all limb leads (J Electrocardiol 2008, 41:281)
LOW_VOLTAGE_CHEST_MV = 1.0  # and in all chest leads
LVH_MV = 3.5  # S in V1 and R in V5 or V6, 3.5 mV and more (Sokolow and Lyon 1949)
Q_WAVE_MV = 0.1  # a Q wave of an infarction: 0.1 mV deep, and 30 ms, which is not asked for here (Thygesen 2018)
Q_WAVE_SHARE = 0.25  # and a quarter of the R wave: smaller ones are normal septal Q waves (Thygesen 2018)

# Evidence. A value outside is an error of measurement or of detection and is never cited. The ranges are our choice.
EDGE_S = 0.060  # a wave is not measured within this of the segment's edges: its boundary may lie outside
POSSIBLE = {
    "HR": (15.0, 350.0),  # bpm; a longer cycle is reported as a time without a beat, a shorter one is fibrillation
    "P": (40.0, 200.0),  # ms; normal up to 120 ms
    "PR": (80.0, 400.0),  # ms; conduction after 400 ms is rare, and a P wave that far away is not surely conducted
    "QRS": (50.0, 250.0),  # ms; Surawicz 2009: 74 to 114 ms in men, global; medians over the leads are shorter
    "QT": (200.0, 700.0),  # ms; in congenital short QT about 260 to 280 ms at 60 to 75 bpm (Gussak 2000)
    "QTc": (220.0, 750.0),  # ms; as QT
    "QTcF": (220.0, 750.0),  # ms; as QT
    "ST": (-1.5, 1.5),  # mV; more is baseline or artefact
}
"""Physiologically possible values by measure, wider than any normal limit."""
IRREGULAR_RR = 0.12  # sd/mean of RR from which a rhythm is irregular; our choice
NAMED_RHYTHM_BEATS = 3  # fewer beats do not name a rhythm: two RR intervals are the least that can be compared


def qtc_long_ms(sex: str = "") -> float:
    """The limit of the corrected QT for ``"F"``, ``"M"`` or unknown sex, ms.

    >>> qtc_long_ms("M"), qtc_long_ms("F"), qtc_long_ms("")
    (450.0, 460.0, 460.0)
    """
    return QTC_LONG_MS.get(sex, QTC_LONG_MS[""])


def is_qtc_long(ms: float, sex: str = "") -> bool:
    """Whether a corrected QT, as displayed in whole milliseconds, is long: the one definition of "long QTc".

    >>> is_qtc_long(449.6, "M"), is_qtc_long(459.4, "F")
    (True, False)
    """
    return round(ms) >= qtc_long_ms(sex)

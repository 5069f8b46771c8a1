"""Clinical limits of the adult ECG, each once, with its source.

Measurements, reports, grounding rules and alarm criteria import these; alarm limits that people set at a bed are in
`models.arrhythmia.limits`. Units are in the names: bpm, ms, mV, degrees.

Sources: Surawicz 2009 (AHA/ACCF/HRS recommendations, part III: QRS, axis), Rautaharju 2009 (part IV: ST, T, QT),
Hancock 2009 (part V: hypertrophy), Kusumoto 2018 (ACC/AHA/HRS: bradycardia and conduction delay), Page 2015
(ACC/AHA/HRS: pre-excitation), Thygesen 2018 (fourth universal definition of myocardial infarction), Sokolow and Lyon
1949.
"""

from __future__ import annotations

# Rate
HR_LOW_BPM = 60.0  # normal sinus rhythm is 60 to 100 bpm (the usual adult range); a slower rate is called slow,
HR_HIGH_BPM = 100.0  # a faster one fast
SINUS_BRADYCARDIA_BPM = 50.0  # sinus bradycardia as a disorder (Kusumoto 2018): a slower ECG is not called normal
PAUSE_S = 2.0  # a time without a beat that a report mentions
LONG_PAUSE_S = 3.0  # sinus pause or arrest (Kusumoto 2018); a text may call it asystole

# PR
PR_SHORT_MS = 120.0  # shorter: pre-excitation (Page 2015) or a junctional rhythm
PR_LONG_MS = 200.0  # longer: first-degree AV block (Kusumoto 2018)

# QRS
QRS_SLIGHTLY_WIDE_MS = 110.0  # over 110 ms: incomplete block or intraventricular delay (Surawicz 2009)
QRS_WIDE_MS = 120.0  # 120 ms and more: bundle branch block (Surawicz 2009)

# Corrected QT
QTC_LONG_MS = {"F": 460.0, "M": 450.0, "": 460.0}  # by sex, "" unknown: the larger limit (Rautaharju 2009)
QTC_SHORT_MS = 350.0  # well below the 390 ms of Rautaharju 2009: only clearly short intervals are named

# Frontal QRS axis (Surawicz 2009)
AXIS_LEFT_DEG = -30.0  # left axis deviation: -30 to -90 degrees
AXIS_RIGHT_DEG = 90.0  # right axis deviation: 90 to 180 degrees
AXIS_EXTREME_DEG = -90.0  # -90 to -180 degrees is neither left nor right
LAFB_AXIS_DEG = -45.0  # left anterior fascicular block: -45 to -90 degrees

# ST and T
ST_DEVIATION_MV = 0.1  # new deviation at the J point in most leads (Thygesen 2018); here without regard to age and sex
T_INVERTED_MV = -0.05  # half a millimetre; Rautaharju 2009 calls a T wave inverted from -0.1 mV on
T_FLAT_MV = 0.1  # T peak within this of the baseline: flat (Rautaharju 2009)
T_UPRIGHT_LEADS = ("I", "II", "V3", "V4", "V5", "V6")  # where the T wave of an adult is upright (Rautaharju 2009)

# Amplitudes
LOW_VOLTAGE_LIMB_MV = 0.5  # QRS peak to peak in all limb leads: the usual criterion of low voltage
LOW_VOLTAGE_CHEST_MV = 1.0  # and in all chest leads
LVH_MV = 3.5  # S in V1 and R in V5 or V6 (Sokolow and Lyon 1949; Hancock 2009)
Q_WAVE_MV = 0.1  # a Q wave of an infarction: 0.1 mV deep (Thygesen 2018)
Q_WAVE_SHARE = 0.25  # and a quarter of the R wave: the usual criterion

# Evidence. A value outside is an error of measurement or of detection and is never cited.
EDGE_S = 0.060  # a wave is not measured within this of the segment's edges: its boundary may lie outside
POSSIBLE = {
    "HR": (15.0, 350.0),  # bpm; a longer cycle is reported as a time without a beat, a shorter one is fibrillation
    "P": (40.0, 200.0),  # ms; interatrial block begins at 120 ms, the widest published P waves have 180 ms
    "PR": (80.0, 400.0),  # ms; pre-excitation rarely below 80 ms, and conduction after 400 ms is rare and uncertain
    "QRS": (50.0, 250.0),  # ms; narrowest of adults about 60 ms, widest in hyperkalaemia and pacing about 240 ms
    "QT": (200.0, 700.0),  # ms; congenital short QT about 220 ms, torsade with QT up to 700 ms
    "QTc": (220.0, 750.0),  # ms; as QT
    "QTcF": (220.0, 750.0),  # ms; as QT
    "ST": (-1.5, 1.5),  # mV; the largest infarctions elevate ST by about 1 mV, more is baseline or artefact
}
"""Physiologically possible values by measure, wider than any normal limit."""
NAMED_RHYTHM_BEATS = 3  # fewer beats do not name a rhythm: two RR intervals are the least that can be compared


def qtc_long_ms(sex: str = "") -> float:
    """The limit of the corrected QT for ``"F"``, ``"M"`` or unknown sex, ms.

    >>> qtc_long_ms("M"), qtc_long_ms("F"), qtc_long_ms("")
    (450.0, 460.0, 460.0)
    """
    return QTC_LONG_MS.get(sex, QTC_LONG_MS[""])

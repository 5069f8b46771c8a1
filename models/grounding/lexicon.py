"""The words of ECG prose: leads and regions, measures and units, findings, negation, hedges.

Patterns are for lower-case text of the same length as the original, except the leads, whose case tells ``I`` from a
pronoun. A finding is named by what it says is there; words that say the opposite (`irregular`, `absent P waves`) are
the same finding denied.
"""

from __future__ import annotations

import re

from models.leads import CHEST, LIMB

REGIONS: dict[str, tuple[str, ...]] = {
    "anterolateral": ("I", "aVL", "V3", "V4", "V5", "V6"),
    "inferolateral": ("II", "III", "aVF", "V5", "V6"),
    "anteroseptal": ("V1", "V2", "V3", "V4"),
    "high lateral": ("I", "aVL"),
    "inferior": ("II", "III", "aVF"),
    "lateral": ("I", "aVL", "V5", "V6"),
    "anterior": ("V2", "V3", "V4"),
    "septal": ("V1", "V2"),
    "right precordial": ("V1", "V2", "V3"),
    "left precordial": ("V4", "V5", "V6"),
    "mid-precordial": ("V3", "V4"),
    "precordial": CHEST,
    "chest": CHEST,
    "limb": LIMB,
}
"""Regions as leads; longer names first, so that `anterolateral` is not read as `lateral`."""

_LEAD = r"(?:aVR|aVL|aVF|AVR|AVL|AVF|avr|avl|avf|III|II|I|[Vv][1-6])"
_TO = r"(?:\s*[-–—]\s*|\s+(?:to|through|thru)\s+)"
_NEXT = r"(?:\s*,\s*(?:and\s+|or\s+)?|\s+(?:and|or|&)\s+|\s*/\s*|\s*[-–—]\s*|\s+(?:to|through|thru)\s+)"
LEAD_GROUP = re.compile(
    rf"(?:\b[Ll]eads?\s*:?\s+)?(?<![A-Za-z0-9]){_LEAD}(?:{_NEXT}(?:leads?\s+)?(?:{_LEAD}|[1-6]))*(?![A-Za-z0-9])"
)
LEAD = re.compile(rf"{_LEAD}|[1-6]")
LEAD_RANGE = re.compile(rf"[Vv]([1-6]){_TO}[Vv]?([1-6])")
REGION_GROUP = re.compile(r"\b(?:(?:" + "|".join(REGIONS) + r")(?:\s*(?:,|and|/|or)\s*)?)+\s*leads?\b", re.IGNORECASE)
ALL_LEADS = re.compile(
    r"\b(?:all|every|each of the|most)(?: of the)?(?: twelve| 12| recorded| other| standard)? leads?\b|"
    r"\bdiffuse(?:ly)?\b|\b(?:in|across) each lead\b",
    re.IGNORECASE,
)

UNITS = {
    "ms": ("ms", 1.0),
    "msec": ("ms", 1.0),
    "msecs": ("ms", 1.0),
    "millisecond": ("ms", 1.0),
    "milliseconds": ("ms", 1.0),
    "s": ("s", 1.0),
    "sec": ("s", 1.0),
    "secs": ("s", 1.0),
    "second": ("s", 1.0),
    "seconds": ("s", 1.0),
    "bpm": ("bpm", 1.0),
    "beats per minute": ("bpm", 1.0),
    "beats/min": ("bpm", 1.0),
    "beats/minute": ("bpm", 1.0),
    "beats a minute": ("bpm", 1.0),
    "/min": ("bpm", 1.0),
    "per minute": ("bpm", 1.0),
    "a minute": ("bpm", 1.0),
    "mv": ("mV", 1.0),
    "millivolt": ("mV", 1.0),
    "millivolts": ("mV", 1.0),
    "µv": ("mV", 1e-3),
    "uv": ("mV", 1e-3),
    "μv": ("mV", 1e-3),
    "mm": ("mV", 0.1),
    "millimeter": ("mV", 0.1),
    "millimeters": ("mV", 0.1),
    "millimetres": ("mV", 0.1),
    "°": ("deg", 1.0),
    "degrees": ("deg", 1.0),
    "degree": ("deg", 1.0),
}
_UNIT = "|".join(re.escape(u) for u in sorted(UNITS, key=len, reverse=True))
NUMBER = re.compile(
    rf"(?<![\w.\[])(?P<sign>[+\-−]\s?)?(?P<low>\d+(?:\.\d+)?)(?:\s*(?:{_UNIT})?(?:\s*[-–—]\s*|"
    rf"\s+to\s+)(?P<high>\d+(?:\.\d+)?))?"
    rf"(?P<unit>\s*-?(?:{_UNIT})(?![a-z]))?(?![\w\]:]|\.\d)"
)

MEASURE_WORDS: tuple[tuple[str, str], ...] = (
    ("QTcF", r"\bqtcf\b|\bqtc? \(?fridericia\)?|\bfridericia(?:-corrected)?(?: qtc?)?"),
    ("QTc", r"\bqtcb?\b(?: interval| \(?bazett\)?)?|\bcorrected qt\b(?: interval)?"),
    ("QT", r"\bqt\b(?: interval| duration)?"),
    ("PR", r"\bp-?[rq]\b(?!-?segment)(?: interval| duration)?"),
    ("QRS", r"\bqrs\b(?: complex(?:es)?)?(?: duration| width)?"),
    (
        "RR",
        r"\br-?r\b(?: intervals?)?|\bpauses?\b|\basystol(?:e|ic)\b|\bstops?\b|\bstandstill\b|\bwithout (?:a |"
        r"any )?(?:beats?|qrs)|\bno beats?\b",
    ),
    ("ATRIAL_RATE", r"\batrial rate\b"),
    ("HR", r"\b(?:heart|ventricular|pulse)[ -]rates?\b|\brate\b|\bhr\b"),
    ("ST_DURATION", r"\bst(?:[ -]segments?)? duration\b"),
    ("ST", r"\bst\b(?:[ -]segments?)?(?: (?:elevations?|depressions?|deviation|level|shift|changes?))?"),
    ("P", r"\bp[ -]?waves?\b(?: duration| amplitude| height)?|\bp (?:duration|amplitude)\b"),
    ("T", r"\bt[ -]?waves?\b(?: duration| amplitude| height)?|\bt (?:duration|amplitude)\b"),
    ("R", r"\br[ -]?waves?\b(?: amplitude| height)?|\br amplitude\b|\bqrs amplitude\b"),
    ("S", r"\bs[ -]?waves?\b(?: amplitude| depth)?"),
    ("Q", r"\bq[ -]?waves?\b(?: amplitude| depth| duration)?"),
    ("AXIS", r"\baxis\b"),
)
"""Measure to the words that name it, the longer names first."""

REFERENCE = re.compile(
    r"(?:normal(?:ly|s)?(?: (?:range|limits?|values?|duration|is|being|upper limit))*(?: of| is|:| between| from|"
    r" under)?|reference(?: range)?:?|"
    r"upper limit(?: of normal)?(?: of| is|:)?|threshold(?: of)?|cut-?off(?: of)?|limit of|criteri(?:on|a)(?: of|"
    r" is|:)?|defined as|by definition)"
    r"\s*\(?(?:is |of |between |from |up to |above |below |over |under |[<>≤≥]=?\s*)*$"
)
"""What stands before a number that is a limit, not a measurement."""

BELOW = re.compile(
    r"(?:\bless than|\bunder|\bbelow|<|≤|\bup to|\bwithin|\bno more than|\bnot exceeding|\bshorter than|\bat most|"
    r"\bslower than)\s*(?:or equal to )?$"
)
ABOVE = re.compile(
    r"(?:\bmore than|\bgreater than|\bover|\babove|>|≥|\bexceed(?:s|ing)|\bat least|\blonger than|\bfaster than|"
    r"\bin excess of)\s*(?:or equal to )?$"
)
OR_MORE = re.compile(r"^\s*or (?:more|longer|greater|higher|above|faster)\b")
OR_LESS = re.compile(r"^\s*or (?:less|shorter|lower|below|slower|fewer)\b")

_WAVE = r"(?:[ -]?waves?)"
_INVERTED = r"(?:inver(?:ted|sions?|t)|negative)"
_LONG = r"(?:prolong(?:ed|ation)|long(?!er)|lengthened|increased|extended|delayed)"
_NORMAL = r"(?:normal|within normal limits|unremarkable|within (?:the )?normal range)"
_IS = (
    r"(?:\s+(?:intervals?|duration|complex(?:es)?|morphology|configuration|segments?|waves?|deviation|"
    r"progression|levels?))*\s*:?(?:\s+of)?(?:\s+\(?\d+(?:\.\d+)?\s*(?:ms|s|mv|bpm)?\)?)?(?:\s+(?:is|are|was|"
    r"were|remains?|appears?|seems?|measures?|shows?|being|looks?))*,?(?:\s+(?:also|all|both|clearly|"
    r"consistently|mildly|markedly|slightly|significantly|borderline|generally|now|of|at|mostly|broadly|"
    r"well))*(?:\s+not)?\s+"
)


FINDING_WORDS: tuple[tuple[str, bool, str], ...] = (
    # rhythm
    ("SINUS_BRADY", True, r"\bsinus bradycardia\b"),
    ("SINUS_TACHY", True, r"\bsinus tachycardia\b"),
    ("SINUS_ARRHYTHMIA", True, r"\bsinus arrhythmia\b"),
    ("SINUS", True, r"\b(?:normal )?sinus rhythm\b|\bnsr\b|\bsinus (?:mechanism|origin)\b"),
    ("AFIB", True, r"\batrial fibrillation\b|\ba-?fib\b|\baf\b"),
    ("AFLUT", True, r"\b(?:atrial )?flutter\b(?! waves? (?:of|in) ventric)"),
    ("VFIB", True, r"\bventricular fibrillation\b|\bv-?fib\b|\bvf\b|\bventricular flutter\b"),
    ("VTACH", True, r"\bventricular tachycardia\b|\bv-?tach\b|\bvt\b"),
    ("SVT", True, r"\bsupraventricular tachycardia\b|\bp?svt\b"),
    ("ASYSTOLE", True, r"\basystol(?:e|ic)\b|\bstandstill\b"),
    (
        "PACED",
        True,
        r"\bpaced\b(?: rhythm)?|\bpac(?:ing|emaker) (?:spikes?|rhythm|artefacts?|artifacts?|stimuli)\b|"
        r"\bventricular pacing\b|\bpacemaker rhythm\b",
    ),
    ("JUNCTIONAL", True, r"\bjunctional (?:escape )?rhythm\b|\bnodal rhythm\b"),
    ("BIGEMINY", True, r"\bbigemin(?:y|us)\b"),
    ("TRIGEMINY", True, r"\btrigemin(?:y|us)\b"),
    (
        "PVC",
        True,
        r"\b(?:premature )?ventricular (?:premature |ectopic )?(?:complex(?:es)?|beats?|contractions?|ectop(?:y|"
        r"ics?)|extrasystoles?|premature beats?)\b|\bpvcs?\b|\bvpbs?\b|\bvebs?\b|\bventricular ectopy\b",
    ),
    (
        "PAC",
        True,
        r"\b(?:premature )?(?:atrial|supraventricular) (?:premature |ectopic )?(?:complex(?:es)?|beats?|"
        r"contractions?|ectop(?:y|ics?)|extrasystoles?|premature beats?)\b|\bpacs?\b|\bapbs?\b|\batrial ectopy\b",
    ),
    ("BRADY", True, r"\bbradycardi[ac]\b|\bslow (?:ventricular |heart )?rate\b"),
    ("TACHY", True, r"\btachycardi[ac]\b|\b(?:rapid|fast) (?:ventricular |heart )?(?:rate|response)\b"),
    ("RATE_NORMAL", True, rf"\bnormal (?:heart |ventricular )?rate\b|\b(?:heart |ventricular )?rate{_IS}{_NORMAL}\b"),
    (
        "REGULAR",
        False,
        r"\birregular(?:ly)?(?: irregular)?\b(?: rhythm| r-?r(?: intervals?)?)?|\bvar(?:ying|"
        r"iable) r-?r(?: intervals?)?",
    ),
    (
        "REGULAR",
        True,
        r"(?<!ir)(?<!ir-)\bregular(?:ly)?\b(?: rhythm| r-?r(?: intervals?)?)?|\b(?:constant|consistent|"
        r"equal) r-?r(?: intervals?)?|\br-?r intervals? (?:is|are|remains?) (?:constant|consistent|equal)\b",
    ),
    # P waves and AV conduction
    ("P_INVERTED", True, rf"\binverted p{_WAVE}|\bp{_WAVE}{_IS}{_INVERTED}\b"),
    (
        "P_WAVES",
        False,
        rf"\b(?:absent|absence of|missing|lack of|loss of)(?: (?:any|clear|discernible|distinct|visible|"
        rf"identifiable|organi[sz]ed))* p{_WAVE}|\bp{_WAVE}{_IS}(?:absent|missing|not (?:seen|visible|"
        rf"discernible|present|identifiable|identified|detected|found)|cannot be (?:seen|identified|made out))\b",
    ),
    (
        "P_WAVES",
        True,
        rf"\bp{_WAVE}(?:{_IS}(?:clearly |easily )?(?:present|visible|seen|upright|identifiable|discernible|"
        rf"identified|normal|uniform)|,? (?:clearly |consistently |each |all )?(?:preced(?:e|es|ing)|before|"
        rf"lead(?:s|ing)?|followed by)\b)|\b(?:clear|upright|visible|normal|discernible|distinct|identifiable|"
        rf"preceding|present|organi[sz]ed|sinus|uniform|consistent) p{_WAVE}|\bpresence of p{_WAVE}|"
        rf"\bpreceded by (?:a |an )?(?:upright |normal |clear )?p{_WAVE}|\bwith p{_WAVE}|\bno p{_WAVE}|"
        rf"\bwithout (?:any |clear |discernible |visible )*p{_WAVE}",
    ),
    (
        "AVB3",
        True,
        r"\b(?:complete|third[- ]degree|3rd[- ]degree) (?:av|a-v|atrioventricular|heart) block\b|"
        r"\bav dissociation\b|\bcomplete heart block\b",
    ),
    ("AVB2", True, r"\b(?:second|2nd)[- ]degree (?:av|a-v|atrioventricular|heart) block\b|\bwenckebach\b|\bmobitz\b"),
    ("AVB1", True, r"\b(?:first|1st)[- ]degree (?:av |a-v |atrioventricular |heart )?block\b"),
    (
        "PR_LONG",
        True,
        rf"\b{_LONG} p-?[rq]\b(?: interval)?|\bp-?[rq]{_IS}{_LONG}\b|\bp-?[rq](?: interval)? prolongation\b"
        r"|\bprolongation of the p-?[rq]\b(?: interval)?",
    ),
    ("PR_SHORT", True, rf"\bshort(?:ened)? p-?[rq]\b(?: interval)?|\bp-?[rq]{_IS}short(?:ened)?\b"),
    ("PR_NORMAL", True, rf"\bnormal p-?[rq]\b(?: interval)?|\bp-?[rq]{_IS}{_NORMAL}\b"),
    # QRS
    ("LBBB", True, r"\b(?:complete )?left bundle[- ]branch block\b|(?<!incomplete )\blbbb\b"),
    ("IRBBB", True, r"\b(?:incomplete|partial) right bundle[- ]branch block\b|\birbbb\b|\bincomplete rbbb\b"),
    (
        "RBBB",
        True,
        r"(?<!incomplete )(?<!partial )\b(?:complete )?right bundle[- ]branch block\b|(?<!incomplete )\brbbb\b",
    ),
    ("LAFB", True, r"\bleft anterior (?:fascicular block|hemiblock)\b|\blafb\b"),
    (
        "CONDUCTION",
        True,
        r"\b(?:intraventricular )?conduction (?:disturbances?|delays?|defects?|abnormalit(?:y|ies))\b",
    ),
    (
        "QRS_WIDE",
        True,
        rf"\b(?:wide|broad|widened|{_LONG})(?:[ -]complex)? qrs\b(?: complex(?:es)?| duration)?|"
        rf"\bqrs{_IS}(?:wide|broad|widened|{_LONG})\b|\bwide[- ]complex\b|\bbroad[- ]complex\b|\bqrs widening\b",
    ),
    (
        "QRS_WIDE",
        False,
        rf"\bnarrow(?:[ -]complex)? qrs\b(?: complex(?:es)?)?|\bqrs{_IS}(?:narrow|{_NORMAL})\b|"
        rf"\bnarrow[- ]complex\b|\bnormal qrs\b(?: duration| complex(?:es)?)?",
    ),
    (
        "AXIS_LEFT",
        True,
        r"\bleft[- ]axis(?: deviation)?\b|\baxis (?:is |shows )?(?:deviated to the left|leftward)|"
        r"\bleftward axis\b|\blad\b",
    ),
    (
        "AXIS_RIGHT",
        True,
        r"\bright[- ]axis(?: deviation)?\b|\baxis (?:is |shows )?(?:deviated to the right|rightward)|"
        r"\brightward axis\b",
    ),
    ("AXIS_NORMAL", True, rf"\bnormal (?:qrs |electrical |cardiac |frontal )*axis\b|\b(?:qrs )?axis{_IS}{_NORMAL}\b"),
    ("LVH", True, r"\bleft ventricular hypertrophy\b|\blvh\b"),
    ("LOW_VOLTAGE", True, r"\blow[- ](?:qrs )?(?:voltage|amplitude)s?\b"),
    ("R_PROGRESSION_POOR", True, rf"\bpoor r{_WAVE} progression\b"),
    (
        "R_PROGRESSION_POOR",
        False,
        rf"\b(?:normal|good|preserved) r{_WAVE} progression\b|\br{_WAVE} progression{_IS}{_NORMAL}\b",
    ),
    (
        "Q_WAVES",
        True,
        rf"\b(?:pathologic(?:al)?|significant|deep|abnormal|prominent)? ?q{_WAVE}\b|\bqs complex(?:es)?\b",
    ),
    # ST-T and QT
    (
        "ST_ELEVATED",
        True,
        r"\bst(?:[ -]segments?)?[ -](?:elevations?|elevated)\b|\bst(?:[ -]segments?)? (?:is|are|was|were|"
        r"appears?) (?:\w+ )?elevated\b|\belevated st\b(?:[ -]segments?)?|"
        r"\belevation of the st(?:[ -]segments?)?|\bstemi\b",
    ),
    (
        "ST_DEPRESSED",
        True,
        r"\bst(?:[ -]segments?)?[ -](?:depressions?|depressed)\b|\bst(?:[ -]segments?)? (?:is|are|was|were|"
        r"appears?) (?:\w+ )?depressed\b|\bdepressed st\b(?:[ -]segments?)?|"
        r"\bdepression of the st(?:[ -]segments?)?",
    ),
    ("ST_CHANGED", True, r"\bst(?:[ -]segments?)?(?:-t)?[ -](?:deviations?|changes?|abnormalit(?:y|ies)|shifts?)\b"),
    (
        "ST_CHANGED",
        False,
        rf"\bisoelectric st\b(?:[ -]segments?)?|\bst(?:[ -]segments?)?{_IS}(?:isoelectric|{_NORMAL}|"
        rf"at baseline)\b|\bnormal st\b(?:[ -]segments?)?",
    ),
    (
        "T_INVERTED",
        True,
        rf"\bt{_WAVE}? {_INVERTED}\b|\binverted t{_WAVE}|\bt{_WAVE}{_IS}{_INVERTED}\b|"
        rf"\binversion of the t{_WAVE}|\btwi\b",
    ),
    (
        "T_FLAT",
        True,
        rf"\bflat(?:tened)? t{_WAVE}|\bt{_WAVE} flattening\b|\bt{_WAVE}{_IS}flat(?:tened)?\b|"
        rf"\blow[- ]amplitude t{_WAVE}",
    ),
    ("T_TALL", True, rf"\b(?:peaked|tall|hyperacute) t{_WAVE}|\bt{_WAVE}{_IS}(?:peaked|tall|hyperacute)\b"),
    ("T_INVERTED", False, rf"\b(?:upright|positive|normal) t{_WAVE}|\bt{_WAVE}{_IS}(?:upright|positive|{_NORMAL})\b"),
    (
        "QT_LONG",
        True,
        rf"\b{_LONG} (?:corrected )?qtc?f?\b(?: interval)?|\bqtc?f?{_IS}{_LONG}\b|"
        rf"\bprolongation of the qtc?\b(?: interval)?|\bqtc?(?: interval)? prolongation\b|\blong qt syndrome\b",
    ),
    ("QT_SHORT", True, rf"\bshort(?:ened)? qtc?\b(?: interval)?|\bqtc?f?{_IS}short(?:ened)?\b"),
    ("QT_LONG", False, rf"\bnormal (?:corrected )?qtc?f?\b(?: interval)?|\bqtc?f?{_IS}{_NORMAL}\b"),
    # conclusions
    (
        "NORMAL_ECG",
        True,
        r"\b(?:otherwise )?normal (?:ecg|ekg|electrocardiogram|tracing|12-lead ecg)\b|"
        r"\becg is (?:within normal limits|normal)\b",
    ),
    (
        "MI",
        True,
        r"\bmyocardial (?:infarction|injury|damage)\b|\binfarct(?:ion)?\b|\bmi\b(?!n)|\bacute coronary occlusion\b",
    ),
    ("ISCHEMIA", True, r"\bmyocardial isch[ae]+mia\b|\bisch[ae]+mi[ac]\b"),
)
"""Finding, whether the words say that it is there, and the words."""

TAKES_LEADS = frozenset(
    {
        "P_INVERTED",
        "P_WAVES",
        "Q_WAVES",
        "LOW_VOLTAGE",
        "ST_ELEVATED",
        "ST_DEPRESSED",
        "ST_CHANGED",
        "T_INVERTED",
        "T_FLAT",
        "T_TALL",
    }
)
"""Findings of leads; the others are of the whole recording, whatever lead is named beside them."""

NEGATION = re.compile(
    r"\b(?:no|not|without|neither|nor|never|absence of|absent(?=\s*$)|lack of|lacks|lacking|free of|against|"
    r"rules? out|ruled out|excludes?|negative for|denies|"
    r"no (?:signs?|evidence|indication) of|rather than|instead of|doubt|isn't|aren't|non)\b"
)
NEGATION_AFTER = re.compile(
    r"^\s*(?:\w+\s+){0,3}?(?:(?:is|are|was|were|can be|could be)\s+)?(?:absent|not (?:seen|present|observed|"
    r"noted|evident|identified|visible|detected|found|apparent)|excluded|ruled out|unlikely|missing)\b"
)
SCOPE_END = re.compile(
    r"\b(?:but|however|although|though|except|yet|while|whereas|because|indicating|suggesting|consistent|which|"
    r"therefore|there (?:is|are)|shows?|with|and (?:the|an?|is|are))\b|[;:(]|,(?!\s*(?:no|or|nor|and no)\b)"
)
"""Where a negation stops."""
HEDGE = re.compile(
    r"\b(?:may|might|could|possibl[ey]|probabl[ey]|suggest(?:s|ive|ing)?|consistent with|compatible with|"
    r"cannot (?:be )?(?:exclude[d]?|rule[d]? out)|likely|consider|"
    r"concern(?:ing)? for|suspicious|questionable|borderline|raises?|potential(?:ly)?|indicative of)\b"
)
NOT_A_CLAIM = re.compile(
    r"\b(?:if|should|recommend(?:ed)?|would|history of|risk of|can (?:cause|lead|be seen|occur)|definition|"
    r"in general|typically (?:seen|found)|"
    r"differential)\b"
)
"""Sentences with one of these before the words speak of what might be, not of this signal."""

RULE_SENTENCE = re.compile(r"^\s*the normal\b[^.;]*\b(?:is|are|ranges?|lies)\b[^.;]*\d")
"""A whole sentence that states a normal range."""
NOT_A_CLAIM_AFTER = re.compile(
    r"^[^.;]*?\b(?:(?:is|are) (?:defined|considered|regarded)|can (?:cause|lead|be seen|occur|result)|would|should)\b"
)
"""… or with one of these behind them."""
NORMAL_WORDS = frozenset({"AXIS_NORMAL", "PR_NORMAL", "RATE_NORMAL", "REGULAR", "SINUS", "NORMAL_ECG"})
"""Findings that `no … and …` does not deny: in "no ST elevation and normal axis" the axis is said."""

BEAT = re.compile(
    r"\bbeats?\s+(?:no\.?\s*|number\s*|#\s*)?(\d+)(?:\s*(?:-|–|to|and)\s*(\d+))?|\b(\d+)(?:st|nd|rd|th) beat\b|"
    r"\b(first|second|third|fourth|fifth|sixth|last) beat\b"
)
ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "last": -1}

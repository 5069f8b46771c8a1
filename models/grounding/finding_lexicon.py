"""Lexicon of findings: the words of ECG prose that state or deny each finding.

Patterns match lower-case text. A finding is named by its presence; words of the opposite (``irregular``,
``absent P waves``) are the same finding, denied.
"""

from __future__ import annotations

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
_RATE_IS = rf"\b(?:heart |ventricular )?rate{_IS}"


FINDING_PATTERNS: tuple[tuple[str, bool, str], ...] = (
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
    ("COUPLET", True, r"\b(?:ventricular )?couplets?\b"),
    (
        "VRUN",
        True,
        r"\bventricular (?:runs?|salvos?)\b|\b(?:runs?|salvos?) of (?:ventricular (?:beats|ectopics)|pvcs)\b",
    ),
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
    ("BRADY", True, rf"\bbradycardi[ac]\b|\bslow (?:ventricular |heart )?rate\b|{_RATE_IS}(?:slow|low)\b"),
    (
        "TACHY",
        True,
        r"\btachycardi[ac]\b|\b(?:rapid|fast) (?:ventricular |heart )?(?:rate|response)\b|"
        rf"{_RATE_IS}(?:fast|rapid|high)\b",
    ),
    ("RATE_NORMAL", True, rf"\bnormal (?:heart |ventricular )?rate\b|{_RATE_IS}{_NORMAL}\b"),
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
"""(finding, whether the words state its presence, pattern of the words)."""

LEAD_FINDINGS = frozenset(
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
"""Findings of single leads. The others are of the whole recording, whatever lead is named beside them."""

NORMAL_FINDINGS = frozenset({"AXIS_NORMAL", "PR_NORMAL", "RATE_NORMAL", "REGULAR", "SINUS", "NORMAL_ECG"})
"""Findings that ``no … and …`` does not deny: "no ST elevation and normal axis" states a normal axis."""

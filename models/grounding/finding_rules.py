"""Rules for findings: what must be measured for the words to hold, and what contradicts them.

Each rule answers three ways: True (the signal shows it), False (it shows the opposite), None (it cannot decide). A
denied finding is judged by the same rule, turned round. Between "shown" and "not shown" lies a band (for instance PR
195–197.5 ms) in which neither is said. Limits: AHA/ACCF/HRS 2009 (conduction, axis, QT, ST), ESC and ACC for PR; the
band is half the tolerance of the number concerned.
"""

from __future__ import annotations

from collections.abc import Callable

from models.evidence import Evidence
from models.grounding.claims import ExtractedClaim, Verdict
from models.grounding.segment_measurements import SegmentMeasurements

Answer = tuple[bool | None, str, tuple[Evidence, ...]]

ST_MV, ST_BAND_MV = 0.1, 0.02
T_MV = 0.05
SLOW_BPM, FAST_BPM, RATE_BAND = 60.0, 100.0, 3.0
NORMAL_FROM_BPM = 50.0  # slower than this, sinus bradycardia is no normal ECG
PR_LONG_MS, PR_SHORT_MS, MS_BAND = 200.0, 120.0, 5.0
QRS_WIDE_MS = 120.0
QTC_LONG_MS, QTC_SHORT_MS, QT_BAND = 455.0, 350.0, 10.0
AXIS_LEFT_DEG, AXIS_RIGHT_DEG, AXIS_BAND = -30.0, 90.0, 7.5
LAFB_AXIS_DEG = -45.0
ASYSTOLE_S, PAUSE_BAND_S = 3.0, 0.2
LOW_LIMB_MV, LOW_CHEST_MV = 0.5, 1.0
LVH_MV = 3.5  # Sokolow and Lyon 1949: S in V1 and R in V5 or V6
T_FLAT_MV = 0.1


def judge_finding(claim: ExtractedClaim, measured: SegmentMeasurements) -> tuple[Verdict, str, tuple[Evidence, ...]]:
    """Verdict, rule and evidence for a finding that a text states or denies."""
    if not measured.readable:
        return "unsupported", "no lead can be read", ()
    rule = _RULES.get(claim.subject)
    if rule is None:
        return "unsupported", f"{claim.subject.replace('_', ' ').lower()} is not decided by measurement", ()
    shown, words, evidence = rule(claim, measured)
    if shown is None:
        return "unsupported", words, ()
    return ("supported" if shown == claim.present else "contradicted"), words, evidence


def _of(measured: SegmentMeasurements, *names: str) -> tuple[Evidence, ...]:
    return tuple(measured.evidence[x] for x in names if x in measured.evidence)


def _over(value: float | None, limit: float, band: float) -> bool | None:
    """True above the limit, False below it, None within the band round it or when nothing was measured."""
    if value is None:
        return None
    return True if value > limit - band / 2 else False if value < limit - band else None


def _under(value: float | None, limit: float, band: float) -> bool | None:
    return None if value is None else _over(-value, -limit, band)


# ── rhythm ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _sinus(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    words = "a P wave before the beats, most of them neither ventricular nor paced"
    if measured.fibrillation is not None:
        return False, "waves of fibrillation", (measured.fibrillation,)
    if measured.beats == 0:
        return False, "no beats", _given(measured.longest_rr)
    if measured.kinds.get("V", 0) + measured.kinds.get("P", 0) > measured.beats / 2:
        return False, words, _of(measured, "QRS")
    return measured.p_waves, words, _of(measured, "PR" if measured.p_waves else "ABSENT_P")


def _given(evidence: Evidence | None) -> tuple[Evidence, ...]:
    return () if evidence is None else (evidence,)


def _all(*answers: Answer) -> Answer:
    words = ", and ".join(a[1] for a in answers)
    evidence = tuple(dict.fromkeys(e for a in answers for e in a[2]))
    if any(a[0] is False for a in answers):
        return False, words, tuple(e for a in answers if a[0] is False for e in a[2])
    return (True if all(a[0] for a in answers) else None), words, evidence


def _brady(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    return _under(measured.value("HR"), SLOW_BPM, RATE_BAND), "HR under 60 bpm", _of(measured, "HR")


def _tachy(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    return _over(measured.value("HR"), FAST_BPM, RATE_BAND), "HR over 100 bpm", _of(measured, "HR")


def _rate_normal(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    hr = measured.value("HR")
    inside = None if hr is None else SLOW_BPM - RATE_BAND <= hr <= FAST_BPM + RATE_BAND
    return inside, "HR 60 to 100 bpm", _of(measured, "HR")


def _regular(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    return measured.regular, "sd/mean of RR up to 0.08 is regular, from 0.12 irregular", _of(measured, "REGULARITY")


def _afib(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    words = "irregular RR without P waves"
    if measured.p_waves is True or measured.regular is True or measured.beats == 0:
        return False, words, _of(measured, "PR" if measured.p_waves else "REGULARITY")
    if measured.p_waves is False and measured.regular is False:
        return True, words, _of(measured, "REGULARITY", "ABSENT_P")
    return None, words, ()


def _flutter(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    words = "flutter waves are not measured; P waves before the beats speak against them"
    return (False if measured.p_waves is True and measured.regular is True else None), words, _of(measured, "PR")


def _asystole(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    longest = measured.longest_rr
    return (
        _over(None if longest is None else longest.value, ASYSTOLE_S, PAUSE_BAND_S),
        "no beat for 3 s or longer",
        _given(longest),
    )


def _vfib(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    if measured.fibrillation is not None:
        return True, "waves of fibrillation in most usable leads", (measured.fibrillation,)
    ventricular = measured.kinds.get("V", 0) > measured.beats / 2
    conducted = measured.beats > 0 and not ventricular and (measured.p_waves is True or measured.regular is True)
    return (
        (False if conducted else None),
        "conducted beats speak against fibrillation",
        _of(measured, "PR", "REGULARITY"),
    )


def _vtach(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    ventricular, hr = measured.kinds.get("V", 0), measured.value("HR")
    if ventricular >= 3 and ventricular > measured.beats / 2 and hr is not None:
        return hr > FAST_BPM, "most beats ventricular, faster than 100 bpm", _of(measured, "HR", "QRS")
    return (
        (False if ventricular < 3 and measured.beats > 0 else None),
        "three ventricular beats or more",
        _of(measured, "QRS"),
    )


def _svt(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    return _all(_tachy(claim, measured), _narrow(measured))


def _kind(kind: str, words: str) -> Callable[[ExtractedClaim, SegmentMeasurements], Answer]:
    def rule(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
        if measured.beats == 0:
            return False, "no beats", _given(measured.longest_rr)
        return measured.kinds.get(kind, 0) > 0, words, _of(measured, "REGULARITY")

    return rule


def _pattern(every: str) -> Callable[[ExtractedClaim, SegmentMeasurements], Answer]:
    def rule(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
        ventricular = measured.kinds.get("V", 0)
        words = f"ventricular beats, {every}"
        if ventricular == 0:
            return False, words, _of(measured, "REGULARITY")
        share = ventricular / measured.beats
        close = (0.4 <= share <= 0.6) if every == "every second" else (0.25 <= share <= 0.4)
        return (True if close else None), words, _of(measured, "REGULARITY")

    return rule


# ── P waves, PR, QRS, QT, axis ────────────────────────────────────────────────────────────────────────────────────────


def _p_waves(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    words = "P waves before 70 % of the beats or more; before 20 % or fewer there are none"
    return measured.p_waves, words, _of(measured, "P" if measured.p_waves and "P" in measured.evidence else "ABSENT_P")


def _p_inverted(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    return _per_lead(
        claim, measured, "P", lambda mv: True if mv <= -0.03 else False if mv >= 0.03 else None, "P below the line"
    )


def _pr_long(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    if measured.p_waves is False:
        return False, "no P waves, so no PR interval", _of(measured, "ABSENT_P")
    return _over(measured.value("PR"), PR_LONG_MS, MS_BAND), "PR over 200 ms", _of(measured, "PR")


def _pr_short(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    return _under(measured.value("PR"), PR_SHORT_MS, MS_BAND), "PR under 120 ms", _of(measured, "PR")


def _pr_normal(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    if measured.p_waves is False:
        return False, "no P waves, so no PR interval", _of(measured, "ABSENT_P")
    pr = measured.value("PR")
    inside = None if pr is None else PR_SHORT_MS - MS_BAND <= pr <= PR_LONG_MS + MS_BAND
    return inside, "PR 120 to 200 ms", _of(measured, "PR")


def _wide(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    return _over(measured.value("QRS"), QRS_WIDE_MS, MS_BAND), "QRS 120 ms or more", _of(measured, "QRS")


def _narrow(measured: SegmentMeasurements) -> Answer:
    return _under(measured.value("QRS"), QRS_WIDE_MS, MS_BAND), "QRS under 120 ms", _of(measured, "QRS")


def _qtc(measured: SegmentMeasurements) -> float | None:
    return measured.value("QTcF") if measured.value("QTcF") is not None else measured.value("QTc")


def _qt_long(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    return _over(_qtc(measured), QTC_LONG_MS, QT_BAND), "QTcF over 455 ms", _of(measured, "QTcF")


def _qt_short(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    return _under(_qtc(measured), QTC_SHORT_MS, QT_BAND), "QTcF under 350 ms", _of(measured, "QTcF")


def _axis(test: Callable[[float], bool | None], words: str) -> Callable[[ExtractedClaim, SegmentMeasurements], Answer]:
    def rule(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
        return (None if measured.axis_deg is None else test(measured.axis_deg)), words, _of(measured, "QRS")

    return rule


def _left(deg: float) -> bool | None:
    return _over(-deg, -AXIS_LEFT_DEG, AXIS_BAND) if deg > -120 else None


def _right(deg: float) -> bool | None:
    return _over(deg, AXIS_RIGHT_DEG, AXIS_BAND)


def _normal_axis(deg: float) -> bool | None:
    return AXIS_LEFT_DEG - AXIS_BAND / 2 <= deg <= AXIS_RIGHT_DEG + AXIS_BAND / 2


def _block(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    """Bundle branch blocks: width decides against; width with the shape of V1 decides for."""
    wide = _over(measured.value("QRS"), QRS_WIDE_MS, 2 * MS_BAND)
    words = "QRS 120 ms or more, and in V1 " + (
        "an R wave as tall as the S is deep" if claim.subject == "RBBB" else "mostly negative"
    )
    if wide is not True:
        return wide, words, _of(measured, "QRS")
    r, s = measured.waves.get(("V1", "R")), measured.waves.get(("V1", "S"))
    if r is None and ("V1", "Q") not in measured.waves:
        return None, words, ()
    up = r is not None and (s is None or r.mv >= -s.mv)
    return (up if claim.subject == "RBBB" else not up), words, _of(measured, "QRS")


def _incomplete_right(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    qrs = measured.value("QRS")
    return (
        (False if qrs is not None and qrs >= QRS_WIDE_MS + MS_BAND else None),
        "QRS under 120 ms; the shape is not decided",
        _of(measured, "QRS"),
    )


def _lafb(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    if measured.axis_deg is None:
        return None, "axis −45° or further left, narrow QRS", ()
    left = _over(-measured.axis_deg, -LAFB_AXIS_DEG, 2 * AXIS_BAND) if measured.axis_deg > -120 else None
    return _all((left, "axis −45° or further left", _of(measured, "QRS")), _narrow(measured))


def _avb_high(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    return None, "P waves that lead no QRS are not counted here", ()


# ── per lead ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _per_lead(
    claim: ExtractedClaim, measured: SegmentMeasurements, wave: str, test: Callable[[float], bool | None], words: str
) -> Answer:
    leads = claim.leads or measured.usable
    seen = {x: measured.waves[x, wave] for x in leads if (x, wave) in measured.waves}
    answers = {x: test(h.mv) for x, h in seen.items()}
    return _leads_answer(
        claim, answers, words, {x: e for x in seen if (e := measured.wave_evidence(x, wave)) is not None}
    )


def _leads_answer(
    claim: ExtractedClaim, answers: dict[str, bool | None], words: str, evidence: dict[str, Evidence]
) -> Answer:
    """Named leads must all show it; without names one lead is enough, and all must not for "nowhere"."""
    yes = tuple(evidence[x] for x, a in answers.items() if a is True and x in evidence)
    no = tuple(evidence[x] for x, a in answers.items() if a is False and x in evidence)
    if not answers:
        return None, words, ()
    if claim.leads and claim.present:
        if any(a is False for a in answers.values()):
            return False, f"{words} in each lead named", no[:1]
        complete = all(x in answers for x in claim.leads)
        return (True if complete and all(answers.values()) else None), f"{words} in each lead named", yes
    if any(a is True for a in answers.values()):
        return True, words, yes
    return (False if all(a is False for a in answers.values()) else None), words, no[:1]


def _st(sign: int) -> Callable[[ExtractedClaim, SegmentMeasurements], Answer]:
    def rule(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
        leads = claim.leads or tuple(x for x in measured.st if x != "aVR")
        answers = {x: _over(sign * measured.st[x].value, ST_MV, ST_BAND_MV) for x in leads if x in measured.st}
        side = "above" if sign > 0 else "below"
        return _leads_answer(
            claim, answers, f"ST 0.1 mV or more {side} the PR segment", {x: measured.st[x] for x in answers}
        )

    return rule


def _st_changed(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    leads = claim.leads or tuple(x for x in measured.st if x != "aVR")
    answers = {x: _over(abs(measured.st[x].value), ST_MV, ST_BAND_MV) for x in leads if x in measured.st and x != "aVR"}
    found = _leads_answer(claim, answers, "ST 0.1 mV or more from the PR segment", {x: measured.st[x] for x in answers})
    return _or_t_wave(claim, measured, found) if "st-t" in claim.text.lower() else found


def _or_t_wave(claim: ExtractedClaim, measured: SegmentMeasurements, st: Answer) -> Answer:
    """ST-T: an inverted or flat T is enough; with both upright, what else may be changed in T has no rule."""
    t = [
        _RULES[name](ExtractedClaim("", 0, 0, "finding", name, leads=claim.leads), measured)
        for name in ("T_INVERTED", "T_FLAT")
    ]
    words = "ST 0.1 mV or more from the PR segment, or T inverted or flat"
    for answer in (st, *t):
        if answer[0] is True:
            return True, words, answer[2]
    return (None if claim.present or st[0] is None else False), words, st[2]


def _conduction(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    """Slow conduction: a long PR, a wide QRS or a fascicular axis show it; what is left has no rule."""
    for subject in ("PR_LONG", "QRS_WIDE", "LAFB"):
        shown, words, evidence = _RULES[subject](claim_like(claim, subject), measured)
        if shown is True:
            return True, words, evidence
    return None, "PR over 200 ms, QRS 120 ms or more, or an axis of -45° and further left", ()


_LOOK_FOR_T = ("I", "II", "V3", "V4", "V5", "V6")


def _t_inverted(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    leads = claim.leads or tuple(x for x in _LOOK_FOR_T if x in measured.usable)
    seen = {x: measured.waves[x, "T"].mv for x in leads if (x, "T") in measured.waves}
    answers = {x: True if mv <= -T_MV else False if mv >= T_MV else None for x, mv in seen.items()}
    return _leads_answer(
        claim,
        answers,
        "T below the line by 0.05 mV",
        {x: e for x in seen if (e := measured.wave_evidence(x, "T")) is not None},
    )


def _t_flat(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    return _per_lead(
        claim,
        measured,
        "T",
        lambda mv: True if abs(mv) <= T_FLAT_MV else False if abs(mv) > 2 * T_FLAT_MV else None,
        "T within 0.1 mV",
    )


def _q_waves(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    leads = [x for x in (claim.leads or measured.usable) if x != "aVR" or claim.leads]
    answers: dict[str, bool | None] = {
        x: measured.q_wave(x) for x in leads if (x, "R") in measured.waves or (x, "Q") in measured.waves
    }
    evidence = {
        x: e for x in answers if (e := measured.wave_evidence(x, "Q") or measured.wave_evidence(x, "R")) is not None
    }
    if not claim.leads and claim.present is False and any(answers.values()):
        return None, "Q waves 0.1 mV deep and a quarter of R", ()  # single ones in III or V1 may be normal
    return _leads_answer(claim, answers, "Q 0.1 mV deep and a quarter of R", evidence)


def _low_voltage(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    leads = claim.leads or tuple(x for x in measured.usable if x[0] != "V")
    size: dict[str, bool | None] = {}
    for lead in leads:
        heights = [measured.waves[lead, w].mv for w in ("R", "S", "Q") if (lead, w) in measured.waves]
        if heights:
            limit = LOW_CHEST_MV if lead[0] == "V" else LOW_LIMB_MV
            size[lead] = max(heights) - min([0.0, *heights]) < limit
    if not size:
        return None, "QRS under 0.5 mV in limb, 1 mV in chest leads", ()
    return all(size.values()), "QRS under 0.5 mV in limb, 1 mV in chest leads", _of(measured, "QRS")


def _lvh(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    s, r = (
        measured.waves.get(("V1", "S")),
        [measured.waves[x, "R"].mv for x in ("V5", "V6") if (x, "R") in measured.waves],
    )
    if s is None or not r:
        return None, "Sokolow-Lyon: S in V1 and R in V5 or V6", ()
    evidence = tuple(e for e in (measured.wave_evidence("V1", "S"), measured.wave_evidence("V5", "R")) if e is not None)
    return (True if max(r) - s.mv >= LVH_MV else None), "S in V1 and R in V5 or V6, 3.5 mV together", evidence


# ── conclusions ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _normal_ecg(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    """Normal needs everything measured normal; one measured abnormality contradicts it."""
    words = "rhythm, rate, intervals, axis and ST all measured normal"
    abnormal = [rule(claim_like(claim, name), measured) for name, rule in _ABNORMAL.items()]
    shown = [a for a in abnormal if a[0] is True]
    if shown or measured.p_waves is False:
        return False, words, shown[0][2] if shown else _of(measured, "ABSENT_P")
    known = measured.p_waves is True and measured.value("QTcF") is not None and len(measured.st) >= 8
    return (True if known else None), words, _of(measured, "HR", "PR", "QRS", "QTcF")


def claim_like(claim: ExtractedClaim, subject: str) -> ExtractedClaim:
    """The same words read as another finding that is said to be there, of no lead in particular."""
    return ExtractedClaim(claim.text, claim.start, claim.end, "finding", subject)


def _infarct(claim: ExtractedClaim, measured: SegmentMeasurements) -> Answer:
    q = _q_waves(claim_like(claim, "Q_WAVES"), measured)
    st = _st(1)(claim_like(claim, "ST_ELEVATED"), measured)
    words = "Q waves and ST elevation are looked at; the diagnosis is not decided by them"
    return (False if q[0] is False and st[0] is False and len(measured.usable) >= 12 else None), words, st[2]


_RULES: dict[str, Callable[[ExtractedClaim, SegmentMeasurements], Answer]] = {
    "SINUS": _sinus,
    "SINUS_ARRHYTHMIA": _sinus,
    "AFIB": _afib,
    "AFLUT": _flutter,
    "VFIB": _vfib,
    "VTACH": _vtach,
    "SVT": _svt,
    "SINUS_BRADY": lambda c, f: _all(_sinus(c, f), _brady(c, f)),
    "SINUS_TACHY": lambda c, f: _all(_sinus(c, f), _tachy(c, f)),
    "ASYSTOLE": _asystole,
    "BRADY": _brady,
    "TACHY": _tachy,
    "RATE_NORMAL": _rate_normal,
    "REGULAR": _regular,
    "PACED": _kind("P", "beats that follow a pacing mark"),
    "PVC": _kind("V", "ventricular beats counted"),
    "PAC": _kind("S", "early narrow beats counted"),
    "BIGEMINY": _pattern("every second"),
    "TRIGEMINY": _pattern("every third"),
    "P_WAVES": _p_waves,
    "P_INVERTED": _p_inverted,
    "AVB1": _pr_long,
    "AVB2": _avb_high,
    "AVB3": _avb_high,
    "PR_LONG": _pr_long,
    "PR_SHORT": _pr_short,
    "PR_NORMAL": _pr_normal,
    "QRS_WIDE": _wide,
    "LBBB": _block,
    "RBBB": _block,
    "IRBBB": _incomplete_right,
    "LAFB": _lafb,
    "AXIS_LEFT": _axis(_left, "axis left of −30°"),
    "AXIS_RIGHT": _axis(_right, "axis right of 90°"),
    "AXIS_NORMAL": _axis(_normal_axis, "axis −30° to 90°"),
    "LOW_VOLTAGE": _low_voltage,
    "LVH": _lvh,
    "Q_WAVES": _q_waves,
    "ST_ELEVATED": _st(1),
    "ST_DEPRESSED": _st(-1),
    "ST_CHANGED": _st_changed,
    "CONDUCTION": _conduction,
    "T_INVERTED": _t_inverted,
    "T_FLAT": _t_flat,
    "QT_LONG": _qt_long,
    "QT_SHORT": _qt_short,
    "NORMAL_ECG": _normal_ecg,
    "MI": _infarct,
}
_ABNORMAL: dict[str, Callable[[ExtractedClaim, SegmentMeasurements], Answer]] = {
    "AFIB": _afib,
    "TACHY": _tachy,
    "VERY_SLOW": lambda c, f: (_under(f.value("HR"), NORMAL_FROM_BPM, RATE_BAND), "rate 50 bpm or more", _of(f, "HR")),
    "PR_LONG": _pr_long,
    "QRS_WIDE": _wide,
    "QT_LONG": _qt_long,
    "ST_CHANGED": _st_changed,
    "PVC": _kind("V", "ventricular beats"),
}

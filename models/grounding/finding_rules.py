"""Rules for findings: what must be measured for the words to hold, and what contradicts them.

Each rule answers three ways: True (the signal shows it), False (it shows the opposite), None (it cannot decide). A
denied finding is judged by the same rule, turned round. Between "shown" and "not shown" lies a band (for instance PR
195–197.5 ms) in which neither is said. Limits: AHA/ACCF/HRS 2009 (conduction, axis, QT, ST), ESC and ACC for PR; the
band is half the tolerance of the number concerned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from models.evidence import Evidence
from models.grounding.claim import ReadClaim
from models.grounding.segment_measurements import Facts

Verdict = Literal["supported", "contradicted", "unsupported"]
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


def judge_finding(claim: ReadClaim, facts: Facts) -> tuple[Verdict, str, tuple[Evidence, ...]]:
    """Verdict, rule and evidence for a finding that a text states or denies."""
    if not facts.readable:
        return "unsupported", "no lead can be read", ()
    rule = _RULES.get(claim.subject)
    if rule is None:
        return "unsupported", f"{claim.subject.replace('_', ' ').lower()} is not decided by measurement", ()
    shown, words, evidence = rule(claim, facts)
    if shown is None:
        return "unsupported", words, ()
    return ("supported" if shown == claim.present else "contradicted"), words, evidence


def _of(facts: Facts, *names: str) -> tuple[Evidence, ...]:
    return tuple(facts.evidence[x] for x in names if x in facts.evidence)


def _over(value: float | None, limit: float, band: float) -> bool | None:
    """True above the limit, False below it, None within the band round it or when nothing was measured."""
    if value is None:
        return None
    return True if value > limit - band / 2 else False if value < limit - band else None


def _under(value: float | None, limit: float, band: float) -> bool | None:
    return None if value is None else _over(-value, -limit, band)


# ── rhythm ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _sinus(claim: ReadClaim, facts: Facts) -> Answer:
    words = "a P wave before the beats, most of them neither ventricular nor paced"
    if facts.fibrillation is not None:
        return False, "waves of fibrillation", (facts.fibrillation,)
    if facts.beats == 0:
        return False, "no beats", _given(facts.longest_rr)
    if facts.kinds.get("V", 0) + facts.kinds.get("P", 0) > facts.beats / 2:
        return False, words, _of(facts, "QRS")
    return facts.p_waves, words, _of(facts, "PR" if facts.p_waves else "ABSENT_P")


def _given(evidence: Evidence | None) -> tuple[Evidence, ...]:
    return () if evidence is None else (evidence,)


def _all(*answers: Answer) -> Answer:
    words = ", and ".join(a[1] for a in answers)
    evidence = tuple(dict.fromkeys(e for a in answers for e in a[2]))
    if any(a[0] is False for a in answers):
        return False, words, tuple(e for a in answers if a[0] is False for e in a[2])
    return (True if all(a[0] for a in answers) else None), words, evidence


def _brady(claim: ReadClaim, facts: Facts) -> Answer:
    return _under(facts.value("HR"), SLOW_BPM, RATE_BAND), "HR under 60 bpm", _of(facts, "HR")


def _tachy(claim: ReadClaim, facts: Facts) -> Answer:
    return _over(facts.value("HR"), FAST_BPM, RATE_BAND), "HR over 100 bpm", _of(facts, "HR")


def _rate_normal(claim: ReadClaim, facts: Facts) -> Answer:
    hr = facts.value("HR")
    inside = None if hr is None else SLOW_BPM - RATE_BAND <= hr <= FAST_BPM + RATE_BAND
    return inside, "HR 60 to 100 bpm", _of(facts, "HR")


def _regular(claim: ReadClaim, facts: Facts) -> Answer:
    return facts.regular, "sd/mean of RR up to 0.08 is regular, from 0.12 irregular", _of(facts, "REGULARITY")


def _afib(claim: ReadClaim, facts: Facts) -> Answer:
    words = "irregular RR without P waves"
    if facts.p_waves is True or facts.regular is True or facts.beats == 0:
        return False, words, _of(facts, "PR" if facts.p_waves else "REGULARITY")
    if facts.p_waves is False and facts.regular is False:
        return True, words, _of(facts, "REGULARITY", "ABSENT_P")
    return None, words, ()


def _flutter(claim: ReadClaim, facts: Facts) -> Answer:
    words = "flutter waves are not measured; P waves before the beats speak against them"
    return (False if facts.p_waves is True and facts.regular is True else None), words, _of(facts, "PR")


def _asystole(claim: ReadClaim, facts: Facts) -> Answer:
    longest = facts.longest_rr
    return (
        _over(None if longest is None else longest.value, ASYSTOLE_S, PAUSE_BAND_S),
        "no beat for 3 s or longer",
        _given(longest),
    )


def _vfib(claim: ReadClaim, facts: Facts) -> Answer:
    if facts.fibrillation is not None:
        return True, "waves of fibrillation in most usable leads", (facts.fibrillation,)
    ventricular = facts.kinds.get("V", 0) > facts.beats / 2
    conducted = facts.beats > 0 and not ventricular and (facts.p_waves is True or facts.regular is True)
    return (False if conducted else None), "conducted beats speak against fibrillation", _of(facts, "PR", "REGULARITY")


def _vtach(claim: ReadClaim, facts: Facts) -> Answer:
    ventricular, hr = facts.kinds.get("V", 0), facts.value("HR")
    if ventricular >= 3 and ventricular > facts.beats / 2 and hr is not None:
        return hr > FAST_BPM, "most beats ventricular, faster than 100 bpm", _of(facts, "HR", "QRS")
    return (
        (False if ventricular < 3 and facts.beats > 0 else None),
        "three ventricular beats or more",
        _of(facts, "QRS"),
    )


def _svt(claim: ReadClaim, facts: Facts) -> Answer:
    return _all(_tachy(claim, facts), _narrow(facts))


def _kind(kind: str, words: str) -> Callable[[ReadClaim, Facts], Answer]:
    def rule(claim: ReadClaim, facts: Facts) -> Answer:
        if facts.beats == 0:
            return False, "no beats", _given(facts.longest_rr)
        return facts.kinds.get(kind, 0) > 0, words, _of(facts, "REGULARITY")

    return rule


def _pattern(every: str) -> Callable[[ReadClaim, Facts], Answer]:
    def rule(claim: ReadClaim, facts: Facts) -> Answer:
        ventricular = facts.kinds.get("V", 0)
        words = f"ventricular beats, {every}"
        if ventricular == 0:
            return False, words, _of(facts, "REGULARITY")
        share = ventricular / facts.beats
        close = (0.4 <= share <= 0.6) if every == "every second" else (0.25 <= share <= 0.4)
        return (True if close else None), words, _of(facts, "REGULARITY")

    return rule


# ── P waves, PR, QRS, QT, axis ────────────────────────────────────────────────────────────────────────────────────────


def _p_waves(claim: ReadClaim, facts: Facts) -> Answer:
    words = "P waves before 70 % of the beats or more; before 20 % or fewer there are none"
    return facts.p_waves, words, _of(facts, "P" if facts.p_waves and "P" in facts.evidence else "ABSENT_P")


def _p_inverted(claim: ReadClaim, facts: Facts) -> Answer:
    return _per_lead(
        claim, facts, "P", lambda mv: True if mv <= -0.03 else False if mv >= 0.03 else None, "P below the line"
    )


def _pr_long(claim: ReadClaim, facts: Facts) -> Answer:
    if facts.p_waves is False:
        return False, "no P waves, so no PR interval", _of(facts, "ABSENT_P")
    return _over(facts.value("PR"), PR_LONG_MS, MS_BAND), "PR over 200 ms", _of(facts, "PR")


def _pr_short(claim: ReadClaim, facts: Facts) -> Answer:
    return _under(facts.value("PR"), PR_SHORT_MS, MS_BAND), "PR under 120 ms", _of(facts, "PR")


def _pr_normal(claim: ReadClaim, facts: Facts) -> Answer:
    if facts.p_waves is False:
        return False, "no P waves, so no PR interval", _of(facts, "ABSENT_P")
    pr = facts.value("PR")
    inside = None if pr is None else PR_SHORT_MS - MS_BAND <= pr <= PR_LONG_MS + MS_BAND
    return inside, "PR 120 to 200 ms", _of(facts, "PR")


def _wide(claim: ReadClaim, facts: Facts) -> Answer:
    return _over(facts.value("QRS"), QRS_WIDE_MS, MS_BAND), "QRS 120 ms or more", _of(facts, "QRS")


def _narrow(facts: Facts) -> Answer:
    return _under(facts.value("QRS"), QRS_WIDE_MS, MS_BAND), "QRS under 120 ms", _of(facts, "QRS")


def _qtc(facts: Facts) -> float | None:
    return facts.value("QTcF") if facts.value("QTcF") is not None else facts.value("QTc")


def _qt_long(claim: ReadClaim, facts: Facts) -> Answer:
    return _over(_qtc(facts), QTC_LONG_MS, QT_BAND), "QTcF over 455 ms", _of(facts, "QTcF")


def _qt_short(claim: ReadClaim, facts: Facts) -> Answer:
    return _under(_qtc(facts), QTC_SHORT_MS, QT_BAND), "QTcF under 350 ms", _of(facts, "QTcF")


def _axis(test: Callable[[float], bool | None], words: str) -> Callable[[ReadClaim, Facts], Answer]:
    def rule(claim: ReadClaim, facts: Facts) -> Answer:
        return (None if facts.axis_deg is None else test(facts.axis_deg)), words, _of(facts, "QRS")

    return rule


def _left(deg: float) -> bool | None:
    return _over(-deg, -AXIS_LEFT_DEG, AXIS_BAND) if deg > -120 else None


def _right(deg: float) -> bool | None:
    return _over(deg, AXIS_RIGHT_DEG, AXIS_BAND)


def _normal_axis(deg: float) -> bool | None:
    return AXIS_LEFT_DEG - AXIS_BAND / 2 <= deg <= AXIS_RIGHT_DEG + AXIS_BAND / 2


def _block(claim: ReadClaim, facts: Facts) -> Answer:
    """Bundle branch blocks: width decides against; width with the shape of V1 decides for."""
    wide = _over(facts.value("QRS"), QRS_WIDE_MS, 2 * MS_BAND)
    words = "QRS 120 ms or more, and in V1 " + (
        "an R wave as tall as the S is deep" if claim.subject == "RBBB" else "mostly negative"
    )
    if wide is not True:
        return wide, words, _of(facts, "QRS")
    r, s = facts.waves.get(("V1", "R")), facts.waves.get(("V1", "S"))
    if r is None and ("V1", "Q") not in facts.waves:
        return None, words, ()
    up = r is not None and (s is None or r.mv >= -s.mv)
    return (up if claim.subject == "RBBB" else not up), words, _of(facts, "QRS")


def _incomplete_right(claim: ReadClaim, facts: Facts) -> Answer:
    qrs = facts.value("QRS")
    return (
        (False if qrs is not None and qrs >= QRS_WIDE_MS + MS_BAND else None),
        "QRS under 120 ms; the shape is not decided",
        _of(facts, "QRS"),
    )


def _lafb(claim: ReadClaim, facts: Facts) -> Answer:
    if facts.axis_deg is None:
        return None, "axis −45° or further left, narrow QRS", ()
    left = _over(-facts.axis_deg, -LAFB_AXIS_DEG, 2 * AXIS_BAND) if facts.axis_deg > -120 else None
    return _all((left, "axis −45° or further left", _of(facts, "QRS")), _narrow(facts))


def _avb_high(claim: ReadClaim, facts: Facts) -> Answer:
    return None, "P waves that lead no QRS are not counted here", ()


# ── per lead ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _per_lead(claim: ReadClaim, facts: Facts, wave: str, test: Callable[[float], bool | None], words: str) -> Answer:
    leads = claim.leads or facts.usable
    seen = {x: facts.waves[x, wave] for x in leads if (x, wave) in facts.waves}
    answers = {x: test(h.mv) for x, h in seen.items()}
    return _leads_answer(claim, answers, words, {x: e for x in seen if (e := facts.wave_evidence(x, wave)) is not None})


def _leads_answer(
    claim: ReadClaim, answers: dict[str, bool | None], words: str, evidence: dict[str, Evidence]
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


def _st(sign: int) -> Callable[[ReadClaim, Facts], Answer]:
    def rule(claim: ReadClaim, facts: Facts) -> Answer:
        leads = claim.leads or tuple(x for x in facts.st if x != "aVR")
        answers = {x: _over(sign * facts.st[x].value, ST_MV, ST_BAND_MV) for x in leads if x in facts.st}
        side = "above" if sign > 0 else "below"
        return _leads_answer(
            claim, answers, f"ST 0.1 mV or more {side} the PR segment", {x: facts.st[x] for x in answers}
        )

    return rule


def _st_changed(claim: ReadClaim, facts: Facts) -> Answer:
    leads = claim.leads or tuple(x for x in facts.st if x != "aVR")
    answers = {x: _over(abs(facts.st[x].value), ST_MV, ST_BAND_MV) for x in leads if x in facts.st and x != "aVR"}
    found = _leads_answer(claim, answers, "ST 0.1 mV or more from the PR segment", {x: facts.st[x] for x in answers})
    return _or_t_wave(claim, facts, found) if "st-t" in claim.text.lower() else found


def _or_t_wave(claim: ReadClaim, facts: Facts, st: Answer) -> Answer:
    """ST-T: an inverted or flat T is enough; with both upright, what else may be changed in T has no rule."""
    t = [
        _RULES[name](ReadClaim("", 0, 0, "finding", name, leads=claim.leads), facts)
        for name in ("T_INVERTED", "T_FLAT")
    ]
    words = "ST 0.1 mV or more from the PR segment, or T inverted or flat"
    for answer in (st, *t):
        if answer[0] is True:
            return True, words, answer[2]
    return (None if claim.present or st[0] is None else False), words, st[2]


def _conduction(claim: ReadClaim, facts: Facts) -> Answer:
    """Slow conduction: a long PR, a wide QRS or a fascicular axis show it; what is left has no rule."""
    for subject in ("PR_LONG", "QRS_WIDE", "LAFB"):
        shown, words, evidence = _RULES[subject](claim_like(claim, subject), facts)
        if shown is True:
            return True, words, evidence
    return None, "PR over 200 ms, QRS 120 ms or more, or an axis of -45° and further left", ()


_LOOK_FOR_T = ("I", "II", "V3", "V4", "V5", "V6")


def _t_inverted(claim: ReadClaim, facts: Facts) -> Answer:
    leads = claim.leads or tuple(x for x in _LOOK_FOR_T if x in facts.usable)
    seen = {x: facts.waves[x, "T"].mv for x in leads if (x, "T") in facts.waves}
    answers = {x: True if mv <= -T_MV else False if mv >= T_MV else None for x, mv in seen.items()}
    return _leads_answer(
        claim,
        answers,
        "T below the line by 0.05 mV",
        {x: e for x in seen if (e := facts.wave_evidence(x, "T")) is not None},
    )


def _t_flat(claim: ReadClaim, facts: Facts) -> Answer:
    return _per_lead(
        claim,
        facts,
        "T",
        lambda mv: True if abs(mv) <= T_FLAT_MV else False if abs(mv) > 2 * T_FLAT_MV else None,
        "T within 0.1 mV",
    )


def _q_waves(claim: ReadClaim, facts: Facts) -> Answer:
    leads = [x for x in (claim.leads or facts.usable) if x != "aVR" or claim.leads]
    answers: dict[str, bool | None] = {
        x: facts.q_wave(x) for x in leads if (x, "R") in facts.waves or (x, "Q") in facts.waves
    }
    evidence = {x: e for x in answers if (e := facts.wave_evidence(x, "Q") or facts.wave_evidence(x, "R")) is not None}
    if not claim.leads and claim.present is False and any(answers.values()):
        return None, "Q waves 0.1 mV deep and a quarter of R", ()  # single ones in III or V1 may be normal
    return _leads_answer(claim, answers, "Q 0.1 mV deep and a quarter of R", evidence)


def _low_voltage(claim: ReadClaim, facts: Facts) -> Answer:
    leads = claim.leads or tuple(x for x in facts.usable if x[0] != "V")
    size: dict[str, bool | None] = {}
    for lead in leads:
        heights = [facts.waves[lead, w].mv for w in ("R", "S", "Q") if (lead, w) in facts.waves]
        if heights:
            limit = LOW_CHEST_MV if lead[0] == "V" else LOW_LIMB_MV
            size[lead] = max(heights) - min([0.0, *heights]) < limit
    if not size:
        return None, "QRS under 0.5 mV in limb, 1 mV in chest leads", ()
    return all(size.values()), "QRS under 0.5 mV in limb, 1 mV in chest leads", _of(facts, "QRS")


def _lvh(claim: ReadClaim, facts: Facts) -> Answer:
    s, r = facts.waves.get(("V1", "S")), [facts.waves[x, "R"].mv for x in ("V5", "V6") if (x, "R") in facts.waves]
    if s is None or not r:
        return None, "Sokolow-Lyon: S in V1 and R in V5 or V6", ()
    evidence = tuple(e for e in (facts.wave_evidence("V1", "S"), facts.wave_evidence("V5", "R")) if e is not None)
    return (True if max(r) - s.mv >= LVH_MV else None), "S in V1 and R in V5 or V6, 3.5 mV together", evidence


# ── conclusions ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _normal_ecg(claim: ReadClaim, facts: Facts) -> Answer:
    """Normal needs everything measured normal; one measured abnormality contradicts it."""
    words = "rhythm, rate, intervals, axis and ST all measured normal"
    abnormal = [rule(claim_like(claim, name), facts) for name, rule in _ABNORMAL.items()]
    shown = [a for a in abnormal if a[0] is True]
    if shown or facts.p_waves is False:
        return False, words, shown[0][2] if shown else _of(facts, "ABSENT_P")
    known = facts.p_waves is True and facts.value("QTcF") is not None and len(facts.st) >= 8
    return (True if known else None), words, _of(facts, "HR", "PR", "QRS", "QTcF")


def claim_like(claim: ReadClaim, subject: str) -> ReadClaim:
    """The same words read as another finding that is said to be there, of no lead in particular."""
    return ReadClaim(claim.text, claim.start, claim.end, "finding", subject)


def _infarct(claim: ReadClaim, facts: Facts) -> Answer:
    q = _q_waves(claim_like(claim, "Q_WAVES"), facts)
    st = _st(1)(claim_like(claim, "ST_ELEVATED"), facts)
    words = "Q waves and ST elevation are looked at; the diagnosis is not decided by them"
    return (False if q[0] is False and st[0] is False and len(facts.usable) >= 12 else None), words, st[2]


_RULES: dict[str, Callable[[ReadClaim, Facts], Answer]] = {
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
_ABNORMAL: dict[str, Callable[[ReadClaim, Facts], Answer]] = {
    "AFIB": _afib,
    "TACHY": _tachy,
    "VERY_SLOW": lambda c, f: (_under(f.value("HR"), NORMAL_FROM_BPM, RATE_BAND), "rate 50 bpm or more", _of(f, "HR")),
    "PR_LONG": _pr_long,
    "QRS_WIDE": _wide,
    "QT_LONG": _qt_long,
    "ST_CHANGED": _st_changed,
    "PVC": _kind("V", "ventricular beats"),
}

"""Rule-based report: the interpretation of a segment from its measurements alone, without a language model.

Input: an `Ecg` of any leads. Output: a `GroundedInterpretation` of source ``measured`` in a clinician's order (rhythm,
rate, axis, intervals, ST and T, leads not analysed), each statement with the ``[n]`` of the span where it was measured.
It always answers: one lead or twelve, asystole, noise or a flat line. Absent measurements are reported as absent.
No torch.

The limits and their sources are in `models.normal_limits`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Literal

from models.arrhythmia.codes import CODES
from models.beats.regular_waves import METHOD as WAVES
from models.ecg import Ecg
from models.evidence import Evidence
from models.grounding.claims import ExtractedClaim
from models.grounding.interpretation import CheckedClaim, CitationNumbers, GroundedInterpretation, ModelIdentity
from models.grounding.limit_margin import is_met_within_accuracy, margin
from models.grounding.opposition import opposes
from models.grounding.phrases import displayed, leads_phrase, value_phrase
from models.grounding.rhythm_rules import BIGEMINY, COUPLET, RUN, TRIGEMINY, afib
from models.grounding.segment_measurements import SegmentMeasurements, measure_segment
from models.normal_limits import (
    AXIS_EXTREME_DEG,
    AXIS_LEFT_DEG,
    AXIS_RIGHT_DEG,
    HR_HIGH_BPM,
    HR_LOW_BPM,
    NAMED_RHYTHM_BEATS,
    PAUSE_S,
    PR_LONG_MS,
    PR_SHORT_MS,
    QRS_SLIGHTLY_WIDE_MS,
    QRS_WIDE_MS,
    QTC_SHORT_MS,
    ST_DEVIATION_MV,
    T_UPRIGHT_LEADS,
    is_qtc_long,
)

ALARM_CITATION = "the alarm's own citation"
UNTITLED = frozenset({"INTERPRETATION", "AFIB_END"})
"""Codes whose title is no finding of the segment."""
_PHRASES = {
    "RR": "an RR interval of",
    "HR": "a rate of",
    "P": "a P wave of",
    "QRS": "a QRS duration of",
    "PR": "a PR interval of",
    "QT": "a QT interval of",
    "QTc": "a QTc of",
    "QTcF": "a QTcF of",
    "ST": "an ST level of",
    "REGULARITY": "an RR variability of",
    "ABSENT_P": "a share of beats without P wave of",
    "QUALITY": "a signal quality of",
    "SILENCE": "silence for",
}
"""Measure to the words before its value."""


class ReportText:
    """A text under construction, with its claims and citation numbers.

    Parameters
    ----------
    first_citation : int
        Number of the first new citation.
    given : sequence of Evidence
        The alert's own citations, numbered 1…k.
    """

    def __init__(self, first_citation: int, given: Sequence[Evidence]) -> None:
        self.numbering = CitationNumbers(first_citation, given)
        self.text = ""
        self.claims: list[CheckedClaim] = []

    def add(self, text: str) -> None:
        """Append words that claim nothing about the signal."""
        self.text += text

    def add_claim(self, text: str, rule: str, *evidence: Evidence) -> None:
        """Append a supported claim with its rule and evidence; the first evidence is the claim's citation."""
        start = len(self.text)
        numbers = list(dict.fromkeys(self.numbering.number(e) for e in evidence))
        self.text += text
        self.claims.append(
            CheckedClaim(
                text=text,
                start=start,
                end=len(self.text),
                verdict="supported",
                citation=numbers[0] if numbers else None,
                rule=rule,
            )
        )
        self.text += "".join(f" [{n}]" for n in numbers)

    def add_text(self, text: str, claims: Sequence[CheckedClaim]) -> None:
        """Append a text with its claims, whose positions are those in ``text``."""
        by = len(self.text)
        self.text += text
        self.claims += [
            c if c.start is None or c.end is None else replace(c, start=c.start + by, end=c.end + by) for c in claims
        ]

    def interpretation(
        self, source: Literal["gem", "measured"], reason: str | None, model: ModelIdentity | None, seconds: float
    ) -> GroundedInterpretation:
        """The finished interpretation."""
        return GroundedInterpretation(
            source=source,
            reason=reason,
            text=self.text.strip(),
            claims=tuple(self.claims),
            evidence=tuple(self.numbering.cited),
            model=model,
            seconds=seconds,
        )


def rule_based_report(
    ecg: Ecg,
    *,
    reason: str | None,
    first_citation: int = 1,
    given: Sequence[Evidence] = (),
    code: str = "",
    measured: SegmentMeasurements | None = None,
    fold: str | None = None,
) -> GroundedInterpretation:
    """Report on a segment from its measurements alone.

    Parameters
    ----------
    ecg : Ecg
        The segment, any leads, usually 10 s.
    reason : str or None
        Why there is no text by GEM (no weights, too few leads, out of time), for the record.
    first_citation : int
        Number of the first new citation.
    given : sequence of Evidence
        The alert's own citations, numbered 1…k, in samples of ``ecg``: they open the report and keep their numbers.
    code : str
        The alarm on the segment: the report says nothing that opposes it.
    measured : SegmentMeasurements, optional
        Of ``ecg``, where they are known already.
    fold : str, optional
        Measure with network weights trained without this fold (evaluation).

    Returns
    -------
    GroundedInterpretation
        Source ``measured``; every claim supported.
    """
    began = perf_counter()
    measured = measured or measure_segment(ecg, fold=fold)
    report = ReportText(first_citation, given)
    write_alarm(report, given, code)
    write_measurements(report, measured, code, fused=has_fused_beats(given))
    return report.interpretation("measured", reason, None, perf_counter() - began)


def has_fused_beats(given: Sequence[Evidence]) -> bool:
    """Whether an alarm rests on regular waves: its beats are fused, and none of them can be measured."""
    return any(evidence.method == WAVES for evidence in given)


def write_measurements(
    report: ReportText, measured: SegmentMeasurements, code: str = "", *, fused: bool = False
) -> None:
    """Write all that is measured on a segment, and nothing that opposes its alarm; ``fused``: its beats are fused."""
    if fused:
        report.add("QRS complexes, P waves and intervals cannot be measured where the beats are fused. ")
    elif measured.fibrillation is not None:
        _write_fibrillation(report, measured.fibrillation)
    elif code == "VFIB":
        report.add("QRS complexes, P waves and intervals cannot be measured in fibrillation. ")
    elif measured.beats == 0:
        _write_no_beats(report, measured)
    else:
        if code != "ASYSTOLE":  # a rhythm that stops has no name
            _write_rhythm(report, measured, code)
        write_beats(report, measured, code)
        _write_axis(report, measured)
        _write_intervals(report, measured, code)
        _write_st(report, measured)
        _write_t(report, measured)
    _write_unusable_leads(report, measured)


def write_alarm(report: ReportText, given: Sequence[Evidence], code: str = "") -> None:
    """Open a text with the alarm's own finding and its citations."""
    title = finding_title(code, given)
    written: set[int] = set()
    for evidence in given:
        number = report.numbering.number(evidence)
        if number not in written:  # evidence of one place is stated once
            _write_alarm_citation(report, evidence, title)
        written.add(number)


def finding_title(code: str, given: Sequence[Evidence]) -> str:
    """Words for the alarm's own finding; "" where its title is none.

    No tachycardia is named at a rate that is normal, as where detection acts within measuring accuracy or a limit is
    set below 100 bpm.
    """
    if code not in CODES or code in UNTITLED:
        return ""
    normal = any(e.measure == "HR" and displayed(e) < HR_HIGH_BPM for e in given)
    return CODES["VRHYTHM" if code == "VTACH" and normal else code].title


def _write_alarm_citation(report: ReportText, evidence: Evidence, title: str) -> None:
    met = "" if evidence.criterion is None else f" ({evidence.criterion.rule})"
    met = "" if met in report.text else met  # one rule may rest on several values
    wave = f"a {evidence.wave} wave of" if evidence.measure == "AMPLITUDE" else ""
    name = wave or _PHRASES.get(evidence.measure, evidence.measure)
    opening = f"{title}: the alarm rests on " if title else "The alarm rests on "
    report.add(opening if report.text == "" else "It also rests on ")
    over = margin(evidence)
    short = evidence.over_s is not None if over is None else over < 0
    early = evidence.measure == "SILENCE" and short
    how = " and continuing" if early else ""  # detection acts early, within its accuracy
    how += ", within measuring accuracy" if is_met_within_accuracy(evidence) else ""
    report.add_claim(
        f"{name} {value_phrase(evidence)} in {leads_phrase(evidence.leads)}{how}{met}", ALARM_CITATION, evidence
    )
    report.add(". ")


def _write_fibrillation(report: ReportText, waves: Evidence) -> None:
    rule = "fibrillation waves in three of four usable leads, without rest between complexes"
    report.add_claim(f"Pattern consistent with ventricular fibrillation in {leads_phrase(waves.leads)}", rule, waves)
    report.add(f", {waves.value:.2f} mV peak-to-peak. QRS complexes, P waves and intervals cannot be measured. ")


def _write_no_beats(report: ReportText, measured: SegmentMeasurements) -> None:
    if not measured.readable or measured.longest_rr is None:
        report.add("No lead can be analysed: rhythm, rate and intervals cannot be measured. ")
        return
    silence = measured.longest_rr
    flat = all(measured.states[x] == "flat" for x in measured.usable)
    report.add_claim(
        f"No beat is found for {silence.value:.1f} s in {leads_phrase(silence.leads)}",
        "no beat found in any usable lead",
        silence,
    )
    report.add(", and the trace is isoelectric. " if flat else ". ")
    report.add("P waves, intervals, ST and T cannot be measured without beats. ")


def _write_rhythm(report: ReportText, measured: SegmentMeasurements, code: str) -> None:
    alarm_rate = any(e.measure == "HR" for e in report.numbering.given)
    rate = None if alarm_rate else measured.evidence.get("HR")  # the text has one rate: the alarm's
    named = _rhythm(measured, code)
    if named is None:
        report.add("The rhythm cannot be named")
    else:
        name, rule, evidence = named
        report.add_claim(name, rule, *[e for e in evidence if e is not None])
    if rate is not None:
        report.add(", rate ")
        report.add_claim(f"{rate.value:.0f} bpm", "HR measured over the beats", rate)
        slow, fast = rate.value < HR_LOW_BPM, rate.value > HR_HIGH_BPM
        if (slow and not _opposed(code, "BRADY")) or (fast and not _opposed(code, "TACHY")):
            report.add(f" ({'bradycardia' if slow else 'tachycardia'})")
    report.add(". ")


def _opposed(code: str, subject: str, present: bool = True) -> bool:
    return opposes(code, ExtractedClaim.finding(subject, present=present))


def write_beats(report: ReportText, measured: SegmentMeasurements, code: str = "") -> None:
    """P waves where only some beats have one, ventricular ectopic beats with their pattern, and the longest pause."""
    counted, absent = beats_counted(measured), measured.evidence.get("ABSENT_P")
    if measured.p_waves is None and absent is not None and measured.beats_examined:
        report.add_claim(
            f"A P wave is seen before {measured.beats_with_p} of {measured.beats_examined} beats",
            "P waves counted",
            absent,
        )
        report.add(". ")
    _write_block(report, measured)
    ventricular = measured.kinds.get("V", 0)
    if ventricular and counted is not None and ventricular < measured.beats:
        write_ectopy(report, measured, counted, code)
    pause = measured.longest_rr
    cited = pause is not None and any((e.start, e.end) == (pause.start, pause.end) for e in report.numbering.given)
    if pause is not None and pause.value >= PAUSE_S and not cited:
        report.add_claim(f"The longest pause without a beat is {pause.value:.2f} s", "longest RR", pause)
        report.add(". ")


def _write_block(report: ReportText, measured: SegmentMeasurements) -> None:
    """P waves that no QRS complex follows, and the AV block that two of them show."""
    rule, n = "P waves that lead no QRS complex", len(measured.blocked)
    if measured.block is not None:
        name = f"{measured.block.capitalize()}-degree AV block ({n} P waves without a QRS complex)"
        report.add_claim(name, rule, *measured.blocked)
        report.add(". ")
    elif n:
        report.add_claim("A P wave leads no QRS complex", rule, *measured.blocked)
        report.add(". ")


def beats_counted(measured: SegmentMeasurements) -> Evidence | None:
    """Evidence whose span holds the beats that are counted; None where none was measured over several beats."""
    longest = measured.longest_rr
    silence = longest is None or longest.measure != "RR"
    return measured.evidence.get("REGULARITY") or measured.evidence.get("HR") or (None if silence else longest)


def write_ectopy(report: ReportText, measured: SegmentMeasurements, counted: Evidence, code: str = "") -> None:
    """The ventricular beats counted, and the patterns of their sequence that the alarm does not name already."""
    ventricular = measured.kinds["V"]
    beats = "beats" if ventricular > 1 else "beat"
    report.add_claim(
        f"{ventricular} ventricular ectopic {beats} among {measured.beats} beats", "beat kinds counted", counted
    )
    report.add(". ")
    for name, pattern, rule, codes in _PATTERNS:
        if code not in codes and pattern.search(measured.kind_sequence):
            report.add_claim(name, rule, counted)
            report.add(". ")


_PATTERNS = (
    ("Ventricular bigeminy", BIGEMINY, "every second beat ventricular, three cycles", ("VBIGEMINY",)),
    ("Ventricular trigeminy", TRIGEMINY, "every third beat ventricular, three cycles", ("VTRIGEMINY",)),
    ("Ventricular couplet", COUPLET, "two ventricular beats in a row", ("VPAIR",)),
    ("Ventricular run", RUN, "three ventricular beats in a row or more", ("VRUN", "VRHYTHM", "VTACH")),
)


def _rhythm(measured: SegmentMeasurements, code: str) -> tuple[str, str, tuple[Evidence | None, ...]] | None:
    """Name of the rhythm by the measurements, the rule in words, and its evidence (None where not measured).

    None where too few beats name no rhythm, or where each name opposes the alarm.
    """
    variability, absent = measured.evidence.get("REGULARITY"), measured.evidence.get("ABSENT_P")
    qrs, pr = measured.evidence.get("QRS"), measured.evidence.get("PR")
    if measured.beats < NAMED_RHYTHM_BEATS:
        return None
    if measured.kinds.get("P", 0) > measured.beats / 2:
        return "Paced rhythm", "most beats follow a pacing mark", (variability,)
    evidence: tuple[Evidence | None, ...]
    if measured.kinds.get("V", 0) > measured.beats / 2:
        if qrs is not None and qrs.value >= QRS_WIDE_MS and not _opposed(code, "QRS_WIDE"):
            name, rule, evidence = "wide-complex rhythm", "most beats are ventricular in shape", (variability, qrs)
        else:
            name, rule, evidence = "ventricular rhythm", "most beats are ventricular in shape", (variability,)
    elif measured.p_waves is True and not _opposed(code, "P_WAVES"):
        name, rule = "rhythm with P waves before the QRS complexes", "P waves before 70 % of the beats or more"
        evidence = (variability, pr)
    elif measured.p_waves is False:
        fibrillating, _, found = afib(ExtractedClaim.finding("AFIB"), measured)
        pattern = fibrillating is True and not _opposed(code, "AFIB")
        name = f"rhythm without P waves{', consistent with atrial fibrillation' if pattern else ''}"
        rule = "P waves before 20 % of the beats or fewer"
        evidence = found if pattern else (variability, absent)
    else:
        name, rule, evidence = "rhythm", "RR variability", (variability,)
    regular = None if measured.regular is True and _opposed(code, "REGULAR") else measured.regular
    if name == "rhythm" and (regular is None or variability is None):
        return None
    words = {True: "regular ", False: "irregular ", None: ""}[regular] + name
    return words[0].upper() + words[1:], rule, evidence


def _write_axis(report: ReportText, measured: SegmentMeasurements) -> None:
    ventricular = measured.kinds.get("V", 0) > measured.beats / 2  # the axis is of the conducted beats alone
    if measured.axis_deg is None or ventricular or "QRS" not in measured.evidence:
        return
    deg = measured.axis_deg
    if AXIS_EXTREME_DEG <= deg < AXIS_LEFT_DEG:
        name = "left axis deviation"
    elif AXIS_RIGHT_DEG < deg <= 180:
        name = "right axis deviation"
    else:
        name = "normal" if deg >= AXIS_LEFT_DEG else "extreme"
    qrs = measured.evidence["QRS"]
    report.add_claim(f"The QRS axis is {deg:.0f}° ({name})".replace("-", "−"), "net QRS of I and aVF", qrs)
    report.add(". ")


def _write_intervals(report: ReportText, measured: SegmentMeasurements, code: str) -> None:
    parts = [(name, measured.evidence[name]) for name in ("PR", "QRS", "QT", "QTcF") if name in measured.evidence]
    if measured.p_waves is not True or _opposed(code, "P_WAVES"):
        parts = [part for part in parts if part[0] != "PR"]
    if any(e.measure == "QRS" for e in report.numbering.given):  # the text has one QRS: the alarm's
        parts = [part for part in parts if part[0] != "QRS"]
    if not measured.at_rate_of(report.numbering.given):
        parts = [part for part in parts if not part[0].startswith("QT")]
    if not parts:
        report.add("No interval could be measured. ")
        return
    for k, (name, evidence) in enumerate(parts):
        report.add(", " if k else "")
        report.add_claim(f"{name} {evidence.value:.0f} ms", f"{name} measured", evidence)
        note = interval_note(name, evidence.value, measured.ecg.sex)
        if note:
            report.add(f" ({note})")
    report.add(". ")


def interval_note(name: str, value_ms: float, sex: str = "") -> str:
    """The word for an interval outside the adult range, "" when it is inside.

    >>> interval_note("PR", 230.0), interval_note("QTcF", 470.0, "M"), interval_note("QRS", 90.0)
    ('prolonged', 'prolonged', '')
    """
    if name == "PR":
        return "prolonged" if value_ms > PR_LONG_MS else "short" if value_ms < PR_SHORT_MS else ""
    if name == "QRS":
        return "wide" if value_ms >= QRS_WIDE_MS else "borderline" if value_ms > QRS_SLIGHTLY_WIDE_MS else ""
    if name in ("QTc", "QTcF"):
        return "prolonged" if is_qtc_long(value_ms, sex) else "short" if value_ms < QTC_SHORT_MS else ""
    return ""


def _write_st(report: ReportText, measured: SegmentMeasurements) -> None:
    st = measured.st
    if not st:
        return
    for word, sign in (("elevation", 1), ("depression", -1)):
        leads = [x for x, e in st.items() if sign * e.value >= ST_DEVIATION_MV and x != "aVR"]
        if leads:
            most = max(leads, key=lambda x: abs(st[x].value))
            report.add_claim(
                f"ST {word} of 0.1 mV or more in {leads_phrase(leads)}, "
                f"maximum in {most} ({_signed(st[most].value)} mV)",
                "ST at J + 60 ms against the PR segment",
                *[st[x] for x in [most, *[y for y in leads if y != most]]],
            )
            report.add(". ")
    if all(abs(e.value) < ST_DEVIATION_MV for x, e in st.items() if x != "aVR"):
        widest = max(st, key=lambda x: abs(st[x].value) if x != "aVR" else -1.0)
        report.add_claim(
            f"ST is within 0.1 mV in {leads_phrase(tuple(st))}",
            "ST at J + 60 ms in each lead",
            st[widest],
        )
        report.add(". ")


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _write_t(report: ReportText, measured: SegmentMeasurements) -> None:
    heights = {x: e for x in measured.usable if (e := measured.wave_evidence(x, "T")) is not None}
    inverted = [x for x in T_UPRIGHT_LEADS if x in heights and measured.t_inverted(x) is True]
    if inverted:
        report.add_claim(
            f"T wave inversion in {leads_phrase(inverted)}",
            "T height against the PR segment",
            *[heights[x] for x in inverted],
        )
        report.add(". ")


def _write_unusable_leads(report: ReportText, measured: SegmentMeasurements) -> None:
    by_state: dict[str, list[str]] = {}
    for lead, state in measured.states.items():
        if lead not in measured.usable:
            by_state.setdefault(state, []).append(lead)
    for state, leads in by_state.items():
        words = leads_phrase(leads)
        report.add(f"{words[0].upper()}{words[1:]} {'is' if len(leads) == 1 else 'are'} not analysed: {state}. ")

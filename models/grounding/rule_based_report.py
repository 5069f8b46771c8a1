"""The reading of a segment: prose, its claims, and the evidence that they cite.

`rule_based_report` words what was measured in a clinician's order (rhythm, rate, axis, intervals, ST and T, what could
not be read), each statement with the ``[n]`` of the place where it was measured. It is the interpreter that always
answers: one lead or twelve, asystole, noise or a flat line. Absent things are said to be absent, nothing is invented.
`locate` turns evidence into plain values for a citation document. No torch.

Limits of the words: AHA/ACCF/HRS recommendations for the standardization of the ECG (Surawicz 2009: QRS, axis;
Rautaharju 2009: QT, ST), ESC and ACC guidelines for PR over 200 ms.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

from models.ecg import Ecg
from models.evidence import Evidence
from models.grounding.interpretation import CheckedClaim, CitationNumbers, GroundedInterpretation
from models.grounding.segment_measurements import SegmentMeasurements, measure_segment
from models.leads import lead_order
from models.normal_limits import (
    AXIS_EXTREME_DEG,
    AXIS_LEFT_DEG,
    AXIS_RIGHT_DEG,
    HR_HIGH_BPM,
    HR_LOW_BPM,
    PAUSE_S,
    PR_LONG_MS,
    PR_SHORT_MS,
    QRS_SLIGHTLY_WIDE_MS,
    QRS_WIDE_MS,
    QTC_SHORT_MS,
    ST_DEVIATION_MV,
    T_UPRIGHT_LEADS,
    qtc_long_ms,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where evidence lies, relative to a segment: what a citation document says of time."""

    start_ns: int
    end_ns: int
    start_s: float
    end_s: float
    start_sample: int
    end_sample: int
    beats: tuple[tuple[int, int, int, float], ...] = field(default=())
    """(R, start, end, value) of each beat, samples relative to the segment."""


def locate(evidence: Evidence, *, segment_start_ns: int, fs_hz: float, segment_start_sample: int = 0) -> Place:
    """The place of evidence in a segment.

    Parameters
    ----------
    evidence : Evidence
        Positions in samples of the signal it was measured on.
    segment_start_ns : int
        UTC of the segment's first sample.
    fs_hz : float
        Sampling rate of that signal, the rate as it arrived.
    segment_start_sample : int
        Position of the segment's first sample in that signal.

    Examples
    --------
    >>> place = locate(Evidence("PR", 212.0, ("II",), 785, 838), segment_start_ns=0, fs_hz=250.0)
    >>> place.start_s, place.end_s, place.end_ns
    (3.14, 3.352, 3352000000)
    """
    moved = evidence.shifted(-segment_start_sample)
    ns = [segment_start_ns + round(sample * 1e9 / fs_hz) for sample in (moved.start, moved.end)]
    beats = tuple((b.r, b.start, b.end, b.value) for b in moved.beats)
    return Place(
        ns[0], ns[1], round(moved.start / fs_hz, 4), round(moved.end / fs_hz, 4), moved.start, moved.end, beats
    )


def citation_line(n: int, evidence: Evidence, fs_hz: float) -> str:
    """A citation as people see it.

    >>> citation_line(1, Evidence("PR", 212.0, ("II",), 785, 838), 250.0)
    '[1] PR 212 ms, lead II, 3.14–3.35 s'
    """
    name = f"{evidence.wave} wave" if evidence.measure == "AMPLITUDE" else evidence.measure.replace("_", " ")
    return (
        f"[{n}] {name} {value_words(evidence)}, {leads_words(evidence.leads)}, "
        f"{evidence.start / fs_hz:.2f}–{evidence.end / fs_hz:.2f} s"
    )


def value_words(evidence: Evidence) -> str:
    """Value and unit, with the digits that the measure deserves."""
    digits = {"ms": 0, "bpm": 0, "mV": 2, "s": 2, "": 2}[evidence.unit]
    return f"{evidence.value:.{digits}f} {evidence.unit}".rstrip()


def leads_words(leads: Sequence[str]) -> str:
    """Leads in words; neighbouring chest leads as a range.

    >>> leads_words(("V4", "II", "V2", "V3")), leads_words(("II",))
    ('leads II and V2–V4', 'lead II')
    """
    ordered = lead_order(leads)
    parts: list[str] = []
    chest = [int(x[1:]) for x in ordered if re.fullmatch("V[1-6]", x)]
    for lead in ordered:
        if not re.fullmatch("V[1-6]", lead):
            parts.append(lead)
    while chest:
        run = 1
        while run < len(chest) and chest[run] == chest[0] + run:
            run += 1
        parts += [f"V{chest[0]}–V{chest[run - 1]}"] if run > 2 else [f"V{k}" for k in chest[:run]]
        chest = chest[run:]
    if len(ordered) == 12:
        return "all twelve leads"
    words = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"lead {words}" if len(ordered) == 1 else f"leads {words}"


class Prose:
    """Text under construction: sentences, the claims in them, and the citations they take up."""

    def __init__(self, first_citation: int, given: Sequence[Evidence]) -> None:
        self.numbering = CitationNumbers(first_citation, given)
        self.text = ""
        self.claims: list[CheckedClaim] = []

    def say(self, text: str) -> None:
        """Words that claim nothing about the signal: joints and stops."""
        self.text += text

    def claim(self, text: str, rule: str, *evidence: Evidence) -> None:
        """A statement that holds, its rule, and what it rests on; the first evidence is the claim's citation."""
        start = len(self.text)
        numbers = list(dict.fromkeys(self.numbering.number(e) for e in evidence))
        self.text += text
        self.claims.append(
            CheckedClaim(text, start, len(self.text), "supported", numbers[0] if numbers else None, rule)
        )
        self.text += "".join(f" [{n}]" for n in numbers)


def rule_based_report(
    ecg: Ecg,
    *,
    reason: str | None,
    first_citation: int = 1,
    given: Sequence[Evidence] = (),
    fold: str | None = None,
) -> GroundedInterpretation:
    """Word the measured measured of a segment.

    Parameters
    ----------
    ecg : Ecg
        The segment, any leads, usually 10 s.
    reason : str or None
        Why GEM does not speak (no weights, too few leads, out of time), for the record.
    first_citation : int
        Number of the first new citation.
    given : sequence of Evidence
        The alert's own citations, numbered 1…k, in samples of ``ecg``: they are worded first and keep their numbers.
    fold : str, optional
        Measure with network weights trained without this fold (evaluation).

    Returns
    -------
    GroundedInterpretation
        Source ``measured``; every claim supported.
    """
    began = perf_counter()
    measured = measure_segment(ecg, fold=fold)
    prose = Prose(first_citation, given)
    for evidence in given:
        _word_given(prose, evidence)
    if measured.fibrillation is not None:
        _word_fibrillation(prose, measured.fibrillation)
    elif measured.beats == 0:
        _word_no_beats(prose, measured)
    else:
        _word_rhythm(prose, measured)
        _word_axis(prose, measured)
        _word_intervals(prose, measured)
        _word_st(prose, measured)
        _word_t(prose, measured)
    _word_unread(prose, measured)
    return GroundedInterpretation(
        "measured",
        reason,
        prose.text.strip(),
        tuple(prose.claims),
        tuple(prose.numbering.cited),
        seconds=perf_counter() - began,
    )


def _word_given(prose: Prose, evidence: Evidence) -> None:
    met = "" if evidence.criterion is None else f" ({evidence.criterion.rule})"
    name = (
        f"{evidence.wave} wave" if evidence.measure == "AMPLITUDE" else _NAMES.get(evidence.measure, evidence.measure)
    )
    prose.say("The alarm rests on " if prose.text == "" else "And on ")
    prose.claim(
        f"{name} {value_words(evidence)} in {leads_words(evidence.leads)}{met}", "the alarm's own citation", evidence
    )
    prose.say(". ")


_NAMES = {
    "RR": "an RR interval of",
    "HR": "a rate of",
    "P": "a P wave of",
    "QRS": "a QRS of",
    "PR": "a PR interval of",
    "QT": "a QT interval of",
    "QTc": "a QTc of",
    "QTcF": "a QTcF of",
    "ST": "an ST level of",
    "REGULARITY": "a scatter of RR of",
    "ABSENT_P": "a share of beats without P wave of",
    "QUALITY": "a signal quality of",
    "SILENCE": "silence for",
}


def _word_fibrillation(prose: Prose, waves: Evidence) -> None:
    rule = "waves of fibrillation in three of four usable leads, without rest between complexes"
    prose.claim(f"Waves as in ventricular fibrillation in {leads_words(waves.leads)}", rule, waves)
    prose.say(f", {waves.value:.2f} mV from top to bottom. No QRS complexes, P waves or intervals are stated. ")


def _word_no_beats(prose: Prose, measured: SegmentMeasurements) -> None:
    if not measured.readable or measured.longest_rr is None:
        prose.say("No lead can be read: rhythm, rate and intervals are not stated. ")
        return
    silence = measured.longest_rr
    flat = all(measured.states[x] == "flat" for x in measured.usable)
    prose.claim(
        f"No beat is found for {silence.value:.1f} s in {leads_words(silence.leads)}",
        "no beat found in any usable lead",
        silence,
    )
    prose.say(", and the line is flat. " if flat else ". ")
    prose.say("P waves, intervals, ST and T cannot be stated without beats. ")


def _word_rhythm(prose: Prose, measured: SegmentMeasurements) -> None:
    rate, scatter, absent = (measured.evidence.get(x) for x in ("HR", "REGULARITY", "ABSENT_P"))
    name, rule, rests = rhythm_name(measured)
    prose.claim(name, rule, *[e for e in rests if e is not None])
    if rate is not None:
        prose.say(", rate ")
        prose.claim(f"{rate.value:.0f} bpm", "HR measured over the beats", rate)
        if rate.value < HR_LOW_BPM or rate.value > HR_HIGH_BPM:
            prose.say(f" ({'slow' if rate.value < HR_LOW_BPM else 'fast'})")
    prose.say(". ")
    if measured.p_waves is None and absent is not None and measured.beats_examined:
        prose.claim(
            f"A P wave is seen before {measured.beats_with_p} of {measured.beats_examined} beats",
            "P waves counted",
            absent,
        )
        prose.say(". ")
    wide = measured.kinds.get("V", 0)
    if wide and scatter is not None and wide < measured.beats:
        prose.claim(
            f"{wide} ventricular beat{'s' if wide > 1 else ''} among {measured.beats}", "beat kinds counted", scatter
        )
        prose.say(". ")
    pause = measured.longest_rr
    if pause is not None and pause.value >= PAUSE_S:
        prose.claim(f"The longest time without a beat is {pause.value:.2f} s", "longest RR", pause)
        prose.say(". ")


def rhythm_name(measured: SegmentMeasurements) -> tuple[str, str, tuple[Evidence | None, ...]]:
    """What the rhythm may be called by what was measured: the words, the rule, the evidence (or None) it rests on."""
    scatter, absent = measured.evidence.get("REGULARITY"), measured.evidence.get("ABSENT_P")
    regular = {True: "Regular ", False: "Irregular ", None: ""}[measured.regular]
    if measured.kinds.get("P", 0) > measured.beats / 2:
        return "Paced rhythm", "most beats follow a pacing mark", (scatter,)
    if measured.kinds.get("V", 0) > measured.beats / 2:
        name, rule, rests = (
            "wide-complex rhythm",
            "most beats are ventricular in shape",
            (scatter, measured.evidence.get("QRS")),
        )
    elif measured.p_waves is True:
        name, rule = "rhythm with P waves before the beats", "P waves lead 70 % of the beats or more"
        rests = (scatter, measured.evidence.get("PR"))
    elif measured.p_waves is False:
        like = ", as in atrial fibrillation" if measured.regular is False else ""
        name, rule, rests = (
            f"rhythm without P waves{like}",
            "P waves lead 20 % of the beats or fewer",
            (scatter, absent),
        )
    else:
        name, rule, rests = "rhythm", "scatter of RR", (scatter, None)
    words = regular + name
    return words[0].upper() + words[1:], rule, rests


def _word_axis(prose: Prose, measured: SegmentMeasurements) -> None:
    if measured.axis_deg is None or "QRS" not in measured.evidence:
        return
    deg = measured.axis_deg
    word = (
        "left"
        if AXIS_EXTREME_DEG <= deg < AXIS_LEFT_DEG
        else "right"
        if AXIS_RIGHT_DEG < deg <= 180
        else "normal"
        if deg >= AXIS_LEFT_DEG
        else "extreme"
    )
    prose.claim(
        f"The QRS axis is {deg:.0f}° ({word})".replace("-", "−"), "net QRS of I and aVF", measured.evidence["QRS"]
    )
    prose.say(". ")


def _word_intervals(prose: Prose, measured: SegmentMeasurements) -> None:
    parts = [(name, measured.evidence[name]) for name in ("PR", "QRS", "QT", "QTcF") if name in measured.evidence]
    if measured.p_waves is not True:
        parts = [part for part in parts if part[0] != "PR"]
    if not parts:
        prose.say("No interval could be measured. ")
        return
    for k, (name, evidence) in enumerate(parts):
        prose.say(", " if k else "")
        prose.claim(f"{name} {evidence.value:.0f} ms", f"{name} measured", evidence)
        note = interval_note(name, evidence.value, measured.ecg.sex)
        if note:
            prose.say(f" ({note})")
    prose.say(". ")


def interval_note(name: str, value_ms: float, sex: str = "") -> str:
    """The word for an interval that is out of the adult range, "" when it is inside.

    >>> interval_note("PR", 230.0), interval_note("QTcF", 470.0, "M"), interval_note("QRS", 90.0)
    ('long', 'long', '')
    """
    if name == "PR":
        return "long" if value_ms > PR_LONG_MS else "short" if value_ms < PR_SHORT_MS else ""
    if name == "QRS":
        return "wide" if value_ms >= QRS_WIDE_MS else "slightly wide" if value_ms > QRS_SLIGHTLY_WIDE_MS else ""
    if name in ("QTc", "QTcF"):
        return "long" if value_ms > qtc_long_ms(sex) else "short" if value_ms < QTC_SHORT_MS else ""
    return ""


def _word_st(prose: Prose, measured: SegmentMeasurements) -> None:
    if not measured.st:
        return
    for word, sign in (("elevated", 1), ("depressed", -1)):
        leads = [x for x, e in measured.st.items() if sign * e.value >= ST_DEVIATION_MV and x != "aVR"]
        if leads:
            most = max(leads, key=lambda x: abs(measured.st[x].value))
            prose.claim(
                f"ST is {word} by 0.1 mV or more in {leads_words(leads)}, "
                f"most in {most} ({_signed(measured.st[most].value)} mV)",
                "ST at J + 60 ms against the PR segment",
                *[measured.st[x] for x in [most, *[y for y in leads if y != most]]],
            )
            prose.say(". ")
    if all(abs(e.value) < ST_DEVIATION_MV for x, e in measured.st.items() if x != "aVR"):
        widest = max(measured.st, key=lambda x: abs(measured.st[x].value) if x != "aVR" else -1.0)
        prose.claim(
            f"ST is within 0.1 mV in {leads_words(tuple(measured.st))}",
            "ST at J + 60 ms in each lead",
            measured.st[widest],
        )
        prose.say(". ")


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _word_t(prose: Prose, measured: SegmentMeasurements) -> None:
    seen = {x: e for x in measured.usable if (e := measured.wave_evidence(x, "T")) is not None}
    inverted = [x for x in T_UPRIGHT_LEADS if x in seen and seen[x].value < 0]
    if inverted:
        prose.claim(
            f"T waves are inverted in {leads_words(inverted)}",
            "T height against the PR segment",
            *[seen[x] for x in inverted],
        )
        prose.say(". ")


def _word_unread(prose: Prose, measured: SegmentMeasurements) -> None:
    unread: dict[str, list[str]] = {}
    for lead, state in measured.states.items():
        if lead not in measured.usable:
            unread.setdefault(state, []).append(lead)
    for state, leads in unread.items():
        words = leads_words(leads)
        prose.say(f"{words[0].upper()}{words[1:]} {'is' if len(leads) == 1 else 'are'} not judged: {state}. ")

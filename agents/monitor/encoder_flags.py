"""Decides for each encoder result of a bed whether its findings are flagged for GEM.

Input: the findings of one 10-s window, the bed document with its alerts, the history of the last results. Output:
the new history and, at most, one flag. A flag becomes an `INTERPRETATION` alert (advice, PN, never sounds), and GEM
reads its segment. A finding is flagged when `RESULTS_IN_A_ROW` consecutive results agree, no alarm of the bed covers
it, no technical alarm makes the signal unusable, and it was not flagged recently. An untrained encoder flags nothing:
its features are those of random weights.

The history (`EncoderHistory`) exists in the worker only; state that must survive it is read from the bed's alerts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agents.lifecycle.rules import seconds_ns
from models.finding_names import TITLES
from streams.alert import State
from streams.bed import Bed, Status
from streams.document import ns_of_time

RESULTS_IN_A_ROW = 5
"""Consecutive results that must agree: at one result every 2 s they span 18 s of signal, almost two disjoint windows.
With a single result every passing artefact becomes an alert."""

AGAIN_AFTER_S = 600.0
"""The same findings are not flagged again for this long, the longest re-alarm time. Without it GEM reads the same ECG
again and again."""

MORE_AFTER_S = 60.0
"""Findings that were not among the last flagged ones are flagged after this long: at most one alert a minute."""

NOT_NEWS = frozenset({"NORM", "SINUS", "IRREGULAR_SINUS", "BRADY", "TACHY", "PVC", "PAC", "PACED"})
"""Findings that need no interpretation, and those for which the rhythm tier has limits of its own."""

COVERED_BY_ALARMS: Mapping[str, frozenset[str]] = {
    "AFIB": frozenset({"AFIB", "IRREGULAR"}),
    "MI": frozenset({"ST_ELEVATION", "ST_DEPRESSION"}),
    "STTC": frozenset({"ST_ELEVATION", "ST_DEPRESSION"}),
    "ST_ELEVATED": frozenset({"ST_ELEVATION"}),
    "ST_DEPRESSED": frozenset({"ST_DEPRESSION"}),
    "QT_LONG": frozenset({"QT_LONG"}),
    "CD": frozenset({"WIDE_QRS", "PR_LONG", "AV_BLOCK"}),
    "LBBB": frozenset({"WIDE_QRS"}),
    "RBBB": frozenset({"WIDE_QRS"}),
    "AVB1": frozenset({"PR_LONG"}),
}
"""Alarms that cover a finding: while one of them is open GEM reads the segment of that alarm."""

UNREADABLE = frozenset({"CANNOT_ANALYZE", "NOISY_SIGNAL", "LEADS_OFF", "SILENT_FEED", "PATIENT_MISMATCH"})
"""Technical alarms that make the encoder's findings unusable, or not known to belong to this patient."""


@dataclass(frozen=True, slots=True)
class EncoderResult:
    """Findings of the encoder tier in one window.

    Attributes
    ----------
    findings : mapping
        Those at or over their calibrated threshold, with their probability.
    start_ns, stop_ns : int
        The window, UTC nanoseconds.
    trained : bool
        False: the encoder's weights are random.
    """

    findings: Mapping[str, float]
    start_ns: int
    stop_ns: int
    trained: bool = True


@dataclass(frozen=True, slots=True)
class EncoderHistory:
    """The last encoder results of one bed.

    Attributes
    ----------
    agreeing : mapping
        Finding to the number of results in a row that showed it.
    raised : frozenset of str
        The findings raised last.
    raised_ns : int or None
        When.
    """

    agreeing: Mapping[str, int] = field(default_factory=dict)
    raised: frozenset[str] = frozenset()
    raised_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Raised:
    """An encoder's flag that becomes an `INTERPRETATION` alert over its window."""

    findings: tuple[str, ...]
    reason: str
    start_ns: int
    stop_ns: int


def decide_flag(
    bed: Bed, result: EncoderResult, history: EncoderHistory, now_ns: int
) -> tuple[EncoderHistory, Raised | None]:
    """Decide about one result.

    Parameters
    ----------
    bed : Bed
        As it stands, its alerts included.
    result : EncoderResult
        Of one window.
    history : EncoderHistory
        After the last result.
    now_ns : int
        UTC nanoseconds.

    Returns
    -------
    history : EncoderHistory
        After this result.
    raised : Raised or None
        The flag, or None.
    """
    if not result.trained:
        return history, None
    agreeing = {finding: history.agreeing.get(finding, 0) + 1 for finding in result.findings}
    history = EncoderHistory(agreeing, history.raised, history.raised_ns)
    open_codes = {alert.code for alert in bed.alerts if alert.state is not State.OFF}
    lethal = any(a.priority == "PH" and a.state is not State.OFF for a in bed.alerts)
    if bed.status is not Status.MONITORED or lethal or open_codes & UNREADABLE:
        return history, None
    steady = {finding for finding, results in agreeing.items() if results >= RESULTS_IN_A_ROW}
    news = {f for f in steady - NOT_NEWS if not COVERED_BY_ALARMS.get(f, frozenset()) & open_codes}
    if not news or not _due(bed, news, history, now_ns):
        return history, None
    findings = tuple(sorted(news, key=lambda finding: (-result.findings[finding], finding)))
    named = ", ".join(f"{TITLES.get(finding, finding)} {result.findings[finding]:.2f}" for finding in findings)
    raised = Raised(findings, f"encoder, without an alarm: {named}", result.start_ns, result.stop_ns)
    return EncoderHistory(agreeing, frozenset(news), now_ns), raised


def supports(history: EncoderHistory, code: str) -> tuple[str, ...]:
    """Findings of `RESULTS_IN_A_ROW` results that an alarm covers; added to the reason of its flag."""
    steady = (finding for finding, results in history.agreeing.items() if results >= RESULTS_IN_A_ROW)
    return tuple(sorted(finding for finding in steady if code in COVERED_BY_ALARMS.get(finding, frozenset())))


def _due(bed: Bed, news: set[str], history: EncoderHistory, now_ns: int) -> bool:
    """True when these findings were not flagged recently, by the history and the bed's alerts."""
    raised_at_ns = [ns_of_time(alert.detected) for alert in bed.alerts if alert.code == "INTERPRETATION"]
    if history.raised_ns is not None:
        raised_at_ns.append(history.raised_ns)
    if not raised_at_ns:
        return True
    more = history.raised_ns is not None and bool(news - history.raised)
    return now_ns - max(raised_at_ns) >= seconds_ns(MORE_AFTER_S if more else AGAIN_AFTER_S)

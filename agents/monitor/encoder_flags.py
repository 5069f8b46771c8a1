"""What the encoder tier's findings are worth beside the rhythm tier's alarms: one decision a bed and look.

A finding of one 10-s window is not yet news. It is raised when several looks in a row agree, when no alarm of the bed
says the same already, when the signal is fit to be read, and when nobody was told of it lately. What is raised becomes
an `INTERPRETATION` alert (advice, PN, never sounds) whose segment GEM reads. An encoder that was never trained raises
nothing: its features are those of fixed random weights.

The memory (`Watch`) is a value of the worker alone; what must survive the worker is read from the bed's alerts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agents.lifecycle.rules import seconds_ns
from models.finding_names import TITLES
from streams.alert import State
from streams.bed import Bed, Status
from streams.document import ns_of_time

LOOKS_IN_A_ROW = 5
"""So many looks must agree: at one look every 2 s they span 18 s of signal, nearly two windows that share nothing. With
a single look every passing artefact becomes an alert."""

AGAIN_AFTER_S = 600.0
"""The same findings are not raised again for this long, as long as the longest re-alarm time: GEM would read the same
ECG again and again."""

MORE_AFTER_S = 60.0
"""Findings that were not among those raised last are raised after this long: one alert a minute at most, however
the findings come and go."""

NOT_NEWS = frozenset({"NORM", "SINUS", "IRREGULAR_SINUS", "BRADY", "TACHY", "PVC", "PAC", "PACED"})
"""Findings that ask for no reading, and those that the rhythm tier counts beat by beat with limits of its own."""

SAID_BY: Mapping[str, frozenset[str]] = {
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
"""Alarms that say the same as a finding: while one of them is open its own segment is read."""

UNREADABLE = frozenset({"NOISY_SIGNAL", "LEADS_OFF", "SILENT_FEED", "PATIENT_MISMATCH"})
"""Technical alarms in whose presence the encoder's findings are not believed, or not known to be this patient's."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the encoder tier found in one window.

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
class Watch:
    """What a worker remembers of one bed's looks.

    Attributes
    ----------
    agreeing : mapping
        Finding to the number of looks in a row that showed it.
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


def weigh(bed: Bed, look: Look, watch: Watch, now_ns: int) -> tuple[Watch, Raised | None]:
    """Decide about one look.

    Parameters
    ----------
    bed : Bed
        As it stands, its alerts included.
    look : Look
        What the encoder found.
    watch : Watch
        What was remembered after the last look.
    now_ns : int
        UTC nanoseconds.

    Returns
    -------
    watch : Watch
        To be remembered.
    raised : Raised or None
        What to raise, if anything.
    """
    if not look.trained:
        return watch, None
    agreeing = {finding: watch.agreeing.get(finding, 0) + 1 for finding in look.findings}
    watch = Watch(agreeing, watch.raised, watch.raised_ns)
    open_codes = {alert.code for alert in bed.alerts if alert.state is not State.OFF}
    lethal = any(a.priority == "PH" and a.state is not State.OFF for a in bed.alerts)
    if bed.status is not Status.MONITORED or lethal or open_codes & UNREADABLE:
        return watch, None
    steady = {finding for finding, looks in agreeing.items() if looks >= LOOKS_IN_A_ROW}
    news = {f for f in steady - NOT_NEWS if not SAID_BY.get(f, frozenset()) & open_codes}
    if not news or not _due(bed, news, watch, now_ns):
        return watch, None
    findings = tuple(sorted(news, key=lambda finding: (-look.findings[finding], finding)))
    said = ", ".join(f"{TITLES.get(finding, finding)} {look.findings[finding]:.2f}" for finding in findings)
    raised = Raised(findings, f"encoder, without an alarm: {said}", look.start_ns, look.stop_ns)
    return Watch(agreeing, frozenset(news), now_ns), raised


def supports(watch: Watch, code: str) -> tuple[str, ...]:
    """The encoder's steady findings that say the same as an alarm that begins: they go into its flag's reason."""
    steady = (finding for finding, looks in watch.agreeing.items() if looks >= LOOKS_IN_A_ROW)
    return tuple(sorted(finding for finding in steady if code in SAID_BY.get(finding, frozenset())))


def _due(bed: Bed, news: set[str], watch: Watch, now_ns: int) -> bool:
    """Nobody was told of these findings lately, as the worker and the bed's alerts remember it."""
    told = [ns_of_time(alert.detected) for alert in bed.alerts if alert.code == "INTERPRETATION"]
    if watch.raised_ns is not None:
        told.append(watch.raised_ns)
    if not told:
        return True
    more = watch.raised_ns is not None and bool(news - watch.raised)
    return now_ns - max(told) >= seconds_ns(MORE_AFTER_S if more else AGAIN_AFTER_S)

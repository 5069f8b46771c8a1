"""Selects the alerts that GEM interprets: the gate between the monitor and the interpreter. Pure.

Input: the alerts that begin in a step. Output: flags, each with its reason and the citations of the start version.
Budgets keep one noisy bed from taking the interpreter from all others: a more urgent alert may use more of the budget.
An alert over budget gets a rule-based report with the reason.

The budget is a value, the clock is passed in. It belongs to one worker and is not restored: a flag that is sent twice
is interpreted twice and applied once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from agents.lifecycle.rules import seconds_ns
from models.finding_names import TITLES
from streams.alert import Alert, Citation, Phase
from streams.document import ns_of_time

WINDOW_S = 60.0  # budgets count the flags of the last minute

BED_MOST: Mapping[str, int] = {"PH": 6, "PM": 4, "PL": 3, "PN": 2}
"""A bed may have been read so often in the last minute for one more alert of that priority to be read. Without it a bed
with a loose electrode, which raises and ends alarms for hours, has the interpreter to itself."""

ALL_MOST: Mapping[str, int] = {"PH": 60, "PM": 45, "PL": 30, "PN": 15}
"""The same over all beds of a worker. One a second is more than eight beds on a laptop need and what one GPU reads with
ease; bedside monitors make about two alarms a second on a thousand beds (Drew 2014: 187 a bed and day)."""

SAME_CODE_S = 120.0
"""The same code of a bed is interpreted again after this long at the earliest, PH at once: the last one still holds."""

_URGENCY = {"PH": 0, "PM": 1, "PL": 2, "PN": 3}


@dataclass(frozen=True, slots=True)
class Flag:
    """One alert that GEM is to read.

    Attributes
    ----------
    alert : Alert
        Its start version: id, segment, priority.
    reason : str
        Why it was flagged, in plain words.
    """

    alert: Alert
    reason: str

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The start version's, numbered 1…k: the interpreter goes on from k + 1."""
        return tuple(self.alert.citations)


@dataclass(frozen=True, slots=True)
class Spent:
    """One flag that was let through."""

    at_ns: int
    bed_stream: str
    code: str


@dataclass(frozen=True, slots=True)
class Budget:
    """The flags let through lately; begins empty."""

    spent: tuple[Spent, ...] = ()
    bed_most: Mapping[str, int] = field(default_factory=lambda: BED_MOST)
    all_most: Mapping[str, int] = field(default_factory=lambda: ALL_MOST)


@dataclass(frozen=True, slots=True)
class Choice:
    """The flags of a step, taken or left out.

    Attributes
    ----------
    taken : tuple of Flag
        For GEM, the most urgent first, the newest first among equals.
    left_out : tuple of (Flag, str)
        The others, each with the reason. A segment sent to the interpreter with a deadline that has passed gets a
        rule-based report, which takes milliseconds.
    """

    taken: tuple[Flag, ...]
    left_out: tuple[tuple[Flag, str], ...]


def flag(alert: Alert, *, supported_by: Iterable[str] = (), found: str = "") -> Flag | None:
    """The flag of an alert version, or None where it is nothing for GEM to read.

    Parameters
    ----------
    alert : Alert
        Only a start version with a segment is read, and no technical alarm: there is no ECG to interpret in it.
    supported_by : iterable of str
        The encoder's findings that the alarm covers (`agents.monitor.encoder_flags.supports`).
    found : str
        For `INTERPRETATION`: the reason with which the encoder's flag was raised.
    """
    if alert.phase is not Phase.START or alert.segment is None or alert.kind == "technical":
        return None
    reason = found or _reason_of(alert)
    agreeing = [TITLES.get(finding, finding) for finding in supported_by]
    if agreeing:
        reason += f"; the encoder agrees: {', '.join(agreeing)}"
    return Flag(alert, reason)


def choose(budget: Budget, flags: Sequence[Flag], now_ns: int) -> tuple[Budget, Choice]:
    """Let through what the budgets hold.

    Parameters
    ----------
    budget : Budget
        After the last step.
    flags : sequence of Flag
        Of any beds, in any order.
    now_ns : int
        UTC nanoseconds.
    """
    kept_ns = now_ns - seconds_ns(max(WINDOW_S, SAME_CODE_S))
    spent = [entry for entry in budget.spent if entry.at_ns > kept_ns]
    taken, left_out = [], []
    for candidate in sorted(flags, key=_order):
        reason = _why_left_out(budget, spent, candidate.alert, now_ns)
        if reason:
            left_out.append((candidate, reason))
            continue
        taken.append(candidate)
        spent.append(Spent(now_ns, candidate.alert.bed_stream, candidate.alert.code))
    after = Budget(tuple(spent), budget.bed_most, budget.all_most)
    return after, Choice(tuple(taken), tuple(left_out))


def _order(candidate: Flag) -> tuple[bool, int, bool, int, str]:
    """The most urgent first, history last, what sounds before what does not, then the newest."""
    alert = candidate.alert
    return alert.late, _URGENCY[alert.priority], not alert.sounding, -ns_of_time(alert.onset), alert.id


def _why_left_out(budget: Budget, spent: Sequence[Spent], alert: Alert, now_ns: int) -> str:
    lately_ns = now_ns - seconds_ns(WINDOW_S)
    of_all = [entry for entry in spent if entry.at_ns > lately_ns]
    of_bed = [entry for entry in of_all if entry.bed_stream == alert.bed_stream]
    # History takes from the least urgent part of the budget: what happens now is not to wait for it.
    part = "PN" if alert.late else alert.priority
    again = [e for e in spent if (e.bed_stream, e.code) == (alert.bed_stream, alert.code)]
    if alert.priority != "PH" and any(now_ns - e.at_ns < seconds_ns(SAME_CODE_S) for e in again):
        return f"{alert.code} of this bed was read less than {SAME_CODE_S:g} s ago"
    if len(of_bed) >= budget.bed_most[part]:
        return f"the bed was read {len(of_bed)} times in the last minute, {part} may use {budget.bed_most[part]}"
    if len(of_all) >= budget.all_most[part]:
        return f"{len(of_all)} segments were read in the last minute, {part} may use {budget.all_most[part]}"
    return ""


def _reason_of(alert: Alert) -> str:
    """``Asystole (PH): no beat for 4.0 s or longer; RR 4.62 s in II``."""
    text = f"{alert.title} ({alert.priority})"
    cited = next((c for c in alert.citations if c.criterion is not None), None)
    if cited is not None and cited.criterion is not None:
        value = f"{cited.measure} {cited.value:g} {cited.unit}".strip()
        text += f": {cited.criterion.rule}; {value} in {', '.join(cited.leads)}"
    return text

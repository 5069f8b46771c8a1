"""A bed for the tests of the alarm life cycle: time in seconds, one line an event, everything that was published kept.

Every transition goes through the bed document as JSON, as it would through Kafka: what is not in the document is lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from agents.lifecycle.actions import apply_action
from agents.lifecycle.condition import ConditionReport
from agents.lifecycle.rules import Rules, seconds_ns
from agents.lifecycle.state_machine import ApplyResult, apply_interpretation, step, tick
from streams.alert import Alert, InterpretationMessage, Phase, State
from streams.bed import Action, Bed
from streams.document import time_of_ns

T0_NS = 1_795_385_400_000_000_000  # 2026-11-22T22:10:00Z
INSTANT_SEEN_AFTER_S = 1.0


def ns(seconds: float) -> int:
    """UTC nanoseconds of a time in seconds after the test's beginning."""
    return T0_NS + seconds_ns(seconds)


def condition(
    code: str,
    onset: float,
    last: float,
    *,
    detected: float | None = None,
    end: float | None = None,
    **more: Any,
) -> ConditionReport:
    """A report with times in seconds; ``last`` is where the condition last held."""
    return ConditionReport(
        code,
        ns(onset),
        ns(onset if detected is None else detected),
        ns(last),
        None if end is None else ns(end),
        **more,
    )


class Bedside:
    """One bed, its clock and its record.

    Examples
    --------
    >>> bed = Bedside()
    >>> bed.at(14, condition("ASYSTOLE", 10, 14))
    >>> bed.only("ASYSTOLE").sounding
    True
    """

    def __init__(self, rules: Rules | None = None, **fields: Any) -> None:
        self.rules = rules or Rules()
        self.bed = Bed(bed_stream="icu-3/07", unit="icu-3", bed="07", patient="p-81f3", since=time_of_ns(T0_NS))
        self.bed = self.bed.changed(**fields)
        self.record: list[Alert] = []
        self._newest: dict[str, Alert] = {}
        self.now = 0.0
        self._actions = 0

    def at(self, now: float, *reports: ConditionReport) -> None:
        """An update: the reports of all conditions that are on, or have just ended."""
        self._keep(now, step(self.bed, ns(now), reports, rules=self.rules))

    def wait(self, now: float) -> None:
        """Time passes, a second at a time."""
        while self.now + 1 < now:
            self._keep(self.now + 1, tick(self.bed, ns(self.now + 1), rules=self.rules))
        self._keep(now, tick(self.bed, ns(now), rules=self.rules))

    def do(self, now: float, action: str, alert: Alert | None = None, *, by: str = "rn-12", **args: Any) -> ApplyResult:
        """A person acts."""
        self._actions += 1
        identity = args.pop("action_id", f"action-{self._actions}")
        at = args.pop("asked_at", now)
        asked = Action(
            id=identity,
            action=action,  # type: ignore[arg-type]
            bed_stream=self.bed.bed_stream,
            alert_id=alert.id if alert else None,
            by=by,
            at=time_of_ns(ns(at)),
            args=args,
        )
        bed, alerts, outcome = apply_action(self.bed, asked, ns(now), rules=self.rules)
        self._keep(now, (bed, alerts))
        return outcome

    def read(self, now: float, message: InterpretationMessage) -> ApplyResult:
        """The interpreter's message arrives."""
        bed, alerts, outcome = apply_interpretation(self.bed, message, ns(now), rules=self.rules)
        self._keep(now, (bed, alerts))
        return outcome

    def alerts(self, code: str | None = None) -> list[Alert]:
        """The newest version of every alert, in the order in which they were raised."""
        return [alert for alert in self._newest.values() if code in (None, alert.code)]

    def only(self, code: str) -> Alert:
        """The one alert of a code."""
        (alert,) = self.alerts(code)
        return alert

    def last(self, code: str) -> Alert:
        """The alert of a code that was raised last."""
        return self.alerts(code)[-1]

    def sounding(self) -> list[str]:
        """Codes of what sounds now."""
        return [alert.code for alert in self.alerts() if alert.sounding]

    def versions(self, alert: Alert) -> list[Alert]:
        """Every published version of an alert."""
        return [version for version in self.record if version.id == alert.id]

    def _keep(self, now: float, transition: tuple[Bed, Iterable[Alert]]) -> None:
        self.now = now
        bed, alerts = transition
        if bed is not self.bed:
            self.bed = Bed.from_json(bed.to_json())
        held = {alert.id: alert for alert in self.bed.alerts}
        for alert in alerts:
            assert held[alert.id] == alert, "the bed document holds the version that goes out"
            assert_lawful(alert, self._newest.get(alert.id))
            self._newest[alert.id] = alert
            self.record.append(alert)


def assert_lawful(alert: Alert, before: Alert | None) -> None:
    """Laws of any version: no gap, one start, at most one end, off for good, sounded and acknowledged never back."""
    assert alert.version == (1 if before is None else before.version + 1)
    assert (alert.phase is Phase.START) == (before is None)
    if before is not None:
        assert (alert.phase is Phase.END) == (alert.state is State.OFF and before.state is not State.OFF)
        assert before.state is not State.OFF or alert.state is State.OFF
        assert alert.sounded or not before.sounded
        assert before.acknowledged in (None, alert.acknowledged)
    assert alert.sounded or not alert.sounding
    assert not (alert.sounding and (alert.acknowledged or alert.late or alert.state is State.OFF))

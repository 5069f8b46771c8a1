"""Collects the edits of one transition over a bed's alerts; every changed alert gets exactly one new version.

The bed document of the transition holds each new version, so a worker that crashes right after writing it leaves no
version that the next worker cannot publish (docs/delivery.md, "Publish").
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from agents.lifecycle.condition import ConditionReport
from agents.lifecycle.rules import KEEP_CHANGES, KEEP_OFF_MOST, KEEP_OFF_S, MAX_NOTE, Rules, seconds_ns
from models.arrhythmia.codes import CODES
from streams.alert import Alert, Phase, State, alert_id
from streams.bed import Bed, BedChange
from streams.document import ns_of_time, time_of_ns

NO_AUDIO_PAUSE: dict[str, Any] = {"audio_paused_since": None, "audio_paused_until": None}
"""Fields of a bed without an audio pause."""


class AlertBook:
    """The alerts of one bed during one transition.

    Parameters
    ----------
    bed : Bed
        As it was written last.
    now_ns : int
        Time of the transition, UTC nanoseconds: ``published`` of each new version.

    Attributes
    ----------
    before, bed : Bed
        The bed as it was, and as this transition has changed it so far (its alerts are in the book).
    """

    def __init__(self, bed: Bed, now_ns: int) -> None:
        self.before = bed
        self.bed = bed
        self.now_ns = now_ns
        self._before = {alert.id: alert for alert in bed.alerts}
        self._drafts = dict(self._before)

    def all(self) -> list[Alert]:
        """Every alert of the bed, in the order in which they were raised."""
        return list(self._drafts.values())

    def open(self) -> list[Alert]:
        """Those that are not off."""
        return [alert for alert in self._drafts.values() if alert.state is not State.OFF]

    def get(self, alert: str) -> Alert | None:
        """The alert of an id, with the edits of this transition."""
        return self._drafts.get(alert)

    def is_new(self, alert: Alert) -> bool:
        """True when it was raised in this transition."""
        return alert.id not in self._before

    def was(self, alert: Alert) -> Alert | None:
        """The alert as it was before this transition."""
        return self._before.get(alert.id)

    def edit(self, alert: Alert, **fields: Any) -> Alert:
        """Edit an alert for the version of this transition."""
        changed = alert.changed(**fields)
        self._drafts[alert.id] = changed
        return changed

    def raise_alert(self, report: ConditionReport, onset_ns: int, rules: Rules) -> Alert:
        """A new alert of a condition, on and not yet sounding; its id follows from the onset as it is recorded."""
        code = CODES[report.code]
        onset = time_of_ns(onset_ns)
        identity = alert_id(self.bed.bed_stream, report.code, ns_of_time(onset))
        segment = report.segment and report.segment.changed(strip=rules.strip_key(identity))
        alert = Alert.model_validate(
            {
                "id": identity,
                "version": 1,
                "generation": self.bed.generation,
                "phase": Phase.START,
                "state": State.ON,
                "kind": code.kind,
                "code": code.code,
                "priority": report.priority or code.priority,
                "title": code.title,
                "bed_stream": self.bed.bed_stream,
                "patient": self.bed.patient,
                "unit": self.bed.unit,
                "bed": self.bed.bed,
                "onset": onset,
                "detected": time_of_ns(max(report.detected_ns, onset_ns)),
                "published": time_of_ns(self.now_ns),
                "sounded": False,
                "sounding": False,
                "leads": list(report.leads),
                "derived_leads": list(report.derived_leads),
                "segment": segment,
                "citations": list(report.citations),
                "provenance": report.provenance,
            }
        )
        self._drafts[identity] = alert
        return alert

    def change(self, **fields: Any) -> None:
        """Change the bed itself."""
        changed = {name: value for name, value in fields.items() if getattr(self.bed, name) != value}
        if changed:
            self.bed = self.bed.changed(**changed)

    def note(self, what: str, at_ns: int, by: str) -> None:
        """Add an audit line to the bed."""
        line = BedChange(what=what[:MAX_NOTE], at=time_of_ns(at_ns), by=by)
        self.change(changes=[*self.bed.changes, line][-KEEP_CHANGES:])

    def commit(self) -> tuple[Bed, list[Alert]]:
        """Close the transition.

        Returns
        -------
        bed : Bed
            With the alerts as they are now; the same object where nothing changed.
        alerts : list of Alert
            The new versions, at most one an alert.
        """
        versions: list[Alert] = []
        kept: list[Alert] = []
        for draft in self._drafts.values():
            before = self._before.get(draft.id)
            if before is draft or draft == before:
                kept.append(draft)
                continue
            versioned = draft if before is None else self._next_version(before, draft)
            versions.append(versioned)
            kept.append(versioned)
        alerts = self._pruned(kept, {alert.id for alert in versions})
        if versions or len(alerts) != len(self._before):
            self.bed = self.bed.changed(alerts=alerts)
        return self.bed, versions

    def _next_version(self, before: Alert, draft: Alert) -> Alert:
        ends = draft.state is State.OFF and before.state is not State.OFF
        return draft.changed(
            version=before.version + 1,
            generation=self.bed.generation,
            phase=Phase.END if ends else Phase.UPDATE,
            published=time_of_ns(self.now_ns),
            sounded=before.sounded or draft.sounding,
        )

    def _pruned(self, alerts: list[Alert], changed: set[str]) -> list[Alert]:
        oldest_ns = self.now_ns - seconds_ns(KEEP_OFF_S)
        off = [a for a in alerts if a.state is State.OFF and a.id not in changed]
        gone = {a.id for a in off if ns_of_time(a.published) <= oldest_ns}
        off = sorted((a for a in off if a.id not in gone), key=lambda a: (a.sounded, a.published, a.id))
        gone |= {a.id for a in off[: max(0, len(off) - KEEP_OFF_MOST)]}
        return [a for a in alerts if a.id not in gone]


def not_before_onset(alert: Alert, instant_ns: int) -> datetime:
    """An instant as an alert's end: never before its onset."""
    return max(alert.onset, time_of_ns(instant_ns))

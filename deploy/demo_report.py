"""The report of a demo run, counted outside the workers: Kafka's offsets, Redis's streams and the script.

* Latency of an episode: from its scripted onset to the entry of its alert in the Redis stream, by Redis's clock, in s.
* Windows in: messages on ``ecg.windows``. Windows analysed: messages that the monitor committed. Lost: the difference.
* Duplicates: stream entries that repeat a version, and alerts that sounded a second time for one condition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deploy.ward_telemetry import Began
from streams.alert import Alert, State
from streams.document import ns_of_time, rfc3339, time_of_ns

S = 1_000_000_000
EARLY_S = 3.0  # the monitor may date an onset this much before the scripted one


@dataclass(frozen=True)
class StreamEntry:
    """One entry of an alert stream: the time in Redis, and the version."""

    at_ms: int
    alert: Alert


@dataclass
class History:
    """Every entry of the alert streams, in the order of Redis."""

    entries: list[StreamEntry] = field(default_factory=list)

    def append(self, entry_id: str, alert: Alert) -> None:
        """Add an entry; Redis's id begins with its time in ms."""
        self.entries.append(StreamEntry(int(entry_id.partition("-")[0]), alert))

    @property
    def newest(self) -> list[Alert]:
        """The newest version of each alert, by onset."""
        found = {entry.alert.id: entry.alert for entry in self.entries}
        return sorted(found.values(), key=lambda alert: alert.onset)

    @property
    def first_entries(self) -> dict[str, StreamEntry]:
        """The first entry of each alert, by alert id."""
        found: dict[str, StreamEntry] = {}
        for entry in self.entries:
            found.setdefault(entry.alert.id, entry)
        return found

    def duplicates(self) -> int:
        """Number of repeated versions, and of alerts that sounded while one of the same bed and code was on."""
        versions = [(entry.alert.id, entry.alert.version) for entry in self.entries]
        repeated = len(versions) - len(set(versions))
        sounded = [a for a in self.newest if a.sounded]
        twice = sum(
            a.id < b.id and (a.bed_stream, a.code) == (b.bed_stream, b.code) and _overlap(a, b)
            for a in sounded
            for b in sounded
        )
        return repeated + twice


def _overlap(a: Alert, b: Alert) -> bool:
    first, second = sorted((a, b), key=lambda alert: alert.onset)
    return first.end is None or first.end > second.onset


def episode_rows(began: Sequence[Began], history: History) -> list[dict[str, Any]]:
    """One row for each scripted episode, with its alert where there is one."""
    first = history.first_entries
    rows = []
    for episode in began:
        alerts = [
            entry
            for entry in first.values()
            if (entry.alert.bed_stream, entry.alert.code) == (episode.bed.bed_stream, episode.episode.code)
            and -EARLY_S <= (ns_of_time(entry.alert.onset) - episode.onset_ns) / S <= episode.episode.due_s
        ]
        entry = min(alerts, key=lambda e: e.at_ms, default=None)
        rows.append(
            {
                "bed": episode.bed.bed_stream,
                "code": episode.episode.code,
                "onset": rfc3339(time_of_ns(episode.onset_ns)),
                "alert_id": None if entry is None else entry.alert.id,
                "latency_s": None if entry is None else round(entry.at_ms / 1000 - episode.onset_ns / S, 3),
            }
        )
    return rows


def latency_summary(rows: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Median, 99th percentile and maximum of the latencies, in s; null where there is none."""
    latencies = [row["latency_s"] for row in rows if row["latency_s"] is not None]
    if not latencies:
        return {"p50": None, "p99": None, "max": None}
    p50, p99 = np.percentile(latencies, [50, 99])
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3), "max": round(max(latencies), 3)}


def claim_counts(alerts: Sequence[Alert]) -> dict[str, int]:
    """Claims of all interpretations, by verdict."""
    counts = [alert.interpretation.counts for alert in alerts if alert.interpretation is not None]
    return {
        "supported": sum(c.supported for c in counts),
        "contradicted": sum(c.contradicted for c in counts),
        "unsupported": sum(c.unsupported for c in counts),
    }


def still_open(alerts: Sequence[Alert]) -> list[Alert]:
    """Alerts that are not off: unacknowledged before acknowledged, then by priority, then the newest first."""
    order = ("PH", "PM", "PL", "PN")
    on = [a for a in alerts if a.state is not State.OFF]
    return sorted(on, key=lambda a: (a.state is State.ACKNOWLEDGED, order.index(a.priority), -ns_of_time(a.onset)))

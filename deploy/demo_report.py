"""The report of a demo run: what was promised, counted from outside (Kafka's offsets, Redis's streams, the script).

* latency of an episode: its scripted onset to the entry of its alert in the Redis stream, by Redis's clock;
* windows in: what Kafka holds on ``ecg.windows``; analysed: what the monitor has committed as done; lost: the rest;
* duplicates: stream entries that repeat a version, and alerts that sound a second time for one condition.
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
EARLY_S = 3.0  # the monitor may place an onset this much before the script, or after it until the alert is due


@dataclass(frozen=True)
class Seen:
    """One entry of an alert stream: when Redis took it, and the version."""

    at_ms: int
    alert: Alert


@dataclass
class History:
    """Every entry of the alert streams, in the order in which Redis took them."""

    entries: list[Seen] = field(default_factory=list)

    def take(self, entry_id: str, alert: Alert) -> None:
        self.entries.append(Seen(int(entry_id.partition("-")[0]), alert))

    @property
    def newest(self) -> list[Alert]:
        """The newest version of each alert, by onset."""
        found = {seen.alert.id: seen.alert for seen in self.entries}
        return sorted(found.values(), key=lambda alert: alert.onset)

    @property
    def first_seen(self) -> dict[str, Seen]:
        """The first entry of each alert."""
        found: dict[str, Seen] = {}
        for seen in self.entries:
            found.setdefault(seen.alert.id, seen)
        return found

    def duplicates(self) -> int:
        """Entries that repeat a version, and alerts that sounded while another of the same bed and code was on."""
        versions = [(seen.alert.id, seen.alert.version) for seen in self.entries]
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
    first = history.first_seen
    rows = []
    for episode in began:
        alerts = [
            seen
            for seen in first.values()
            if (seen.alert.bed_stream, seen.alert.code) == (episode.bed.bed_stream, episode.episode.code)
            and -EARLY_S <= (ns_of_time(seen.alert.onset) - episode.onset_ns) / S <= episode.episode.due_s
        ]
        seen = min(alerts, key=lambda s: s.at_ms, default=None)
        rows.append(
            {
                "bed": episode.bed.bed_stream,
                "code": episode.episode.code,
                "onset": rfc3339(time_of_ns(episode.onset_ns)),
                "alert_id": None if seen is None else seen.alert.id,
                "latency_s": None if seen is None else round(seen.at_ms / 1000 - episode.onset_ns / S, 3),
            }
        )
    return rows


def latency_summary(rows: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Median, 99th percentile and worst of the latencies; null without any."""
    latencies = [row["latency_s"] for row in rows if row["latency_s"] is not None]
    if not latencies:
        return {"p50": None, "p99": None, "max": None}
    p50, p99 = np.percentile(latencies, [50, 99])
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3), "max": round(max(latencies), 3)}


def claim_counts(alerts: Sequence[Alert]) -> dict[str, int]:
    """Claims of all interpretations, by verdict."""
    readings = [alert.interpretation.counts for alert in alerts if alert.interpretation is not None]
    return {
        "supported": sum(c.supported for c in readings),
        "contradicted": sum(c.contradicted for c in readings),
        "unsupported": sum(c.unsupported for c in readings),
    }


def still_open(alerts: Sequence[Alert]) -> list[Alert]:
    """Those that are not off, worst first."""
    order = ("PH", "PM", "PL", "PN")
    on = [a for a in alerts if a.state is not State.OFF]
    return sorted(on, key=lambda a: (a.state is State.ACKNOWLEDGED, order.index(a.priority), -ns_of_time(a.onset)))

"""Proves the guarantees on a history: planted conditions, what a station read, and the log of alerts in Kafka.

1. Every planted condition was delivered: one alert, with its code and onset. Where an outage held it back, the signal
   of the onset may have been skipped to reach the newest ("latest first"): the onset is then one inside the condition.
2. It sounded exactly once, or never where it is late.
3. It was delivered in time: 10 s after its onset, or after an outage that kept everything from it.
4. The versions of an alert never go backwards, none is missing, and one that is there twice says the same. A version on
   which a station died was read; it counts as delivered when it was read again.
5. Nothing late sounded.
6. No lethal alarm was raised that was not planted.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from streams.alert import Alert
from streams.document import ns_of_time
from tests.history.plan import Condition
from tests.history.station import Delivery

S = 1e9
IN_TIME_S = 10.0  # IEC 60601-2-27
ONSET_S = 1.5  # between the planted onset and that of the alert
LETHAL = ("ASYSTOLE", "VFIB", "VTACH", "EXTREME_BRADY", "EXTREME_TACHY")


@dataclass(frozen=True)
class Outage:
    """A time in which nothing can be delivered; seconds of the signal. ``stop_s`` includes the restart."""

    start_s: float
    stop_s: float


@dataclass
class History:
    """What a run recorded; ``start_ns``: UTC of second 0 of the signals."""

    start_ns: int
    conditions: Sequence[Condition]
    deliveries: Sequence[Delivery]
    log: Mapping[str, Sequence[Alert]]
    outages: Sequence[Outage] = ()
    beds: Sequence[str] = ()


@dataclass
class Findings:
    """The result of a check.

    Attributes
    ----------
    violations : list of str
        Empty where all guarantees held.
    in_time : list of (float, float)
        Onset, and from there to delivery, of the conditions that no outage held back.
    held_back_s : list of float
        The same of those that an outage held back.
    late : int
        Conditions that were recorded late and did not sound.
    """

    violations: list[str] = field(default_factory=list)
    in_time: list[tuple[float, float]] = field(default_factory=list)
    held_back_s: list[float] = field(default_factory=list)
    late: int = 0

    @property
    def delays_s(self) -> list[float]:
        """Onset to delivery of the conditions that no outage held back."""
        return [delay_s for _, delay_s in self.in_time]

    @property
    def worst_s(self) -> float:
        """The longest delay without an outage."""
        return max(self.delays_s, default=0.0)


def check(history: History) -> Findings:
    """Check a history against the guarantees."""
    found = Findings()
    read = _by_alert(d for d in history.deliveries if not d.died)
    expected: set[str] = set()
    for condition in history.conditions:
        expected |= _check_condition(history, condition, read, found)
    for alert_id, deliveries in _by_alert(history.deliveries).items():
        _check_versions(alert_id, deliveries, found)
    for alert_id, versions in history.log.items():
        _check_log(alert_id, versions, read.get(alert_id, []), found)
        first = versions[0]
        planted = first.bed_stream in history.beds and first.code in LETHAL
        if planted and alert_id not in expected:
            at_s = _onset_s(history, first)
            found.violations.append(f"{first.code} of {first.bed_stream} at {at_s:.1f} s was not planted")
    return found


def _by_alert(deliveries: Iterable[Delivery]) -> dict[str, list[Delivery]]:
    out: dict[str, list[Delivery]] = defaultdict(list)
    for delivery in deliveries:
        out[delivery.alert.id].append(delivery)
    return dict(out)


def _check_condition(
    history: History, condition: Condition, read: Mapping[str, list[Delivery]], found: Findings
) -> set[str]:
    """1, 2, 3 and 5 of one condition; the ids of its alerts."""
    what = f"{condition.code} of {condition.bed_stream} at {condition.onset_s:.1f} s"
    onset_ns = history.start_ns + condition.onset_s * S
    held_until_s = _held_back(history.outages, condition.onset_s)
    latest_s = condition.onset_s if held_until_s is None else max(condition.onset_s, condition.end_s - ONSET_S)
    ids = [
        alert_id
        for alert_id, deliveries in read.items()
        if deliveries[0].alert.bed_stream == condition.bed_stream
        and deliveries[0].alert.code == condition.code
        and condition.onset_s - ONSET_S <= _onset_s(history, deliveries[0].alert) <= latest_s + ONSET_S
    ]
    if len(ids) != 1:
        found.violations.append(f"{what}: {len(ids)} alerts were delivered instead of one")
        return set(ids)
    deliveries = read[ids[0]]
    sounds = _times_sounded(deliveries)
    late = deliveries[0].alert.late
    found.late += late
    if sounds != (0 if late else 1):
        found.violations.append(f"{what}: sounded {sounds} times{', though late' if late else ''}")
    delay_s = (deliveries[0].at_ns - onset_ns) / S
    if held_until_s is None:
        found.in_time.append((condition.onset_s, delay_s))
        if delay_s > IN_TIME_S:
            found.violations.append(f"{what}: delivered after {delay_s:.1f} s")
    else:
        found.held_back_s.append(delay_s)
        if condition.onset_s + delay_s > held_until_s + IN_TIME_S:
            found.violations.append(f"{what}: delivered {delay_s:.1f} s after its onset, the outage notwithstanding")
    return set(ids)


def _onset_s(history: History, alert: Alert) -> float:
    """Of an alert, seconds of the signal."""
    return float((ns_of_time(alert.onset) - history.start_ns) / S)


def _held_back(outages: Sequence[Outage], onset_s: float) -> float | None:
    """End of the outages that keep an alert of this onset from being delivered in time; None without one."""
    until = None
    for outage in sorted(outages, key=lambda o: o.start_s):
        if outage.start_s <= max(onset_s + IN_TIME_S, until or 0.0) and outage.stop_s >= onset_s:
            until = max(until or 0.0, outage.stop_s)
    return until


def _times_sounded(deliveries: Sequence[Delivery]) -> int:
    """How often the station began to sound for an alert: it acts on versions that it does not have."""
    version, sounding, begun = 0, False, 0
    for delivery in deliveries:
        if delivery.alert.version <= version:
            continue
        version = delivery.alert.version
        begun += delivery.alert.sounding and not sounding
        sounding = delivery.alert.sounding
    return begun


def _check_versions(alert_id: str, deliveries: Sequence[Delivery], found: Findings) -> None:
    """4, of what the station read: a version that it has may come again, a gap may not."""
    highest = 0
    for delivery in deliveries:
        version = delivery.alert.version
        if version > highest + 1:
            found.violations.append(f"{delivery.alert.code} {alert_id}: version {version} was read after {highest}")
        highest = max(highest, version)
        if delivery.alert.late and (delivery.alert.sounding or delivery.alert.sounded):
            found.violations.append(f"{delivery.alert.code} {alert_id}: late, and sounded")


def _check_log(alert_id: str, versions: Sequence[Alert], read: Sequence[Delivery], found: Findings) -> None:
    """4, of the record in Kafka: a lower generation after a higher one is dropped by every reader."""
    texts: dict[int, str] = {}
    generation = -1
    for alert in versions:
        if alert.generation < generation:
            continue
        generation = alert.generation
        body = json.loads(alert.to_json())
        del body["generation"]
        text = json.dumps(body, sort_keys=True)
        if texts.setdefault(alert.version, text) != text:
            found.violations.append(f"{alert.code} {alert_id}: version {alert.version} says two things")
    if sorted(texts) != list(range(1, len(texts) + 1)):
        found.violations.append(f"{versions[0].code} {alert_id}: the log holds the versions {sorted(texts)}")
    missing = set(texts) - {delivery.alert.version for delivery in read}
    if missing:
        found.violations.append(f"{versions[0].code} {alert_id}: versions {sorted(missing)} were not delivered")


def not_of_a_busy_machine(found: Findings) -> list[str]:
    """The violations without those of time, which a test on a busy machine does not judge."""
    return [text for text in found.violations if "delivered after" not in text and "notwithstanding" not in text]


def percentile(values: Sequence[float], q: float) -> float:
    """A percentile; 0 without values."""
    return float(np.percentile(values, q)) if values else 0.0

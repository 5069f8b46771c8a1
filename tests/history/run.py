"""One schedule on a running site: a ward of its own, its faults, its history, and what the checker says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis
from kafka.errors import KafkaError

from streams.action_inbox import submit_action
from streams.alert import Alert
from streams.bed import Action
from streams.document import time_of_ns
from tests.history.checker import Findings, History, check, percentile
from tests.history.faults import Fault, run_schedule, schedule
from tests.history.plan import planned_ward
from tests.history.site import Site
from tests.history.station import Station

S = 1_000_000_000
BEDS = 6
SECONDS = 75
DRAIN_S = 120.0  # after the last message, until all of it was judged and the station has all that was written
LOOKS = 3  # one after the other that find nothing to come


@dataclass(frozen=True)
class Outcome:
    """Result of one schedule."""

    seed: int
    nodes: int
    faults: tuple[Fault, ...]
    findings: Findings
    alerts: int

    def row(self) -> dict[str, Any]:
        """For the table."""
        return {
            "seed": self.seed,
            "nodes": self.nodes,
            "faults": [str(fault) for fault in self.faults],
            "conditions": len(self.findings.delays_s) + len(self.findings.held_back_s),
            "alerts": self.alerts,
            "delays_s": [round(x, 2) for x in self.findings.delays_s],
            "held_back_s": [round(x, 2) for x in self.findings.held_back_s],
            "late": self.findings.late,
            "violations": self.findings.violations,
        }


def run(
    seed: int,
    site: Site,
    *,
    faults: list[Fault] | None = None,
    beds: int = BEDS,
    seconds: int = SECONDS,
    leads: tuple[str, ...] = ("II", "V1"),
    fs_hz: float = 250.0,
    log: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Run one schedule; ``faults`` replaces those of the seed."""
    unit = f"u{seed}"
    planned = planned_ward(seed, unit, beds, seconds, leads, fs_hz)
    if faults is None:
        faults = schedule(seed, seconds, len(site.kafka.nodes), site.proxy is not None)
    station, stop = Station(site.redis_url, unit), threading.Event()
    start_ns = (time.time_ns() // S + 2) * S
    ward = planned.dated(start_ns, start_ns // 1_000_000)
    station.start()
    telemetry = site.feed(ward, start_ns, stop)
    try:
        happened = run_schedule(faults, site, station, start_ns, log)
        telemetry.join()
        site.producer.flush(DRAIN_S)
        site.wait_until_ready()
        written, to_come = _drained(site, unit, station)
    finally:
        stop.set()
        station.stop()
        _discharge(site, ward.beds, seed)
    outages = [outage for fault in happened if (outage := fault.outage) is not None]
    history = History(start_ns, ward.conditions, station.deliveries, written, outages, ward.beds)
    found = check(history)
    found.violations += [f"not finished after {DRAIN_S:g} s: {what}" for what in to_come]
    return Outcome(seed, len(site.kafka.nodes), tuple(happened), found, len(written))


def _drained(site: Site, unit: str, station: Station) -> tuple[dict[str, list[Alert]], list[str]]:
    """The log of alerts when the station has all of it and nothing is to come; else as it is, and what is missing."""
    deadline, calm = time.monotonic() + DRAIN_S, 0
    with site.log(unit) as log:
        while True:
            try:
                log.read()
                to_come = log.unfinished
            except KafkaError:  # the brokers elect new leaders after a fault
                if time.monotonic() > deadline:
                    raise
                continue
            known = {(d.alert.id, d.alert.version) for d in station.deliveries}
            written = {(a.id, a.version) for versions in log.alerts.values() for a in versions}
            calm = calm + 1 if written <= known and not to_come else 0  # a document is written before its alerts
            if calm == LOOKS or time.monotonic() > deadline:
                return dict(log.alerts), to_come
            time.sleep(0.5)


def _discharge(site: Site, beds: tuple[str, ...], seed: int) -> None:
    """The beds of this schedule do not ring in the next ones."""
    with redis.Redis.from_url(site.redis.url) as client:
        for bed in beds:
            at = time_of_ns(time.time_ns())
            submit_action(
                client, "main", Action(id=f"end-{seed}-{bed}", action="discharge", bed_stream=bed, by="history", at=at)
            )


def summary(outcome: Outcome) -> str:
    """One line."""
    found = outcome.findings
    delays = found.delays_s
    return (
        f"seed {outcome.seed}, {outcome.nodes} broker(s): {len(delays)} in time (p99 {percentile(delays, 99):.1f} s, "
        f"worst {found.worst_s:.1f} s), {len(found.held_back_s)} held back, {found.late} late, "
        f"{len(found.violations)} violations; {', '.join(map(str, outcome.faults)) or 'no fault'}"
    )

"""The part of benchmarks/capacity.py on outages: a new monitor finds ten minutes of windows, and telemetry goes on.

The windows of the outage are written with their own times (the topic takes the producer's for this run), so that ten
minutes need not pass. Measured from the start of the workers: until all of them hold their partitions, until the last
bed has a live verdict, until the documents of all beds have named the gap, and until nothing of it waits for the
backfill.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace

import redis
from kafka import KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from benchmarks.capacity_table import PartRows, Row, conditions
from benchmarks.capacity_ward import Options
from benchmarks.ward_run import UNIT, WardPlan, dated, make_beds, own_prefix, servers
from streams.document import ns_of_time
from streams.ward_view import BedView, WardView
from streams.wire import EcgWindow, encode_window
from tests.agents.signals import S
from tests.agents.stack import Stack, WorkerProcess

SIGNAL_S = 60  # made once, and repeated
LIVE_S = 15.0  # promised: after an outage each bed has a verdict on new signal within this
RECORDED_S = 120.0  # and its gap is recorded: the bed's document has named it
GIVEN_UP_S = 240.0
JUDGED_S = 10.0
LOOK_S = 0.5


def backlog(options: Options, rows: PartRows) -> None:
    """One row for each number of monitors."""
    beds = max(options.beds)
    for monitors in options.monitors:
        key = {"monitors": monitors, "beds": beds, "outage, s": options.outage_s}
        if rows.known(key) is None:
            rows.keep({**key, **_measure(options, beds, monitors)})


def _measure(options: Options, beds: int, monitors: int) -> Row:
    ward = make_beds(WardPlan(beds=beds, seconds=SIGNAL_S))
    load = os.getloadavg()[0]
    with servers(options.kafka) as (broker, url, folder):
        settings = {"partitions": 8, "standby": monitors > 1}
        with (
            Stack(broker, url, own_prefix(), folder, **settings) as stack,
            _Feed(stack, ward, options.outage_s) as feed,
        ):
            workers = [stack.launch(name) for name in ("monitor",) * monitors + ("publisher",)]
            times = _watch(feed, workers, redis.Redis.from_url(url), beds)
    live, recorded, ready = times.get("live"), times.get("recorded"), times.get("ready", 0.0)
    backfilled = times.get("backfilled", f"not within {GIVEN_UP_S:g}")
    in_time = live is not None and recorded is not None and live - ready <= LIVE_S and recorded - ready <= RECORDED_S
    return {
        "windows": beds * options.outage_s,
        "workers ready after, s": times.get("ready"),
        "last bed live, s": live,
        "gap recorded, s": "not seen" if recorded is None else recorded,
        "gap backfilled, s": backfilled,
        "holds": "yes" if in_time else "no",
        **conditions((load, os.getloadavg()[0]), None),
    }


def _watch(feed: _Feed, workers: Sequence[WorkerProcess], client: redis.Redis, beds: int) -> dict[str, float]:
    """Feed until the gap is backfilled; seconds from now at which each thing was first seen."""
    began, view, times, named = time.monotonic(), WardView(client), dict[str, float](), set[str]()
    while "backfilled" not in times and time.monotonic() - began < GIVEN_UP_S:
        feed.send_due()
        now_s = time.monotonic() - began
        if all("\nready\n" in f"\n{worker.text}" for worker in workers):
            times.setdefault("ready", now_s)
        found = view.beds(UNIT)
        named |= {bed.bed.bed_stream for bed in found if bed.bed.skipped}
        if len(named) == beds:
            times.setdefault("recorded", now_s)
        if len(found) == beds and all(map(_live, found)):
            times.setdefault("live", now_s)
            if "recorded" in times and not any(bed.bed.skipped for bed in found):
                times["backfilled"] = now_s
        time.sleep(LOOK_S)
    return times


def _live(bed: BedView) -> bool:
    """The newest verdict is on signal of the last ten seconds."""
    judged = None if bed.vitals is None else bed.vitals.judged_at
    return judged is not None and time.time_ns() - ns_of_time(judged) < JUDGED_S * S


class _Feed:
    """Telemetry with the times of its signal: the outage at once, then each message when it is due."""

    def __init__(self, stack: Stack, ward: Sequence[Sequence[EcgWindow]], outage_s: int) -> None:
        self._topic, self._address, self._ward = stack.topics.windows, stack.broker.address, ward
        self._embedded = stack.broker.embedded
        self._outage_s, self._sent, self._start_ns = outage_s, 0, 0

    def __enter__(self) -> _Feed:
        if not self._embedded:  # which takes the producer's time anyway
            with KafkaAdminClient(bootstrap_servers=self._address) as admin:
                own = {"message.timestamp.type": "CreateTime"}
                admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, self._topic, configs=own)])
        self._producer = KafkaProducer(bootstrap_servers=self._address, compression_type="lz4", linger_ms=5)
        self._start_ns = time.time_ns() // S * S - self._outage_s * S
        self.send_due()
        self._producer.flush()
        self.send_due()  # of the seconds that this has taken
        return self

    def __exit__(self, *_: object) -> None:
        self._producer.close()

    def send_due(self) -> None:
        """Send every message whose last sample is there by now."""
        while self._start_ns + (self._sent + 1) * S <= time.time_ns():
            for windows in self._ward:
                window = _repeated(windows, self._sent, self._start_ns)
                self._producer.send(
                    self._topic,
                    encode_window(window),
                    key=window.bed_stream.encode(),
                    timestamp_ms=window.gateway_time_ns // 1_000_000,
                )
            self._sent += 1


def _repeated(windows: Sequence[EcgWindow], second: int, start_ns: int) -> EcgWindow:
    """Message ``second`` of a signal that begins anew when it is over."""
    window = dated(windows[second % len(windows)], start_ns)
    later_ns = second // len(windows) * len(windows) * S
    return replace(
        window,
        epoch=start_ns // 1_000_000,
        sequence=second,
        device_time_ns=window.device_time_ns + later_ns,
        gateway_time_ns=window.gateway_time_ns + later_ns,
    )

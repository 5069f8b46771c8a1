"""A bed that sends among others a message that cannot be read: what the dead letters and the beds then hold."""

from __future__ import annotations

import itertools
import time
from typing import Any

from streams.partition import partition_of
from streams.telemetry import KeyedProducer
from streams.wire import encode_window
from tests.conftest import MonitoredSite
from tests.streams.test_telemetry import all_records
from tests.streams.test_wire import window

WAIT_S = 60.0  # a second on a free machine
S = 1_000_000_000
_names = itertools.count(1)


def fresh_bed(site: MonitoredSite, partition: int = 0) -> str:
    """A bed stream that no test has used, on a partition."""
    while True:
        name = f"icu-9/{next(_names)}"
        if partition_of(name.encode(), site.topics.partitions) == partition:
            return name


def good_window(bed_stream: str, sequence: int = 0) -> bytes:
    """One second of a bed, measured just now."""
    now = time.time_ns()
    return encode_window(
        window(
            bed_stream=bed_stream, sequence=sequence, device_time_ns=now - S, gateway_time_ns=now, epoch=now // 10**6
        )
    )


def dead_letters_after(
    site: MonitoredSite, messages: list[tuple[str, bytes | None]]
) -> list[tuple[Any, dict[str, str]]]:
    """Send messages (key, value), then a good window of a new bed on the same partition.

    Returns the dead letters of these messages with their headers, in order, once the new bed is monitored: by then
    the monitor has gone past every message before it.
    """
    after = fresh_bed(site)
    before = len(all_records(site.broker.address, site.topics.dead_letter, site.topics.partitions))
    with KeyedProducer(site.broker.address) as producer:
        places = [producer.send_bytes(site.topics.windows, key, value) for key, value in messages]
        offsets = {place.result(10).offset for place in places}
        producer.send_bytes(site.topics.windows, after, good_window(after))
    deadline = time.monotonic() + WAIT_S
    while after.encode() not in {
        r.key for r in all_records(site.broker.address, site.topics.beds, site.topics.partitions)
    }:
        assert site.monitor.running, site.monitor.log_end()
        assert time.monotonic() < deadline, f"bed {after} was not monitored: {site.monitor.log_end()}"
        time.sleep(0.2)
    letters = all_records(site.broker.address, site.topics.dead_letter, site.topics.partitions)
    assert len(letters) >= before
    found = [(r, {name: data.decode() for name, data in r.headers}) for r in letters]
    return [x for x in found if x[1]["topic"] == site.topics.windows and int(x[1]["offset"]) in offsets]

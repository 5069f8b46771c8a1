"""Latest first through real workers: after an outage the newest signal is processed first, the gap is backfilled.

The states and the order of the steps are tested with injected time in test_partition_processor.py.
"""

from __future__ import annotations

import time
from pathlib import Path

from streams.document import ns_of_time
from tests.agents.signals import S, ecg, messages
from tests.agents.stack import Stack, no_version_is_missing_or_different, until
from tests.conftest import Broker

LIVE_LAG_S = 2.0  # the lowest that can be set


def test_an_asystole_of_now_sounds_before_the_one_of_the_outage_is_recorded_as_late(
    tansu: Broker, redis_url: str, topic_prefix: str, tmp_path: Path
) -> None:
    start_ns = time.time_ns() // S * S - 150 * S
    windows = messages(ecg(150, silent=[(40.0, 52.0), (138.0, 150.0)], start_ns=start_ns))
    with Stack(tansu, redis_url, topic_prefix, tmp_path, live_lag_s=LIVE_LAG_S) as stack:
        (monitor,) = stack.start("monitor")
        stack.send([windows], 0, 20, a_second=20)
        assert monitor.stop() == 0, monitor.text[-3000:]
        stack.send([windows], 20, 150, a_second=200)  # no worker runs
        sent = time.monotonic()
        until(lambda: time.monotonic() - sent > LIVE_LAG_S, 10, "a lag of more than the setting")
        stack.start("monitor", "publisher")
        until(lambda: len({a.id for a in stack.published() if a.code == "ASYSTOLE"}) == 2, 60, "both asystoles")
        first, second = [a for a in stack.published() if a.code == "ASYSTOLE" and a.version == 1]
        assert (ns_of_time(first.onset) - start_ns) / S > 130 and first.sounding and not first.late
        assert (ns_of_time(second.onset) - start_ns) / S < 45 and second.late and not second.sounded
        until(lambda: stack.beds()["icu-3/07"].skipped == [], 60, "the end of the backfill")
        no_version_is_missing_or_different(stack.alert_log())

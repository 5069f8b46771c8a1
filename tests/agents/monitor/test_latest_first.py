"""After an outage of the monitor the newest signal is judged first, and what was missed is recorded behind it."""

from __future__ import annotations

import time
from pathlib import Path

from streams.document import ns_of_time
from tests.agents.signals import S, ecg, messages
from tests.agents.stack import Stack, no_version_is_missing_or_different, until
from tests.conftest import Broker


def test_an_asystole_of_now_sounds_before_the_one_of_the_outage_is_recorded_as_late(
    tansu: Broker, redis_url: str, topic_prefix: str, tmp_path: Path
) -> None:
    start_ns = time.time_ns() // S * S - 150 * S
    windows = messages(ecg(150, silent=[(40.0, 52.0), (138.0, 150.0)], start_ns=start_ns))
    with Stack(tansu, redis_url, topic_prefix, tmp_path, live_lag_s=5) as stack:
        (monitor,) = stack.start("monitor")
        stack.send([windows], 0, 20, a_second=20)
        assert monitor.stop() == 0, monitor.text[-3000:]
        stack.send([windows], 20, 150, a_second=200)  # nobody listens …
        time.sleep(8)
        stack.start("monitor", "publisher")  # … until now
        until(lambda: len({a.id for a in stack.published() if a.code == "ASYSTOLE"}) == 2, 60, "both asystoles")
        first, second = [a for a in stack.published() if a.code == "ASYSTOLE" and a.version == 1]
        assert (ns_of_time(first.onset) - start_ns) / S > 130 and first.sounding and not first.late
        assert (ns_of_time(second.onset) - start_ns) / S < 45 and second.late and not second.sounded
        until(lambda: stack.beds()["icu-3/07"].skipped == [], 60, "nothing left behind")
        no_version_is_missing_or_different(stack.alert_log())


def test_an_asystole_whose_end_lies_behind_what_was_passed_over_is_recorded_with_its_end(
    tansu: Broker, redis_url: str, topic_prefix: str, tmp_path: Path
) -> None:
    """The live analysis sees the last second of the silence alone; the other one must look past its range."""
    start_ns = time.time_ns() // S * S - 150 * S
    windows = messages(ecg(190, silent=[(136.5, 142.2)], start_ns=start_ns))
    with Stack(tansu, redis_url, topic_prefix, tmp_path, live_lag_s=5) as stack:
        (monitor,) = stack.start("monitor")
        stack.send([windows], 0, 20, a_second=20)
        assert monitor.stop() == 0, monitor.text[-3000:]
        stack.send([windows], 20, 150, a_second=200)
        time.sleep(8)
        stack.start("monitor", "publisher")
        until(lambda: stack.beds()["icu-3/07"].skipped != [], 60, "an outage is passed over")
        stack.send([windows], 150, 190, a_second=4)
        until(lambda: any(a.code == "ASYSTOLE" and a.end for a in stack.published()), 60, "the asystole and its end")
        until(lambda: stack.beds()["icu-3/07"].skipped == [], 60, "nothing left behind")
        ids = {a.id for a in stack.published() if a.code == "ASYSTOLE"}
        assert {(ns_of_time(stack.document(i).onset) - start_ns) // S for i in ids} == {136}
        no_version_is_missing_or_different(stack.alert_log())

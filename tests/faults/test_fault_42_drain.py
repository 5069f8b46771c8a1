"""Fault 42: a node is drained while hearts stand still. The monitor leaves within its grace, and its beds go on."""

from __future__ import annotations

import time
from pathlib import Path

from agents.worker.worker import STOP_S
from tests.agents.signals import S, ecg, messages
from tests.agents.stack import BUSY, Stack, no_version_is_missing_or_different
from tests.conftest import Broker
from tests.faults.test_fault_32_rebalance_during_lethal_alarm import reference  # noqa: F401  (a fixture)

BEDS = ("01", "02", "03", "04")
GRACE_S = 30.0  # Kubernetes' default; the chart allows no less than 5


def test_a_drained_monitor_ends_within_its_grace_and_each_alarm_goes_on_once(
    reference: Broker,  # noqa: F811
    redis_url: str,
    topic_prefix: str,
    tmp_path: Path,
) -> None:
    start_ns = time.time_ns() // S * S
    beds = [
        messages(ecg(60, silent=[(10.0 + 3 * k, 45.0)], start_ns=start_ns, seed=k), bed=bed)
        for k, bed in enumerate(BEDS)
    ]
    with Stack(reference, redis_url, topic_prefix, tmp_path) as stack:
        first, _publisher = stack.start("monitor", "publisher")
        stack.send(beds, 0, 10, a_second=6)
        stack.start("monitor")
        stack.send(beds, 10, 22, a_second=4)  # the first hearts stand still, the last ones are about to
        began = time.monotonic()
        status = first.stop()
        took_s = time.monotonic() - began
        assert status == 0, first.text[-3000:]
        assert took_s < GRACE_S * BUSY and STOP_S < GRACE_S
        stack.send(beds, 22, 60, a_second=4)
        stack.wait_for("ASYSTOLE", len(BEDS))
        stack.drained()
        log = stack.alert_log()
        no_version_is_missing_or_different(log)
        asystoles = [versions for versions in log.values() if versions[0].code == "ASYSTOLE"]
        assert len(asystoles) == len(BEDS), "one alarm a bed, whoever held it"
        for versions in asystoles:
            sounding = [a.sounding for a in stack.published() if a.id == versions[0].id]
            assert sum(b and not a for a, b in zip([False, *sounding], sounding, strict=False)) == 1

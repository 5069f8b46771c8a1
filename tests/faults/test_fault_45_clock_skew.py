"""Fault 45: the clocks of two machines differ. A takeover between them changes no alarm; the metric shows the skew."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from agents.clock import ManualClock
from agents.settings import Settings
from agents.worker.beacons import Beacons
from streams.bed import Bed
from tests.agents.monitor.memory_log import MemoryLog, PartitionUnderTest, seconds
from tests.agents.signals import T0_NS, S, ecg, messages

HEART = ecg(80, silent=[(20.0, 45.0)])
FALSE_ALARMS = ("SILENT_FEED", "CANNOT_ANALYZE", "CLOCK_JUMP", "NOISY_SIGNAL")


async def worker(log: MemoryLog, skew_s: float, start: int, generation: int, stop: int) -> PartitionUnderTest:
    """A worker whose clock is wrong takes over at message ``start`` and works to ``stop``."""
    partition = PartitionUnderTest(log, now_ns=T0_NS + round((start + skew_s) * S), generation=generation)
    await partition.restore(committed=start)
    for message in log.windows[start:stop]:
        partition.clock.set_ns(message.append_ns + round((skew_s + 0.02) * S))
        await partition.processor.on_window(message)
        await partition.processor.tick()
    return partition


@pytest.mark.parametrize("skews_s", [(0.0, 5.0), (5.0, -5.0), (-5.0, 5.0)], ids=str)
async def test_a_takeover_between_machines_with_different_clocks_goes_on_with_the_same_alarm(
    skews_s: tuple[float, float],
) -> None:
    log = MemoryLog()
    log.append(messages(HEART))
    first = await worker(log, skews_s[0], 0, 1, 32)
    (alert,) = first.starts()
    assert int(seconds(alert)) == 19 and alert.sounding and not alert.late
    second = await worker(log, skews_s[1], 32, 2, 80)
    alerts = second.alerts()
    assert {a.id for a in alerts} == {alert.id}, "the onset is the signal's, not a clock's"
    versions = [a.version for a in first.alerts() + alerts]
    assert versions == sorted(versions), "the first one of the second worker is published again"
    assert alerts[-1].end is not None and not any(a.late for a in alerts)
    for partition in (first, second):
        raised = {a.code for bed in _documents(partition) for a in bed.alerts}
        assert raised.isdisjoint(FALSE_ALARMS), raised


def _documents(partition: PartitionUnderTest) -> list[Bed]:
    return list(partition.log.beds.values())


@pytest.mark.parametrize(("skew_s", "expected_s"), [(0.0, 0.0), (3.0, 3.0), (-3.0, -3.0), (0.004, 0.0)])
def test_the_metric_shows_what_lies_outside_the_time_of_a_beacon(skew_s: float, expected_s: float) -> None:
    beacons = Beacons(Settings(), ManualClock(0), SimpleNamespace(), "group", lambda sent: None)
    sent_ns = T0_NS + round(skew_s * S)  # by this machine's clock; the answer comes after 10 ms, appended after 5
    beacons._compare_clocks(sent_ns, sent_ns + 10_000_000, (T0_NS + 5_000_000) // 1_000_000)
    assert beacons.clock_skew_s == pytest.approx(expected_s, abs=0.006)

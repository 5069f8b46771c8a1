"""Fault 47: an hour of signal at many times its rate. The memory of a monitor's partition does not grow.

By hand (`pytest -m slow`): two minutes of computing. The quarter of an hour before the measurement fills buffers,
baselines and the 256 ids that a bed remembers.
"""

from __future__ import annotations

import gc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import psutil
import pytest

from tests.agents.monitor.memory_log import PartitionUnderTest
from tests.agents.signals import T0_NS, S, ecg, messages

MINUTE = 60
PIECE_S = 5 * MINUTE  # one signal, sent again and again with new times and numbers
WARM_PIECES, PIECES = 3, 12
GROWTH_MB = 8.0  # in an hour, both beds together; a leak of one window a minute would be over 10


@pytest.mark.slow
async def test_an_hour_of_two_beds_leaves_no_slope_in_the_memory() -> None:
    signals = {
        bed: messages(ecg(PIECE_S, 60 + 10 * k, silent=[(100.0, 109.0)], seed=k), bed=bed)
        for k, bed in enumerate(("07", "08"))
    }
    partition = PartitionUnderTest()
    await partition.restore()
    process, used_mb = psutil.Process(), []
    for piece in range(WARM_PIECES + PIECES):
        offset_ns = piece * PIECE_S * S
        for k in range(PIECE_S):
            for windows in signals.values():
                window = windows[k]
                moved = replace(
                    window,
                    sequence=piece * PIECE_S + k,
                    device_time_ns=window.device_time_ns + offset_ns,
                    gateway_time_ns=window.gateway_time_ns + offset_ns,
                )
                (message,) = partition.log.append([moved])
                await partition.feed([message])
            partition.sender.sent.clear()  # what a worker sends is gone
            partition.sender.sent_ns.clear()
            partition.log.windows[:-2] = [None] * (len(partition.log.windows) - 2)  # type: ignore[list-item]
        gc.collect()
        used_mb.append(process.memory_info().rss / 2**20)
    measured = np.array(used_mb[WARM_PIECES:])
    slope_mb = float(np.polyfit(np.arange(measured.size) * PIECE_S / 3600, measured, 1)[0])
    assert slope_mb < GROWTH_MB, [f"{b - a:+.1f}" for a, b in pairwise(used_mb)]
    assert partition.clock.now_ns() - T0_NS >= (WARM_PIECES + PIECES) * PIECE_S * S - S

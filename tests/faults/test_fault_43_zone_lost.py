"""Fault 43: a zone is cut off with its broker, its monitor and its publisher, and comes back as it was.

The other two zones go on: no alarm is lost, and what comes back neither sounds nor writes anything a second time.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.history.checker import not_of_a_busy_machine
from tests.history.faults import Fault
from tests.history.run import run
from tests.history.site import Site

pytestmark = pytest.mark.kafka


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_zone_that_is_cut_off_and_comes_back_loses_nothing_and_sounds_nothing_twice(
    kafka_home: Path, tmp_path: Path
) -> None:
    with Site(tmp_path, kafka_home, nodes=3) as site:
        outcome = run(4300, site, faults=[Fault("lose a zone", 20.0, 14.0, 1)], beds=4, seconds=60)
        ended = list(site.ended)
    assert not_of_a_busy_machine(outcome.findings) == []
    assert len(outcome.findings.held_back_s) >= 2, "hearts stood still while the zone was away"
    assert any(name.startswith("monitor") for name in ended), "the monitor that was cut off ends before it writes"

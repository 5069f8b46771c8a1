"""All workers on TLS, logins and least privilege alone: an asystole reaches Redis, also after every secret changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.secured import run
from tests.agents.secured_site import SecuredSite

SECONDS = 75  # one asystole of each bed


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_a_site_runs_on_secured_servers_alone(kafka_home: Path, tmp_path: Path) -> None:
    with SecuredSite(kafka_home, tmp_path) as site:
        found = run(site, SECONDS)
    assert found["alerts"] == found["sounded"] == found["planted"] == 2
    assert found["max s"] <= 10.0
    assert (found["versions twice"], found["restarts of workers"]) == (0, 0)

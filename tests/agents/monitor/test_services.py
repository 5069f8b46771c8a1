"""A service that is not there is a technical alarm of `_system`, raised once, whoever holds its partition."""

from __future__ import annotations

from pathlib import Path

from streams.alert import State
from tests.agents.stack import Stack, until
from tests.conftest import Broker


def test_gem_and_encoder_that_cannot_be_loaded_are_told_and_monitoring_goes_on(
    tansu: Broker, redis_url: str, topic_prefix: str, tmp_path: Path
) -> None:
    nowhere = {"gem": True, "model": tmp_path / "no-gem", "encoder": tmp_path / "no-encoder"}
    with Stack(tansu, redis_url, topic_prefix, tmp_path, **nowhere) as stack:
        stack.start("monitor", "publisher", "interpreter")
        codes = {"GEM_UNAVAILABLE", "ENCODER_UNAVAILABLE"}
        until(lambda: {a.code for a in stack.published("_system")} == codes, 60, "both alarms")
        for alert in stack.published("_system"):
            assert (alert.bed_stream, alert.unit, alert.kind, alert.priority) == (
                "_system",
                "_system",
                "technical",
                "PL",
            )
            assert (alert.version, alert.state) == (1, State.ON)

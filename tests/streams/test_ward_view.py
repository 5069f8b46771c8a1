"""What a reader may say of a bed: whether the newest verdict on it is recent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import redis

from streams.bed import SYSTEM, Status, Vitals
from streams.ward_view import BedView, WardView
from tests.streams.documents import bed

NOW = datetime(2026, 11, 22, 22, 10, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("judged_s_ago", "since_s_ago", "judged"),
    [(0.5, 900, True), (10, 900, True), (10.5, 900, False), (None, 5, True), (None, 900, False)],
)
def test_a_monitored_bed_needs_a_verdict_on_the_last_ten_seconds(
    judged_s_ago: float | None, since_s_ago: float, judged: bool
) -> None:
    judged_at = None if judged_s_ago is None else ago(judged_s_ago)
    vitals = Vitals(bed_stream="icu-3/07", at=NOW, judged_at=judged_at)
    assert BedView(bed(since=ago(since_s_ago)), vitals, None).judged(NOW) is judged


def test_a_monitored_bed_without_vitals_is_not_judged() -> None:
    assert not BedView(bed(since=ago(11)), None, None).judged(NOW)


@pytest.mark.parametrize("changes", [{"status": Status.STANDBY}, {"bed_stream": SYSTEM, "unit": SYSTEM}])
def test_a_bed_that_nobody_monitors_needs_none(changes: dict[str, object]) -> None:
    assert BedView(bed(since=ago(900), **changes), None, None).judged(NOW)


def test_a_redis_of_an_older_version_is_searched_for_its_units_once(redis_url: str) -> None:
    # Given beds without the set of units, as versions before it wrote them
    client = redis.Redis.from_url(redis_url)
    client.sadd("ecg:{main}:beds:icu-3", "icu-3/07")
    client.zadd("ecg:{main}:active:icu-4", {"4f1c": 1})
    view = WardView(client)
    assert view.units() == ["icu-3", "icu-4"]
    # When a unit is written by this version, then it is known too, without another search
    client.sadd("ecg:{main}:units", "imc-1")
    searched = client.info("commandstats")["cmdstat_scan"]["calls"]
    assert view.units() == ["icu-3", "icu-4", "imc-1"]
    assert client.info("commandstats")["cmdstat_scan"]["calls"] == searched

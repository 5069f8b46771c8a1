"""No monitor is left: the library and `beds list` say within 10 s that no bed is monitored, and the metrics show it."""

from __future__ import annotations

import threading
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from deploy.local import free_port
from streams.ward_view import WardView
from tests.agents.signals import ecg, messages
from tests.agents.stack import Stack, until
from tests.conftest import Broker
from tests.deploy.command import gem_bedside

VERDICT_S, SLACK_S = 10.0, 1.5  # of the contract; between two looks on a busy machine
BEDS = ("01", "02")


def test_readers_say_not_monitored_within_ten_seconds_of_the_last_verdict(
    tansu: Broker, redis_url: str, topic_prefix: str, tmp_path: Path
) -> None:
    port = free_port()
    with Stack(tansu, redis_url, topic_prefix, tmp_path) as stack:
        stack.environment["GEM_BEDSIDE_METRICS_PORT"] = str(port)
        (monitor,) = stack.start("monitor")
        stack.environment["GEM_BEDSIDE_METRICS_PORT"] = "0"
        stack.start("publisher")
        assert _metric(port, "gem_bedside_beds_monitored") == 0.0
        start_ns = time.time_ns()  # in real time: the verdicts are as old as the clock says
        beds = [messages(ecg(40, start_ns=start_ns, seed=k), bed=bed) for k, bed in enumerate(BEDS)]
        feed = threading.Thread(target=lambda: stack.send(beds, 0, 30, a_second=1.0), daemon=True)
        feed.start()
        view = WardView(stack.redis)
        until(lambda: len(_verdicts(view)) == len(BEDS), 40, "both beds are judged")
        until(lambda: _metric(port, "gem_bedside_beds_judged") == len(BEDS), 20, "the metric says so")
        assert view.not_monitored("icu-3", datetime.now(UTC)) == []
        monitor.kill()
        last = max(_verdicts(view))
        until(lambda: len(view.not_monitored("icu-3", datetime.now(UTC))) == len(BEDS), 15, "no bed is judged")
        waited_s = (datetime.now(UTC) - last).total_seconds()
        assert waited_s <= VERDICT_S + SLACK_S, "said within 10 s"
        listed = gem_bedside("beds", "list", "--unit", "icu-3", "--json", redis=redis_url)
        assert [line["judged"] for line in listed.lines] == [False, False]
        assert gem_bedside("beds", "list", redis=redis_url).out.count("NOT MONITORED") == len(BEDS)
        feed.join()


def _verdicts(view: WardView) -> list[datetime]:
    """Times of the newest verdicts."""
    return [bed.vitals.judged_at for bed in view.beds("icu-3") if bed.vitals and bed.vitals.judged_at]


def _metric(port: int, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10.0) as answer:
        lines = answer.read().decode().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))

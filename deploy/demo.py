"""The demo: a scripted ward on this machine, live in the terminal and on the station page, and its report.

Everything on the way is real: telemetry through Kafka, three workers as processes, alerts in Redis. The script is
`deploy.ward`, the counting `deploy.demo_report`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from deploy.demo_report import History, claim_counts, episode_rows, latency_summary
from deploy.demo_stack import DemoStack
from deploy.demo_view import DemoView
from deploy.output import finite
from deploy.redis_view import alert_versions
from deploy.services import topics_of
from deploy.ward import WardBed, make_ward
from deploy.ward_telemetry import WardTelemetry
from models.ecg import Ecg
from streams.telemetry import TelemetryProducer

HOME = Path(".gem-bedside")  # beside the working folder's files: simulated beats, logs of the last run
DRAIN_S = 25.0  # the workers catch up with what is counted within this, also on a machine that is busy
IN_FLIGHT_S = 4.0  # after Ctrl-C without a report: what was just sent is judged by then, and is not lost
_LOOK_S = 0.25


class AlertReader:
    """Reads every alert version out of Redis in a thread, from the first one on."""

    def __init__(self, stack: DemoStack) -> None:
        self.history = History()
        self.failure: RedisError | None = None
        self._stop = threading.Event()
        self._redis, self._site = stack.redis, stack.settings.site
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            for version in alert_versions(self._redis, self._site, from_start=True):
                if version is not None:
                    self.history.take(*version)
                if self._stop.is_set():
                    return
        except RedisError as lost:
            self.failure = lost


def run_demo(
    n_beds: int, records: Sequence[Ecg], seconds: float | None, report: Path | None, ready: Path | None, view: DemoView
) -> dict[str, Any]:
    """Run the ward until ``seconds`` have passed, or for ever.

    Parameters
    ----------
    n_beds : int
        Beds of the script; 0: none, for other producers to feed.
    records : sequence of Ecg
        Replayed in beds of their own.
    seconds : float or None
        Length, from the first sample on.
    report, ready : Path or None
        Files to write.
    view : DemoView
        What the terminal shows.

    Returns
    -------
    dict
        The report.

    Raises
    ------
    ProgramEnded
        A worker or the station ended by itself, again and again.
    """
    began = time.monotonic()
    with ThreadPoolExecutor(1) as beside, view:
        making = beside.submit(make_ward, n_beds, records, HOME / "ward")  # while the workers start
        with DemoStack(HOME / "demo") as stack:
            found = _run(stack, making.result(), seconds, report, ready, view, began)
    if report is not None:
        write_json(report, found)
    return found


def _run(
    stack: DemoStack,
    beds: Sequence[WardBed],
    seconds: float | None,
    report: Path | None,
    ready: Path | None,
    view: DemoView,
    began: float,
) -> dict[str, Any]:
    reader = AlertReader(stack)
    addresses = {"kafka": stack.kafka, "redis": stack.redis_url, "station": stack.station_url}
    view.addresses(addresses, time.monotonic() - began)
    if ready is not None:
        write_json(ready, addresses)
    with TelemetryProducer(stack.kafka, topics_of(stack.settings)) as producer:
        feed = WardTelemetry(beds, producer)
        feed.start()
        try:
            _watch(stack, feed, reader, view, seconds)
            wait_s = DRAIN_S
        except KeyboardInterrupt:
            wait_s = DRAIN_S if report is not None else IN_FLIGHT_S
        # What is in Kafka now is counted. The beds go on meanwhile: a bed that stops would be called silent.
        ends, until_ns = stack.window_ends(), time.time_ns()
        _drain(stack, ends, reader, wait_s)
        found = make_report(stack, feed, reader.history, addresses, ends, until_ns)
        feed.stop()
    reader.stop()
    view.done(found)
    return found


def _watch(stack: DemoStack, feed: WardTelemetry, reader: AlertReader, view: DemoView, seconds: float | None) -> None:
    until_ns = None if seconds is None else feed.start_ns + round(seconds * 1e9)
    while until_ns is None or time.time_ns() < until_ns:
        ended = stack.restart_ended()
        if ended is not None:
            view.note(
                f"{ended.name} ended with status {ended.process.returncode} and was started again; see {ended.log}"
            )
        failure = feed.failure or reader.failure
        if failure is not None:
            raise failure
        view.show(stack.view, reader.history, (time.time_ns() - feed.start_ns) / 1e9)
        time.sleep(_LOOK_S)


def _drain(stack: DemoStack, ends: Mapping[int, int], reader: AlertReader, wait_s: float) -> None:
    """Wait until every window before ``ends`` is judged, and every alert that began before now is interpreted."""
    until = time.monotonic() + wait_s
    open_ids = {a.id for a in reader.history.newest if a.interpretation is None and a.kind == "physiological"}
    while time.monotonic() < until:
        unread = [a for a in reader.history.newest if a.id in open_ids and a.interpretation is None]
        if not unread and stack.windows_analysed(ends) >= sum(ends.values()):
            return
        time.sleep(_LOOK_S)


def make_report(
    stack: DemoStack,
    feed: WardTelemetry,
    history: History,
    addresses: dict[str, str],
    ends: Mapping[int, int],
    until_ns: int,
) -> dict[str, Any]:
    """The report, over the windows before ``ends`` and the episodes due before ``until_ns``."""
    windows_in, analysed = sum(ends.values()), stack.windows_analysed(ends)
    rows = episode_rows(feed.began(until_ns), history)
    alerts = [alert for alert in (stack.view.alert(a.id) for a in history.newest) if alert is not None]
    return {
        **addresses,
        "beds": len(feed.beds),
        "windows_in": windows_in,
        "windows_analysed": analysed,
        "episodes": rows,
        "alerts": [alert.model_dump(mode="json", by_alias=True) for alert in alerts],
        "latency_s": latency_summary(rows),
        "lost": windows_in - analysed + feed.producer.failed,
        "duplicates": history.duplicates(),
        "dead_letters": stack.dead_letters(),
        "claims": claim_counts(alerts),
    }


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a file that is never seen half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(finite(value), ensure_ascii=False, indent=1) + "\n")
    part.replace(path)

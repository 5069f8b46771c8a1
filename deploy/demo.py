"""The demo: a scripted ward on this machine, displayed in the terminal and on the station page, and its report.

The path is that of a real ward: telemetry through Kafka, three workers as processes, alerts in Redis. `deploy.ward`
holds the script of the beds, `deploy.demo_report` counts the results.
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

HOME = Path(".gem-bedside")  # in the working folder: simulated beats, logs of the last run
STALLED_S = 60.0  # a busy machine analyses a window within this; without a limit a dead worker would block the end
_POLL_S = 0.25


class AlertReader:
    """Thread that reads every alert version from Redis, from the first one on."""

    def __init__(self, stack: DemoStack) -> None:
        self.history = History()
        self.failure: RedisError | None = None
        self._stop = threading.Event()
        self._redis, self._site = stack.redis, stack.settings.site
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            for version in alert_versions(self._redis, self._site, from_start=True):
                if version is not None:
                    self.history.append(*version)
                if self._stop.is_set():
                    return
        except RedisError as lost:
            self.failure = lost


def run_demo(
    n_beds: int, records: Sequence[Ecg], seconds: float | None, report: Path | None, ready: Path | None, view: DemoView
) -> dict[str, Any]:
    """Run the ward for ``seconds``, or until Ctrl-C.

    Parameters
    ----------
    n_beds : int
        Number of scripted beds; 0: none, other producers send the signal.
    records : sequence of Ecg
        Recordings, each replayed in a bed of its own.
    seconds : float or None
        Duration from the first sample on; None: until Ctrl-C.
    report, ready : Path or None
        Files for the report and for the addresses.
    view : DemoView
        Display in the terminal.

    Returns
    -------
    dict
        The report.

    Raises
    ------
    ProgramEnded
        Workers or the station ended by themselves more than `deploy.demo_stack.RESTARTS` times.
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
        telemetry = WardTelemetry(beds, producer)
        telemetry.start()
        interpreted = True
        try:
            _watch(stack, telemetry, reader, view, seconds)
        except KeyboardInterrupt:
            interpreted = report is not None  # a person who ends the demo waits for the windows alone
        # The report counts the windows in Kafka now. The beds go on sending: a silent bed would raise SILENT_FEED.
        ends, until_ns = stack.window_ends(), time.time_ns()
        _drain(stack, ends, reader, interpreted)
        found = make_report(stack, telemetry, reader.history, addresses, ends, until_ns)
        telemetry.stop()
    reader.stop()
    view.done(found)
    return found


def _watch(
    stack: DemoStack, telemetry: WardTelemetry, reader: AlertReader, view: DemoView, seconds: float | None
) -> None:
    until_ns = None if seconds is None else telemetry.start_ns + round(seconds * 1e9)
    while until_ns is None or time.time_ns() < until_ns:
        ended = stack.restart_ended()
        if ended is not None:
            view.note(
                f"{ended.name} ended with status {ended.process.returncode} and was started again; see {ended.log}"
            )
        failure = telemetry.failure or reader.failure
        if failure is not None:
            raise failure
        view.refresh(stack.view, reader.history, (time.time_ns() - telemetry.start_ns) / 1e9)
        time.sleep(_POLL_S)


def _drain(stack: DemoStack, ends: Mapping[int, int], reader: AlertReader, interpreted: bool) -> None:
    """Wait until every window before ``ends`` is analysed; ``interpreted``: and every alert so far is interpreted.

    The wait ends early after `STALLED_S` without progress.
    """
    open_ids = {a.id for a in reader.history.newest if a.kind == "physiological" and interpreted}
    before: tuple[int, int] | None = None
    stalled_at = time.monotonic() + STALLED_S
    while time.monotonic() < stalled_at:
        waiting = sum(a.id in open_ids and a.interpretation is None for a in reader.history.newest)
        missing = sum(ends.values()) - stack.windows_analysed(ends)
        if waiting == 0 and missing <= 0:
            return
        if (waiting, missing) != before:
            before, stalled_at = (waiting, missing), time.monotonic() + STALLED_S
        time.sleep(_POLL_S)


def make_report(
    stack: DemoStack,
    telemetry: WardTelemetry,
    history: History,
    addresses: dict[str, str],
    ends: Mapping[int, int],
    until_ns: int,
) -> dict[str, Any]:
    """Report over the windows before ``ends`` and the episodes due before ``until_ns``."""
    windows_in, analysed = sum(ends.values()), stack.windows_analysed(ends)
    rows = episode_rows(telemetry.began(until_ns), history)
    alerts = [alert for alert in (stack.view.alert(a.id) for a in history.newest) if alert is not None]
    return {
        **addresses,
        "beds": len(telemetry.beds),
        "windows_in": windows_in,
        "windows_analysed": analysed,
        "episodes": rows,
        "alerts": [alert.model_dump(mode="json", by_alias=True) for alert in alerts],
        "latency_s": latency_summary(rows),
        "lost": windows_in - analysed + telemetry.producer.failed,
        "duplicates": history.duplicates(),
        "dead_letters": stack.dead_letters(),
        "claims": claim_counts(alerts),
    }


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON file atomically: readers never find a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(finite(value), ensure_ascii=False, indent=1) + "\n")
    part.replace(path)

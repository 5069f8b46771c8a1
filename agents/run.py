"""Runs one worker until SIGTERM: ``ready`` on standard error, 0 when all that it took is finished."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from typing import Any

from kafka.errors import KafkaError

from agents.allocator import collect_seldom, keep_freed_memory
from agents.clock import SystemClock
from agents.logs import configure_logs
from agents.probes import serve_probes
from agents.settings import Settings
from agents.worker.progress import ProgressSample, watch
from agents.worker.worker import Worker
from streams.kafka_login import KafkaAway, check_login, is_login_error

log = logging.getLogger(__name__)

BEAT_S = 0.2
KAFKA_RETRY_S = 2.0
EXIT_FAILED, EXIT_SERVICE = 1, 3
NICE = {"interpreter": 5}  # on a machine that the workers share, alarms go before interpretations


def run_worker(name: str, settings: Settings | None = None) -> int:
    """Run a worker in this process; its exit status."""
    settings = settings or Settings()
    configure_logs(name, settings)
    os.nice(NICE.get(name, 0))
    keep_freed_memory()
    collect_seldom()
    try:
        if not _wait_for_kafka(settings, name):
            return 0
    except Exception as error:
        log.error("Kafka at %s cannot be used: %s", settings.kafka, error)
        return EXIT_SERVICE
    return asyncio.run(_run(name, settings))


def _wait_for_kafka(settings: Settings, name: str) -> bool:
    """Wait until Kafka has the topics; False where SIGTERM came first. What waiting does not mend is raised.

    A worker that ended instead would be started again and again, at growing intervals, and be late when Kafka is back.
    """
    stopped = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        while not stopped.is_set():
            try:
                _check_topics(settings, name)
                return True
            except (KafkaAway, KafkaError) as error:
                if is_login_error(error):
                    raise
                log.warning("Kafka at %s is waited for: %s", settings.kafka, error or type(error).__name__)
            stopped.wait(KAFKA_RETRY_S)
        return False
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _run(name: str, settings: Settings) -> int:
    worker = make_worker(name, settings)
    stopped, beats = asyncio.Event(), [0]
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if settings.metrics_port:
        serve_probes(settings.metrics_host, settings.metrics_port, worker.metrics.registry, worker.unready)
    finished = threading.Event()
    watch(lambda: ProgressSample(worker.handled, worker.waiting(), beats[0]), worker.stuck_after_s, finished)
    beating = asyncio.create_task(_beat(beats))
    reporting = asyncio.create_task(_report_ready(worker))
    try:
        await worker.start()
        stopping = asyncio.ensure_future(stopped.wait())
        ends: set[asyncio.Future[Any]] = {stopping, worker.ended}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not worker.ended.done():
            await worker.stop()
        if worker.ended.done():
            logging.shutdown()
            os._exit(EXIT_FAILED)  # nothing is finished and nothing committed by a worker that failed
        return 0
    finally:
        reporting.cancel()
        beating.cancel()
        finished.set()


async def _beat(beats: list[int]) -> None:
    while True:
        beats[0] += 1
        await asyncio.sleep(BEAT_S)


async def _report_ready(worker: Worker) -> None:
    await worker.ready.wait()
    print("ready", file=sys.stderr, flush=True)


def make_worker(name: str, settings: Settings) -> Worker:
    """The worker of a name, with the system's clock."""
    clock = SystemClock()
    if name == "monitor":
        from agents.monitor.service import Monitor

        return Monitor(settings, clock)
    if name == "interpreter":
        from agents.interpreter.service import Interpreter

        return Interpreter(settings, clock)
    if name == "publisher":
        from agents.publisher.service import Publisher

        return Publisher(settings, clock)
    raise ValueError(f"no worker {name!r}; there are monitor, interpreter, publisher")


def _check_topics(settings: Settings, name: str) -> None:
    from streams.site_claim import CLAIMING, claim_prefix
    from streams.topics import Topics, ensure_topics

    topics, login = Topics(settings.topic_prefix, settings.partitions), settings.kafka_security.client_options()
    check_login(settings.kafka, settings.kafka_security)
    ensure_topics(settings.kafka, topics, replication=settings.replication, **login)
    if name in CLAIMING:
        claim_prefix(settings.kafka, topics, settings.site, **login)

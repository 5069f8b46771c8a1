"""One ward in real time through the whole stack, measured in Redis: what the benchmarks of capacity share.

Every bed sends 12 leads at 500 Hz, one message a second, with one asystole. Monitors, interpreter and publisher run as
processes. A thread reads the unit's live channel as a nurse station does: age of the vitals (s), and onset of each
asystole to its alert (s). The producer of the signal runs in this process, on the same cores.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import redis

from deploy.local import LocalKafka, LocalRedis
from models.leads import STANDARD_12
from streams.document import ns_of_time
from streams.wire import EcgWindow
from tests.agents.signals import S, ecg, messages
from tests.agents.stack import Stack, WorkerProcess
from tests.brokers import ApacheKafka
from tests.conftest import Broker
from tests.history.checker import percentile

UNIT = "ward"
STANDSTILL_S = 9.0
SETTLE_S = 20.0  # of the beat detector, and of the ward as a whole
LEAD_S = 2.0  # from the last preparation to the first sample
SLOWEST_BPM, RATES = 60, 36  # 60 to 95 a minute: no bed has another alarm than its asystole


@dataclass(frozen=True, kw_only=True)
class WardPlan:
    """Size and length of one run; seconds of signal."""

    beds: int
    seconds: int = 60
    monitors: int = 1
    interpreter: bool = True
    kill_at: int | None = None  # SIGKILL of the first monitor, and another one is started
    tail_s: float = 5.0
    settle_s: float = SETTLE_S
    settings: Mapping[str, Any] = field(default_factory=dict)
    programs: Mapping[str, str] = field(default_factory=dict)  # of workers that are not run as usual

    @property
    def workers(self) -> tuple[str, ...]:
        """Names of the processes."""
        return ("monitor",) * self.monitors + ("interpreter",) * self.interpreter + ("publisher",)


@dataclass(eq=False)
class Arrivals:
    """Documents that arrived in Redis; seconds, and seconds since the first sample."""

    lags: list[tuple[float, float]] = field(default_factory=list)  # time, age of the vitals
    judged: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # bed: times of its vitals
    onset_to_alert: dict[str, float] = field(default_factory=dict)  # by alert id
    vitals: int = 0


@dataclass(frozen=True, kw_only=True)
class WardResult:
    """Measurements of one run."""

    plan: WardPlan
    sent: int
    arrivals: Arrivals
    cpu: dict[str, float]  # cores, by process
    memory_mb: dict[str, float]  # resident at the end, by process
    statuses: list[int]
    embedded: bool
    load: tuple[float, float]  # load average before and after
    others: float  # cores that other programs of the machine used

    @property
    def delays_s(self) -> list[float]:
        """Onset to alert, ascending."""
        return sorted(self.arrivals.onset_to_alert.values())

    @property
    def p99_s(self) -> float:
        """99th percentile of the delays; 0 without any."""
        return percentile(self.delays_s, 99)

    def cores(self, name: str) -> float:
        """Cores used by all processes of a name."""
        return sum(used for process, used in self.cpu.items() if process.startswith(name))


@contextlib.contextmanager
def servers(kafka: Path | str | None) -> Iterator[tuple[Broker, str, Path]]:
    """A broker, the URL of a Redis, and a folder that is removed in the end.

    ``kafka`` is the folder of Apache Kafka, the address of one that runs, or None: the embedded broker.
    """
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        address = kafka if isinstance(kafka, str) else ""
        if isinstance(kafka, Path):
            address = stack.enter_context(ApacheKafka(kafka, folder / "kafka")).address
        elif kafka is None:
            address = stack.enter_context(LocalKafka(folder / "kafka")).address
        store = stack.enter_context(LocalRedis(folder / "redis"))
        yield Broker(address, embedded=kafka is None), store.url, folder


def own_prefix() -> str:
    """A topic prefix that no other run on the broker has."""
    return f"b{time.time_ns() // 1_000_000}."


def make_beds(plan: WardPlan) -> list[list[EcgWindow]]:
    """The beds' messages from second 0 on; their hearts stand still one after the other."""
    out = []
    for k in range(plan.beds):
        signal = ecg(
            plan.seconds,
            SLOWEST_BPM + k % RATES,
            leads=STANDARD_12,
            fs_hz=500.0,
            silent=[standstill(plan, k)],
            start_ns=S + k * S // plan.beds,  # the beds' seconds end one after the other
            seed=k,
        )
        out.append(messages(signal, bed=f"{k:03d}", unit=UNIT, patient=f"p-{k:04d}"))
    return out


def standstill(plan: WardPlan, k: int) -> tuple[float, float]:
    """Start and end of the asystole of bed ``k``; all lie inside the run."""
    room = max(0.0, plan.seconds - plan.settle_s - 2 * STANDSTILL_S)
    at = plan.settle_s + room * k / max(1, plan.beds - 1)
    return at, at + STANDSTILL_S


def dated(window: EcgWindow, start_ns: int) -> EcgWindow:
    """A window of `make_beds` in a run that begins at ``start_ns``."""
    moved = start_ns - S
    return replace(
        window,
        epoch=start_ns // 1_000_000,
        device_time_ns=window.device_time_ns + moved,
        gateway_time_ns=window.gateway_time_ns + moved,
    )


def run_ward(plan: WardPlan, kafka: Path | str | None, beside: Callable[[Stack], None] | None = None) -> WardResult:
    """Run a ward on servers of its own; ``beside`` is called in a thread when the signal begins."""
    with servers(kafka) as (broker, url, folder):
        return measure(plan, broker, url, folder, beside)


def measure(
    plan: WardPlan, broker: Broker, url: str, folder: Path, beside: Callable[[Stack], None] | None = None
) -> WardResult:
    """Run a ward on servers that are there."""
    beds, load = make_beds(plan), os.getloadavg()[0]
    settings = {"partitions": 8, "gem": True} | dict(plan.settings)
    with Stack(broker, url, own_prefix(), folder, **settings) as stack:
        stack.programs |= plan.programs
        workers = stack.start(*plan.workers)
        start_ns = (time.time_ns() // S + 1) * S + round(LEAD_S * S)
        arrivals, stop = Arrivals(), threading.Event()
        threads = [threading.Thread(target=_listen, args=(url, start_ns, arrivals, stop))]
        if beside is not None:
            threads.append(threading.Thread(target=beside, args=(stack,)))
        for thread in threads:
            thread.start()
        time.sleep(max(0.0, (start_ns - time.time_ns()) / S))
        used = _CpuTimes(workers)
        sent = _feed(plan, beds, stack, start_ns)
        time.sleep(plan.tail_s)
        cpu, memory, others = used.read(stack.workers, plan.seconds + plan.tail_s)
        stop.set()
        for thread in threads:
            thread.join()
        statuses = [w.process.wait() if w.process.poll() is not None else w.stop() for w in stack.workers]
        logs = {w.log.name: w.text for w in stack.workers}
    for name, text in logs.items():
        if " ERROR " in text or " CRITICAL " in text:
            print(f"{name}:\n{text[-4000:]}", flush=True)
    return WardResult(
        plan=plan,
        sent=sent,
        arrivals=arrivals,
        cpu=cpu,
        memory_mb=memory,
        statuses=statuses,
        embedded=broker.embedded,
        load=(load, os.getloadavg()[0]),
        others=others,
    )


def _feed(plan: WardPlan, beds: Sequence[Sequence[EcgWindow]], stack: Stack, start_ns: int) -> int:
    """Send each message when its last sample is there; the number of messages."""
    sent = 0
    for k in range(plan.seconds):
        if k == plan.kill_at:
            stack.workers[0].process.kill()
            stack.launch("monitor")
        for j, windows in enumerate(beds):
            due_ns = start_ns + (k + 1) * S + j * S // plan.beds
            time.sleep(max(0.0, (due_ns - time.time_ns()) / S))
            stack.producer.send(dated(windows[k], start_ns))
            sent += 1
    stack.producer.flush()
    return sent


def _listen(url: str, start_ns: int, arrivals: Arrivals, stop: threading.Event) -> None:
    """Read the unit's live channel as a nurse station does."""
    channel = redis.Redis.from_url(url).pubsub(ignore_subscribe_messages=True)
    channel.subscribe(f"ecg:{{main}}:live:{UNIT}")
    while not stop.is_set():
        message = channel.get_message(timeout=0.2)
        if message is None:
            continue
        now_ns, doc = time.time_ns(), json.loads(message["data"])
        if doc["type"] == "vitals":
            arrivals.vitals += 1
            since_s = (now_ns - start_ns) / S
            arrivals.lags.append((since_s, (now_ns - _ns(doc["at"])) / S))
            if doc["wave"] is not None:  # of signal, not of the clock of the beds
                arrivals.judged[doc["bed_stream"]].append(since_s)
        elif doc["type"] == "alert" and doc["code"] == "ASYSTOLE" and doc["version"] == 1:
            arrivals.onset_to_alert[doc["id"]] = (now_ns - _ns(doc["onset"])) / S


def _ns(text: str) -> int:
    return ns_of_time(datetime.fromisoformat(text))


class _CpuTimes:
    """CPU times of the workers and of the whole machine, from one instant to another."""

    def __init__(self, workers: Sequence[WorkerProcess]) -> None:
        self._processes = {worker.log.stem: psutil.Process(worker.process.pid) for worker in workers}
        self._own = [psutil.Process(), *psutil.Process().children(recursive=True)]
        self._before = {p.pid: _cpu_s(p) for p in self._own}
        self._machine = _machine_s()

    def read(
        self, workers: Sequence[WorkerProcess], seconds: float
    ) -> tuple[dict[str, float], dict[str, float], float]:
        """Cores and resident megabytes by worker, and the cores that programs other than this benchmark's used."""
        cpu, memory = {}, {}
        for worker in workers:
            process = self._processes.get(worker.log.stem)
            if process is None or worker.process.poll() is not None:
                continue  # killed, or started later
            cpu[worker.log.stem] = (_cpu_s(process) - self._before[process.pid]) / seconds
            memory[worker.log.stem] = process.memory_info().rss / 1e6
        now = {p.pid: _cpu_s(p) for p in [psutil.Process(), *psutil.Process().children(recursive=True)]}
        own = sum(used - self._before.get(pid, 0.0) for pid, used in now.items())
        return cpu, memory, max(0.0, (_machine_s() - self._machine - own) / seconds)


def _cpu_s(process: psutil.Process) -> float:
    try:
        return float(sum(process.cpu_times()[:2]))
    except psutil.NoSuchProcess:
        return 0.0


def _machine_s() -> float:
    """CPU seconds that the machine has worked, all cores."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)

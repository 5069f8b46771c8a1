"""Faults, and seeded schedules of them. Times are seconds of the ward's signal."""

from __future__ import annotations

import contextlib
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import redis

from tests.history.checker import Outage
from tests.history.site import HistoryRedis, Site
from tests.history.station import Station

RESTART_S = 14.0  # until a worker, a broker or Redis that was started again does its work, on a busy machine
RECONNECT_S = 8.0  # of clients, after the network is there again
FIRST_S = 12.0  # no fault before this
BROKER_S = 180.0  # of a start on a busy machine
FULL_BYTES = 500_000  # below what any Redis holds
FREE_BYTES = 2000  # that a full disk still takes


@dataclass(frozen=True)
class Fault:
    """One fault of a schedule; ``target`` is the index of a worker or a broker."""

    kind: str
    at_s: float
    seconds: float
    target: int = 0

    @property
    def outage(self) -> Outage | None:
        """The time in which it keeps all alerts from stations; None: alerts go on in time."""
        grace_s = OUTAGES.get(self.kind)
        return None if grace_s is None else Outage(self.at_s, self.at_s + self.seconds + grace_s)

    def __str__(self) -> str:
        return f"{self.kind}[{self.target}] {self.at_s:.0f}+{self.seconds:.0f}s"


OUTAGES = {
    "stop all monitors": RESTART_S,
    "kill all monitors": RESTART_S,
    "kill all publishers": RESTART_S,
    "kill broker": RESTART_S,
    "stop broker": RECONNECT_S,
    "lose one of three": RESTART_S,
    "kill redis": RECONNECT_S,
    "stop redis": RECONNECT_S,
    "redis memory full": RECONNECT_S,
    "redis disk full": RECONNECT_S,
    "network cut": RECONNECT_S,
    "network stalls": RECONNECT_S,
    "network resets": RECONNECT_S,
    "network to kafka cut": RESTART_S,
    "network to kafka stalls": RESTART_S,
    "network to kafka resets": RESTART_S,
    "lose a zone": RESTART_S,
    "station dies": 3.0,
}
"""Faults that keep every alert from its station, and how long after their end."""

AT_ONCE = ("kill m", "kill p", "kill all", "station")  # faults without a length
IN_TIME = (
    "kill monitor",
    "stop monitor",
    "kill publisher",
    "stop publisher",
    "rebalance",
    "slow network",
    "slow network to kafka",
)


@contextmanager
def applied(fault: Fault, site: Site, station: Station) -> Iterator[None]:
    """The fault holds inside the ``with`` block."""
    with contextlib.ExitStack() as undo:
        HANDLERS[fault.kind](fault, site, station, undo)
        yield


Handler = Callable[[Fault, Site, Station, contextlib.ExitStack], None]


def _signalled(number: signal.Signals, indices: Callable[[Fault], tuple[int, ...]]) -> Handler:
    def handle(fault: Fault, site: Site, _station: Station, undo: contextlib.ExitStack) -> None:
        for index in indices(fault):
            worker = site.worker(index)
            worker.process.send_signal(number)
            if number == signal.SIGSTOP:
                undo.callback(worker.resume)

    return handle


def _one(first: int) -> Callable[[Fault], tuple[int, ...]]:
    return lambda fault: (first + fault.target % 2,)


def _both(first: int) -> Callable[[Fault], tuple[int, ...]]:
    return lambda fault: (first, first + 1)


def _rebalance(_fault: Fault, site: Site, _station: Station, undo: contextlib.ExitStack) -> None:
    worker = site.start_extra("monitor")

    def leave() -> None:
        with contextlib.suppress(AssertionError):
            worker.wait_ready()
        worker.stop()

    undo.callback(leave)


def _broker_killed(fault: Fault, site: Site, _station: Station, undo: contextlib.ExitStack) -> None:
    node = site.kafka.nodes[fault.target % len(site.kafka.nodes)]
    node.kill()

    def start() -> None:  # the outage lasts until it answers
        node.launch()
        node.wait_ready(BROKER_S)

    undo.callback(start)


def _broker_stopped(fault: Fault, site: Site, _station: Station, undo: contextlib.ExitStack) -> None:
    node = site.kafka.nodes[fault.target % len(site.kafka.nodes)]
    node.pause()
    undo.callback(node.resume)


def _redis_killed(_fault: Fault, site: Site, _station: Station, undo: contextlib.ExitStack) -> None:
    site.redis.kill()
    undo.callback(site.redis.start)


def _redis_stopped(_fault: Fault, site: Site, _station: Station, undo: contextlib.ExitStack) -> None:
    site.redis.pause()
    undo.callback(site.redis.resume)


def memory_full(server: HistoryRedis, undo: contextlib.ExitStack) -> None:
    """Redis holds more than it may, and its policy evicts nothing."""
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", FULL_BYTES)

    def free() -> None:
        with redis.Redis.from_url(server.url) as client:
            client.config_set("maxmemory", 0)

    undo.callback(free)


def disk_full(server: HistoryRedis, undo: contextlib.ExitStack) -> None:
    """The append-only file cannot grow."""
    files = [path for path in server.folder.rglob("*.aof") if path.is_file()]
    largest = max(path.stat().st_size for path in files)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (largest + FREE_BYTES, resource.RLIM_INFINITY))
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    undo.callback(lambda: resource.prlimit(server.pid, resource.RLIMIT_FSIZE, unlimited))


def _memory_full(_fault: Fault, site: Site, _station: Station, undo: contextlib.ExitStack) -> None:
    memory_full(site.redis, undo)


def _disk_full(_fault: Fault, site: Site, _station: Station, undo: contextlib.ExitStack) -> None:
    disk_full(site.redis, undo)


def _zone_lost(fault: Fault, site: Site, _station: Station, undo: contextlib.ExitStack) -> None:
    """A broker, a monitor and a publisher are cut off together, and come back as they were."""
    node = site.kafka.nodes[fault.target % len(site.kafka.nodes)]
    for server in (node, site.worker(fault.target % 2), site.worker(2 + fault.target % 2)):
        undo.callback(server.resume)
        server.pause()


def _network(toxic: str, server: str = "redis", **attributes: int) -> Handler:
    def handle(_fault: Fault, site: Site, _station: Station, undo: contextlib.ExitStack) -> None:
        assert site.proxy is not None
        site.proxy.add(server, toxic, **attributes)
        undo.callback(site.proxy.clear)

    return handle


def _station_dies(_fault: Fault, _site: Site, station: Station, _undo: contextlib.ExitStack) -> None:
    station.die()


HANDLERS: dict[str, Handler] = {
    "kill monitor": _signalled(signal.SIGKILL, _one(0)),
    "stop monitor": _signalled(signal.SIGSTOP, _one(0)),
    "kill publisher": _signalled(signal.SIGKILL, _one(2)),
    "stop publisher": _signalled(signal.SIGSTOP, _one(2)),
    "kill all monitors": _signalled(signal.SIGKILL, _both(0)),
    "stop all monitors": _signalled(signal.SIGSTOP, _both(0)),
    "kill all publishers": _signalled(signal.SIGKILL, _both(2)),
    "rebalance": _rebalance,
    "kill broker": _broker_killed,
    "lose one of three": _broker_killed,
    "stop broker": _broker_stopped,
    "kill redis": _redis_killed,
    "stop redis": _redis_stopped,
    "redis memory full": _memory_full,
    "redis disk full": _disk_full,
    "slow network": _network("latency", latency=150, jitter=50),
    "network stalls": _network("timeout", timeout=0),
    "network cut": _network("timeout", timeout=300),
    "network resets": _network("reset_peer", timeout=200),
    "slow network to kafka": _network("latency", "kafka", latency=40, jitter=20),
    "network to kafka stalls": _network("timeout", "kafka", timeout=0),
    "network to kafka cut": _network("timeout", "kafka", timeout=300),
    "network to kafka resets": _network("reset_peer", "kafka", timeout=200),
    "lose a zone": _zone_lost,
    "station dies": _station_dies,
}

ONE_BROKER = (
    "kill broker",
    "slow network to kafka",
    *(kind for kind in OUTAGES if kind.startswith("network to kafka")),
)
THREE_BROKERS = ("lose one of three", "lose a zone")


def kinds(nodes: int, proxied: bool) -> list[str]:
    """The kinds of fault that a site can have."""
    out = [kind for kind in HANDLERS if proxied or "network" not in kind]
    return [kind for kind in out if kind not in (ONE_BROKER if nodes > 1 else THREE_BROKERS)]


def schedule(seed: int, seconds: float, nodes: int, proxied: bool) -> list[Fault]:
    """The faults of a seed, one after the other: two of a kind at once would leave no worker."""
    rng = np.random.default_rng(seed + 10_000)
    possible = kinds(nodes, proxied)
    faults, at_s = [], FIRST_S
    while True:
        kind = str(rng.choice(possible))
        if rng.random() < 0.5:  # half of them are those that must change nothing
            kind = str(rng.choice([k for k in IN_TIME if k in possible]))
        at_s += float(rng.uniform(0.0, 8.0))
        length_s = 0.0 if kind.startswith(AT_ONCE) else float(rng.uniform(2.0, 12.0))
        fault = Fault(kind, at_s, length_s, int(rng.integers(0, 3)))
        if fault.at_s + fault.seconds > seconds - 22.0:
            return faults
        faults.append(fault)
        at_s += length_s + RESTART_S + 4.0


def run_schedule(
    faults: list[Fault], site: Site, station: Station, start_ns: int, log: Callable[[str], None]
) -> list[Fault]:
    """Apply the faults at their times; they are returned with the times at which they began and ended.

    A fault waits until what the one before it ended works again: on a busy machine that takes longer than `RESTART_S`.
    """
    happened = []
    for fault in faults:
        time.sleep(max(0.0, start_ns / 1e9 + fault.at_s - time.time()))
        site.wait_until_ready()
        began_s = time.time() - start_ns / 1e9
        log(str(fault))
        with applied(fault, site, station):
            time.sleep(fault.seconds)
        ended_s = time.time() - start_ns / 1e9
        happened.append(Fault(fault.kind, began_s, ended_s - began_s, fault.target))
    return happened

"""A nurse station that reads alerts with the consumer library, and sounds: what it did, and when, is the history."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import redis
from redis.exceptions import RedisError

from streams.alert import Alert
from streams.consumer import AlertConsumer, Received

RECLAIM_S = 1.0  # a colleague takes over what a dead station has read and not acknowledged
RETRY_S = 0.1


@dataclass(frozen=True)
class Delivery:
    """One version of an alert as the station read it, UTC ns.

    ``died``: the station died on it. It was read and not acted on, and must be read again by whoever goes on.
    """

    at_ns: int
    alert: Alert
    died: bool = False


class Station:
    """Reads one unit until it is stopped; `die` lets it end between reading and acknowledging.

    Attributes
    ----------
    deliveries : list of Delivery
        Every entry in the order in which it was read, repeated ones and those on which the station died included.
    """

    def __init__(self, url: str, unit: str) -> None:
        self.deliveries: list[Delivery] = []
        self.deaths = 0
        self._url, self._unit = url, unit
        self._stop = threading.Event()
        self._die = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"station {unit}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10.0)

    def die(self) -> None:
        """The next entries are read and never acknowledged; another consumer of the group goes on."""
        self._die.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._read_as(f"station-{self.deaths}")
            except (RedisError, OSError):
                time.sleep(RETRY_S)

    def _read_as(self, name: str) -> None:
        client = redis.Redis.from_url(self._url, socket_timeout=3.0, socket_connect_timeout=3.0)
        try:
            consumer = AlertConsumer(client, "main", self._unit, "history", name)
            while not self._stop.is_set():
                for read in (lambda: consumer.reclaim(idle_s=RECLAIM_S), lambda: consumer.read(block_s=0.2)):
                    if self._handled(consumer, read):
                        return
        finally:
            client.close()

    def _handled(self, consumer: AlertConsumer, read: Callable[[], list[object]]) -> bool:
        """Handle what a call gives; True where this consumer died on it."""
        entries = [entry for entry in read() if isinstance(entry, Received)]
        if entries and self._die.is_set():
            self._die.clear()
            self.deaths += 1
            self.deliveries += [Delivery(time.time_ns(), entry.alert, died=True) for entry in entries]
            return True
        for entry in entries:
            self.deliveries.append(Delivery(time.time_ns(), entry.alert))
            consumer.ack(entry)
        return False

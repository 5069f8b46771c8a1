"""Replay of a recording to Kafka as a bed would send it, in real time or faster.

The device time follows the signal from the start of the replay; the gateway time is the clock's present time. A message
is sent when its last sample would have been measured. At N times the speed the device time runs N times as fast as the
clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from models.ecg import EcgSource
from streams.telemetry import TelemetryProducer
from streams.window import MAX_DURATION_S, MIN_DURATION_S, window_of_ecg

S = 1_000_000_000


class ReplayClock(Protocol):
    """Clock of a replay: present time, and a wait."""

    def now_ns(self) -> int:
        """UTC nanoseconds."""
        ...

    def sleep_until(self, at_ns: int) -> None:
        """Wait until that time, UTC nanoseconds; returns at once where it has passed."""
        ...


class WallClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        """UTC nanoseconds."""
        return time.time_ns()

    def sleep_until(self, at_ns: int) -> None:
        """Wait until that time, UTC nanoseconds."""
        time.sleep(max(0, at_ns - time.time_ns()) / S)


def replay(
    ecg: EcgSource,
    producer: TelemetryProducer,
    *,
    bed_stream: str,
    unit: str,
    bed: str,
    patient: str = "",
    speed: float = 1.0,
    message_s: float = 1.0,
    clock: ReplayClock | None = None,
) -> int:
    """Send a recording and wait until Kafka has acknowledged it.

    Parameters
    ----------
    ecg : EcgSource
        The recording (`models.records.open_record`), read while it is sent.
    speed : float
        1: real time; 10: a minute in 6 s; infinity: as fast as Kafka accepts it.
    message_s : float
        Length of a message in seconds, 0.2 to 10; alarms within 10 s need 1 s at most.

    Returns
    -------
    int
        Number of messages sent, with sequence numbers from 0 in one epoch.

    Raises
    ------
    DeliveryError
        A message did not reach Kafka.
    """
    if not speed > 0:
        raise ValueError(f"speed {speed} is not above 0: 1 is real time")
    if not MIN_DURATION_S <= message_s <= MAX_DURATION_S:
        raise ValueError(f"message_s {message_s} is not in {MIN_DURATION_S:g}…{MAX_DURATION_S:g} s: 1 s suits alarms")
    clock = clock or WallClock()
    start_ns = clock.now_ns()
    sequence = -1
    for sequence, (start, stop) in enumerate(cuts(ecg.n_samples, ecg.fs_hz, message_s)):
        clock.sleep_until(start_ns + round(stop / ecg.fs_hz / speed * S))
        piece = ecg.slice(start, stop)
        producer.send(
            window_of_ecg(
                replace(piece, start_ns=start_ns + round(start / ecg.fs_hz * S)),
                bed_stream=bed_stream,
                unit=unit,
                bed=bed,
                patient=patient,
                epoch=start_ns // 1_000_000,
                sequence=sequence,
                gateway_time_ns=clock.now_ns(),
            )
        )
    producer.flush()
    return sequence + 1


def cuts(n_samples: int, fs_hz: float, message_s: float) -> Iterator[tuple[int, int]]:
    """Sample ranges of the messages; a rest too short for a message is added to the last one.

    >>> list(cuts(260, 100.0, 1.0)), list(cuts(210, 100.0, 1.0))
    ([(0, 100), (100, 200), (200, 260)], [(0, 100), (100, 210)])
    """
    start, k = 0, 1
    shortest, longest = MIN_DURATION_S * fs_hz, MAX_DURATION_S * fs_hz
    while n_samples - start >= shortest:
        stop = min(n_samples, round(k * message_s * fs_hz))
        if n_samples - stop < shortest and n_samples - start <= longest:
            stop = n_samples
        yield start, stop
        start, k = stop, k + 1

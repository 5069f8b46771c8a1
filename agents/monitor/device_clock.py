"""Device clock of one bed, smoothed over 30 s: the device time of a sample from device times and samples counted.

Input: messages in order, each with the number of its first sample. Output: `MessageTime`, the smoothed device time of
that sample and the offset to the time of documents, UTC ns. Device times of a producer may be truncated to whole
seconds, jittered, or drift; the samples counted are exact. The smoothed time is the interquartile mean of the device
times of the last 30 s of messages, each moved by the samples counted since. A device time within `SAME_TIME_S` of it is
taken as it is. The offset is gateway time less device time of the last sample, at the first message.

* The smoothed time depends on the messages of the last 30 s alone, so that a worker that reads them again finds the
  same instants. The offset is in the bed document.
* In the first 30 s the time of the first message counts; then the offset takes up by how much the first device time
  differs from the smoothed one, at most `MAX_FIRST_ERROR_S`.
* A sample cannot reach the gateway before it was measured. A gateway that stamps a backlog when it sends it gives an
  offset that is too large; as the backlog drains, samples seem to arrive before they were measured, and the offset is
  lowered.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from streams.wire import EcgWindow

S = 1_000_000_000
US = 1000
SMOOTHED_S = 30.0  # docs/produce.md: device times are smoothed over this time
SAME_TIME_S = 0.01  # 100 ppm of drift move a clock by 1.5 ms against its mean of 30 s, a truncated time by up to 1 s
MAX_FIRST_ERROR_S = 1.0  # truncation to whole seconds, the coarsest clock in use
SMALLEST_CORRECTION_S = 0.02  # a first device time nearer to the smoothed one keeps the offset
AHEAD_S = 5.0  # samples that arrive this much before they were measured lower the offset
ALIKE = 3  # messages that must agree on it: one message alone may carry a wrong gateway time
FALLING_S = 1.0  # a backlog drains: the delays to gateway and broker fall by more in 30 s; drift of 100 ppm: by 3 ms
STABLE_S, STABLE_RANGE_S = 3.0, 0.5  # a backlog has drained when the delays of this time lie within this range
LIVE_S, LIVE_RANGE_S = 10.0, 5.0  # signal of this time whose delays lie within this range was sent as it was measured


@dataclass(frozen=True, slots=True)
class MessageTime:
    """Time of one message.

    Attributes
    ----------
    device_ns : int
        Smoothed device time of its first sample.
    offset_ns : int
        Added to device time, gives the time of documents.
    shift_ns : int
        Change of the offset that also holds for the samples before this message.
    delay_ns : int
        Usual append time less the time of documents; a gateway's clock may be wrong. 0 while a backlog drains.
    live : bool
        The messages came as fast as their signal was measured: they are no backlog, whatever the gateway's clock says.
    """

    device_ns: int
    offset_ns: int
    shift_ns: int
    delay_ns: int
    live: bool


@dataclass(frozen=True, slots=True)
class _Mark:
    """Device time and counted samples of one message."""

    sample: int
    device_ns: int
    n_samples: int
    delay_ns: int  # gateway time less the smoothed device time of the last sample
    arrival_ns: int  # append time less that


class DeviceClock:
    """Smoothed device clock from one message on.

    Parameters
    ----------
    fs_hz : float
        Nominal sampling rate.
    first : EcgWindow
        The first message.
    sample : int
        Number of its first sample.
    offset_ns : int, optional
        Offset of the bed document, for a clock that goes on; left out: that of the first message.
    """

    def __init__(self, fs_hz: float, first: EcgWindow, sample: int, offset_ns: int | None = None) -> None:
        self._fs_hz = fs_hz
        own_ns = whole_us(first.clock_offset_ns)
        goes_on = offset_ns is not None and offset_ns != own_ns
        self.offset_ns = own_ns if offset_ns is None else offset_ns
        self._first: tuple[int, int] | None = None if goes_on else (sample, first.device_time_ns)
        self._marks: deque[_Mark] = deque()
        self._draining = False

    def ahead_s(self, window: EcgWindow, sample: int) -> float:
        """Device time of a message less the smoothed one of sample ``sample``, s."""
        return (window.device_time_ns - self._smoothed_ns(sample)) / S

    @property
    def message_s(self) -> float:
        """Mean length of the messages of the last 30 s."""
        return sum(mark.n_samples for mark in self._marks) / len(self._marks) / self._fs_hz

    @property
    def spread_s(self) -> float:
        """Range of the device times of the last 30 s about the samples counted, s; 0 of a perfect clock."""
        times = self._moved_ns(self._marks[-1].sample)
        return (max(times) - min(times)) / S

    def take(self, window: EcgWindow, sample: int, append_ns: int) -> MessageTime:
        """Time of the next message, whose first sample has the number ``sample``."""
        while self._marks and sample - self._marks[0].sample > SMOOTHED_S * self._fs_hz:
            self._marks.popleft()
        device_ns = self._device_ns(window, sample)
        offset_ns = self.offset_ns
        end_ns = device_ns + self._ns(window.n_samples - 1)
        delay_ns, arrival_ns = window.gateway_time_ns - end_ns, append_ns - end_ns
        self._marks[-1] = _Mark(sample, window.device_time_ns, window.n_samples, delay_ns, arrival_ns)
        self._keep_causal()
        return MessageTime(device_ns, self.offset_ns, self.offset_ns - offset_ns, self._usual_delay_ns(), self._live())

    def _live(self) -> bool:
        newest = self._marks[-1]
        since = newest.sample + newest.n_samples - LIVE_S * self._fs_hz
        if self._marks[0].sample > since:
            return False
        arrivals = [mark.arrival_ns for mark in self._marks if mark.sample + mark.n_samples > since]
        return max(arrivals) - min(arrivals) <= LIVE_RANGE_S * S

    def _usual_delay_ns(self) -> int:
        arrivals = [mark.arrival_ns for mark in self._marks]
        least_ns = min(arrivals)
        draining = max(arrivals) - least_ns > FALLING_S * S and least_ns not in arrivals[:-ALIKE]
        return 0 if draining else least_ns - self.offset_ns

    def _device_ns(self, window: EcgWindow, sample: int) -> int:
        own_ns = window.device_time_ns
        self._marks.append(_Mark(sample, own_ns, window.n_samples, 0, 0))
        smoothed_ns = self._smoothed_ns(sample)
        if self._first is not None:
            first, first_ns = self._first
            counted_ns = first_ns + self._ns(sample - first)
            if sample - first < SMOOTHED_S * self._fs_hz:
                return own_ns if abs(own_ns - counted_ns) <= SAME_TIME_S * S else counted_ns
            self._first = None
            error_ns = counted_ns - smoothed_ns
            if abs(error_ns) > SMALLEST_CORRECTION_S * S:
                limit_ns = round(MAX_FIRST_ERROR_S * S)
                self.offset_ns += whole_us(max(-limit_ns, min(error_ns, limit_ns)))
        return own_ns if abs(own_ns - smoothed_ns) <= SAME_TIME_S * S else smoothed_ns

    def _keep_causal(self) -> None:
        """Lower the offset where samples arrive before they were measured, while the delay falls."""
        delays = [mark.delay_ns for mark in self._marks]
        newest_ns = max(delays[-ALIKE:])
        fell_ns = max(mark.arrival_ns for mark in self._marks) - self._marks[-1].arrival_ns
        fell_ns = min(fell_ns, max(delays) - newest_ns)
        if self.offset_ns - newest_ns > AHEAD_S * S and fell_ns > FALLING_S * S:
            self.offset_ns, self._draining = whole_us(newest_ns), True
        elif self._draining:
            since = self._marks[-1].sample - STABLE_S * self._fs_hz
            steady = delays[-max(ALIKE, sum(mark.sample > since for mark in self._marks)) :]
            if len(steady) >= ALIKE and max(steady) - min(steady) < STABLE_RANGE_S * S:
                self._draining = False
                self.offset_ns = min(self.offset_ns, whole_us(int(statistics.median_low(steady))))

    def _smoothed_ns(self, sample: int) -> int:
        return _interquartile_mean(self._moved_ns(sample))

    def _moved_ns(self, sample: int) -> list[int]:
        """Device time of a sample by each message of the last 30 s."""
        return [mark.device_ns + round((sample - mark.sample) * S / self._fs_hz) for mark in self._marks]

    def _ns(self, samples: int) -> int:
        return round(samples * S / self._fs_hz)


def _interquartile_mean(values: Iterable[int]) -> int:
    ordered = sorted(values)
    outer = len(ordered) // 4
    inner = ordered[outer : len(ordered) - outer]
    return sum(inner) // len(inner)


def whole_us(ns: int) -> int:
    """Whole microseconds: documents keep no more, and a restarted worker must find the same instants."""
    return round(ns / US) * US

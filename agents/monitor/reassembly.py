"""Message reassembly: puts the messages of one bed in order, each once, and divides the signal into segments.

Input: `EcgWindow` with its append time (UTC ns). Output: `Piece`, the next part of the signal with the number of
samples missing before it, its time and the index of its signal segment, and `FeedProblem` (CLOCK_JUMP,
DUPLICATE_SOURCE, PATIENT_MISMATCH). Rules: docs/produce.md#continuity-of-the-signal.

* Samples are counted at the nominal rate of the bed. Between consecutive sequence numbers no sample is missing,
  whatever the device times are; a device that pauses for more than 5 s by its own and the gateway's clock is an
  exception.
* A new segment begins with another sampling rate, another epoch or a gap of more than `SEGMENT_GAP_S`, but neither
  with other leads nor with a jump of the device clock.

Pure: append time is the only time, so that a worker that reads the same messages again gets the same pieces.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

from agents.monitor.device_clock import DeviceClock, whole_us
from streams.window import SAME_RATE, USUAL_RATES_HZ
from streams.wire import EcgWindow

S = 1_000_000_000
JUMP_S = 5.0  # CLOCK_JUMP (docs/alarms.md): a device clock that moves by more than this has jumped
OVERLAP_S = 5.0  # DUPLICATE_SOURCE (docs/alarms.md): an older epoch that goes on this long into a newer one
TAKEOVER_S = 5.0  # a source that is silent this long gives way to the other one that still sends
JITTER_S = 0.1  # half the shortest message: a smaller gap is none
EXACT_S = 0.05  # device times within this range about the samples counted are exact: they measure a gap
COARSE_S = 1.0  # other device times are wrong by up to this (truncated to whole seconds)
SEGMENT_GAP_S = 60.0  # beat detection forgets within 30 s: after a longer gap nothing is gained by going on
KEPT = 64  # messages whose fingerprint is kept: 64 s at 1 s a message, far more than a producer sends twice
HELD_MAX = 64  # messages that wait for a missing one; past it the gap is taken as one
MEASURED_RATE = 0.001  # a rate this near to a usual one is the usual one, measured; crystals are within 100 ppm
COUNTER_SIZES = (2**16, 2**32)  # producers whose counter wraps go on at zero in the same epoch
GATEWAY_TIME_WITHIN_S = 25 * 3600.0
"""A gateway time farther from the append time is of a clock that was never set, and the append time counts instead.
Windows are kept for 24 h, so that a backlog of a day keeps its own times."""
FUTURE_S = 60.0  # an offset by which samples reach the gateway this long before they were measured is of another clock


def nominal_rate(fs_hz: float) -> float:
    """The usual sampling rate that a measured one stands for, or the rate itself, Hz.

    >>> nominal_rate(250.02), nominal_rate(333.333)
    (250.0, 333.333)
    """
    usual_hz = min(USUAL_RATES_HZ, key=lambda rate_hz: abs(rate_hz - fs_hz))
    return usual_hz if abs(fs_hz / usual_hz - 1.0) <= MEASURED_RATE else fs_hz


@dataclass(frozen=True, eq=False, kw_only=True)
class Piece:
    """The next part of a bed's signal.

    Attributes
    ----------
    window : EcgWindow
        The message.
    segment_index : int
        Index of the signal segment; samples count from its beginning.
    missing : int
        Number of samples missing before this piece, within its segment.
    fs_hz : float
        Nominal sampling rate.
    device_ns : int
        Smoothed device time of the first sample.
    clock_offset_ns : int
        Added to device time, gives the time of documents.
    delay_ns : int
        Usual append time of a sample less its time in documents; 0 while a backlog drains.
    live : bool
        The messages of the last seconds came as fast as their signal was measured.
    shift_ns : int
        Change of the offset that also holds for the earlier samples of the segment.
    """

    window: EcgWindow
    segment_index: int
    missing: int
    fs_hz: float
    device_ns: int
    clock_offset_ns: int
    delay_ns: int
    live: bool
    shift_ns: int


@dataclass(frozen=True, slots=True)
class FeedProblem:
    """A problem that a message shows: the alarm code and its time, UTC ns as documents state it."""

    code: str
    at_ns: int


class MessageReassembly:
    """Puts the messages of one bed in order.

    Parameters
    ----------
    wait_s : float
        Wait for a missing sequence number, by append time.
    clock_offset_ns : int or None
        Offset of the bed document, for a worker that goes on in the middle of an epoch; None: take the first message's.
    patient : str
        Pseudonym of the bed, ``""`` while unknown.
    """

    def __init__(self, wait_s: float = 1.0, clock_offset_ns: int | None = None, patient: str = "") -> None:
        self._wait_ns = round(wait_s * S)
        self.clock_offset_ns = clock_offset_ns
        self.patient = patient
        self.segment_index = 0
        self.last_append_ns: int | None = None  # append time of the last valid message
        self.message_s = 1.0  # length of the last message
        self.dropped = 0  # duplicates, late ones and those of a second source
        self._epoch: int | None = None
        self._epoch_gateway_ns = 0  # gateway time of the first message of the epoch
        self._next = 0  # sequence number of the next message
        self._last: EcgWindow | None = None
        self._last_sequence = 0
        self._fs_hz = 0.0  # nominal rate
        self._clock: DeviceClock | None = None
        self._samples = 0  # of the segment so far
        self._taken_ns = 0  # append time of the last message that was taken from the current source
        self._held: dict[int, tuple[EcgWindow, int]] = {}
        self._kept: dict[int, int] = {}
        self._problems: list[FeedProblem] = []

    def add(self, window: EcgWindow, append_ns: int) -> list[Piece]:
        """Take one message; the pieces that it completes, in order."""
        if abs(window.gateway_time_ns - append_ns) > GATEWAY_TIME_WITHIN_S * S:
            window = replace(window, gateway_time_ns=append_ns)
        self.last_append_ns = append_ns if self.last_append_ns is None else max(self.last_append_ns, append_ns)
        self.message_s = window.duration_s
        pieces = self.release(append_ns)
        if self._epoch is None or window.epoch > self._epoch:
            pieces += self._begin_epoch(window, append_ns)
        elif window.epoch < self._epoch:
            pieces += self._older_epoch(window, append_ns)
        else:
            pieces += self._in_epoch(window, append_ns)
        return pieces

    def release(self, now_ns: int) -> list[Piece]:
        """Pieces that waited longer than ``wait_s`` for a missing message."""
        pieces: list[Piece] = []
        while self._held and (
            len(self._held) > HELD_MAX or now_ns - min(t for _, t in self._held.values()) >= self._wait_ns
        ):
            self._next = min(self._held)
            pieces += self._drain()
        return pieces

    @property
    def waiting(self) -> bool:
        """Messages wait for a missing one."""
        return bool(self._held)

    def problems(self) -> list[FeedProblem]:
        """Problems found since the last call."""
        found, self._problems = self._problems, []
        return found

    def _in_epoch(self, window: EcgWindow, append_ns: int) -> list[Piece]:
        sequence = self._unwrapped(window.sequence)
        kept = self._kept.get(sequence)
        held = self._held.get(sequence)
        if kept is None and held is not None:
            kept = _fingerprint(held[0])
        if kept is not None:
            if kept != _fingerprint(window):
                return self._second_source(window, append_ns)
            self.dropped += 1
            return []
        if sequence < self._next:
            if self._later_than_last(window):
                return self._second_source(window, append_ns)
            self.dropped += 1  # it was waited for, and comes too late
            return []
        self._held[sequence] = window, append_ns
        return self._drain()

    def _unwrapped(self, sequence: int) -> int:
        """The sequence number, counted on where the producer's counter has wrapped to zero."""
        if abs(sequence - self._next) <= KEPT:
            return sequence
        for size in COUNTER_SIZES:
            counted = sequence + round((self._next - sequence) / size) * size
            if sequence < size and abs(counted - self._next) <= KEPT:
                return counted
        return sequence

    def _later_than_last(self, window: EcgWindow) -> bool:
        """Whether a message of a number that has passed is later than the last one, by more than clocks are coarse."""
        if self._last is None or self._clock is None:
            return False
        later_ns = window.device_time_ns - self._last.device_time_ns
        return later_ns > min(self._clock.spread_s, COARSE_S) * S

    def _drain(self) -> list[Piece]:
        pieces = []
        while self._next in self._held:
            window, append_ns = self._held.pop(self._next)
            pieces.append(self._take(window, append_ns))
        return pieces

    def _begin_epoch(self, window: EcgWindow, append_ns: int) -> list[Piece]:
        pieces = []
        while self._held:  # what still waits in the old epoch waits for nothing any more
            self._next = min(self._held)
            pieces += self._drain()
        resumed = self._epoch is None and self.clock_offset_ns is not None
        self._start_at(window)
        if not resumed or self._ahead_of_gateway_s(window) > FUTURE_S:
            self.clock_offset_ns = None
        if not resumed and window.patient:
            self.patient = window.patient
        return [*pieces, self._take(window, append_ns)]

    def _start_at(self, window: EcgWindow) -> None:
        self._epoch, self._epoch_gateway_ns = window.epoch, window.gateway_time_ns
        self._next = window.sequence
        self._held.clear()
        self._kept.clear()
        self._last = None

    def _older_epoch(self, window: EcgWindow, append_ns: int) -> list[Piece]:
        """A message of an epoch that a newer one has followed: late, or its producer still runs."""
        if window.gateway_time_ns - self._epoch_gateway_ns < OVERLAP_S * S:
            self.dropped += 1
            return []
        return self._second_source(window, append_ns)

    def _second_source(self, window: EcgWindow, append_ns: int) -> list[Piece]:
        """Two producers send: the bed stays with the one it has, until that one falls silent."""
        self._note_problem("DUPLICATE_SOURCE", window)
        if append_ns - self._taken_ns < TAKEOVER_S * S:
            self.dropped += 1
            return []
        self._start_at(window)
        self.clock_offset_ns = None
        return [self._take(window, append_ns)]

    def _take(self, window: EcgWindow, append_ns: int) -> Piece:
        index = self.segment_index
        missing = self._samples_missing(window)
        if window.patient and not self.patient:
            self.patient = window.patient
        sequence = self._next
        self._last, self._last_sequence, self._next, self._taken_ns = window, sequence, sequence + 1, append_ns
        self._kept[sequence] = _fingerprint(window)
        while len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        if self._clock is None:
            self._clock = DeviceClock(self._fs_hz, window, self._samples + missing, self.clock_offset_ns)
        time = self._clock.take(window, self._samples + missing, append_ns)
        self._samples += missing + window.n_samples
        self.clock_offset_ns = time.offset_ns
        if window.patient and window.patient != self.patient:
            self._note_problem("PATIENT_MISMATCH", window)
        return Piece(
            window=window,
            segment_index=self.segment_index,
            missing=missing,
            fs_hz=self._fs_hz,
            device_ns=time.device_ns,
            clock_offset_ns=time.offset_ns,
            delay_ns=time.delay_ns,
            live=time.live,
            shift_ns=time.shift_ns if index == self.segment_index else 0,
        )

    def _samples_missing(self, window: EcgWindow) -> int:
        """Samples missing between the last message and this one; begins a new signal segment where they do not join."""
        last, clock = self._last, self._clock
        same_rate = self._fs_hz > 0.0 and abs(window.fs_hz / self._fs_hz - 1.0) <= SAME_RATE
        if last is None or clock is None or not same_rate:
            self._begin_segment(window, same_rate=same_rate)
            return 0
        gap_s, jumped = self._gap_s(last, clock, window)
        if jumped:
            self._clock, self.clock_offset_ns = None, whole_us(window.clock_offset_ns)
            self._note_problem("CLOCK_JUMP", window)
        if gap_s > SEGMENT_GAP_S:
            self._begin_segment(window, same_rate=True)
            return 0
        return round(gap_s * self._fs_hz) if gap_s > JITTER_S else 0

    def _begin_segment(self, window: EcgWindow, *, same_rate: bool) -> None:
        if not same_rate:
            self._fs_hz = nominal_rate(window.fs_hz)
        if self._last is not None and self._ahead_of_gateway_s(window) > JUMP_S:
            self.clock_offset_ns = None  # it was that of a backlog, stamped when it was sent
        self._clock, self._samples = None, 0
        self.segment_index += 1

    def _gap_s(self, last: EcgWindow, clock: DeviceClock, window: EcgWindow) -> tuple[float, bool]:
        """Seconds missing before a message, and whether the device clock jumped by more than 5 s besides.

        Sequence numbers and the gateway's clock show whether time went by: a device that paused moves both clocks, and
        so does a series of lost messages.
        """
        lost_s = (self._next - self._last_sequence - 1) * clock.message_s
        ahead_s = clock.ahead_s(window, self._samples)
        if abs(ahead_s - lost_s) <= JUMP_S:
            if not lost_s:
                return 0.0, False
            coarse_s = 0.0 if clock.spread_s <= EXACT_S else COARSE_S
            return max(0.0, ahead_s - coarse_s, min(lost_s, ahead_s + coarse_s)), False
        by_gateway_s = (window.gateway_time_ns - last.gateway_time_ns) / S
        by_device_s = (window.last_sample_ns - last.last_sample_ns) / S
        if abs(ahead_s) <= JUMP_S or (ahead_s > 0 and abs(by_device_s - by_gateway_s) <= JUMP_S):
            return max(0.0, ahead_s), False
        return lost_s, True

    def _ahead_of_gateway_s(self, window: EcgWindow) -> float:
        """Seconds by which the last sample would reach the gateway before it was measured, by the present offset."""
        return ((self.clock_offset_ns or 0) - window.clock_offset_ns) / S

    def _note_problem(self, code: str, window: EcgWindow) -> None:
        offset_ns = self.clock_offset_ns if code != "DUPLICATE_SOURCE" else window.clock_offset_ns
        self._problems.append(FeedProblem(code, whole_us(window.device_time_ns + (offset_ns or 0))))


def _fingerprint(window: EcgWindow) -> int:
    return zlib.crc32(window.samples.tobytes(), zlib.crc32(window.device_time_ns.to_bytes(8, "little")))

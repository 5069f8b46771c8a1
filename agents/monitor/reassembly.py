"""Message reassembly: puts the messages of one bed in order, each once, and divides the signal into segments.

Input: `EcgWindow` with its append time (UTC ns). Output: `Piece`, the next part of the signal with the number of
samples missing before it and the index of its signal segment, and `FeedProblem` (CLOCK_JUMP, DUPLICATE_SOURCE,
PATIENT_MISMATCH). A new segment begins with another sampling rate, other leads, another epoch, a jump of the device
clock or a gap of more than `SEGMENT_GAP_S`.

Pure: append time is the only time, so that a worker that reads the same messages again gets the same pieces.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from streams.wire import EcgWindow

S = 1_000_000_000
JUMP_S = 5.0  # CLOCK_JUMP (docs/alarms.md): a device clock that moves by more than this has jumped
OVERLAP_S = 5.0  # DUPLICATE_SOURCE (docs/alarms.md): an older epoch that goes on this long into a newer one
TAKEOVER_S = 5.0  # a source that is silent this long gives way to the other one that still sends
JITTER_S = 0.1  # device times this near to what the samples say are the same instant, seen through a coarse clock
SEGMENT_GAP_S = 60.0  # beat detection forgets within 30 s: after a longer gap nothing is gained by going on
KEPT = 64  # messages whose fingerprint is kept: 64 s at 1 s a message, far more than a producer sends twice
HELD_MAX = 64  # messages that wait for a missing one; past it the gap is taken as one
US = 1000


@dataclass(frozen=True, eq=False)
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
    clock_offset_ns : int
        Added to device time, gives the time of documents.
    """

    window: EcgWindow
    segment_index: int
    missing: int
    clock_offset_ns: int


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
        self._next = 0
        self._last: EcgWindow | None = None
        self._taken_ns = 0  # append time of the last message that was taken from the current source
        self._held: dict[int, tuple[EcgWindow, int]] = {}
        self._kept: dict[int, int] = {}
        self._problems: list[FeedProblem] = []

    def add(self, window: EcgWindow, append_ns: int) -> list[Piece]:
        """Take one message; the pieces that it completes, in order."""
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
        kept = self._kept.get(window.sequence)
        held = self._held.get(window.sequence)
        if kept is None and held is not None:
            kept = _fingerprint(held[0])
        if kept is not None:
            if kept != _fingerprint(window):
                return self._second_source(window, append_ns)
            self.dropped += 1
            return []
        if window.sequence < self._next:
            if self._last is not None and window.device_time_ns > self._last.device_time_ns:
                return self._second_source(window, append_ns)
            self.dropped += 1  # it was waited for, and comes too late
            return []
        self._held[window.sequence] = window, append_ns
        return self._drain()

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
        if not resumed:
            self.clock_offset_ns = _whole_us(window.clock_offset_ns)
            if window.patient:
                self.patient = window.patient
        return [*pieces, self._take(window, append_ns)]

    def _start_at(self, window: EcgWindow) -> None:
        self._epoch, self._epoch_gateway_ns = window.epoch, window.gateway_time_ns
        self._next = window.sequence
        self._held.clear()
        self._kept.clear()
        self._last = None
        self.segment_index += 1

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
        self.clock_offset_ns = _whole_us(window.clock_offset_ns)
        return [self._take(window, append_ns)]

    def _take(self, window: EcgWindow, append_ns: int) -> Piece:
        missing = self._samples_missing(window)
        if window.patient and not self.patient:
            self.patient = window.patient
        self._last, self._next, self._taken_ns = window, window.sequence + 1, append_ns
        self._kept[window.sequence] = _fingerprint(window)
        while len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        if window.patient and window.patient != self.patient:
            self._note_problem("PATIENT_MISMATCH", window)
        assert self.clock_offset_ns is not None  # set with the first message
        return Piece(window, self.segment_index, missing, self.clock_offset_ns)

    def _samples_missing(self, window: EcgWindow) -> int:
        """Samples missing between the last message and this one; begins a new signal segment where they do not join."""
        last = self._last
        if last is None:
            return 0
        expected_ns = last.device_time_ns + round(last.duration_s * S)
        ahead_s = (window.device_time_ns - expected_ns) / S
        if _jumped(last, window, ahead_s):
            self.clock_offset_ns = _whole_us(window.clock_offset_ns)
            self.segment_index += 1
            self._note_problem("CLOCK_JUMP", window)
            return 0
        if window.leads != last.leads or window.fs_hz != last.fs_hz or ahead_s > SEGMENT_GAP_S:
            self.segment_index += 1
            return 0
        return round(ahead_s * window.fs_hz) if ahead_s > JITTER_S else 0

    def _note_problem(self, code: str, window: EcgWindow) -> None:
        offset_ns = self.clock_offset_ns if code != "DUPLICATE_SOURCE" else window.clock_offset_ns
        self._problems.append(FeedProblem(code, _whole_us(window.device_time_ns + (offset_ns or 0))))


def _jumped(last: EcgWindow, window: EcgWindow, ahead_s: float) -> bool:
    """True when the device clock moved by more than 5 s while the signal did not.

    The next number in the row says that nothing is missing; the gateway's clock says how much time went by. A device
    that paused moves both clocks, and so does a run of lost messages.
    """
    if abs(ahead_s) <= JUMP_S:
        return False
    if ahead_s < 0:
        return True
    by_gateway_s = (window.gateway_time_ns - last.gateway_time_ns) / S
    by_device_s = (window.last_sample_ns - last.last_sample_ns) / S
    lost_s = (window.sequence - last.sequence - 1) * last.duration_s
    return abs(by_device_s - by_gateway_s) > JUMP_S and abs(ahead_s - lost_s) > JUMP_S


def _fingerprint(window: EcgWindow) -> int:
    return zlib.crc32(window.samples.tobytes(), zlib.crc32(window.device_time_ns.to_bytes(8, "little")))


def _whole_us(ns: int) -> int:
    """Whole microseconds: documents keep no more, and a restarted worker must find the same instants."""
    return round(ns / US) * US

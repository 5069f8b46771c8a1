"""The analysis of one bed's signal: message reassembly, signal buffer and rhythm tier, one signal segment at a time.

Input: windows with their append time. Output: `Step`, the rhythm after each piece of signal. The same windows give the
same steps, whatever worker reads them and however they are divided into messages.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agents.monitor.reassembly import FeedProblem, MessageReassembly, Piece
from agents.monitor.signal_buffer import SignalBuffer
from models.arrhythmia.episodes import Episode
from models.arrhythmia.limits import Limits, RhythmSettings
from models.arrhythmia.tier import RhythmBaseline, RhythmResult, RhythmTier
from models.ecg import Ecg
from models.signal.derived_leads import with_derived_leads
from streams.wire import EcgWindow

BUFFER_S = 32.0  # strips need 20 s, the encoder 10; one message of 10 s more, so that it never takes what is just shown
S = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Step:
    """The state after one piece.

    Attributes
    ----------
    piece : Piece
        The message that led here.
    rhythm : RhythmResult
        Of the rhythm tier.
    fresh : bool
        A new signal segment begins with this piece; conditions of the segment before are not reported any more.
    """

    piece: Piece
    rhythm: RhythmResult
    fresh: bool


class Analysis:
    """Analyses the windows of one bed.

    Parameters
    ----------
    limits, settings : Limits, RhythmSettings
        Of the bed and of the site; `limits` may be assigned anew.
    baseline : RhythmBaseline, optional
        Of the bed, where it is known.
    reassembly : MessageReassembly
        Order of the messages, with the clock offset and pseudonym of the bed.
    fold : str, optional
        Use network weights trained without this fold (evaluation).
    """

    def __init__(
        self,
        reassembly: MessageReassembly,
        limits: Limits,
        settings: RhythmSettings,
        baseline: RhythmBaseline | None = None,
        *,
        fold: str | None = None,
    ) -> None:
        self._fold = fold
        self.reassembly = reassembly
        self._limits = limits
        self._settings = settings
        self._baseline = baseline
        self._segment_index: int | None = None
        self._tier: RhythmTier | None = None
        self.buffer = SignalBuffer(BUFFER_S)
        self.fs_hz = 0.0
        self.last: Step | None = None
        self.judged_at_ns: int | None = None  # time of the newest verdict, of whatever segment
        self._last_judged: int | None = None  # its sample in this segment
        self._usable_since: int | None = None
        self._messages: list[tuple[int, int, int]] = []  # first sample, epoch and sequence of those in the buffer

    @property
    def limits(self) -> Limits:
        """Alarm limits of the bed; may be assigned."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        if self._tier is not None:
            self._tier.limits = limits

    @property
    def baseline(self) -> RhythmBaseline | None:
        """The bed's baseline; assign None to have it measured anew."""
        return self._tier.baseline if self._tier is not None else self._baseline

    @baseline.setter
    def baseline(self, baseline: RhythmBaseline | None) -> None:
        self._baseline = baseline
        if self._tier is not None:
            self._tier.baseline = baseline

    @property
    def usable_s(self) -> float:
        """Seconds of usable signal with beats analysed without interruption."""
        if self._usable_since is None or self.last is None:
            return 0.0
        return max(0.0, (self.last.rhythm.now - self._usable_since) / self.fs_hz)

    @property
    def lsb_uv(self) -> NDArray[np.float32]:
        """Microvolts per unit of the leads as they arrive."""
        return np.zeros(0, np.float32) if self.last is None else self.last.piece.window.lsb_uv

    @property
    def usable_since_ns(self) -> int | None:
        """Instant since which usable signal with beats was analysed without interruption."""
        return None if self._usable_since is None else self.buffer.instant_ns(self._usable_since)

    @property
    def now_ns(self) -> int:
        """Instant up to which the signal has been analysed."""
        return 0 if self.last is None else self.buffer.instant_ns(self.last.rhythm.now)

    def add(self, window: EcgWindow, append_ns: int) -> tuple[list[Step], list[FeedProblem]]:
        """Take one message."""
        steps = [self._take(piece, append_ns) for piece in self.reassembly.add(window, append_ns)]
        return steps, self.reassembly.problems()

    def release(self, now_ns: int) -> tuple[list[Step], list[FeedProblem]]:
        """Take the messages that waited long enough for a missing one."""
        steps = [self._take(piece, now_ns) for piece in self.reassembly.release(now_ns)]
        return steps, self.reassembly.problems()

    def _take(self, piece: Piece, now_ns: int) -> Step:
        chunk = with_derived_leads(piece.window.to_ecg())
        fresh = piece.segment_index != self._segment_index
        if fresh:
            self._begin(piece, chunk)
        assert self._tier is not None
        ended: tuple[Episode, ...] = ()
        if piece.missing:
            ended = tuple(e for e in self._tier.gap(piece.missing).episodes if e.end is not None)
        self.buffer.add(chunk, piece.missing, chunk.start_ns + piece.clock_offset_ns)
        rhythm = self._tier.push(chunk)
        if rhythm.last_judged is not None and rhythm.last_judged != self._last_judged:
            self._last_judged = rhythm.last_judged
            # A gateway's clock may run ahead; no signal is newer than its message.
            judged_ns = min(now_ns, self.buffer.instant_ns(rhythm.last_judged))
            self.judged_at_ns = max(self.judged_at_ns or 0, judged_ns)
        if ended:
            rhythm = replace(rhythm, episodes=(*ended, *rhythm.episodes))
        if not rhythm.usable_leads or not rhythm.hr:  # a rate of its own is what shows that a condition is absent
            self._usable_since = None
        elif self._usable_since is None:
            self._usable_since = rhythm.now
        self._messages.append((self.buffer.end - chunk.n_samples, piece.window.epoch, piece.window.sequence))
        while self._messages[0][0] < self.buffer.begin:
            del self._messages[0]
        self.last = Step(piece, rhythm, fresh)
        return self.last

    def _begin(self, piece: Piece, chunk: Ecg) -> None:
        baseline = self.baseline
        self._segment_index, self.fs_hz = piece.segment_index, chunk.fs_hz
        self.buffer = SignalBuffer(BUFFER_S)
        self._messages = []
        self._last_judged = None
        self._usable_since = None
        self._tier = RhythmTier(
            chunk.leads,
            chunk.fs_hz,
            limits=self._limits,
            settings=self._settings,
            baseline=baseline,
            paced=chunk.paced,
            fold=self._fold,
        )

    def messages(self, start: int, stop: int) -> tuple[int, int, int]:
        """Epoch, first and last sequence number of the messages that hold samples ``start`` to ``stop``."""
        firsts = [first for first, _, _ in self._messages]
        a = max(0, bisect_right(firsts, start) - 1)
        b = max(a, bisect_left(firsts, stop) - 1)
        return self._messages[a][1], self._messages[a][2], self._messages[b][2]

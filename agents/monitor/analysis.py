"""The analysis of one bed's signal: message reassembly, signal buffer and rhythm tier, one signal segment at a time.

Input: windows with their append time. Output: `Step`, the rhythm after each piece of signal. The same windows give the
same steps, whatever worker reads them and however they are divided into messages.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agents.monitor.reassembly import FeedProblem, MessageReassembly, Piece
from agents.monitor.signal_buffer import SignalBuffer, signal_of
from models.arrhythmia.episodes import Episode
from models.arrhythmia.limits import Limits, RhythmSettings
from models.arrhythmia.tier import RhythmBaseline, RhythmResult, RhythmTier
from models.ecg import Ecg
from models.leads import lead_order
from models.signal.short_gaps import with_short_gaps_filled
from streams.wire import EcgWindow

BUFFER_S = 32.0  # strips need 20 s, the encoder 10; one message of 10 s more, so that it never takes what is just shown
ABSENT_S = 60.0  # a lead that no message had for this long is not one of the bed's any more
MAX_LEADS = 64  # of the tier: as many as a message may have
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


@dataclass(frozen=True, slots=True)
class _Message:
    """Place of one message in the segment, and its gains in microvolts per unit."""

    first: int
    epoch: int
    sequence: int
    lsb_uv: frozenset[float]


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
        self._messages: list[_Message] = []  # those in the buffer
        self._seen: dict[str, int] = {}  # lead of the tier to the sample after its newest message

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
        """Different values of microvolts per unit in the messages of the buffer, ascending."""
        return np.unique(np.array([lsb_uv for message in self._messages for lsb_uv in message.lsb_uv], np.float32))

    @property
    def usable_since_ns(self) -> int | None:
        """Instant since which usable signal with beats was analysed without interruption."""
        return None if self._usable_since is None else self.buffer.instant_ns(self._usable_since)

    @property
    def now_ns(self) -> int:
        """Instant up to which the signal has been analysed."""
        return 0 if self.last is None else self.buffer.instant_ns(self.last.rhythm.now)

    def age_s(self, now_ns: int) -> float:
        """Age of the newest signal: by its instants, and by append times where it came as it was measured.

        A gateway's clock that is slow dates live signal into the past, and that is no backlog.
        """
        age_ns = now_ns - self.buffer.instant_ns(self.buffer.end)
        if self.last is not None and self.last.piece.live:
            age_ns -= max(0, self.last.piece.delay_ns)
        return age_ns / S

    def add(self, window: EcgWindow, append_ns: int) -> tuple[list[Step], list[FeedProblem]]:
        """Take one message."""
        steps = [self._take(piece, append_ns) for piece in self.reassembly.add(window, append_ns)]
        return steps, self.reassembly.problems()

    def release(self, now_ns: int) -> tuple[list[Step], list[FeedProblem]]:
        """Take the messages that waited long enough for a missing one."""
        steps = [self._take(piece, now_ns) for piece in self.reassembly.release(now_ns)]
        return steps, self.reassembly.problems()

    def _take(self, piece: Piece, now_ns: int) -> Step:
        chunk = signal_of(piece.window, piece.fs_hz, piece.device_ns)
        fresh = piece.segment_index != self._segment_index
        if fresh:
            self._begin(piece, chunk)
        elif piece.shift_ns:
            self.buffer.shift(piece.shift_ns)
        assert self._tier is not None
        ended: tuple[Episode, ...] = ()
        if piece.missing:
            ended = tuple(e for e in self._tier.gap(piece.missing).episodes if e.end is not None)
        self.buffer.add(piece.window, chunk, piece.missing, piece.device_ns + piece.clock_offset_ns)
        rhythm = self._tier.push(self._with_leads_of_the_tier(chunk))
        if rhythm.last_judged is not None and rhythm.last_judged != self._last_judged:
            self._last_judged = rhythm.last_judged
            # A gateway's clock may be wrong: the age of a verdict follows from append times.
            judged_ns = min(now_ns, self.buffer.instant_ns(rhythm.last_judged) + piece.delay_ns)
            self.judged_at_ns = max(self.judged_at_ns or 0, judged_ns)
        if ended:
            rhythm = replace(rhythm, episodes=(*ended, *rhythm.episodes))
        if not rhythm.usable_leads or not rhythm.hr:  # a rate of its own is what shows that a condition is absent
            self._usable_since = None
        elif self._usable_since is None:
            self._usable_since = rhythm.now
        gains = frozenset(piece.window.lsb_uv.tolist())
        first = self.buffer.end - chunk.n_samples
        self._messages.append(_Message(first, piece.window.epoch, piece.window.sequence, gains))
        while self._messages[0].first < self.buffer.begin:
            del self._messages[0]
        self.last = Step(piece, rhythm, fresh)
        return self.last

    def _begin(self, piece: Piece, chunk: Ecg) -> None:
        baseline = self.baseline
        self._segment_index, self.fs_hz = piece.segment_index, chunk.fs_hz
        self.buffer = SignalBuffer(BUFFER_S)
        self._messages = []
        self._last_judged = None
        self._seen = {}
        self._usable_since = None
        self._tier = RhythmTier(
            _in_order(chunk.leads),
            chunk.fs_hz,
            limits=self._limits,
            settings=self._settings,
            baseline=baseline,
            paced=chunk.paced,
            fold=self._fold,
        )

    def _with_leads_of_the_tier(self, chunk: Ecg) -> Ecg:
        """The chunk for the tier: its leads in the tier's order, NaN for those it lacks, single missing samples filled.

        A new lead joins the tier; one that no message had for `ABSENT_S` leaves it, and earlier where there are more
        than `MAX_LEADS`.
        """
        assert self._tier is not None
        self._seen |= dict.fromkeys(chunk.leads, self.buffer.end)
        since = self.buffer.end - ABSENT_S * self.fs_hz
        absent = [lead for lead in self._tier.leads if lead not in chunk.leads and self._seen[lead] > since]
        absent = sorted(absent, key=lambda lead: -self._seen[lead])[: max(0, MAX_LEADS - len(chunk.leads))]
        leads = _in_order((*chunk.leads, *absent))
        self._tier.set_leads(leads)
        self._seen = {lead: self._seen[lead] for lead in leads}
        mv = with_short_gaps_filled(chunk.mv, self.fs_hz)
        if leads == chunk.leads and mv is chunk.mv:
            return chunk
        if leads != chunk.leads:
            rows = mv
            mv = np.full((len(leads), chunk.n_samples), np.nan, np.float32)
            mv[[leads.index(lead) for lead in chunk.leads]] = rows
        return replace(chunk, leads=leads, mv=mv)

    def messages(self, start: int, stop: int) -> tuple[int, int, int]:
        """Epoch, first and last sequence number of the messages that hold samples ``start`` to ``stop``."""
        firsts = [message.first for message in self._messages]
        a = max(0, bisect_right(firsts, start) - 1)
        b = max(a, bisect_left(firsts, stop) - 1)
        return self._messages[a].epoch, self._messages[a].sequence, self._messages[b].sequence


def _in_order(leads: Sequence[str]) -> tuple[str, ...]:
    """The same order whatever the order in the messages."""
    return tuple(lead_order(sorted(leads)))

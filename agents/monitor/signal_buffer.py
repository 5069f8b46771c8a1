"""The last seconds of a signal segment at its original sampling rate, and the instant of each sample.

Samples count from the first one of the segment, gaps included. Input: messages in order, which are kept as they came:
int16 takes half the memory of millivolts. Output: intervals as `Ecg` (float32 [leads, samples] in mV, NaN in gaps) and
instants as documents state them (UTC ns, whole microseconds).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from models.ecg import Ecg
from models.leads import lead_order
from models.signal.derived_leads import with_derived_leads
from streams.window import NO_SAMPLE, EcgWindow, millivolts

S = 1_000_000_000
US = 1000
ANCHORS = 4096  # messages whose device time is kept: over an hour at 1 s; conditions may begin five minutes back


class SignalBuffer:
    """Keeps the last seconds of a signal segment.

    Parameters
    ----------
    keep_s : float
        How much signal is kept at least.
    """

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._windows: deque[tuple[int, EcgWindow]] = deque()
        self._newest: tuple[EcgWindow, Ecg] | None = None
        self._samples: list[int] = []
        self._instants: list[int] = []
        self._fs_hz = 0.0
        self.end = 0  # samples so far: the number of the next one

    def add(self, window: EcgWindow, signal: Ecg, missing: int, instant_ns: int) -> None:
        """Append a message ``missing`` samples after the last one.

        Parameters
        ----------
        window : EcgWindow
        signal : Ecg
            Its `signal_of`, which is kept until the next one comes.
        missing : int
            Samples between it and the message before.
        instant_ns : int
            Instant of its first sample.
        """
        first = self.end + missing
        self._fs_hz, self._newest = signal.fs_hz, (window, signal)
        self._windows.append((first, window))
        self._samples.append(first)
        self._instants.append(instant_ns)
        if len(self._samples) > ANCHORS:
            del self._samples[: ANCHORS // 2], self._instants[: ANCHORS // 2]
        self.end = first + window.n_samples
        oldest = self.end - self._keep_s * signal.fs_hz
        while self._windows[0][0] + self._windows[0][1].n_samples <= oldest:
            self._windows.popleft()

    @property
    def begin(self) -> int:
        """The oldest sample that is kept."""
        return self._windows[0][0] if self._windows else self.end

    def instant_ns(self, sample: int) -> int:
        """Instant of a sample, by the device time of its message; it does not depend on where the segment begins."""
        k = max(0, bisect_right(self._samples, sample) - 1)
        return round((self._instants[k] + (sample - self._samples[k]) / self._fs_hz * S) / US) * US

    def shift(self, offset_ns: int) -> None:
        """Move the instants of all samples: their offset to the device clock was wrong."""
        self._instants = [instant_ns + offset_ns for instant_ns in self._instants]

    def sample_at(self, instant_ns: int) -> int:
        """The sample nearest to an instant (0 or negative before the first message of the segment)."""
        later = range(len(self._instants) - 1, 0, -1)  # instants step back where the clock was corrected
        k = next((k for k in later if self._instants[k] <= instant_ns), 0)
        return self._samples[k] + round((instant_ns - self._instants[k]) / S * self._fs_hz)

    def span(self, start: int, stop: int) -> Ecg:
        """Samples ``start`` to ``stop`` (exclusive) as far as they are kept, with all leads of their messages.

        A sample that is missing, or whose message lacks the lead, is NaN. A lead counts as derived where every message
        derives it.
        """
        start, stop = max(start, self.begin), min(stop, self.end)
        messages = [(n, w) for n, w in self._windows if n < stop and start < n + w.n_samples]
        newest = self._signal((messages or self._windows)[-1][1])
        if len(messages) == 1 and (start, stop) == (messages[0][0], messages[0][0] + newest.n_samples):
            in_order = tuple(lead for lead in newest.leads if lead in newest.leads_off)
            return replace(newest, start_ns=self.instant_ns(start), leads_off=in_order)
        if len(messages) > 1 and not newest.derived and _of_one_kind([w for _, w in messages]):
            return self._converted_together(messages, newest, start, stop)
        inside = [(n, self._signal(w)) for n, w in messages]
        names = list(newest.leads)
        names += dict.fromkeys(lead for _, chunk in inside for lead in chunk.leads if lead not in newest.leads)
        leads = tuple(lead_order(names))
        mv = np.full((len(leads), max(0, stop - start)), np.nan, np.float32)
        marks: list[int] = []
        off: set[str] = set()
        recorded: set[str] = {lead for lead in newest.leads if lead not in newest.derived}
        for first, chunk in inside:
            a, b = max(start, first), min(stop, first + chunk.n_samples)
            rows = slice(None) if chunk.leads == leads else [leads.index(lead) for lead in chunk.leads]
            mv[rows, a - start : b - start] = chunk.mv[:, a - first : b - first]
            marks += [int(m) + first - start for m in chunk.pacer_marks if a <= m + first < b]
            off.update(chunk.leads_off)
            recorded.update(lead for lead in chunk.leads if lead not in chunk.derived)
        return Ecg(
            leads=leads,
            fs_hz=newest.fs_hz,
            mv=mv,
            start_ns=self.instant_ns(start),
            derived=tuple(x for x in leads if x not in recorded),
            leads_off=tuple(x for x in leads if x in off),
            pacer_marks=np.array(marks, np.int64),
            paced=newest.paced,
            age_years=newest.age_years,
            sex=newest.sex,
        )

    def _converted_together(self, messages: Sequence[tuple[int, EcgWindow]], newest: Ecg, start: int, stop: int) -> Ecg:
        """`span` of messages `_of_one_kind` without derived leads; each comes with the number of its first sample."""
        window = messages[-1][1]
        rows = [window.leads.index(lead) for lead in newest.leads]
        units = np.full((len(rows), stop - start), NO_SAMPLE, np.int16)
        for first, each in messages:
            a, b = max(start, first), min(stop, first + each.n_samples)
            units[:, a - start : b - start] = each.samples[rows, a - first : b - first]
        marks = [first + m - start for first, each in messages for m in each.pacer_marks.tolist()]
        off = {lead for _, each in messages for lead in each.leads_off}
        return replace(
            newest,
            mv=millivolts(units, window.lsb_uv[rows]),
            start_ns=self.instant_ns(start),
            leads_off=tuple(lead for lead in newest.leads if lead in off),
            pacer_marks=np.array([m for m in marks if 0 <= m < stop - start], np.int64),
        )

    def _signal(self, window: EcgWindow) -> Ecg:
        if self._newest is not None and self._newest[0] is window:
            return self._newest[1]
        return signal_of(window, self._fs_hz)


def _of_one_kind(windows: Sequence[EcgWindow]) -> bool:
    """Whether all have the leads and gains of the last one."""
    last = windows[-1]
    gains = last.lsb_uv.tobytes()
    return all(w is last or (w.leads == last.leads and w.lsb_uv.tobytes() == gains) for w in windows)


def signal_of(window: EcgWindow, fs_hz: float, start_ns: int = 0) -> Ecg:
    """The signal of a message in mV, with the limb leads that follow from its own.

    Parameters
    ----------
    window : EcgWindow
    fs_hz : float
        Sampling rate of the segment.
    start_ns : int
        UTC of the first sample.
    """
    return with_derived_leads(window.to_ecg(start_ns, fs_hz))

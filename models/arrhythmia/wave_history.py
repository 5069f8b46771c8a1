"""Measured waves of a bed's newest beats, and the baseline of its first five usable minutes.

In, once an update: the newest signal, mV [leads, samples], and the final beats. Out: `WaveBeat` of the last 60 s, each
measured once, median ST levels, and the `RhythmBaseline`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np

from models.arrhythmia.baseline import BaselineBeats
from models.arrhythmia.criteria.waves import RhythmBaseline, WaveBeat, st_medians, wave_beat
from models.beats.detector import LEAD_PREFERENCE, UPDATE_INTERVAL_S, Beat
from models.ecg import MORPHOLOGY_FS_HZ, Ecg
from models.measurement.delineation import delineate
from models.signal.quality import FLAT_MV

WAIT_S = 0.9  # a beat is measured this long after R, when its T wave is complete
TOGETHER = 3  # beats measured in one call, which costs about the same for one as for three
LATEST_S = 3.0  # a beat is measured at the latest this long after R
BEFORE_S = 1.2  # signal before the first beat: its P wave and the beat before
KEPT_S = 60.0  # measured beats of this time are kept; AF uses the P waves of a minute
MEDIAN_S = 15.0  # medians are taken over the beats of this time
MAX_LEADS = 6  # waves are delineated in so many leads: in six nearly as exactly as in twelve (docs/sizing.md)
BASELINE_S = 300.0  # the first five usable minutes (docs/alarms.md#codes)


class WaveHistory:
    """Measured beats of one bed.

    Parameters
    ----------
    leads : sequence of str
        Leads of the bed.
    fs_hz : float
        Samples a second; below 100 Hz no waves are measured.
    baseline : RhythmBaseline, optional
        Where it is known already.
    fold : str, optional
        Use network weights trained without this fold.
    """

    def __init__(
        self, leads: Sequence[str], fs_hz: float, baseline: RhythmBaseline | None, *, fold: str | None = None
    ) -> None:
        self._fold = fold
        self._leads = tuple(leads)
        self._fs = fs_hz
        self._done = -1
        self._usable_s = 0.0
        self._first = BaselineBeats()
        self._now = 0
        self._medians_of: tuple[int, Sequence[str]] | None = None
        self._medians: dict[str, tuple[float, int]] = {}
        self.beats: list[WaveBeat] = []
        self.baseline = baseline

    def restart(self, baseline: RhythmBaseline | None) -> None:
        """Set the baseline; None starts a new one."""
        self.baseline = baseline
        self._first, self._usable_s = BaselineBeats(), 0.0

    @property
    def newest(self) -> list[WaveBeat]:
        """Beats of the last 15 s, over which medians are taken."""
        since = self._now - MEDIAN_S * self._fs
        return self.beats[bisect_right(self.beats, since, key=_sample) :]

    def st(self, usable: Sequence[str]) -> dict[str, float]:
        """Median ST of each usable lead, mV."""
        return {lead: round(mv, 3) for lead, (mv, _) in self.st_medians(usable).items()}

    def st_medians(self, usable: Sequence[str]) -> dict[str, tuple[float, int]]:
        """`models.arrhythmia.criteria.waves.st_medians` of the newest conducted beats, computed once an update."""
        if self._medians_of != (self._now, usable):
            self._medians_of = self._now, usable
            self._medians = st_medians([b for b in self.newest if b.conducted], usable)
        return self._medians

    def update(self, window: Ecg, now: int, beats: Sequence[Beat], usable: Sequence[str]) -> None:
        """Measure the beats that have become old enough since the last update.

        Parameters
        ----------
        window : Ecg
            The last seconds of signal, ending at ``now``.
        now : int
            Absolute sample after the window's last one.
        beats : sequence of Beat
            Final beats, absolute samples.
        usable : sequence of str
            Leads to measure on.
        """
        self._now = now
        del self.beats[: bisect_left(self.beats, now - KEPT_S * self._fs, key=_sample)]
        ready = now - WAIT_S * self._fs
        due = beats[bisect_right(beats, self._done, key=_at) : bisect_right(beats, ready, key=_at)]
        if due and (len(due) >= TOGETHER or due[0].sample < now - LATEST_S * self._fs):
            if usable and self._fs >= MORPHOLOGY_FS_HZ:
                self._measure(window, now, beats, due, usable)
            self._done = due[-1].sample
        if usable and self.baseline is None:
            self._usable_s += UPDATE_INTERVAL_S
            if self._usable_s >= BASELINE_S:
                self.baseline, self._first = self._first.baseline(), BaselineBeats()

    def _measure(
        self, window: Ecg, now: int, beats: Sequence[Beat], due: Sequence[Beat], usable: Sequence[str]
    ) -> None:
        start = now - window.n_samples
        first = max(start, due[0].sample - round(BEFORE_S * self._fs))
        part = window.slice(first - start, window.n_samples).select(usable)
        inside = [b for b in beats if first <= b.sample < now]
        samples = {b.sample for b in due}
        wanted = [k for k, b in enumerate(inside) if b.sample in samples]
        delineated = part.select(_delineated_leads(part))
        for measured in delineate(delineated, inside, start=first, wanted=wanted, fold=self._fold):
            found = wave_beat(part, measured, first)
            self.beats.append(found)
            if self.baseline is None:
                self._first.add(found)


def _delineated_leads(part: Ecg) -> tuple[str, ...]:
    """The leads, `MAX_LEADS` at most, whose waves are delineated: those that are not flat, the preferred ones first."""
    if len(part.leads) <= MAX_LEADS:
        return part.leads
    active = np.ptp(part.mv, axis=1) >= FLAT_MV  # False where a sample is missing
    preference = [LEAD_PREFERENCE.index(x) if x in LEAD_PREFERENCE else len(LEAD_PREFERENCE) for x in part.leads]
    best = sorted(range(len(part.leads)), key=lambda k: (not active[k], preference[k]))[:MAX_LEADS]
    return tuple(part.leads[k] for k in sorted(best))


def _sample(beat: WaveBeat) -> int:
    return beat.sample


def _at(beat: Beat) -> int:
    return beat.sample

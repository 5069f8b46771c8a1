"""Criteria of waves: QT, QRS, PR and ST against limits and the bed's baseline, and P waves that lead no QRS.

In: what the last seconds' beats measured (`WaveMedians`), the code's `Limit`, the bed's `RhythmBaseline`. Out: whether
the condition is present (None: cannot be judged now) and the evidence that shows it. The caller confirms over time.
Sources: AHA/ACC/HRS 2009 (QRS, PR, QT), AHA practice standards 2017 (ST monitoring).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.arrhythmia.limits import RULES, Limit
from models.ecg import Ecg
from models.evidence import BeatSpan, Criterion, Evidence
from models.leads import CHEST, is_standard
from models.measurement.delineation import MeasuredBeat
from models.measurement.intervals import METHOD, ST_AFTER_J_S, st_level
from models.measurement.measure import qt_fridericia
from models.normal_limits import QRS_WIDE_MS

QT_HR_BPM = (40.0, 130.0)  # outside it Fridericia's correction is not trusted
WIDE_OVER_BASELINE_MS = 30.0  # CONTRACTS 4
PR_OVER_BASELINE_MS = 40.0  # CONTRACTS 4
ST_ALONE_MV = 0.2  # CONTRACTS 4: in one lead alone
MIN_BEATS = 4  # a median of fewer beats is not one
FRONTAL_ORDER = (
    "aVL",
    "I",
    "aVR",
    "II",
    "aVF",
    "III",
)  # neighbours in the frontal plane (Cabrera; aVR stands for -aVR)


@dataclass(frozen=True, slots=True)
class RhythmBaseline:
    """Medians of a bed's first five usable minutes; None, or no entry, until then.

    Attributes
    ----------
    st_mv : mapping
        Lead to ST level, mV.
    qrs_ms, pr_ms : float or None
    """

    st_mv: Mapping[str, float] = field(default_factory=dict)
    qrs_ms: float | None = None
    pr_ms: float | None = None


@dataclass(frozen=True, slots=True)
class WaveBeat:
    """One beat's waves, absolute samples, with what was measured on it; None where a wave is absent."""

    beat: MeasuredBeat
    st_mv: Mapping[str, float]
    qrs_ms: float | None
    pr_ms: float | None
    qt_ms: float | None

    @property
    def sample(self) -> int:
        return self.beat.beat.sample

    @property
    def conducted(self) -> bool:
        """Neither ventricular, paced nor unknown: its waves speak of conduction."""
        return self.beat.beat.kind in ("N", "S")


def wave_beat(ecg: Ecg, measured: MeasuredBeat) -> WaveBeat:
    """What one beat of a window shows; positions stay those of the window."""
    fs, marks = ecg.fs_hz, measured.overall
    st = {lead: v for lead in ecg.leads if is_standard(lead) and (v := st_level(ecg, lead, marks)) is not None}
    return WaveBeat(
        measured,
        st,
        marks.span_ms("qrs_on", "qrs_off", fs),
        marks.span_ms("p_on", "qrs_on", fs),
        marks.span_ms("qrs_on", "t_off", fs),
    )


def _nearest(beats: Sequence[WaveBeat], values: Sequence[float | None]) -> tuple[float, WaveBeat, float] | None:
    """Median of the values that are there, and the beat nearest to it; None where there are too few."""
    there = [(b, v) for b, v in zip(beats, values, strict=True) if v is not None]
    if len(there) < MIN_BEATS:
        return None
    middle = float(np.median([v for _, v in there]))
    beat, value = min(there, key=lambda bv: abs(bv[1] - middle))
    return middle, beat, value


def _cited(
    measure: str,
    value: float,
    leads: tuple[str, ...],
    span: tuple[int, int],
    r: int,
    criterion: Criterion,
    over_s: float,
) -> Evidence:
    value = round(value, 3 if measure == "ST" else 1)
    return Evidence(measure, value, leads, *span, (BeatSpan(r, *span, value),), criterion, over_s=over_s, method=METHOD)


def qt_long(
    beats: Sequence[WaveBeat], rr_s: float, limit: Limit, leads: tuple[str, ...], over_s: float
) -> tuple[bool | None, Evidence | None]:
    """QTcF over the limit, with a narrow QRS at 40 to 130 bpm. The caller leaves out paced patients and AF."""
    assert limit.ms is not None
    normal = [b for b in beats if b.conducted]
    if not (60.0 / QT_HR_BPM[1] <= rr_s <= 60.0 / QT_HR_BPM[0]):
        return None, None
    qrs = _nearest(normal, [b.qrs_ms for b in normal])
    qt = _nearest(normal, [b.qt_ms for b in normal])
    if qrs is None or qt is None or qrs[0] > QRS_WIDE_MS:
        return None, None
    corrected = qt_fridericia(qt[0], rr_s)
    if corrected <= limit.ms:
        return False, None
    marks = qt[1].beat.overall
    assert marks.qrs_on is not None and marks.t_off is not None
    criterion = Criterion(f"QTcF over {limit.ms:g} ms for {over_s:g} s", limit.ms, RULES["QT_LONG"].source)
    return True, _cited(
        "QTcF", qt_fridericia(qt[2], rr_s), leads, (marks.qrs_on, marks.t_off), qt[1].sample, criterion, over_s
    )


def wide_qrs(
    beats: Sequence[WaveBeat], limit: Limit, baseline: RhythmBaseline, leads: tuple[str, ...]
) -> tuple[bool | None, Evidence | None]:
    """Median QRS of N and S beats over the limit and 30 ms over the baseline."""
    assert limit.ms is not None and limit.seconds is not None
    normal = [b for b in beats if b.conducted]
    qrs = _nearest(normal, [b.qrs_ms for b in normal])
    if qrs is None or baseline.qrs_ms is None:
        return None, None
    if qrs[0] <= max(limit.ms, baseline.qrs_ms + WIDE_OVER_BASELINE_MS):
        return False, None
    marks = qrs[1].beat.overall
    assert marks.qrs_on is not None and marks.qrs_off is not None
    rule = f"median QRS over {limit.ms:g} ms and {WIDE_OVER_BASELINE_MS:g} over baseline for {limit.seconds:g} s"
    criterion = Criterion(rule, limit.ms, RULES["WIDE_QRS"].source)
    return True, _cited("QRS", qrs[2], leads, (marks.qrs_on, marks.qrs_off), qrs[1].sample, criterion, limit.seconds)


def pr_long(
    beats: Sequence[WaveBeat], limit: Limit, baseline: RhythmBaseline, leads: tuple[str, ...]
) -> tuple[bool | None, Evidence | None]:
    """Median PR over the limit and 40 ms over the baseline."""
    assert limit.ms is not None and limit.seconds is not None
    normal = [b for b in beats if b.conducted]
    pr = _nearest(normal, [b.pr_ms for b in normal])
    if pr is None or baseline.pr_ms is None:
        return None, None
    if pr[0] <= max(limit.ms, baseline.pr_ms + PR_OVER_BASELINE_MS):
        return False, None
    marks = pr[1].beat.overall
    assert marks.p_on is not None and marks.qrs_on is not None
    rule = f"PR over {limit.ms:g} ms and {PR_OVER_BASELINE_MS:g} over baseline for {limit.seconds:g} s"
    criterion = Criterion(rule, limit.ms, RULES["PR_LONG"].source)
    return True, _cited("PR", pr[2], leads, (marks.p_on, marks.qrs_on), pr[1].sample, criterion, limit.seconds)


def st_change(
    beats: Sequence[WaveBeat], code: str, limit: Limit, baseline: RhythmBaseline, usable: Sequence[str], fs_hz: float
) -> tuple[bool | None, tuple[Evidence, ...]]:
    """ST off the bed's baseline by the limit in two neighbouring leads, or by 0.2 mV in one."""
    assert limit.mv is not None and limit.seconds is not None
    sign = 1.0 if code == "ST_ELEVATION" else -1.0
    normal = [b for b in beats if b.conducted]
    moved: dict[str, tuple[float, WaveBeat, float]] = {}
    for lead in usable:
        found = _nearest(normal, [b.st_mv.get(lead) for b in normal])
        if found is not None and lead in baseline.st_mv:
            moved[lead] = (sign * (found[0] - baseline.st_mv[lead]), found[1], found[2])
    if not moved:
        return None, ()
    over = [lead for lead, m in moved.items() if m[0] >= limit.mv]
    alone = max(ST_ALONE_MV, limit.mv)
    named = [lead for lead in over if moved[lead][0] >= alone or any(neighbours(lead, other) for other in over)]
    if not named:
        return False, ()
    word = "elevation" if sign > 0 else "depression"
    rule = f"ST {word} of {limit.mv:g} mV off baseline in two neighbouring leads, {alone:g} in one, {limit.seconds:g} s"
    criterion = Criterion(rule, limit.mv, RULES[code].source)
    out = []
    for lead in sorted(named, key=lambda x: -moved[x][0])[:3]:
        _, beat, value = moved[lead]
        marks = beat.beat.overall
        assert marks.qrs_on is not None and marks.qrs_off is not None
        span = (marks.qrs_on, marks.qrs_off + round(ST_AFTER_J_S * fs_hz))
        out.append(_cited("ST", value, (lead,), span, beat.sample, criterion, limit.seconds))
    return True, tuple(out)


def neighbours(a: str, b: str) -> bool:
    """Two leads that look at the heart from neighbouring sides."""
    for order in (CHEST, FRONTAL_ORDER):
        if a in order and b in order:
            return abs(order.index(a) - order.index(b)) == 1
    return False


def baseline_of(beats: Sequence[WaveBeat]) -> RhythmBaseline:
    """Medians over the conducted beats of the first five usable minutes."""
    normal = [b for b in beats if b.conducted] or list(beats)

    def median(values: Sequence[float | None]) -> float | None:
        there = [v for v in values if v is not None]
        return round(float(np.median(there)), 1) if len(there) >= MIN_BEATS else None

    leads = {lead for b in normal for lead in b.st_mv}
    st = {lead: v for lead in sorted(leads) if (v := _median_st([b.st_mv.get(lead) for b in normal])) is not None}
    return RhythmBaseline(st, median([b.qrs_ms for b in normal]), median([b.pr_ms for b in normal]))


def _median_st(values: Sequence[float | None]) -> float | None:
    there = [v for v in values if v is not None]
    return round(float(np.median(there)), 4) if len(there) >= MIN_BEATS else None

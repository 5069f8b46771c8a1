"""Criteria of intervals and ST level: prolonged QT, QRS and PR, ST elevation and depression.

In: the measured beats of the last seconds (`WaveBeat`), the code's limit, and the bed's `RhythmBaseline`. Out: whether
the condition is present (None where it cannot be evaluated now) and its evidence. The caller confirms over time.
Also here: `wave_beat`, which measures one beat. `models.arrhythmia.baseline` makes the baseline.
Sources: AHA/ACC/HRS 2009 (QRS, PR, QT), AHA practice standards 2017 (ST monitoring).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat

import numpy as np

from models.arrhythmia.limits import IntervalCode, IntervalLimit, QtLimit, StCode, StLimit, criterion_of
from models.ecg import Ecg
from models.evidence import BeatSpan, Criterion, Evidence
from models.leads import CHEST, is_standard
from models.measurement.delineation import MeasuredBeat
from models.measurement.intervals import METHOD, ST_AFTER_J_S, st_levels
from models.measurement.measure import qt_fridericia
from models.normal_limits import QRS_WIDE_MS

QT_HR_BPM = (40.0, 130.0)  # Fridericia's correction is used within these rates
WIDE_OVER_BASELINE_MS = 30.0  # docs/alarms.md#codes
PR_OVER_BASELINE_MS = 40.0  # docs/alarms.md#codes
ST_SINGLE_LEAD_MV = 0.2  # in one lead without a neighbour (docs/alarms.md#codes)
MIN_BEATS = 4  # no median of fewer beats
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
    """One beat with its measurements; None where a wave is absent.

    Attributes
    ----------
    beat : MeasuredBeat
        The beat with its fiducials, absolute samples.
    st_mv : mapping
        Lead to ST level, mV.
    qrs_ms, pr_ms, qt_ms : float or None
        Intervals of the global fiducials, ms.
    """

    beat: MeasuredBeat
    st_mv: Mapping[str, float]
    qrs_ms: float | None
    pr_ms: float | None
    qt_ms: float | None

    @property
    def sample(self) -> int:
        """R peak, absolute sample."""
        return self.beat.beat.sample

    @property
    def conducted(self) -> bool:
        """Conducted from the atria: neither ventricular, paced nor unknown."""
        return self.beat.beat.kind in ("N", "S")


def wave_beat(ecg: Ecg, measured: MeasuredBeat, start: int = 0) -> WaveBeat:
    """Measure one beat of a window; its positions are counted from ``start``, the number of the first sample."""
    fs, marks = ecg.fs_hz, measured.overall
    levels = zip(ecg.leads, st_levels(ecg, marks, start), strict=True)
    st = {lead: v for lead, v in levels if v is not None and is_standard(lead)}
    return WaveBeat(
        measured,
        st,
        marks.span_ms("qrs_on", "qrs_off", fs),
        marks.span_ms("p_on", "qrs_on", fs),
        marks.span_ms("qrs_on", "t_off", fs),
    )


def _nearest(
    beats: Sequence[WaveBeat], values: Sequence[float | None], sign: float = 1.0
) -> tuple[float, WaveBeat, float] | None:
    """Median of the known values, a beat to cite, and its value; None with fewer than `MIN_BEATS`.

    The beat is the nearest one to the median of those that are not smaller (``sign`` -1: not larger): where the median
    is beyond a limit, so is the value cited.
    """
    known = [(b, v) for b, v in zip(beats, values, strict=True) if v is not None]
    if len(known) < MIN_BEATS:
        return None
    middle = statistics.median([v for _, v in known])
    beat, value = min((bv for bv in known if sign * (bv[1] - middle) >= 0), key=lambda bv: abs(bv[1] - middle))
    return middle, beat, value


def _evidence(
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
    beats: Sequence[WaveBeat], rr_s: float, limit: QtLimit, leads: tuple[str, ...], over_s: float
) -> tuple[bool | None, Evidence | None]:
    """QTcF over the limit, with a narrow QRS at 40 to 130 bpm.

    The caller does not evaluate it in paced patients and in AF.
    """
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
    criterion = criterion_of("QT_LONG", f"QTcF over {limit.ms:g} ms for {over_s:g} s", limit.ms)
    return True, _evidence(
        "QTcF", qt_fridericia(qt[2], rr_s), leads, (marks.qrs_on, marks.t_off), qt[1].sample, criterion, over_s
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Interval:
    """An interval that is compared with its limit and with the bed's baseline."""

    code: IntervalCode
    measure: str
    value_ms: Callable[[WaveBeat], float | None]
    baseline_ms: Callable[[RhythmBaseline], float | None]
    over_baseline_ms: float
    start: str  # fiducials of its ends
    end: str
    rule_subject: str


_QRS = _Interval(
    code="WIDE_QRS",
    measure="QRS",
    value_ms=lambda beat: beat.qrs_ms,
    baseline_ms=lambda baseline: baseline.qrs_ms,
    over_baseline_ms=WIDE_OVER_BASELINE_MS,
    start="qrs_on",
    end="qrs_off",
    rule_subject="median QRS",
)
_PR = _Interval(
    code="PR_LONG",
    measure="PR",
    value_ms=lambda beat: beat.pr_ms,
    baseline_ms=lambda baseline: baseline.pr_ms,
    over_baseline_ms=PR_OVER_BASELINE_MS,
    start="p_on",
    end="qrs_on",
    rule_subject="PR",
)


def wide_qrs(
    beats: Sequence[WaveBeat], limit: IntervalLimit, baseline: RhythmBaseline, leads: tuple[str, ...]
) -> tuple[bool | None, Evidence | None]:
    """Median QRS of conducted beats over the limit and 30 ms over the baseline."""
    return _prolonged(_QRS, beats, limit, baseline, leads)


def pr_long(
    beats: Sequence[WaveBeat], limit: IntervalLimit, baseline: RhythmBaseline, leads: tuple[str, ...]
) -> tuple[bool | None, Evidence | None]:
    """Median PR of conducted beats over the limit and 40 ms over the baseline."""
    return _prolonged(_PR, beats, limit, baseline, leads)


def _prolonged(
    interval: _Interval,
    beats: Sequence[WaveBeat],
    limit: IntervalLimit,
    baseline: RhythmBaseline,
    leads: tuple[str, ...],
) -> tuple[bool | None, Evidence | None]:
    conducted = [b for b in beats if b.conducted]
    found = _nearest(conducted, [interval.value_ms(b) for b in conducted])
    baseline_ms = interval.baseline_ms(baseline)
    if found is None or baseline_ms is None:
        return None, None
    middle, beat, value = found
    if middle <= max(limit.ms, baseline_ms + interval.over_baseline_ms):
        return False, None
    marks = beat.beat.overall.as_dict()
    start, end = marks[interval.start], marks[interval.end]
    assert start is not None and end is not None
    over = f"over {limit.ms:g} ms and {interval.over_baseline_ms:g} over baseline for {limit.seconds:g} s"
    criterion = criterion_of(interval.code, f"{interval.rule_subject} {over}", limit.ms)
    return True, _evidence(interval.measure, value, leads, (start, end), beat.sample, criterion, limit.seconds)


def st_medians(conducted: Sequence[WaveBeat], usable: Sequence[str]) -> dict[str, tuple[float, int]]:
    """Median ST level of each usable lead that has one, mV, and of how many beats."""
    if not conducted or not usable:
        return {}
    st = np.array([list(map(b.st_mv.get, usable, repeat(math.nan))) for b in conducted], np.float64)
    st.sort(axis=0)  # NaN last
    count = np.isfinite(st).sum(axis=0)
    lead = np.arange(len(usable))
    middle = (st[(count - 1) // 2, lead] + st[np.minimum(count // 2, len(st) - 1), lead]) / 2
    each = zip(usable, middle.tolist(), count.tolist(), strict=True)
    return {name: (level, beats) for name, level, beats in each if beats}


def st_change(
    beats: Sequence[WaveBeat],
    code: StCode,
    limit: StLimit,
    baseline: RhythmBaseline,
    usable: Sequence[str],
    fs_hz: float,
    medians: Mapping[str, tuple[float, int]] | None = None,
) -> tuple[bool | None, tuple[Evidence, ...]]:
    """ST level off the bed's baseline by the limit in two neighbouring leads, or by 0.2 mV in one.

    ``medians``: those of `st_medians`, where they are known already.
    """
    sign = 1.0 if code == "ST_ELEVATION" else -1.0
    normal = [b for b in beats if b.conducted]
    if medians is None:
        medians = st_medians(normal, usable)
    shifts = {
        lead: sign * (mv - baseline.st_mv[lead])
        for lead, (mv, n) in medians.items()
        if n >= MIN_BEATS and lead in baseline.st_mv
    }
    if not shifts:
        return None, ()
    over = [lead for lead, shift in shifts.items() if shift >= limit.mv]
    alone = max(ST_SINGLE_LEAD_MV, limit.mv)
    named = [lead for lead in over if shifts[lead] >= alone or any(neighbours(lead, other) for other in over)]
    if not named:
        return False, ()
    word = "elevation" if sign > 0 else "depression"
    rule = f"ST {word} of {limit.mv:g} mV off baseline in two neighbouring leads, {alone:g} in one, {limit.seconds:g} s"
    out = []
    for lead in sorted(named, key=lambda x: -shifts[x])[:3]:
        found = _nearest(normal, [b.st_mv.get(lead) for b in normal], sign)
        assert found is not None
        _, beat, value = found
        criterion = criterion_of(code, f"{rule}; baseline of {lead} {baseline.st_mv[lead]:g} mV", limit.mv)
        marks = beat.beat.overall
        assert marks.qrs_on is not None and marks.qrs_off is not None
        span = (marks.qrs_on, marks.qrs_off + round(ST_AFTER_J_S * fs_hz))
        out.append(_evidence("ST", value, (lead,), span, beat.sample, criterion, limit.seconds))
    return True, tuple(out)


def neighbours(a: str, b: str) -> bool:
    """Whether two leads are neighbours, in the chest or in the frontal plane."""
    for order in (CHEST, FRONTAL_ORDER):
        if a in order and b in order:
            return abs(order.index(a) - order.index(b)) == 1
    return False

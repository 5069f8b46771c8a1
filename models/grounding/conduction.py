"""Pacing and AV block in one segment: beats that follow a pacing pulse, and P waves without a QRS complex.

In: an `Ecg` and its measured beats. Out: the numbers of the paced beats; `Evidence` of each blocked P wave, and the
degree of the block. The alarms have their own rules, which need more than one segment
(`models.signal.pacing_pulses`, `models.arrhythmia.criteria.av_block`).

A pulse is a spike before the QRS complex: in most leads its second difference exceeds that of the signal before it
several times, and that of the complex itself. A blocked P wave is found by the patient's own P
wave as a template, as for the alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from models.arrhythmia.criteria.av_block import AvBlockDetector
from models.arrhythmia.criteria.waves import wave_beat
from models.arrhythmia.limits import EventCountLimit
from models.ecg import Ecg
from models.evidence import Evidence
from models.measurement.delineation import MeasuredBeat

PULSE_S = (-0.09, 0.035)  # from the QRS onset: where its pulse lies
BESIDE_S, AROUND_S = 0.014, 0.18  # on both sides of a pulse: the second difference of the signal without it
BEFORE_RATIO = 4.0  # pulse to the signal before it, median over the leads
PULSES = ((1.3, 0.6), (1.1, 0.7))  # pulse to the signal after it, and share of the beats before any is called paced
# Searched on LUDB, MIT-BIH and the 2021 samples: 11 of 12 paced windows, 0 of 260 others.
MIN_BEATS = 4
BLOCKED = 2  # P waves without a QRS complex, from which on a block is named
DISSOCIATED_PR_S = 0.05  # standard deviation of PR, from which on atria and ventricles beat independently,
EVEN_RR = 0.08  # with sd/mean of RR up to this: the escape rhythm of a third-degree block is regular

Degree = Literal["second", "third"]
STILL_MV = 0.001  # a lead without a bend, as of digital filters


def paced_beats(ecg: Ecg, beats: Sequence[MeasuredBeat], leads: Sequence[str]) -> frozenset[int]:
    """Numbers of the beats that follow a pacing pulse; empty where too few do (`PULSES`)."""
    fs = ecg.fs_hz
    if not leads or len(beats) < MIN_BEATS:
        return frozenset()
    bends = np.abs(np.diff(np.nan_to_num(ecg.select(tuple(leads)).mv.astype(np.float64)), 2, axis=1))
    beside, around = round(BESIDE_S * fs), round(AROUND_S * fs)
    ratios: dict[int, float] = {}
    for k, beat in enumerate(beats):
        on = beat.overall.qrs_on
        first, last = (0, 0) if on is None else (on + round(x * fs) for x in PULSE_S)
        if first < around or last + around > bends.shape[1]:
            continue
        at = first + int(np.argmax(bends[:, first:last].sum(axis=0)))
        pulse = bends[:, at - 1 : at + 2].max(axis=1)
        before = np.maximum(bends[:, at - around : at - beside].max(axis=1), STILL_MV)
        after = np.maximum(bends[:, at + beside : at + around].max(axis=1), STILL_MV)
        ratios[k] = float(np.median(pulse / after)) if np.median(pulse / before) >= BEFORE_RATIO else 0.0
    for ratio, share in PULSES:
        found = frozenset(k for k, x in ratios.items() if x >= ratio)
        if len(found) >= max(MIN_BEATS - 1, share * len(ratios)):
            return found
    return frozenset()


def blocked_p_waves(ecg: Ecg, beats: Sequence[MeasuredBeat], leads: Sequence[str]) -> tuple[Evidence, ...]:
    """P waves of the segment that no QRS complex follows; empty where there is none, or no beat with a P wave."""
    if not leads or len(beats) < MIN_BEATS:
        return ()
    detector = AvBlockDetector(ecg.fs_hz)
    detector.update(ecg, 0, [wave_beat(ecg, b) for b in beats], leads)
    for n in range(len(beats), 0, -1):
        finding = detector.finding(ecg.n_samples, EventCountLimit(on=True, beats=n, seconds=ecg.duration_s + 1.0))
        if finding is not None:
            return tuple(replace(e, criterion=None, over_s=None) for e in finding.evidence)
    return ()


def _even(beats: Sequence[MeasuredBeat]) -> bool:
    rr = np.diff([b.beat.sample for b in beats])
    return len(rr) > 2 and float(np.std(rr) / np.mean(rr)) <= EVEN_RR


def _scattered(beats: Sequence[MeasuredBeat], fs_hz: float) -> bool:
    pr = [ms / 1000.0 for b in beats if (ms := b.overall.span_ms("p_on", "qrs_on", fs_hz)) is not None]
    return len(pr) > 2 and float(np.std(pr)) >= DISSOCIATED_PR_S


def block_degree(beats: Sequence[MeasuredBeat], blocked: Sequence[Evidence], fs_hz: float) -> Degree | None:
    """Degree of the AV block that the blocked P waves show; None with fewer than `BLOCKED`.

    Third: PR changes from beat to beat while RR does not. Second: any other.
    """
    if len(blocked) < BLOCKED:
        return None
    return "third" if _even(beats) and _scattered(beats, fs_hz) else "second"

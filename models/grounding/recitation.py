"""Evidence of a condition inside a window, also where the condition began before the window.

Input: an `Episode` in samples of the record, and the window. Output: its evidence in samples of the window: that of the
episode where it lies inside, else the same measure measured in the window, where its value still meets the limit on the
side on which the episode's own value met it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from models.arrhythmia.episodes import Episode
from models.arrhythmia.fibrillation_features import WINDOW_S
from models.beats import regular_waves
from models.beats.series import METHOD as DETECTED
from models.ecg import Ecg
from models.evidence import OF_A_WAVE, BeatSpan, Criterion, Evidence
from models.grounding.limit_margin import BELOW, margin
from models.grounding.segment_measurements import (
    AF_BEATS,
    REGULAR_RR,
    RHYTHM_BEATS,
    SegmentMeasurements,
    measure_segment,
)
from models.measurement.intervals import FIBRILLATION, clear_of_edges, is_possible, wave_height
from models.measurement.window_evidence import qrs_evidence
from models.normal_limits import HR_HIGH_BPM, HR_LOW_BPM

OF_A_SILENCE = re.compile(
    r"no beat|RR over|pause over|times the mean|every RR"
)  # rules whose limit is a time without a beat
BEATS = re.compile(r"(\d+) (?:narrow |ventricular )?beats\b")
VENTRICULAR_RUN = re.compile(r"\d ventricular beats in a row")
RUN_NEAR_S = 0.1  # by which an R peak measured in the window may lie outside the condition
SLOW_SHARE = 0.6  # of the window; at 40 bpm ten seconds have six or seven beats, at 30 four or five
REGULAR_S = 5.0  # time over which regular waves are sought
ACCURACY = 0.05  # share of the limit within which a rate or time measured in the window still meets it


def evidence_in_window(episode: Episode, start: int, window: Ecg, *, fold: str | None = None) -> tuple[Evidence, ...]:
    """The evidence that the window shows, in its own samples; empty where it shows none.

    Parameters
    ----------
    episode : Episode
        A condition that holds at some instant of the window.
    start : int
        First sample of the window in the record.
    window : Ecg
    fold : str, optional
        Measure with network weights trained without this fold (evaluation).
    """
    stop, n = start + window.n_samples, window.n_samples
    inside = tuple(
        e.shifted(-start)
        for e in episode.evidence
        if start <= e.start
        and e.end <= stop
        and is_possible(e.measure, e.value)
        and (e.measure not in OF_A_WAVE or clear_of_edges(e.start - start, e.end - start, n, window.fs_hz))
    )
    measured = with_measured_qrs(inside, window, fold=fold)
    if measured:
        return measured
    if any(e.wave == FIBRILLATION for e in episode.evidence):
        return tuple(_waves(episode, start, window))
    if any(e.method == regular_waves.METHOD for e in episode.evidence):
        return tuple(_regular(episode, start, window))
    again = tuple(_measured_again(episode, start, window, fold))
    irregular = {"REGULARITY"} & {e.measure for e in episode.evidence}  # without it absent P waves show no condition
    return again if irregular <= {e.measure for e in again} else ()


def with_measured_qrs(evidence: tuple[Evidence, ...], window: Ecg, *, fold: str | None = None) -> tuple[Evidence, ...]:
    """The evidence with each QRS duration of the beat detector measured between the boundaries of the same beat.

    The detector's own is a width round the R peak on its analysis leads; it is left out where the boundaries cannot be
    cited.
    """
    out: list[Evidence] = []
    for e in evidence:
        if e.measure != "QRS" or e.method != DETECTED or not e.beats:
            out.append(e)
        elif (found := qrs_evidence(window, e.beats[0].r, fold=fold)) is not None:
            out.append(replace(found, criterion=e.criterion, over_s=e.over_s, confidence=e.confidence))
    return tuple(out)


def _waves(episode: Episode, start: int, window: Ecg) -> Iterator[Evidence]:
    """The height of fibrillation waves over four seconds, the last of the condition in the window."""
    n = round(WINDOW_S * window.fs_hz)
    end = min(window.n_samples, episode.last_held - start)
    begin = max(0, episode.onset - start, end - n)
    for e in episode.evidence:
        if e.wave == FIBRILLATION and end - begin >= n // 2 and e.leads[0] in window.leads:
            height = wave_height(window.lead(e.leads[0]), FIBRILLATION, begin, end, 0.0)
            yield replace(e, value=height, start=begin, end=end, beats=())


def _regular(episode: Episode, start: int, window: Ecg) -> Iterator[Evidence]:
    """The rate of the regular waves, the last of the condition in the window, where it still meets the limit."""
    end = min(window.n_samples, episode.last_held - start + round(0.1 * window.fs_hz))
    for e in episode.evidence:
        if e.criterion is None or e.leads[0] not in window.leads:
            continue
        part = window.select(e.leads[:1]).slice(max(0, end - round(REGULAR_S * window.fs_hz)), end)
        waves = regular_waves.regular_waves(part.leads, part.mv, window.fs_hz, end)
        if waves is not None and waves.rate(window.fs_hz) >= e.criterion.limit - e.criterion.accuracy:
            yield replace(regular_waves.evidence(waves, window.fs_hz, e.criterion), confidence=e.confidence)


def _measured_again(episode: Episode, start: int, window: Ecg, fold: str | None) -> Iterator[Evidence]:
    """Each measure of the episode's evidence, measured in the window, as far as it meets the same limit.

    A rate is that of the part of the window in which the condition holds.
    """
    whole = measure_segment(window, fold=fold)
    begin, end = max(0, episode.onset - start), min(window.n_samples, episode.last_held - start)
    for e in episode.evidence:
        measured, silent = whole, e.measure in ("RR", "SILENCE")
        found = measured.longest_rr if silent else measured.evidence.get(e.measure)
        if e.measure == "HR" and is_of_a_run(e) and 0 < whole.kind_sequence.count("V") < whole.beats:
            yield from run_evidence(e, whole, begin, end)  # among other beats, the run alone has its rate
            continue
        if e.measure == "HR" and end - begin < window.n_samples:
            measured = measure_segment(window.slice(begin, end), fold=fold)
            part = measured.evidence.get("HR")
            found = None if part is None else part.shifted(begin)
        if e.measure == "ST":
            found = measured.st.get(e.leads[0])
        if found is None or e.criterion is None or (silent and not OF_A_SILENCE.search(e.criterion.rule)):
            continue  # the RR of a beat that is counted is not the longest one
        if measured.beats < _least_beats(e, e.criterion.rule, (found.end - found.start) / window.n_samples):
            continue
        if e.measure == "REGULARITY" and e.criterion.rule.startswith("irregular") and found.value <= REGULAR_RR:
            continue  # the limit is a time; these beats are regular
        if silent and episode.last_held - start < found.start:
            continue  # the condition was over before this silence
        criterion = _met(e, found.value)
        if criterion is not None:
            beats = (
                found.beats or (BeatSpan(found.start, found.start, found.end, found.value),) if silent else found.beats
            )
            yield replace(found, criterion=criterion, over_s=e.over_s, beats=beats)


def is_of_a_run(e: Evidence) -> bool:
    """Whether a rule is about ventricular beats in a row."""
    return e.criterion is not None and VENTRICULAR_RUN.search(e.criterion.rule) is not None


def run_evidence(e: Evidence, measured: SegmentMeasurements, begin: int, end: int) -> Iterator[Evidence]:
    """The rate of the longest run of ventricular beats between two samples, where it meets the rule of the evidence."""
    rate, r, fs = measured.evidence.get("HR"), np.array(measured.r), measured.ecg.fs_hz
    near, counted = round(RUN_NEAR_S * fs), BEATS.search("" if e.criterion is None else e.criterion.rule)
    spans = [(m.start(), m.end() - 1) for m in re.finditer("V+", measured.kind_sequence)]
    inside = [(a, b) for a, b in spans if r[a] >= begin - near and r[b] <= end + near]
    first, last = max(inside, key=lambda run: run[1] - run[0], default=(0, 0))
    if rate is None or counted is None or last - first + 1 < int(counted[1]):
        return
    value = 60.0 * fs * (last - first) / float(r[last] - r[first])
    criterion = _met(e, value)
    if criterion is not None:
        beats = tuple(BeatSpan(b, a, b, round((b - a) / fs, 4)) for a, b in pairwise(r[first : last + 1].tolist()))
        yield replace(
            rate, value=round(value, 1), start=int(r[first]), end=int(r[last]), beats=beats, criterion=criterion
        )


def _least_beats(e: Evidence, rule: str, share: float) -> int:
    """Number of beats that the rule of a rhythm or of a fast rate is about; fewer slow ones fill the window."""
    if e.measure in ("REGULARITY", "ABSENT_P"):
        return RHYTHM_BEATS if share >= SLOW_SHARE else AF_BEATS
    counted = None if BELOW.search(rule) or e.measure != "HR" else BEATS.search(rule)
    return int(counted[1]) if counted else 0


def _met(e: Evidence, value: float) -> Criterion | None:
    """The criterion of the episode's evidence where a value measured in the window meets it too, with its accuracy."""
    rule = e.criterion
    if rule is None:
        return None
    over = margin(e, value)
    if over is None:  # the limit is of another measure
        return rule if (value >= rule.limit) == (e.value >= rule.limit) else None
    allowed = max(rule.accuracy, ACCURACY * abs(rule.limit)) if e.measure in ("HR", "RR", "SILENCE") else rule.accuracy
    if e.measure == "HR":  # no tachycardia or bradycardia is named at a rate that is normal
        normal = HR_LOW_BPM - rule.limit if BELOW.search(rule.rule) else rule.limit - HR_HIGH_BPM
        allowed = min(allowed, normal) if normal >= 0 else allowed
    if over < -allowed:
        return None
    return rule if over >= -rule.accuracy else replace(rule, accuracy=allowed)

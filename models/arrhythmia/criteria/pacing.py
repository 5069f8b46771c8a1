"""Criteria of pacing: pulses without a beat, and a pause without a pulse.

In: a `BeatTrack` and the pacing marks, int64 [marks], absolute samples: those of the device, or the pulses found in the
signal where it marks none. Out: a `Finding` where the condition is present now, else None. A pause without a mark
counts in a patient known to be paced, whether marks were there before or not.
Source: Philips IntelliVue manual (pacer not capture, pacer not pacing).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.arrhythmia.episode_tracker import Finding
from models.arrhythmia.limits import CaptureLimit, DurationLimit, criterion_of
from models.beats.series import METHOD, BeatTrack
from models.evidence import Evidence

LOOKBACK_S = 10.0  # pulses without a beat are counted over this time
ATRIAL_PULSE_S = 0.35  # a mark that another follows this soon may be an atrial pulse, which needs no QRS
BEFORE_BEAT_S = 0.02  # a mark may be stamped a little after the beat's largest deflection


def not_capturing(track: BeatTrack, marks: NDArray[np.int64], limit: CaptureLimit) -> Finding | None:
    """Marks without a beat within ``limit.ms``, ``limit.beats`` of them in 10 s. Onset: the first of them."""
    fs = track.fs_hz
    wait, since = limit.ms / 1000.0 * fs, track.now - LOOKBACK_S * fs
    failed = []
    for k, mark in enumerate(marks):
        followed = k + 1 < len(marks) and marks[k + 1] - mark < ATRIAL_PULSE_S * fs
        if mark < since or mark + 2 * wait > track.now or followed or _unusable(track, int(mark), int(mark + wait)):
            continue
        answered = (track.r >= mark - BEFORE_BEAT_S * fs) & (track.r <= mark + wait)
        if not answered.any():
            failed.append(int(mark))
    if len(failed) < limit.beats:
        return None
    rule = f"pacing mark without a beat within {limit.ms:g} ms, {limit.beats} times"
    criterion = criterion_of("PACER_NOT_CAPTURING", rule, limit.ms)
    silence = tuple(
        Evidence(
            "SILENCE", round(wait / fs, 3), track.leads, mark, mark + round(wait), criterion=criterion, method=METHOD
        )
        for mark in failed[-limit.beats :]
    )
    return Finding("PACER_NOT_CAPTURING", failed[0], failed[-1] + round(wait), silence, track.leads)


def not_pacing(track: BeatTrack, marks: NDArray[np.int64], limit: DurationLimit) -> Finding | None:
    """A paced patient's pause over ``limit.seconds`` without a mark in it. Onset: the beat before."""
    if not len(track.r):
        return None
    rr = np.append(track.rr_s, track.running_s)
    for k in range(len(rr) - 1, -1, -1):
        start = int(track.r[k])
        stop = int(track.r[k + 1]) if k + 1 < len(track.r) else track.now
        if track.now - stop > LOOKBACK_S / 2 * track.fs_hz:
            return None
        if rr[k] > limit.seconds and not ((marks > start) & (marks < stop)).any():
            rule = f"pause over {limit.seconds:g} s without a pacing mark"
            criterion = criterion_of("PACER_NOT_PACING", rule, limit.seconds)
            return Finding("PACER_NOT_PACING", start, stop, (track.rr_evidence(k, criterion),), track.leads)
    return None


def _unusable(track: BeatTrack, start: int, stop: int) -> bool:
    return any(a < stop and b > start for a, b in track.unusable)

"""Laws of the rules on random rhythms: the evidence satisfies its rule, and the beats that it cites raise it again.

Beats of random RRs, kinds and morphologies are evaluated once a second, as at a bed. Each finding is then checked as a
reader of the alert would: by the words of its rule, its limit, its accuracy and the cited beats.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.arrhythmia.criteria import rate
from models.arrhythmia.criteria.tachycardia import vtach
from models.arrhythmia.criteria.ventricular import pvc_rate, vrhythm, vruns
from models.arrhythmia.episode_tracker import EpisodeTracker, Finding
from models.arrhythmia.limits import Limits
from models.beats.series import BeatTrack
from models.evidence import Evidence
from tests.models.arrhythmia.contexts import Views
from tests.models.arrhythmia.tracks import FS, track

BOUNDS = {
    "ASYSTOLE": {"seconds": (3, 6)},
    "VTACH": {"beats": (3, 10), "rate": (90, 150)},
    "EXTREME_BRADY": {"rate": (20, 49)},
    "EXTREME_TACHY": {"rate": (121, 220)},
    "SVT": {"rate": (130, 220)},
}
ENDED_BY_THE_NEXT_BEAT = ("VRUN",)  # reported when another beat has ended it
CONTEXT = re.compile(r"^(mean of )?(\d+) .*?(faster|slower) than ([\d.]+) bpm")


@st.composite
def rhythms(draw: st.DrawFn) -> BeatTrack:
    """Up to five stretches of one rhythm each: 1 to 20 beats of one rate, kind and morphology."""
    rr: list[float] = [0.8] * 8
    kinds, correlation = "N" * 9, [0.98] * 9
    for _ in range(draw(st.integers(1, 5))):
        n, usual = (
            draw(st.integers(1, 20)),
            draw(st.sampled_from([0.3, 0.35, 0.4, 0.42, 0.45, 0.6, 0.8, 1.4, 1.6, 2.4, 4.1])),
        )
        scatter = draw(st.floats(0.0, 0.15))
        steps = draw(st.lists(st.floats(-1, 1), min_size=n, max_size=n))
        rr += [usual * (1 + scatter * x) for x in steps]
        ventricular = draw(st.booleans())
        kinds += ("V" if ventricular else "N") * n
        correlation += [0.4 if ventricular else 0.98] * n
    return track(rr, kinds, after_s=draw(st.floats(0.1, 5.0)), correlation=correlation)


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    """Random limits inside their bounds."""
    changes: dict[str, dict[str, float]] = {"BRADY": {"rate": 60}, "TACHY": {"rate": 100}}
    for code, parts in BOUNDS.items():
        changes[code] = {part: draw(st.integers(low, high)) for part, (low, high) in parts.items()}
    if changes["EXTREME_TACHY"]["rate"] <= 120:
        changes["EXTREME_TACHY"]["rate"] = 121
    return Limits().with_changes(changes)


def until(t: BeatTrack, now: int) -> BeatTrack:
    """The track as it was at ``now``."""
    n = int(np.sum(t.r <= now))
    cut = {name: getattr(t, name)[:n] for name in ("r", "kinds", "qrs_ms", "confidence", "correlation")}
    return replace(t, now=now, **cut)


def evaluate(t: BeatTrack, bed: Limits, network: float) -> list[Finding]:
    """The criteria of beats at one update."""
    views = Views(vtach=network)
    found = [
        rate.asystole(t, bed["ASYSTOLE"], t.leads),
        rate.extreme_brady(t, bed["EXTREME_BRADY"]),
        rate.extreme_tachy(t, bed["EXTREME_TACHY"]),
        rate.svt(t, bed["SVT"]),
        vtach(t, views, bed["VTACH"], on=False),  # type: ignore[arg-type]
        vrhythm(t, bed["VTACH"]),
        pvc_rate(t, bed["PVC_RATE"]),
        *vruns(t, bed["VRUN"], bed["VTACH"]),
        *rate.pauses(t, bed["PAUSE"]),
    ]
    return [f for f in found if f is not None]


def check(t: BeatTrack, evidence: Evidence) -> None:
    """The cited beats are beats of the track in a row, and their number and rate are those of the rule."""
    criterion = evidence.criterion
    assert criterion is not None and f"{criterion.limit:g}" in criterion.rule
    if evidence.measure in ("RR", "SILENCE") and "no beat" in criterion.rule:
        assert evidence.value >= criterion.limit - criterion.accuracy - 0.005
        assert not np.any((t.r > evidence.start) & (t.r < evidence.end))
    words = CONTEXT.match(criterion.rule)
    if evidence.measure != "HR" or words is None:
        return
    mean, count, way, limit = words.groups()
    cited = t.r[(t.r >= evidence.start) & (t.r <= evidence.end)]
    assert [b.r for b in evidence.beats] == cited[1:].tolist()
    within = rate.TACHY_MEAN_MARGIN_BPM if criterion.rule.endswith("rising") else 0  # the rule names the lower limit
    assert len(cited) >= int(count) and float(limit) == criterion.limit - within
    assert evidence.value == pytest.approx(60 * FS * (len(cited) - 1) / (cited[-1] - cited[0]), abs=0.06)
    sign = 1 if way == "faster" else -1
    assert sign * (evidence.value - criterion.limit) >= -criterion.accuracy - 0.06
    if way == "slower":
        fast = 60 * FS / np.diff(cited) > criterion.limit + criterion.accuracy + 0.06
        assert np.sum(fast) <= (1 if mean else 0)


@settings(max_examples=150, deadline=None)
@given(rhythms(), limits(), st.sampled_from([0.55, 0.95]))
def test_the_evidence_satisfies_its_rule_and_raises_it_again(t: BeatTrack, bed: Limits, network: float) -> None:
    tracker = EpisodeTracker(FS)
    for now in range(int(t.r[0]) + round(9 * FS), t.now + 1, round(FS)):
        at = until(t, now)
        for alarm in tracker.update(evaluate(at, bed, network), now):
            if alarm.detected != now:
                continue
            for evidence in alarm.evidence:
                check(at, evidence)
            # the signal up to where the condition last held raises the same alarm
            again = [f for f in evaluate(until(at, alarm.last_held), bed, network) if f.code == alarm.code]
            assert again or alarm.code in ENDED_BY_THE_NEXT_BEAT, alarm

"""The events of `gem-bedside alarms`: which of them began to sound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deploy import alarm_events as module
from deploy.alarm_events import alarm_events
from models.arrhythmia.episodes import Episode
from models.arrhythmia.limits import Limits, RhythmSettings
from models.arrhythmia.result import RhythmResult
from models.ecg import Ecg

FS = 250.0


class ScriptedTier:
    """In the place of `RhythmTier`: the episodes that a test gives, each from its detection to its end."""

    script: tuple[Episode, ...] = ()

    def __init__(self, *args: object, **settings: object) -> None:
        self._now = 0

    def push(self, chunk: Ecg) -> RhythmResult:
        before, self._now = self._now, self._now + chunk.n_samples
        known = [e for e in self.script if e.detected <= self._now and (e.end is None or e.end + 5 * FS > before)]
        over = [e.end is not None and e.end + 5 * FS <= self._now for e in known]
        shown = [e if is_over else replace(e, end=None) for e, is_over in zip(known, over, strict=True)]
        return RhythmResult(now=self._now, episodes=tuple(shown))


def tachycardia(onset_s: float, detected_s: float, end_s: float) -> Episode:
    onset, detected, end = (round(s * FS) for s in (onset_s, detected_s, end_s))
    return Episode("EXTREME_TACHY", onset, detected, end, end, leads=("II",))


@pytest.mark.parametrize(("gap_s", "sounds_again"), [(3.0, False), (8.0, True)])
def test_a_condition_that_goes_on_with_the_alert_before_does_not_sound_again(
    monkeypatch: pytest.MonkeyPatch, gap_s: float, sounds_again: bool
) -> None:
    """Seventeen beats are needed to see that a rate is back: its first beat may lie within 5 s of the end before."""
    first = tachycardia(4.0, 11.0, 20.0)
    second = tachycardia(20.0 + gap_s, 27.0 + gap_s, 40.0)
    monkeypatch.setattr(ScriptedTier, "script", (first, second))
    monkeypatch.setattr(module, "RhythmTier", ScriptedTier)
    ecg = Ecg(("II",), FS, np.zeros((1, round(60 * FS)), np.float32))
    events = alarm_events(ecg, Limits(), RhythmSettings())
    assert [e["onset_s"] for e in events] == [4.0, 20.0 + gap_s]  # every condition is listed
    assert [e["sounded"] for e in events] == [True, sounds_again]

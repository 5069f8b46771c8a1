"""What an alarm cites is there: measured again where it points, every value comes out as it was cited."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest

from models.arrhythmia.episodes import Episode
from models.arrhythmia.tier import find_episodes
from models.ecg import Ecg
from models.evaluation.splices import scripted
from models.evidence import Evidence
from models.measurement.intervals import remeasure

pytestmark = pytest.mark.data

CODES = ("ASYSTOLE", "VFIB", "EXTREME_BRADY", "EXTREME_TACHY", "VTACH")
AROUND_S = 6.0  # signal about the cited span: enough to know the beats by
TAIL_S = 12.0  # of each scripted episode

# With the signal after it, a beat and its ends may move a little; the larger of the two is allowed
RELATIVE = {"HR": 0.06, "RR": 0.06, "REGULARITY": 0.25}
ABSOLUTE = {
    "HR": 2.0,
    "RR": 0.06,
    "SILENCE": 0.002,
    "AMPLITUDE": 0.002,
    "QUALITY": 0.1,
    "QRS": 40.0,
    "ABSENT_P": 0.3,
    "REGULARITY": 0.03,
}


@lru_cache(maxsize=1)
def found(data: Path) -> list[tuple[str, Ecg, list[Episode]]]:
    """One scripted recording of each code, with all that the tier raised on it."""
    out = []
    for code in CODES:
        s = next(s for s in scripted(data) if s.code == code)
        ecg = s.ecg.slice(s.onset - round(20 * s.ecg.fs_hz), s.onset + round(TAIL_S * s.ecg.fs_hz))
        out.append((code, ecg, find_episodes(ecg)))
    return out


def again(ecg: Ecg, evidence: Evidence) -> float:
    """The value measured on the cited span, with some seconds of signal about it."""
    around = round(AROUND_S * ecg.fs_hz)
    start, stop = max(0, evidence.start - around), min(ecg.n_samples, evidence.end + around)
    return remeasure(ecg.slice(start, stop), evidence.shifted(-start))


def test_every_alarm_cites_what_can_be_measured_again_where_it_points(data_home: Path) -> None:
    seen: set[str] = set()
    for code, ecg, episodes in found(data_home):
        assert code in {e.code for e in episodes}
        for episode in episodes:
            for cited in episode.evidence:
                seen.add(cited.measure)
                allowed = max(ABSOLUTE[cited.measure], RELATIVE.get(cited.measure, 0.0) * abs(cited.value))
                value = again(ecg, cited)
                assert abs(value - cited.value) <= allowed, (code, episode.code, cited.measure, cited.value, value)
    assert {"HR", "SILENCE", "AMPLITUDE", "QUALITY"} <= seen


def test_no_alarm_cites_signal_that_had_not_come_when_it_was_raised(data_home: Path) -> None:
    for _, ecg, episodes in found(data_home):
        for episode in episodes:
            assert episode.evidence, episode.code
            assert all(0 <= e.start <= e.end <= episode.detected <= ecg.n_samples for e in episode.evidence)
            assert all(e.start <= b.start <= b.end <= e.end for e in episode.evidence for b in e.beats)

"""The rhythm tier on real recordings with episodes spliced in: onsets, delays, evidence, chunk sizes, gaps, limits."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from models.arrhythmia.episodes import Episode
from models.arrhythmia.limits import Limits, RhythmSettings
from models.arrhythmia.tier import RhythmResult, RhythmTier, find_episodes
from models.ecg import Ecg
from models.evaluation.splices import Spliced, scripted

pytestmark = pytest.mark.data

TAIL_S = 13.0  # seconds of the episode in the tests
LEAD_IN_S = 12.0  # seconds of rhythm before it


@lru_cache(maxsize=1)
def _all(data: Path) -> list[Spliced]:
    return scripted(data)


def spliced(data: Path, code: str, k: int = 0) -> Spliced:
    """The ``k``-th scripted episode of a code, cut to 12 s before and 13 s after its onset."""
    found = [s for s in _all(data) if s.code == code][k]
    start = found.onset - round(LEAD_IN_S * found.ecg.fs_hz)
    part = found.ecg.slice(start, found.onset + round(TAIL_S * found.ecg.fs_hz))
    return replace(found, ecg=replace(part, start_ns=0), onset=found.onset - start)


def raised(episodes: list[Episode], code: str) -> list[Episode]:
    return [e for e in episodes if e.code == code]


@pytest.mark.parametrize(
    ("code", "k", "longest_s"),
    [
        ("ASYSTOLE", 0, 7),
        ("ASYSTOLE", 3, 7),
        ("VFIB", 0, 7),
        ("VFIB", 2, 7),
        ("VTACH", 1, 7),
        ("VTACH", 4, 7),
        ("EXTREME_BRADY", 2, 10),
        ("EXTREME_TACHY", 1, 10),
    ],
)
def test_a_lethal_rhythm_is_detected_in_time_and_not_before_it_began(
    data_home: Path, code: str, k: int, longest_s: float
) -> None:
    s = spliced(data_home, code, k)
    found = raised(find_episodes(s.ecg), code)
    assert found, f"{code} on {s.name}"
    delay = (found[0].detected - s.onset) / s.ecg.fs_hz
    assert 0 < delay <= longest_s
    assert abs(found[0].onset - s.onset) / s.ecg.fs_hz < 3.0


def test_a_bed_in_sinus_rhythm_raises_no_lethal_alarm(data_home: Path) -> None:
    s = spliced(data_home, "ASYSTOLE")
    before = s.ecg.slice(0, s.onset)
    assert [e.code for e in find_episodes(before) if e.code in ("VFIB", "VTACH", "ASYSTOLE", "EXTREME_BRADY")] == []


def test_asystole_says_where_the_last_beat_was_and_how_long_it_is_silent(data_home: Path) -> None:
    s = spliced(data_home, "ASYSTOLE")
    evidence = raised(find_episodes(s.ecg), "ASYSTOLE")[0].evidence[0]
    fs = s.ecg.fs_hz
    assert evidence.measure == "SILENCE" and abs(evidence.start - s.onset) < 0.1 * fs
    assert evidence.value == pytest.approx((evidence.end - evidence.start) / fs, abs=1e-3) and evidence.value >= 3.5
    assert evidence.criterion is not None and evidence.criterion.limit == 4.0


def stream(ecg: Ecg, seconds: float) -> list[RhythmResult]:
    tier, results, step = RhythmTier(ecg.leads, ecg.fs_hz), [], round(seconds * ecg.fs_hz)
    for at in range(0, ecg.n_samples, step):
        results.append(tier.push(ecg.slice(at, at + step)))
    return results


def test_message_sizes_change_nothing(data_home: Path) -> None:
    s = spliced(data_home, "ASYSTOLE", 1)
    found = {}
    for seconds in (0.4, 1.0, 5.0):
        keys = {(e.code, e.onset, e.detected) for result in stream(s.ecg, seconds) for e in result.episodes}
        found[seconds] = sorted(keys)
    assert found[0.4] == found[1.0] == found[5.0] and found[1.0]


def test_nothing_after_detection_was_used(data_home: Path) -> None:
    s = spliced(data_home, "VFIB", 1)
    whole = find_episodes(s.ecg)
    cut_s = raised(whole, "VFIB")[0].detected / s.ecg.fs_hz
    early = find_episodes(s.ecg, until_s=cut_s)
    assert [e.key for e in early] == [e.key for e in whole if e.detected <= cut_s * s.ecg.fs_hz]


def test_one_lead_is_enough(data_home: Path) -> None:
    s = spliced(data_home, "ASYSTOLE", 2)
    assert raised(find_episodes(s.ecg.select(["II"])), "ASYSTOLE")


def test_a_gap_holds_what_is_on_and_ends_nothing(data_home: Path) -> None:
    s = spliced(data_home, "ASYSTOLE")
    tier = RhythmTier(s.ecg.leads, s.ecg.fs_hz)
    result = tier.push(s.ecg.slice(0, s.onset + 1500))
    assert [e.code for e in result.episodes if e.code == "ASYSTOLE" and e.end is None]
    for n in (2000, 15000):  # 8 s and a minute without a sample
        result = tier.gap(n)
        assert [(e.held, e.end) for e in result.episodes if e.code == "ASYSTOLE"] == [(True, None)]
    assert result.now <= s.onset + 1500 + 17000 and not result.usable_leads


def test_a_code_switched_off_is_not_raised_and_ends_at_once(data_home: Path) -> None:
    s = spliced(data_home, "ASYSTOLE")
    off = Limits().with_changes({"PAUSE": {"on": False}})
    assert raised(find_episodes(s.ecg), "PAUSE") and not raised(find_episodes(s.ecg, off), "PAUSE")


def test_limits_of_the_bed_are_used_from_the_next_second_on(data_home: Path) -> None:
    s = spliced(data_home, "ASYSTOLE")
    late = Limits().with_changes({"ASYSTOLE": {"seconds": 6}})
    early = Limits().with_changes({"ASYSTOLE": {"seconds": 3}})
    at = [raised(find_episodes(s.ecg, limits), "ASYSTOLE")[0].detected for limits in (early, Limits(), late)]
    assert at[0] < at[1] < at[2]


def test_vital_signs_come_with_every_second(data_home: Path) -> None:
    s = spliced(data_home, "ASYSTOLE")
    result = stream(s.ecg.slice(0, s.onset), 1.0)[-1]
    assert result.hr == pytest.approx(70, abs=20) and result.rhythm == "regular rhythm" and result.pvc_per_min == 0
    assert set(result.quality) == set(s.ecg.leads) and result.usable_leads
    assert stream(s.ecg, 1.0)[-1].hr == 0.0


def test_a_long_qt_is_confirmed_over_the_time_that_the_site_sets() -> None:
    beat = np.zeros(250, np.float32)  # one beat a second at 250 Hz, QT about 560 ms
    at = np.arange(250) / 250.0
    beat += 0.15 * np.exp(-(((at - 0.20) / 0.025) ** 2)) + 1.2 * np.exp(-(((at - 0.36) / 0.012) ** 2))
    beat += 0.35 * np.exp(-(((at - 0.80) / 0.055) ** 2))
    rng = np.random.default_rng(0)
    mv = np.tile(beat, 32)[None] + rng.normal(0, 0.004, (1, 32 * 250)).astype(np.float32)
    ecg = Ecg(("II",), 250.0, mv.astype(np.float32))
    found = raised(find_episodes(ecg, settings=RhythmSettings(qt_confirm_s=12)), "QT_LONG")
    assert found and found[0].evidence[0].measure == "QTcF" and found[0].evidence[0].value > 500
    assert 12 <= (found[0].detected - found[0].onset) / 250.0 <= 14
    assert raised(find_episodes(ecg, settings=RhythmSettings(qt_confirm_s=60)), "QT_LONG") == []

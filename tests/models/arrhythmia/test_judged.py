"""When an update of the rhythm tier is judged: usable signal without a break for as long as the limit of ASYSTOLE."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from models.arrhythmia.limits import Limits
from models.arrhythmia.tier import RhythmResult, RhythmTier, update_chunks
from models.ecg import Ecg

FS_HZ = 250.0


def beats(seconds: int) -> Ecg:
    """One beat a second on a line with 5 µV of noise."""
    t = np.arange(seconds * round(FS_HZ)) / FS_HZ
    r = 1.1 * np.exp(-0.5 * (((t % 1.0) - 0.4) / 0.011) ** 2) + 0.25 * np.exp(-0.5 * (((t % 1.0) - 0.7) / 0.045) ** 2)
    noise = np.random.default_rng(0).normal(0, 0.005, t.size)
    return Ecg(("II",), FS_HZ, (r + noise)[None].astype(np.float32))


def without(ecg: Ecg, spans: Sequence[tuple[float, float]]) -> Ecg:
    """The signal with no samples in the spans, seconds."""
    mv = ecg.mv.copy()
    for a, b in spans:
        mv[:, round(a * FS_HZ) : round(b * FS_HZ)] = np.nan
    return Ecg(ecg.leads, FS_HZ, mv)


def updates(ecg: Ecg, limits: Limits | None = None) -> list[RhythmResult]:
    """One result a second; the k-th stands at k + 1 s."""
    tier = RhythmTier(ecg.leads, FS_HZ, limits=limits)
    return [tier.push(chunk) for chunk in update_chunks(ecg)]


@pytest.mark.parametrize("limit_s", [3, 4, 6])
def test_the_first_verdict_comes_when_a_standstill_could_have_been_seen(limit_s: int) -> None:
    found = updates(beats(12), Limits().with_changes({"ASYSTOLE": {"seconds": limit_s}}))
    assert [r.now / FS_HZ for r in found if r.judged] == list(range(limit_s, 13))
    assert [r.last_judged for r in found[: limit_s - 1]] == [None] * (limit_s - 1)


def test_a_break_of_the_usable_signal_begins_the_count_anew() -> None:
    found = updates(without(beats(20), [(10, 12)]))
    assert [round(r.now / FS_HZ) for r in found if r.judged] == [*range(4, 11), *range(16, 21)]
    assert found[14].last_judged == 10 * FS_HZ


def test_signal_that_comes_and_goes_every_second_is_never_judged() -> None:
    found = updates(without(beats(30), [(k, k + 1) for k in range(0, 30, 2)]))
    assert not any(r.judged for r in found)
    assert {r.rhythm for r in found} == {None}


def test_rhythm_has_no_name_before_the_first_verdict_and_none_without_beats() -> None:
    found = updates(beats(12))
    assert {r.rhythm for r in found[:3]} == {None}
    assert found[-1].rhythm == "regular rhythm" and found[-1].hr == pytest.approx(60, abs=1)
    assert not [r for r in found if r.rhythm == "regular rhythm" and r.hr is None]


def test_a_flat_line_is_judged_and_named() -> None:
    ecg = beats(20)
    ecg.mv[:, 10 * round(FS_HZ) :] = 0.0
    found = updates(ecg)
    assert all(r.judged for r in found[3:])
    assert found[-1].rhythm == "asystole" and found[-1].hr == 0.0


def test_one_push_of_ten_seconds_tells_the_newest_verdict_in_it() -> None:
    ecg = without(beats(10), [(7, 10)])
    tier = RhythmTier(ecg.leads, FS_HZ)
    result = tier.push(ecg)
    assert not result.judged and result.last_judged == 7 * FS_HZ

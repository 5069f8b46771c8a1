"""A few hundred seeded schedules; thousands more by hand: `python -m tests.fuzz --schedules 10000 --jobs 2 --write`.

The sources are splices of real recordings where the data is found, and synthetic beats. A failure names the seed; make
it smaller with `Fuzzer.smallest` and keep it in `test_found.py`.
"""

from __future__ import annotations

import pytest

from tests.fuzz.__main__ import data_folder
from tests.fuzz.campaign import Fuzzer
from tests.fuzz.schedule import KINDS, draw

SCHEDULES, CHUNK = 200, 20


@pytest.fixture(scope="module")
def fuzzer() -> Fuzzer:
    return Fuzzer(data_folder(), icu=False)


@pytest.mark.parametrize("first", range(0, SCHEDULES, CHUNK))
def test_no_rule_is_violated(fuzzer: Fuzzer, first: int) -> None:
    outcomes = [fuzzer.outcome(seed) for seed in range(first, first + CHUNK)]
    wrong = [f"seed {o.seed}: {o.schedule}: {'; '.join(map(str, o.violations))}" for o in outcomes if o.violations]
    assert not wrong, "\n".join(wrong)


def test_the_schedules_ask_for_enough(fuzzer: Fuzzer) -> None:
    drawn = [draw(seed, fuzzer.sources) for seed in range(SCHEDULES)]
    assert {type(d) for s in drawn for d in s.distortions} == set(KINDS)
    assert sum(s.timing_only for s in drawn) > SCHEDULES / 10

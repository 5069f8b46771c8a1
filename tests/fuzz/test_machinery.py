"""The fuzzer itself: the same seed gives the same schedule, and the oracle sees each kind of violation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from streams.alert import Alert
from tests.agents.signals import T0_NS, S
from tests.fuzz.campaign import Fuzzer
from tests.fuzz.harness import TOPICS, Run, Written
from tests.fuzz.illegal_messages import ILLEGAL_KINDS, Illegal
from tests.fuzz.message_distortions import Lost
from tests.fuzz.oracle import Violation, violations
from tests.fuzz.parts import Ledger, Row, part_of
from tests.fuzz.schedule import BED_STREAM, CLEAN_STREAM, KINDS, Built, Schedule, draw
from tests.fuzz.signal_distortions import Gain
from tests.fuzz.table import markdown
from tests.fuzz.timing_distortions import DeviceClock

STANDSTILL = Schedule("synthetic ASYSTOLE", before_s=12.0, after_s=12.0)


@pytest.fixture(scope="module")
def fuzzer() -> Fuzzer:
    return Fuzzer(None)


@pytest.fixture(scope="module")
def undisturbed(fuzzer: Fuzzer) -> tuple[Built, Run]:
    built, found, wrong = fuzzer.run(STANDSTILL)
    assert wrong == [] and built.must_raise
    return built, found


def kinds(found: list[Violation]) -> set[str]:
    return {v.kind for v in found}


def test_a_seed_gives_one_schedule_and_its_repr_gives_it_again(fuzzer: Fuzzer) -> None:
    names = {kind.__name__: kind for kind in (*KINDS, Schedule)}
    for seed in range(50):
        schedule = draw(seed, fuzzer.sources)
        assert schedule == draw(seed, fuzzer.sources)
        assert eval(repr(schedule), names) == schedule


def test_one_bed_and_its_clean_neighbour_violate_nothing(undisturbed: tuple[Built, Run]) -> None:
    assert undisturbed[1].ended == ""


def test_an_episode_that_is_not_raised_is_seen(undisturbed: tuple[Built, Run]) -> None:
    built, found = undisturbed
    silent = replace(found, written=[w for w in found.written if w.message.topic != TOPICS.alerts])
    assert "episode not raised" in kinds(violations(built, silent))


def test_missing_vitals_and_a_bed_that_nobody_judges_are_seen(undisturbed: tuple[Built, Run]) -> None:
    built, found = undisturbed
    dumb = replace(
        found, written=[w for w in found.written if (w.message.key, w.message.topic) != (BED_STREAM, TOPICS.vitals)]
    )
    assert {"vitals missing", "law"} <= kinds(violations(built, dumb))


def test_one_other_byte_of_the_clean_bed_is_seen(undisturbed: tuple[Built, Run]) -> None:
    built, found = undisturbed
    k = next(k for k, w in enumerate(found.written) if w.message.key == CLEAN_STREAM)
    other = replace(found.written[k].message, value=found.written[k].message.value.replace(b"p-c1ea", b"p-c1eb"))
    changed = [*found.written[:k], Written(found.written[k].at_ns, other), *found.written[k + 1 :]]
    assert kinds(violations(built, replace(found, written=changed))) == {"cross-bed"}


def test_the_end_of_a_worker_is_seen(undisturbed: tuple[Built, Run]) -> None:
    built, found = undisturbed
    assert kinds(violations(built, replace(found, ended="ValueError"))) == {"worker end"}


def test_a_legal_message_that_is_rejected_and_one_rejected_twice_are_seen(undisturbed: tuple[Built, Run]) -> None:
    built, found = undisturbed
    rejected = {offset: ["why"] for offset in (1, 3)} | {5: ["why", "why again"]}
    assert {"legal dead-lettered", "dead-lettered twice"} == kinds(violations(built, replace(found, rejected=rejected)))


def test_a_false_lethal_alarm_is_seen_where_only_the_times_are_distorted(undisturbed: tuple[Built, Run]) -> None:
    built, found = undisturbed
    alerts = [w.message for w in found.written if (w.message.key, w.message.topic) == (BED_STREAM, TOPICS.alerts)]
    asystole = next(m for m in alerts if Alert.from_json(m.value).code == "ASYSTOLE")
    early = [Written(T0_NS + 5 * S, asystole), *found.written]
    assert "false lethal alarm" in kinds(violations(built, replace(found, written=early)))


@pytest.mark.parametrize("kind", ILLEGAL_KINDS)
def test_every_illegal_message_is_dead_lettered_with_its_reason(fuzzer: Fuzzer, kind: str) -> None:
    schedule = replace(STANDSTILL, before_s=3.0, after_s=0.0, distortions=(Illegal(kind=kind, at_s=1.5, count=2),))
    _, found, wrong = fuzzer.run(schedule)
    assert wrong == [] and len(found.rejected) == 2


def test_what_makes_the_episode_unusable_is_not_demanded(fuzzer: Fuzzer) -> None:
    for distortion in (Gain(factor=0.001), Lost(kind="second"), DeviceClock(kind="frozen")):
        assert not fuzzer.run(replace(STANDSTILL, distortions=(distortion,)))[0].must_raise
    assert fuzzer.run(replace(STANDSTILL, distortions=(DeviceClock(kind="truncated"),)))[0].must_raise


def row(seed: int, *wrong: str) -> Row:
    violations = {text.partition(":")[0]: 1 for text in wrong}
    return {
        "seed": seed,
        "source": "synthetic rhythm",
        "demanded": seed % 2 == 0,
        "inputs": {"Gain": 1},
        "records": {"legal": 30},
        "violations": violations,
        "text": list(wrong),
    }


def test_a_long_run_in_parts_is_the_sum_of_its_parts_and_names_the_commit_of_each(tmp_path: Path) -> None:
    path = tmp_path / "parts.json"
    ledger = Ledger(path)
    ledger.put(part_of([row(0), row(1, "law: no reason"), row(2)], "aaa", "c0ffee1"))
    ledger.write()
    ledger = Ledger(path)
    assert ledger.seeds() == {0, 1, 2} and ledger.violating() == [1]
    ledger.put(part_of([row(3)], "bbb", "c0ffee2"))
    ledger.put(part_of([row(3), row(4)], "bbb", "c0ffee2"))  # the same part, grown
    table = markdown(ledger)
    assert "| schedules | 5 |" in table and "| with an episode that must be raised | 3 |" in table
    assert "| c0ffee1 | aaa | 0 to 2 | 3 | 1 |" in table and "| c0ffee2 | bbb | 3 to 4 | 2 | 0 |" in table
    assert "| law | 1 |" in table and "| Gain | 5 | 1 |" in table and "| 1 | law: no reason | no |" in table
    assert ledger.seeds(but="bbb") == {0, 1, 2}


def test_a_seed_that_is_run_again_keeps_the_violation_of_its_part(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "parts.json")
    ledger.put(part_of([row(0, "law: no reason")], "aaa", "c0ffee1"))
    ledger.run_again(0, "c0ffee2", [])
    table = markdown(ledger)
    assert "| law | 1 |" in table and "| 0 | law: no reason | c0ffee2: none |" in table
    assert "when run again with later code, or not run again | 0 |" in table


def test_the_smallest_schedule_keeps_what_violates(fuzzer: Fuzzer, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(schedule: Schedule) -> tuple[None, None, list[Violation]]:
        wrong = [Violation("law", "")] if any(isinstance(d, Gain) for d in schedule.distortions) else []
        return None, None, wrong

    monkeypatch.setattr(fuzzer, "run", run)
    crowded = replace(STANDSTILL, distortions=(Lost(), Gain(), DeviceClock()))
    assert fuzzer.smallest(crowded, "law").distortions == (Gain(),)

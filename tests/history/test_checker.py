"""The checker finds each violation that is planted in a history; and one schedule on real processes has none."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from streams.alert import Alert
from streams.document import time_of_ns
from tests.history.checker import History, Outage, check, not_of_a_busy_machine
from tests.history.faults import Fault, kinds, schedule
from tests.history.plan import STANDSTILL_S, Condition, planned_ward
from tests.history.run import run
from tests.history.site import Site
from tests.history.station import Delivery
from tests.history.table import KINDS, kind_of, markdown, rows_of
from tests.streams.documents import alert

S = 1_000_000_000
START_NS = 1_800_000_000 * S
CONDITION = Condition("icu-3/07", 20.0, 29.0)


def version(n: int, **changes: object) -> Alert:
    """A version of the alert of the planted condition: it sounds from the first to the third."""
    onset = time_of_ns(START_NS + 20 * S)
    fields = {"onset": onset, "sounding": n < 4, "sounded": True, "late": False, "code": "ASYSTOLE", "generation": 3}
    return alert(n).changed(**(fields | changes))


def history(*, delay_s: float = 4.5, versions: int = 4) -> History:
    alerts = [version(n) for n in range(1, versions + 1)]
    deliveries = [Delivery(round(START_NS + (20 + delay_s + k) * S), a) for k, a in enumerate(alerts)]
    return History(START_NS, [CONDITION], deliveries, {alerts[0].id: alerts}, [], ["icu-3/07"])


def violations(changed: History) -> str:
    return "; ".join(check(changed).violations)


def test_a_history_in_order_has_no_violation() -> None:
    found = check(history())
    assert found.violations == [] and found.in_time == [(20.0, 4.5)]


def test_entries_that_are_read_twice_are_none_either() -> None:
    whole = history()
    assert violations(replace(whole, deliveries=[*whole.deliveries, *whole.deliveries[1:]])) == ""


VIOLATIONS: dict[str, tuple[Callable[[History], History], str]] = {
    "lost": (lambda h: replace(h, deliveries=[]), "0 alerts were delivered instead of one"),
    "another onset": (lambda h: replace(h, conditions=[replace(CONDITION, onset_s=10.0)]), "0 alerts were delivered"),
    "late by an hour": (lambda _: history(delay_s=3600.0), "delivered after 3600.0 s"),
    "sounds twice": (
        lambda h: replace(
            h, deliveries=[*h.deliveries, Delivery(h.deliveries[-1].at_ns + S, version(5, sounding=True))]
        ),
        "sounded 2 times",
    ),
    "a late one sounds": (
        lambda h: replace(h, deliveries=[Delivery(d.at_ns, d.alert.changed(late=True)) for d in h.deliveries]),
        "sounded 1 times, though late",
    ),
    "a version is missing at the station": (
        lambda h: replace(h, deliveries=[h.deliveries[0], *h.deliveries[2:]]),
        "version 3 was read after 1",
    ),
    "a version was never read": (lambda h: replace(h, deliveries=h.deliveries[:3]), "versions [4] were not delivered"),
    "a version is missing in the log": (
        lambda h: replace(h, log={k: [v[0], *v[2:]] for k, v in h.log.items()}),
        "the log holds the versions [1, 3, 4]",
    ),
    "two authors": (
        lambda h: replace(h, log={k: [*v, v[1].changed(title="Another")] for k, v in h.log.items()}),
        "version 2 says two things",
    ),
    "an alarm that was not planted": (
        lambda h: replace(h, log=h.log | {"f" * 32: [version(1, id="f" * 32, code="VFIB")]}),
        "VFIB of icu-3/07 at 20.0 s was not planted",
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_planted_violation_is_found(name: str) -> None:
    plant, expected = VIOLATIONS[name]
    found = check(plant(history())).violations
    assert expected in "; ".join(found)
    assert all(kind_of(text) in KINDS for text in found)


def test_the_table_counts_each_kind_of_violation() -> None:
    assert kind_of("ASYSTOLE of u1/00 at 20.0 s: 0 alerts were delivered instead of one") == "lost, or a version of it"
    assert kind_of("ASYSTOLE of u1/00 at 20.0 s: sounded 2 times") == "sounded other than once"
    assert kind_of("ASYSTOLE of u1/00 at 20.0 s: sounded 1 times, though late") == "late, and sounded"
    assert kind_of("ASYSTOLE of u1/00 at 20.0 s: delivered after 11.0 s") == "delivered too late"


def test_what_a_worker_without_its_partition_wrote_is_dropped_as_readers_drop_it() -> None:
    whole = history()
    (versions,) = whole.log.values()
    late_writer = versions[1].changed(title="Another", generation=2)
    assert violations(replace(whole, log={versions[0].id: [*versions, late_writer]})) == ""


def test_an_outage_excuses_the_onsets_inside_it_until_it_is_over() -> None:
    slow = history(delay_s=40.0)
    held = check(replace(slow, outages=[Outage(25.0, 52.0)]))
    assert held.violations == [] and held.held_back_s == [40.0] and held.in_time == []
    assert "the outage notwithstanding" in violations(replace(slow, outages=[Outage(25.0, 45.0)]))
    assert "delivered after 40.0 s" in violations(replace(slow, outages=[Outage(31.0, 52.0)]))


def test_an_onset_that_was_skipped_after_an_outage_is_one_inside_the_condition() -> None:
    later = [version(n, onset=time_of_ns(START_NS + 25 * S)) for n in range(1, 5)]
    deliveries = [Delivery(START_NS + (30 + k) * S, a) for k, a in enumerate(later)]
    skipped = History(START_NS, [CONDITION], deliveries, {later[0].id: later}, [Outage(15.0, 27.0)], ["icu-3/07"])
    assert violations(skipped) == ""
    assert "0 alerts were delivered" in violations(replace(skipped, outages=[]))  # nothing was skipped
    beyond = replace(skipped, conditions=[replace(CONDITION, end_s=24.0)])
    assert "0 alerts were delivered" in violations(beyond)  # the heart beat again by then


def test_a_version_on_which_a_station_died_is_read_again() -> None:
    first, second, *rest = history().deliveries
    died = replace(first, died=True)
    again = replace(first, at_ns=second.at_ns + S // 2)  # the one that goes on reads what is new, then reclaims
    taken_over = replace(history(), deliveries=[died, second, again, *rest])
    assert violations(taken_over) == ""
    assert check(taken_over).in_time == [(20.0, (second.at_ns - START_NS) / S - 20.0)]
    lost = violations(replace(history(), deliveries=[died, second, *rest]))
    assert "versions [1] were not delivered" in lost
    assert "version 2 was read after 0" in violations(replace(history(), deliveries=[second, again, *rest]))


def test_a_seed_names_one_schedule_and_one_ward() -> None:
    assert schedule(7, 75, 1, True) == schedule(7, 75, 1, True)
    one, again = planned_ward(7, "u7", 3, 75), planned_ward(7, "u7", 3, 75)
    assert one.conditions == again.conditions
    assert all(c.end_s - c.onset_s >= STANDSTILL_S for c in one.conditions)


def test_schedules_reach_every_kind_of_fault() -> None:
    for nodes in (1, 3):
        seen = {fault.kind for seed in range(300) for fault in schedule(seed, 75, nodes, True)}
        assert seen == set(kinds(nodes, True))


def test_the_table_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    rows = [
        {
            "seed": seed,
            "nodes": 1,
            "code": "abc",
            "faults": [str(Fault("kill monitor", 20.0, 0.0, 1))],
            "conditions": 3,
            "delays_s": [round(random.Random(seed).uniform(4, 9), 2)],
            "held_back_s": [12.5, 13.0],
            "late": 1,
            "violations": ["VFIB of u1/00: lost"] * seed,
            "before": "2 delivered too late (three sites on two cores)" if seed == 1 else "",
        }
        for seed in range(3)
    ]
    path = tmp_path / "history.md"
    path.write_text(markdown(rows))
    assert rows_of(path) == rows


@pytest.mark.kafka
def test_a_killed_monitor_and_a_killed_publisher_lose_nothing_and_sound_nothing_twice(
    kafka_home: Path, tmp_path: Path
) -> None:
    faults = [Fault("kill monitor", 17.5, 0.0, 0), Fault("kill publisher", 19.5, 0.0, 1)]  # three hearts stop by then
    with Site(tmp_path, kafka_home) as site:
        outcome = run(3, site, faults=faults, beds=4, seconds=38)
    assert not_of_a_busy_machine(outcome.findings) == []
    assert len(outcome.findings.in_time) >= 3


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_network_to_kafka_that_slows_cuts_and_resets_loses_nothing_and_sounds_nothing_twice(
    kafka_home: Path, toxiproxy: Path, tmp_path: Path
) -> None:
    faults = [
        Fault("slow network to kafka", 15.0, 8.0),
        Fault("network to kafka cut", 27.0, 4.0),
        Fault("network to kafka resets", 50.0, 4.0),
    ]
    with Site(tmp_path, kafka_home, proxy=toxiproxy) as site:
        outcome = run(5, site, faults=faults, beds=4, seconds=80)
    assert not_of_a_busy_machine(outcome.findings) == []
    assert outcome.findings.in_time and outcome.findings.held_back_s

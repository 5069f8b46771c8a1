"""The replay of recorded beds: a restart leaves the alert log as it is, and the comparison sees what differs."""

from __future__ import annotations

import asyncio

from benchmarks.replay_log import Bedside, alert_log, differences, digest_of
from tests.agents.signals import ecg

SECONDS = 75
BEDS = [
    Bedside("01", ecg(SECONDS, silent=[(20, 32)], seed=1), first=0),
    Bedside("02", ecg(SECONDS, silent=[(48, 58)], seed=2), first=1000),
]


def test_a_restart_at_any_second_gives_the_same_alert_log() -> None:
    # Given two beds, each with a standstill
    undisturbed = asyncio.run(alert_log(BEDS, SECONDS, {}))
    assert {bed for bed, _, _ in undisturbed} == {"replay/01", "replay/02"}
    # When their partition is taken over before, within and after the first one, and the last windows come again
    restarted = asyncio.run(alert_log(BEDS, SECONDS, {15: 3, 26: 11, 40: 0}))
    # Then every version of every alert is the same
    assert differences(undisturbed, restarted) == []
    assert digest_of(undisturbed) == digest_of(restarted)


def test_a_log_that_differs_is_seen() -> None:
    first = {("replay/01", "a1", 1): b'{"code": "ASYSTOLE", "onset": "10:00"}'}
    other = {
        ("replay/01", "a1", 1): b'{"code": "ASYSTOLE", "onset": "10:01"}',
        ("replay/01", "a2", 1): b'{"code": "TACHY", "onset": "10:02"}',
    }
    assert differences(first, other) == [
        "replay/01 TACHY 10:02 version 1: only in the other",
        "replay/01 ASYSTOLE 10:00 version 1: other bytes",
    ]
    assert digest_of(first) != digest_of(other)

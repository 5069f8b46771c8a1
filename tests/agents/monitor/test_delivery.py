"""Records in, alerts out, through real workers; and nothing changes when workers are killed on the way."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from streams.action_inbox import submit_action
from streams.alert import State
from streams.bed import Action
from streams.document import time_of_ns
from streams.wire import EcgWindow, encode_window
from tests.agents.signals import S, ecg, messages
from tests.agents.stack import Stack, no_version_is_missing_or_different, until
from tests.agents.ward import BedUnderTest
from tests.conftest import Broker

BEDS = ("01", "02", "03")
SPEED = 6.0  # messages a second and bed: the signal runs six times as fast as the clock


def ward(seconds: float, silent: tuple[float, float]) -> list[list[EcgWindow]]:
    """A few beds whose hearts stand still one after the other."""
    now_ns = time.time_ns() // S * S
    shifted = [(silent[0] + 2 * k, silent[1] + 2 * k) for k in range(len(BEDS))]
    return [
        messages(ecg(seconds, bpm=70 + 5 * k, silent=[shifted[k]], start_ns=now_ns, seed=k), bed=bed)
        for k, bed in enumerate(BEDS)
    ]


def expected_ids(beds: list[list[EcgWindow]], code: str = "ASYSTOLE") -> set[str]:
    """The alerts that one bed's monitor finds when nothing disturbs it."""
    from agents.monitor.bed import new_bed

    found = set()
    for windows in beds:
        first = windows[0]
        bed = BedUnderTest(new_bed(first.bed_stream, first.unit, first.bed, first.gateway_time_ns, first.patient))
        found |= {alert.id for alert in bed.feed(windows).of(code)}
    return found


@pytest.fixture
def stack(kafka: Broker, redis_url: str, topic_prefix: str, tmp_path: Path) -> Stack:
    return Stack(kafka, redis_url, topic_prefix, tmp_path)


def test_windows_in_alerts_out_and_an_acknowledgement_survives_the_monitors_death(stack: Stack) -> None:
    beds = ward(45, (12.0, 45.0))
    with stack:
        monitor, *_ = stack.start("monitor", "publisher", "interpreter")
        stack.send(beds, 0, 24, a_second=SPEED)
        stack.wait_for("ASYSTOLE", len(BEDS))
        asystoles = {a.bed: a for a in stack.published() if a.code == "ASYSTOLE" and a.version == 1}
        for alert in asystoles.values():
            assert alert.sounding and alert.segment is not None and alert.citations[0].leads
            until(lambda key=alert.segment.strip: bool(stack.redis.exists(key)), 20, "the strip in Redis")
        alert = asystoles["01"]
        action = Action(
            id="ack-1",
            action="acknowledge",
            bed_stream="icu-3/01",
            alert_id=alert.id,
            by="rn-12",
            at=time_of_ns(time.time_ns()),
        )
        submit_action(stack.redis, "main", action)
        until(lambda: stack.document(alert.id).state is State.ACKNOWLEDGED, 20, "the acknowledgement in Redis")
        monitor.kill()
        stack.send(beds, 24, 34, a_second=SPEED)
        stack.start("monitor")
        stack.send(beds, 34, 40, a_second=SPEED)
        stack.drained()
        assert stack.document(alert.id).acknowledged is not None
        assert stack.document(alert.id).acknowledged.by == "rn-12"
        assert not stack.document(alert.id).sounding
        assert {a.id for a in stack.published() if a.code == "ASYSTOLE"} == expected_ids(beds)
        no_version_is_missing_or_different(stack.alert_log())
        read = [a.interpretation for a in stack.published() if a.code == "ASYSTOLE" and a.interpretation]
        assert {i.source for i in read} == {"measured"} and all("switched off" in (i.reason or "") for i in read)


def test_workers_that_are_killed_and_restarted_under_load_change_no_alert(stack: Stack) -> None:
    beds = ward(60, (15.0, 27.0))
    with stack:
        monitor, publisher = stack.start("monitor", "publisher")
        stack.send(beds, 0, 18, a_second=SPEED)
        monitor.kill()  # while the hearts stand still
        stack.send(beds, 18, 20, a_second=SPEED)
        (monitor,) = stack.start("monitor")
        stack.send(beds, 20, 30, a_second=SPEED)
        publisher.kill()
        stack.send(beds, 30, 36, a_second=SPEED)
        stack.start("publisher")
        assert monitor.stop() == 0, monitor.text[-3000:]  # a clean restart, while messages come
        stack.send(beds, 36, 44, a_second=SPEED)
        stack.start("monitor")
        stack.send(beds, 44, 60, a_second=SPEED)
        stack.drained()
        log = stack.alert_log()
        no_version_is_missing_or_different(log)
        assert {i for i, versions in log.items() if versions[0].code == "ASYSTOLE"} == expected_ids(beds)
        seen = [(a.id, a.version) for a in stack.published()]
        assert len(seen) == len(set(seen)), "a station reads every version once"
        for alert_id in expected_ids(beds):
            versions = [a for a in stack.published() if a.id == alert_id]
            sounding = [a.sounding for a in versions]
            begun = sum(now and not before for before, now in zip([False, *sounding], sounding, strict=False))
            late = versions[-1].late  # a machine so slow that the workers were away for 30 s after the end
            assert begun == (0 if late else 1), "it begins to sound once"


def test_what_cannot_be_read_is_a_dead_letter_with_its_reason_and_the_stream_goes_on(stack: Stack) -> None:
    (windows, *_) = ward(30, (10.0, 22.0))
    good = encode_window(windows[0])
    poison = {
        "value of 4 bytes is not an EcgWindow": b"\xff\xff\xff\xff",
        "value is null": None,
        "schema 7 is newer": b"\x08\x07" + good[2:],
        "names II twice": _with_leads(good),
    }
    with stack:
        stack.start("monitor", "publisher")
        for k, value in enumerate(poison.values()):
            stack.producer.send(windows[k])
            stack.producer.send_bytes(stack.topics.windows, "icu-3/01", value)
        stack.producer.send_bytes(stack.topics.actions, "icu-3/01", b'{"action": "dance"}')
        stack.producer.send_bytes(stack.topics.interpretations, "icu-3/01", b"[]")
        stack.send([windows], len(poison), 24, a_second=SPEED)
        stack.wait_for("ASYSTOLE", 1)
        until(lambda: len(stack.dead_letters()) == len(poison) + 2, 20, "the dead letters")
        letters = stack.dead_letters()
        for reason in poison:
            (letter,) = [x for x in letters if reason in x["reason"]]
            assert (
                letter["topic"] == stack.topics.windows and int(letter["offset"]) >= 0 and letter["time"].endswith("Z")
            )
            assert f"{letter['topic']}/{letter['partition']} offset {letter['offset']}" in letter["reason"]
        assert {x["topic"] for x in letters} == {
            stack.topics.windows,
            stack.topics.actions,
            stack.topics.interpretations,
        }


def _with_leads(message: bytes) -> bytes:
    """The same message with its leads named II and MLII, which are one."""
    from streams import ecg_window_pb2

    window = ecg_window_pb2.EcgWindow.FromString(message)
    del window.leads[:]
    window.leads.extend(["II", "MLII"])
    return window.SerializeToString()

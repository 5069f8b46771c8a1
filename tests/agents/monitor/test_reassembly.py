"""Message reassembly: messages in any order give one signal in one order, and each feed problem has its code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agents.monitor.reassembly import MessageReassembly, Piece, nominal_rate
from streams.wire import EcgWindow
from tests.agents.signals import T0_NS, S, ecg, messages


def taken(reassembly: MessageReassembly, arrivals: list[tuple[EcgWindow, float]]) -> list[Piece]:
    return [piece for window, at_s in arrivals for piece in reassembly.add(window, T0_NS + round(at_s * S))]


def in_time(windows: list[EcgWindow]) -> list[tuple[EcgWindow, float]]:
    return [(window, k + 1.0) for k, window in enumerate(windows)]


def sequences(pieces: list[Piece]) -> list[int]:
    return [piece.window.sequence for piece in pieces]


def codes(reassembly: MessageReassembly) -> list[str]:
    return [problem.code for problem in reassembly.problems()]


def test_messages_out_of_order_within_a_second_come_out_in_order() -> None:
    w = messages(ecg(4))
    reassembly = MessageReassembly()
    pieces = taken(reassembly, [(w[0], 1.0), (w[2], 2.0), (w[1], 2.5), (w[3], 3.0)])
    assert sequences(pieces) == [0, 1, 2, 3]
    assert [piece.missing for piece in pieces] == [0, 0, 0, 0]
    assert codes(reassembly) == []


def test_a_message_that_comes_twice_counts_once() -> None:
    w = messages(ecg(3))
    reassembly = MessageReassembly()
    assert sequences(taken(reassembly, [(w[0], 1), (w[1], 2), (w[1], 2.1), (w[0], 2.2), (w[2], 3)])) == [0, 1, 2]
    assert reassembly.dropped == 2
    assert codes(reassembly) == []


def test_a_missing_message_is_waited_for_one_second_and_then_a_gap() -> None:
    w = messages(ecg(5))
    reassembly = MessageReassembly()
    assert sequences(taken(reassembly, [(w[0], 1.0), (w[2], 3.0)])) == [0]
    assert reassembly.release(T0_NS + round(3.9 * S)) == []
    (piece,) = reassembly.release(T0_NS + round(4.0 * S))
    assert (piece.window.sequence, piece.missing, piece.segment_index) == (2, 250, 1)
    assert reassembly.add(w[1], T0_NS + round(4.2 * S)) == [], "too late: its place has been passed"
    assert sequences(reassembly.add(w[3], T0_NS + 5 * S)) == [3]
    assert codes(reassembly) == []


def test_another_rate_begins_a_new_segment() -> None:
    w = messages(ecg(3)) + messages(ecg(3, fs_hz=500.0, start_ns=T0_NS + 3 * S), first=3)
    pieces = taken(MessageReassembly(), in_time(w))
    assert [piece.segment_index for piece in pieces] == [1, 1, 1, 2, 2, 2]
    assert [piece.fs_hz for piece in pieces] == [250.0] * 3 + [500.0] * 3


def test_other_leads_are_the_same_segment() -> None:
    w = messages(ecg(3)) + messages(ecg(3, leads=("II",), start_ns=T0_NS + 3 * S), first=3)
    pieces = taken(MessageReassembly(), in_time(w))
    assert {piece.segment_index for piece in pieces} == {1}


def test_a_producer_that_starts_anew_begins_a_new_section_without_a_trouble() -> None:
    w = messages(ecg(3)) + messages(ecg(3, start_ns=T0_NS + 5 * S), epoch=2)
    reassembly = MessageReassembly()
    pieces = taken(reassembly, in_time(w))
    assert [(p.segment_index, p.window.sequence) for p in pieces] == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]
    assert codes(reassembly) == []


def test_late_messages_of_the_old_epoch_are_dropped() -> None:
    old, new = messages(ecg(3)), messages(ecg(3, start_ns=T0_NS + 3 * S), epoch=2)
    reassembly = MessageReassembly()
    assert sequences(taken(reassembly, [(old[0], 1), (old[1], 2), (new[0], 3), (old[2], 3.5), (new[1], 4)])) == [
        0,
        1,
        0,
        1,
    ]
    assert codes(reassembly) == []


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0, 6.0, -6.0])
def test_a_device_clock_that_jumps_is_named_and_documents_keep_their_time(jump_s: float) -> None:
    w = messages(ecg(6))
    jumped = [replace(x, device_time_ns=x.device_time_ns + round(jump_s * S)) for x in w[3:]]
    reassembly = MessageReassembly()
    pieces = taken(reassembly, in_time(w[:3] + jumped))
    assert codes(reassembly) == ["CLOCK_JUMP"]
    instants = [piece.window.device_time_ns + piece.clock_offset_ns for piece in pieces]
    assert instants == [T0_NS + k * S for k in range(6)]
    assert {(piece.segment_index, piece.missing) for piece in pieces} == {(1, 0)}, "no sample is missing"


def test_a_clock_that_is_a_little_off_has_not_jumped() -> None:
    w = messages(ecg(4))
    slewed = [replace(x, device_time_ns=x.device_time_ns + round(0.05 * S)) for x in w[2:]]
    reassembly = MessageReassembly()
    pieces = taken(reassembly, in_time(w[:2] + slewed))
    assert [piece.missing for piece in pieces] == [0, 0, 0, 0]
    assert codes(reassembly) == []


def test_a_device_that_pauses_leaves_a_gap_not_a_jump() -> None:
    w = messages(ecg(2)) + messages(ecg(2, start_ns=T0_NS + 22 * S), first=2)
    reassembly = MessageReassembly()
    pieces = taken(reassembly, in_time(w))
    assert [piece.missing for piece in pieces] == [0, 0, 20 * 250, 0]
    assert codes(reassembly) == []


def test_messages_that_a_gateway_sends_together_after_an_outage_are_one_signal() -> None:
    w = [replace(x, gateway_time_ns=T0_NS + 30 * S) for x in messages(ecg(20))]
    reassembly = MessageReassembly()
    pieces = taken(reassembly, [(x, 30.0) for x in w])
    assert sequences(pieces) == list(range(20))
    assert {piece.segment_index for piece in pieces} == {1}
    assert codes(reassembly) == []


def test_two_producers_in_one_epoch_are_named_and_one_of_them_is_heard() -> None:
    one, other = messages(ecg(4)), messages(ecg(4, bpm=90, seed=2))
    reassembly = MessageReassembly()
    pieces = taken(reassembly, [x for k in range(4) for x in ((one[k], k + 1.0), (other[k], k + 1.2))])
    assert sequences(pieces) == [0, 1, 2, 3]
    assert all((piece.window.samples == one[k].samples).all() for k, piece in enumerate(pieces))
    assert codes(reassembly) == ["DUPLICATE_SOURCE"] * 4


def test_an_older_epoch_that_goes_on_into_a_newer_is_a_second_source() -> None:
    old, new = messages(ecg(20)), messages(ecg(20), epoch=2)
    reassembly = MessageReassembly()
    taken(reassembly, in_time(old[:5]))
    for k in range(5, 20):
        reassembly.add(new[k], T0_NS + (k + 1) * S)
        reassembly.add(old[k], T0_NS + (k + 1) * S)
    found = reassembly.problems()
    assert {problem.code for problem in found} == {"DUPLICATE_SOURCE"}
    assert found[0].at_ns - (T0_NS + 5 * S) == pytest.approx(5 * S, abs=S), "named once it has gone on for 5 s"


def test_the_other_source_is_heard_once_the_first_falls_silent() -> None:
    one, other = messages(ecg(20)), messages(ecg(20, seed=2), epoch=2)
    reassembly = MessageReassembly()
    reassembly.add(one[0], T0_NS + S)
    reassembly.add(other[1], T0_NS + 2 * S)  # the newer epoch begins …
    pieces = [p for k in range(2, 20) for p in reassembly.add(one[k], T0_NS + (k + 1) * S)]  # … and never again
    assert sequences(pieces)[-1] == 19, "a bed is never deaf while somebody sends"
    assert sequences(pieces)[0] <= 8


def test_a_pseudonym_that_changes_inside_an_epoch_is_named_and_one_that_changes_with_it_is_not() -> None:
    w = messages(ecg(3))
    reassembly = MessageReassembly()
    taken(reassembly, [(w[0], 1), (replace(w[1], patient="p-9999"), 2), (w[2], 3)])
    assert codes(reassembly) == ["PATIENT_MISMATCH"]
    taken(reassembly, in_time(messages(ecg(2, start_ns=T0_NS + 4 * S), epoch=2, patient="p-9999")))
    assert codes(reassembly) == []
    assert reassembly.patient == "p-9999"


def test_a_worker_that_goes_on_inside_an_epoch_keeps_the_clock_offset_of_the_bed() -> None:
    w = messages(ecg(6), clock_offset_s=2.0)
    drifted = [replace(x, gateway_time_ns=x.gateway_time_ns + round(0.3 * S)) for x in w[3:]]
    whole = MessageReassembly()
    pieces = taken(whole, in_time(w[:3] + drifted))
    again = MessageReassembly(clock_offset_ns=whole.clock_offset_ns, patient="p-81f3")
    assert (
        [p.clock_offset_ns for p in taken(again, in_time(drifted))]
        == [p.clock_offset_ns for p in pieces[3:]]
        == [2 * S] * 3
    )


# ---- device clocks -------------------------------------------------------------------------------------------------


def instants_s(pieces: list[Piece]) -> list[float]:
    return [(piece.device_ns + piece.clock_offset_ns - T0_NS) / S for piece in pieces]


@pytest.mark.parametrize("message_s", [0.2, 0.5])
def test_truncated_device_times_miss_no_sample_and_documents_keep_their_time(message_s: float) -> None:
    w = messages(ecg(90, start_ns=T0_NS + 370_000_000), message_s=message_s)
    reassembly = MessageReassembly()
    pieces = taken(reassembly, in_time([replace(x, device_time_ns=x.device_time_ns // S * S) for x in w]))
    assert {(piece.missing, piece.segment_index) for piece in pieces} == {(0, 1)}
    assert codes(reassembly) == []
    assert instants_s(pieces) == pytest.approx([0.37 + message_s * k for k in range(len(w))], abs=0.02)


def test_jittered_device_times_are_smoothed() -> None:
    w = messages(ecg(90), message_s=0.5)
    jitter_s = np.random.default_rng(3).uniform(-0.3, 0.3, len(w))
    jittered = [replace(x, device_time_ns=x.device_time_ns + round(j * S)) for x, j in zip(w, jitter_s, strict=True)]
    pieces = taken(MessageReassembly(), in_time(jittered))
    assert {piece.missing for piece in pieces} == {0}
    first_error_s = instants_s(pieces)[0]
    found = np.array(instants_s(pieces)) - first_error_s - 0.5 * np.arange(len(w))
    assert np.abs(found).max() < 0.1


def test_lost_messages_of_a_truncated_clock_are_as_long_as_the_others() -> None:
    w = messages(ecg(40), message_s=0.2)
    lost = [replace(x, device_time_ns=x.device_time_ns // S * S) for x in w[:100] + w[113:]]
    reassembly = MessageReassembly()
    pieces = [p for k, x in enumerate(lost) for p in reassembly.add(x, T0_NS + round((x.sequence + 1) * 0.2 * S))]
    pieces += reassembly.release(T0_NS + 60 * S)
    assert [piece.missing for piece in pieces if piece.missing] == [pytest.approx(13 * 50, abs=50)]


def test_a_stuck_device_clock_jumps_and_no_sample_is_missing() -> None:
    reassembly = MessageReassembly()
    pieces = taken(reassembly, in_time([replace(x, device_time_ns=T0_NS) for x in messages(ecg(30))]))
    assert {(piece.missing, piece.segment_index) for piece in pieces} == {(0, 1)}
    assert set(codes(reassembly)) == {"CLOCK_JUMP"}


def test_a_backlog_stamped_when_it_is_sent_lowers_the_offset_as_it_drains() -> None:
    w = messages(ecg(160))  # a hundred seconds kept, sent within ten; then live
    stamped = [replace(x, gateway_time_ns=max(x.gateway_time_ns, T0_NS + (100 + k // 10) * S)) for k, x in enumerate(w)]
    pieces = taken(MessageReassembly(), [(x, (x.gateway_time_ns - T0_NS) / S) for x in stamped])
    assert pieces[0].clock_offset_ns > 95 * S
    assert abs(pieces[-1].clock_offset_ns) < 0.3 * S
    assert sum(piece.shift_ns for piece in pieces) == pieces[-1].clock_offset_ns - pieces[0].clock_offset_ns


def test_a_backlog_stamped_when_it_was_measured_keeps_the_offset() -> None:
    pieces = taken(MessageReassembly(), [(x, 200.0 + 0.01 * k) for k, x in enumerate(messages(ecg(60)))])
    assert {piece.clock_offset_ns for piece in pieces} == {0}


def test_wrong_gateway_times_change_no_offset() -> None:
    w = messages(ecg(60))
    w[30] = replace(w[30], gateway_time_ns=w[30].gateway_time_ns - 3600 * S)
    assert {piece.clock_offset_ns for piece in taken(MessageReassembly(), in_time(w))} == {0}
    frozen = [replace(x, gateway_time_ns=T0_NS + S) for x in messages(ecg(30))]
    assert len({piece.clock_offset_ns for piece in taken(MessageReassembly(), in_time(frozen))}) == 1
    fast = [replace(x, gateway_time_ns=x.gateway_time_ns - k * S // 10) for k, x in enumerate(messages(ecg(9)))]
    assert {piece.clock_offset_ns for piece in taken(MessageReassembly(), in_time(fast))} == {0}


def test_a_backlog_that_ends_in_a_gap_is_not_the_clock_of_what_follows() -> None:
    kept, live = messages(ecg(10)), messages(ecg(10, start_ns=T0_NS + 3600 * S), first=3600)
    stamped = [replace(x, gateway_time_ns=T0_NS + 3590 * S) for x in kept]
    pieces = taken(MessageReassembly(), [(x, 3590.0) for x in stamped])
    reassembly = MessageReassembly()
    taken(reassembly, [(x, 3590.0) for x in stamped])
    pieces = taken(reassembly, [(x, 3601.0 + k) for k, x in enumerate(live)]) + reassembly.release(T0_NS + 3620 * S)
    assert {piece.clock_offset_ns for piece in pieces} == {0}


# ---- counters and rates --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2**16, 2**32])
def test_a_counter_that_wraps_goes_on_at_zero(size: int) -> None:
    w = messages(ecg(10), first=size - 5)
    wrapped = [replace(x, sequence=x.sequence % size) for x in w]
    reassembly = MessageReassembly()
    arrivals = [*wrapped[:6], wrapped[7], wrapped[6], *wrapped[8:], wrapped[3]]
    pieces = taken(reassembly, [(x, k / 2) for k, x in enumerate(arrivals)])
    assert sequences(pieces) == [x.sequence for x in wrapped]
    assert {(piece.missing, piece.segment_index) for piece in pieces} == {(0, 1)}
    assert codes(reassembly) == []


def test_a_late_message_of_a_jittered_clock_is_no_second_source() -> None:
    w = [replace(x, device_time_ns=x.device_time_ns // S * S) for x in messages(ecg(20), message_s=0.2)]
    reassembly = MessageReassembly()
    taken(reassembly, [(x, 0.2 * (x.sequence + 1)) for x in w[:40] + w[41:47]])
    reassembly.release(T0_NS + 30 * S)
    assert reassembly.add(w[40], T0_NS + 30 * S) == []
    assert codes(reassembly) == []


@pytest.mark.parametrize(
    ("rate_hz", "nominal_hz"),
    [(250.02, 250.0), (249.7, 249.7), (499.9, 500.0), (50.0001, 50.0), (333.333, 333.333), (1999.9, 2000.0)],
)
def test_a_measured_rate_stands_for_the_usual_one(rate_hz: float, nominal_hz: float) -> None:
    assert nominal_rate(rate_hz) == nominal_hz

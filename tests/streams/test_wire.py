"""The wire: what is sent comes back, and each broken rule is rejected with field, value, place and what to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ecg import Ecg
from models.leads import STANDARD_12
from streams import ecg_window_pb2, flagged_segment_pb2
from streams.alert import Citation
from streams.document import time_of_ns
from streams.partition import partition_of
from streams.wire import (
    EcgWindow,
    FlaggedSegment,
    InvalidWindow,
    RejectedMessage,
    decode_flagged,
    decode_window,
    encode_flagged,
    encode_window,
    window_of_ecg,
)

START_NS = 1_795_000_000_000_000_000
KEY = b"icu-3/07"


def window(**changes: object) -> EcgWindow:
    """One second of two leads at 250 Hz from bed icu-3/07."""
    samples = np.arange(500, dtype=np.int16).reshape(2, 250)
    plain = EcgWindow(
        bed_stream="icu-3/07",
        unit="icu-3",
        bed="07",
        patient="p-81f3",
        device_time_ns=START_NS,
        gateway_time_ns=START_NS + 1_100_000_000,
        epoch=1,
        sequence=812,
        fs_hz=250.0,
        leads=("II", "V"),
        lsb_uv=np.array([2.5, 4.0], np.float32),
        samples=samples,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def read(value: bytes | None, **place: object) -> EcgWindow:
    return decode_window(value, **({"topic": "ecg.windows", "partition": 2, "offset": 1291} | place))  # type: ignore[arg-type]


def test_a_window_comes_back_as_it_was_sent() -> None:
    sent = window(leads_off=("V",), pacer_marks=np.array([17, 3]), paced=True, age_years=71, sex="F")
    got = read(encode_window(sent), key=KEY, n_partitions=8)
    assert (got.bed_stream, got.unit, got.bed, got.patient) == ("icu-3/07", "icu-3", "07", "p-81f3")
    assert (got.epoch, got.sequence, got.fs_hz, got.leads) == (1, 812, 250.0, ("II", "V"))
    assert (got.leads_off, got.pacer_marks.tolist(), got.paced, got.age_years, got.sex) == (
        ("V",),
        [3, 17],
        True,
        71,
        "F",
    )
    np.testing.assert_array_equal(got.samples, sent.samples)
    np.testing.assert_array_equal(got.lsb_uv, sent.lsb_uv)
    assert got.device_time_ns == START_NS
    assert got.clock_offset_ns == 1_100_000_000 - 996_000_000  # the last of 250 samples lies 249 steps of 4 ms in


def test_units_become_millivolts_in_canonical_order_and_gaps_become_nan() -> None:
    samples = np.array([[100] * 250, [-200] * 250], np.int16)
    samples[1, 5] = -32768
    ecg = read(
        encode_window(window(leads=("V", "MLII"), lsb_uv=np.array([2.5, 5.0], np.float32), samples=samples))
    ).to_ecg()
    assert ecg.leads == ("II", "V")
    assert ecg.lead("V")[0] == pytest.approx(0.25)  # 100 units of 2.5 microvolts
    assert ecg.lead("II")[0] == pytest.approx(-1.0)
    assert np.flatnonzero(np.isnan(ecg.lead("II"))).tolist() == [5]
    assert ecg.start_ns == START_NS


@given(
    n_leads=st.integers(1, 12),
    fs_hz=st.sampled_from([50.0, 125.0, 250.0, 257.0, 360.0, 500.0, 1000.0, 2000.0]),
    seconds=st.floats(0.2, 10.0),
    scale_mv=st.sampled_from([0.05, 1.0, 40.0]),
    seed=st.integers(0, 2**31),
)
def test_any_signal_survives_the_wire_to_half_a_unit(
    n_leads: int, fs_hz: float, seconds: float, scale_mv: float, seed: int
) -> None:
    noise = np.random.default_rng(seed)
    mv = noise.normal(0, scale_mv, (n_leads, max(1, round(seconds * fs_hz)))).astype(np.float32)
    mv[noise.random(mv.shape) < 0.01] = np.nan
    ecg = Ecg(STANDARD_12[:n_leads], fs_hz, mv, start_ns=START_NS)
    sent = window_of_ecg(
        ecg, bed_stream="a", unit="u", bed="b", epoch=1, sequence=1, gateway_time_ns=START_NS + 10_000_000_000
    )
    back = read(encode_window(sent)).to_ecg()
    np.testing.assert_array_equal(np.isnan(back.mv), np.isnan(mv))
    half_unit_mv = sent.lsb_uv[:, None] * 0.5e-3
    assert np.nanmax(np.abs(back.mv - mv) - half_unit_mv * 1.01 - np.abs(mv) * 1e-6) <= 0


@pytest.mark.parametrize(("n", "declared_hz"), [(2500, 249.8), (2500, 248.76), (5000, 499.1), (50, 251.2)])
def test_a_message_of_the_longest_or_shortest_length_is_read_at_a_measured_rate(n: int, declared_hz: float) -> None:
    sent = message(sampling_rate=declared_hz, samples=bytes(4 * n))
    assert read(sent).n_samples == n


def test_a_message_of_more_than_ten_seconds_is_refused() -> None:
    with pytest.raises(RejectedMessage, match=r"samples last 10\.060 s"):
        read(message(sampling_rate=250.0, samples=bytes(4 * 2515)))


def test_derived_leads_are_not_sent_as_recorded_ones() -> None:
    ecg = Ecg(("I", "II", "III"), 250.0, np.zeros((3, 250), np.float32), start_ns=START_NS, derived=("III",))
    assert window_of_ecg(
        ecg, bed_stream="a", unit="u", bed="b", epoch=1, sequence=1, gateway_time_ns=START_NS + 1
    ).leads == ("I", "II")


def test_fields_of_a_newer_writer_are_kept_and_ignored() -> None:
    newer = (
        encode_window(window()) + b"\x9a\x06\x03abc" + b"\xa0\x06\x96\x01" + b"\xad\x06\x01\x02\x03\x04"
    )  # fields 99, 100, 101
    got = read(newer)
    assert got.sequence == 812
    assert encode_window(got) == newer


def message(**changes: object) -> bytes:
    """The bytes of a good window with fields of the message changed as no `EcgWindow` would allow."""
    raw = ecg_window_pb2.EcgWindow.FromString(encode_window(window()))
    for name, value in changes.items():
        if isinstance(value, list):
            raw.ClearField(name)
            getattr(raw, name).extend(value)
        else:
            setattr(raw, name, value)
    return raw.SerializeToString()


REJECTED_MESSAGES: list[tuple[dict[str, object], str, str]] = [
    ({"schema": 2}, "schema", "schema 2 is newer than 1"),
    ({"schema": 0}, "schema", "schema 0 is not 1"),
    ({"bed_stream": "icu 3"}, "bed_stream", "(5 characters"),
    ({"bed_stream": ""}, "bed_stream", "(0 characters"),
    ({"bed_stream": "a" * 65}, "bed_stream", "(65 characters"),
    ({"unit": "u" * 65}, "unit", "(65 characters"),
    ({"bed": "0\n7"}, "bed", "(3 characters"),
    ({"patient": "John Smith"}, "patient", "(10 characters"),
    ({"device_time_ns": -1}, "device_time_ns", "-1"),
    ({"device_time_ns": 9_000_000_000_000_000_000}, "device_time_ns", "9000000000000000000"),
    ({"gateway_time_ns": 0}, "gateway_time_ns", "0"),
    ({"epoch": 2**53}, "epoch", str(2**53)),
    ({"sequence": 2**63}, "sequence", str(2**63)),
    ({"sampling_rate": 0.0}, "sampling_rate", "0.0"),
    ({"sampling_rate": float("nan")}, "sampling_rate", "nan"),
    ({"sampling_rate": 49.0}, "sampling_rate", "49.0"),
    ({"sampling_rate": 2001.0}, "sampling_rate", "2001.0"),
    ({"leads": []}, "leads", "empty"),
    ({"leads": ["II", "II"]}, "leads", "II twice"),
    ({"leads": ["MLII", "II"]}, "leads", "II twice (MLII and II)"),
    ({"leads": ["MDC_ECG_LEAD_II", "ii"]}, "leads", "II twice"),
    ({"leads": ["II", " "]}, "leads", "(1 characters"),
    ({"lsb_uv": []}, "lsb_uv", "0 values for 2 leads"),
    ({"lsb_uv": [1.0, 1.0, 1.0]}, "lsb_uv", "3 values for 2 leads"),
    ({"lsb_uv": [float("nan")]}, "lsb_uv", "nan"),
    ({"lsb_uv": [2.5, float("inf")]}, "lsb_uv", "inf"),
    ({"lsb_uv": [0.0]}, "lsb_uv", "0.0"),
    ({"lsb_uv": [-2.5]}, "lsb_uv", "-2.5"),
    ({"samples": b""}, "samples", "empty"),
    ({"samples": b"\0" * 1001}, "samples", "1001 bytes"),
    ({"samples": b"\0" * 1002}, "samples", "1002 bytes"),
    ({"samples": b"\0" * 4 * 49}, "samples", "0.196 s (49 at 250 Hz)"),
    ({"samples": b"\0" * 4 * 2501}, "samples", "10.004 s (2501 at 250 Hz)"),
    ({"leads_off": ["V1"]}, "leads_off", "V1"),
    ({"pacer_marks": [3, 250]}, "pacer_marks", "250 is not in 0…249"),
    ({"age_years": 151}, "age_years", "151"),
    ({"sex": "female"}, "sex", "'female'"),
]


@pytest.mark.parametrize(("changes", "field", "expected"), REJECTED_MESSAGES)
def test_each_broken_rule_is_refused_by_field_value_and_place(
    changes: dict[str, object], field: str, expected: str
) -> None:
    with pytest.raises(RejectedMessage) as rejected:
        read(message(**changes))
    assert rejected.value.field_name == field
    assert field in rejected.value.reason
    assert expected in rejected.value.reason
    assert "ecg.windows/2 offset 1291" in rejected.value.reason
    assert ": " in rejected.value.reason  # what to do follows the colon


NAMES = [f"lead number {k:06d} of this bed" for k in range(25_000)]
COSTLY_MESSAGES = {
    "25,000 leads": ({"leads": NAMES}, "leads has 25000 names"),
    "65 leads": ({"leads": NAMES[:65]}, "leads has 65 names"),
    "one lead 190,000 times": ({"leads": ["II"] * 190_000}, "leads has 190000 names"),
    "190,000 leads off": ({"leads_off": ["II"] * 190_000}, "leads_off has 190000 names"),
    "190,000 gains": ({"lsb_uv": [1.0] * 190_000}, "190000 values for 2 leads"),
    "4,000,000 pacing marks": ({"pacer_marks": [5] * 4_000_000}, "pacer_marks has 4000000 values"),
    "a name of 1 MB": ({"leads": ["II", "x" * 1_000_000]}, "bytes beside its samples"),
    "a patient of 1 MB": ({"patient": "p-" + "x" * 1_000_000}, "bytes beside its samples"),
    "12 s of signal": ({"samples": b"\0\0" * 6000}, "samples last 12.000 s"),
    "5 MB of signal": ({"samples": b"\0" * 5_000_000}, "more than 4194304"),
}


@pytest.mark.parametrize("name", COSTLY_MESSAGES)
def test_a_message_of_too_many_parts_is_rejected_in_milliseconds_and_its_reason_is_short(name: str) -> None:
    changes, expected = COSTLY_MESSAGES[name]
    value = message(**changes)
    began = time.process_time()
    with pytest.raises(RejectedMessage, match=expected) as rejected:
        read(value)
    assert time.process_time() - began < 0.2  # 0.1 to 50 ms on a free machine; 30,000 names took 16 s
    assert len(rejected.value.reason) < 1000


def test_a_message_of_many_small_unknown_fields_is_rejected_before_they_are_copied() -> None:
    value = encode_window(window()) + b"\xa0\x06\x01" * 300_000
    began = time.process_time()
    with pytest.raises(RejectedMessage, match="bytes beside its samples"):
        read(value)
    assert time.process_time() - began < 0.1


def test_the_largest_message_is_read_64_leads_of_10_s_at_2000_hz() -> None:
    leads = tuple(f"lead {k}" for k in range(64))
    largest = window(leads=leads, lsb_uv=np.ones(64, np.float32), fs_hz=2000.0, samples=np.ones((64, 20_000), np.int16))
    assert read(encode_window(largest)).samples.shape == (64, 20_000)
    with pytest.raises(InvalidWindow, match="leads has 65 names"):
        window(leads=(*leads, "II"), lsb_uv=np.ones(65, np.float32), samples=np.ones((65, 250), np.int16))


def test_the_reason_of_a_flagged_segment_never_repeats_all_of_it() -> None:
    raw = flagged_segment_pb2.FlaggedSegment(schema=1, citations=b"[" + b'{"n":0},' * 50_000 + b"{}]")
    with pytest.raises(RejectedMessage, match="citations are invalid") as rejected:
        decode_flagged(raw.SerializeToString(), topic="ecg.flagged", partition=0, offset=1)
    assert len(rejected.value.reason) < 2000


@pytest.mark.parametrize("value", [None, b"hello", b"\xff" * 40, b"{}"])
def test_bytes_that_are_no_window_are_refused(value: bytes | None) -> None:
    with pytest.raises(RejectedMessage, match=r"ecg\.windows/2 offset 1291"):
        read(value)


@given(st.binary(max_size=400))
def test_no_bytes_raise_anything_but_a_refusal(value: bytes) -> None:
    with pytest.raises(RejectedMessage):
        read(value)


@given(st.data())
def test_a_damaged_window_is_read_or_refused_never_more(data: st.DataObject) -> None:
    good = bytearray(encode_window(window()))
    for _ in range(data.draw(st.integers(1, 5))):
        good[data.draw(st.integers(0, 80))] = data.draw(st.integers(0, 255))
    try:
        read(bytes(good)).to_ecg()
    except RejectedMessage as rejected:
        assert rejected.reason


def test_a_refusal_stays_short_whatever_was_sent() -> None:
    with pytest.raises(RejectedMessage) as rejected:
        read(message(leads=["II", "x" * 500_000]))
    assert len(rejected.value.reason) < 1000


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ({"key": b"icu-3/08"}, "'icu-3/08'"),
        ({"key": None, "n_partitions": 8}, "null"),
        ({"key": KEY, "n_partitions": 8, "partition": 3}, "partitioner=murmur2_random"),
    ],
)
def test_a_window_under_a_wrong_key_or_on_a_wrong_partition_is_rejected(
    place: dict[str, object], expected: str
) -> None:
    with pytest.raises(RejectedMessage) as rejected:
        read(encode_window(window()), **place)
    assert expected in rejected.value.reason
    assert rejected.value.field_name == "bed_stream"


def test_the_pattern_of_pseudonyms_is_a_setting() -> None:
    assert read(encode_window(window(patient="")), patient_pattern=r"\d{6}").patient == ""
    assert read(encode_window(window(patient="123456")), patient_pattern=r"\d{6}").patient == "123456"
    with pytest.raises(RejectedMessage, match=r"patient \(6 characters"):
        read(encode_window(window()), patient_pattern=r"\d{6}")


def test_producers_are_told_before_they_send() -> None:
    with pytest.raises(InvalidWindow, match=r"sampling_rate 0\.0"):
        window(fs_hz=0.0)


def test_partitions_are_those_of_kafkas_java_client() -> None:
    # The published test vectors of org.apache.kafka.common.utils.Utils.murmur2, as signed 32-bit integers.
    vectors = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536, b"abc": 479470107}
    for key, murmur2 in vectors.items():
        assert partition_of(key, 8) == (murmur2 & 0x7FFFFFFF) % 8
        assert partition_of(key, 12) == (murmur2 & 0x7FFFFFFF) % 12


@given(st.binary(min_size=1, max_size=64), st.integers(1, 64))
def test_partitions_are_those_of_both_python_clients(key: bytes, n: int) -> None:
    from aiokafka.partitioner import DefaultPartitioner

    assert partition_of(key, n) == DefaultPartitioner()(key, list(range(n)), list(range(n)))


def test_a_second_of_twelve_leads_is_decoded_in_well_under_a_third_of_a_millisecond() -> None:
    signal = np.random.default_rng(1).normal(0, 1, (12, 500)).astype(np.float32)
    value = encode_window(
        window_of_ecg(
            Ecg(STANDARD_12, 500.0, signal, start_ns=START_NS),
            bed_stream="icu-3/07",
            unit="icu-3",
            bed="07",
            epoch=1,
            sequence=1,
            gateway_time_ns=START_NS + 10**9,
        )
    )

    def once() -> float:
        began = time.perf_counter()
        for _ in range(100):
            read(value, key=KEY, n_partitions=8)
        return (time.perf_counter() - began) / 100

    assert min(once() for _ in range(5)) < 0.3e-3


def citation(**changes: object) -> Citation:
    start = time_of_ns(START_NS)
    plain = Citation(
        n=1,
        measure="RR",
        value=4.62,
        unit="s",
        leads=["II"],
        start=start,
        end=start,
        start_s=0.1,
        end_s=0.9,
        start_sample=25,
        end_sample=225,
        confidence=0.98,
        method="beats 1",
    )
    return plain.changed(**changes)


def test_a_flagged_segment_comes_back_with_its_citations() -> None:
    sent = FlaggedSegment(
        window=window(),
        alert_id="4f1c",
        code="ASYSTOLE",
        priority="PH",
        reason="alarm",
        start_ns=START_NS + 5,
        deadline_ns=START_NS + 30_000_000_000,
        citations=(citation(),),
    )
    got = decode_flagged(encode_flagged(sent), topic="ecg.flagged", partition=2, offset=4)
    assert (got.alert_id, got.code, got.priority, got.reason) == ("4f1c", "ASYSTOLE", "PH", "alarm")
    assert (got.start_ns, got.deadline_ns, got.citations) == (sent.start_ns, sent.deadline_ns, sent.citations)
    np.testing.assert_array_equal(got.window.samples, sent.window.samples)


@pytest.mark.parametrize("broken", [lambda v: None, lambda v: v[:40], lambda v: b"", lambda v: v + b"J\x02[1"])
def test_a_broken_flagged_segment_is_rejected(broken: Callable[[bytes], bytes | None]) -> None:
    good = encode_flagged(FlaggedSegment(window(), "4f1c", "ASYSTOLE", "PH", "alarm", START_NS, START_NS))
    with pytest.raises(RejectedMessage, match=r"ecg\.flagged/2 offset 4"):
        decode_flagged(broken(good), topic="ecg.flagged", partition=2, offset=4)

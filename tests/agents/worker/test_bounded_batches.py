"""One compressed batch never takes more than its bound: each codec, and aiokafka's fetcher with batches that lie."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from aiokafka import TopicPartition, codec
from aiokafka.consumer import fetcher
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder

from agents.worker import bounded_batches
from agents.worker.bounded_batches import (
    BATCH_ERROR,
    BATCH_LIMIT,
    RECORD_LIMIT,
    RECORDS_MOST,
    VALUE_BYTES,
    BatchTooLarge,
    BoundedRecords,
    bound_batches,
    gunzip,
    unlz4,
    unsnappy,
    unzstd,
)
from tests.agents.worker.raw_batches import batch, bomb, compressed, record

ENCODE = {
    "gzip": codec.gzip_encode,
    "snappy": codec.snappy_encode,
    "lz4": codec.lz4_encode,
    "zstd": codec.zstd_encode,
}
DECODE = {"gzip": gunzip, "snappy": unsnappy, "lz4": unlz4, "zstd": unzstd}
CODECS = sorted(ENCODE)


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("size", [1, 300, 24_000, 3_000_000, BATCH_LIMIT])
def test_each_codec_gives_back_what_aiokafka_encodes_up_to_the_bound(name: str, size: int) -> None:
    content = (np.arange(size) // 100 % 251).astype(np.uint8).tobytes()
    assert DECODE[name](memoryview(ENCODE[name](content))) == content


@pytest.mark.parametrize("name", CODECS)
def test_a_payload_that_expands_past_the_bound_is_refused(name: str) -> None:
    with pytest.raises(BatchTooLarge, match="past 64 MiB"):
        DECODE[name](ENCODE[name](bytes(BATCH_LIMIT + 1)))


def test_snappy_is_refused_by_the_length_that_it_declares() -> None:
    with pytest.raises(BatchTooLarge):
        unsnappy(b"\xff\xff\xff\xff\x0f" + bytes(100))  # 4 GiB in 105 bytes
    endless = codec.snappy_encode(b"x")[:16] + struct.pack("!i", -4)
    with pytest.raises(ValueError, match="a block of -4 bytes"):  # aiokafka's own reader never ends here
        unsnappy(endless)


@pytest.mark.parametrize("name", ["gzip", "lz4"])
def test_a_payload_of_many_frames_is_refused(name: str) -> None:
    assert DECODE[name](ENCODE[name](b"a") * 3) == b"aaa"
    with pytest.raises(ValueError, match="more than 64 frames"):
        DECODE[name](ENCODE[name](b"a") * 50_000)


@pytest.mark.parametrize("name", CODECS)
def test_a_payload_that_is_cut_short_is_an_error(name: str) -> None:
    content = np.random.default_rng(1).integers(0, 256, 5000, dtype=np.uint8).tobytes()
    payload = ENCODE[name](content)[:-20]
    try:
        assert DECODE[name](payload) != content
    except Exception as error:
        assert not isinstance(error, BatchTooLarge)


def fetched(data: bytes, fetch_offset: int = 0) -> list[fetcher.ConsumerRecord]:
    """The messages of a fetch response, as aiokafka's consumer gives them to the application."""
    bound_batches()
    at = TopicPartition("ecg.windows", 3)
    return list(fetcher.PartitionRecords(at, fetcher.MemoryRecords(data), None, fetch_offset, None, None, True, 0))


def plain(base_offset: int, *values: bytes) -> bytes:
    payload = b"".join(record(k, b"icu-3/08", value) for k, value in enumerate(values))
    return batch("none", payload, len(values), base_offset)


@pytest.mark.parametrize("name", CODECS)
def test_a_batch_that_expands_too_far_is_one_message_with_the_reason_and_the_next_batch_follows(name: str) -> None:
    evil = bomb(name, 70, 2**20)
    assert len(evil) < 5_000_000
    first, rejected, after = fetched(plain(0, b"a") + _at(evil, 1) + plain(71, b"b"))
    assert (first.offset, first.value, after.offset, after.value) == (0, b"a", 71, b"b")
    assert (rejected.offset, rejected.key) == (70, None)  # the last offset of the batch: a commit goes past it
    assert rejected.value == _at(evil, 1)
    ((header, reason),) = rejected.headers
    assert header == BATCH_ERROR
    assert reason.decode().startswith(f"{name} batch of {len(evil)} bytes, offsets 1 to 70: it expands past 64 MiB")


@pytest.mark.parametrize("name", CODECS)
def test_a_good_batch_is_read_as_ever(name: str) -> None:
    payload = compressed(name, (record(k, b"icu-3/07", bytes([k]) * 1000) for k in range(50)))
    got = fetched(batch(name, payload, 50))
    assert [(r.offset, r.key, r.value, r.headers) for r in got] == [
        (k, b"icu-3/07", bytes([k]) * 1000, ()) for k in range(50)
    ]


@pytest.mark.parametrize("payload", [b"", b"\x00garbage" * 20])
@pytest.mark.parametrize("name", CODECS)
def test_a_batch_that_cannot_be_decompressed_or_parsed_is_one_message(name: str, payload: bytes) -> None:
    for broken in (batch(name, payload, 5, 7), batch(name, compressed(name, iter([b"no record" * 9])), 5, 7)):
        rejected, after = fetched(broken + plain(12, b"b"))
        assert (rejected.offset, after.offset) == (11, 12)
        assert b"it cannot be read" in dict(rejected.headers)[BATCH_ERROR]


def test_records_before_the_broken_one_of_a_batch_are_kept() -> None:
    payload = record(0, b"k", b"good") + b"\xff" * 30
    good, rejected = fetched(batch("none", payload, 3, 7))
    assert (good.offset, good.value) == (7, b"good")
    assert (rejected.offset, rejected.value[:8]) == (9, struct.pack(">q", 7))


@pytest.mark.parametrize("name", ["none", *CODECS])
def test_a_batch_of_too_many_records_is_one_message_and_is_not_expanded(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound_batches()
    monkeypatch.setattr(bounded_batches, "RECORDS_MOST", 500)
    tiny = (record(k, b"", b"") for k in range(501))
    rejected, after = fetched(batch(name, compressed(name, tiny), 501) + plain(501, b"b"))
    assert (rejected.offset, rejected.key, after.value) == (500, None, b"b")
    assert b"offsets 0 to 500: it has more than 500 records: send smaller" in dict(rejected.headers)[BATCH_ERROR]
    payload = compressed(name, (record(k, b"", b"") for k in range(500)))
    assert len(fetched(batch(name, payload, 500))) == 500


def test_a_batch_that_declares_fewer_records_than_it_has_is_read_as_far_as_it_declares() -> None:
    payload = b"".join(record(k, b"", b"") for k in range(30_000))
    assert len(fetched(batch("none", payload, 3))) <= 4


def test_the_bound_has_room_for_the_shortest_legal_messages() -> None:
    assert RECORDS_MOST >= 2**20 / 100  # bytes of a batch, and of a compressed message of 0.2 s of one lead


def test_a_batch_of_an_old_format_is_bounded_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_batches, "RECORDS_MOST", 500)
    builder = LegacyRecordBatchBuilder(magic=1, compression_type=0x01, batch_size=10**9)
    for k in range(700):
        builder.append(k, timestamp=0, key=b"", value=b"")
    data = struct.pack(">q", 699) + bytes(builder.build())[8:]  # a broker writes the last offset in front
    found = fetched(data)
    assert len(found) == 501 and b"more than 500 records" in dict(found[-1].headers)[BATCH_ERROR]


def test_a_value_past_the_bound_is_cut_and_says_so() -> None:
    rejected, after = fetched(bomb("zstd", 1, RECORD_LIMIT + 1) + plain(1, b"b"))
    assert len(rejected.value) == 2**20
    headers = dict(rejected.headers)
    assert headers[VALUE_BYTES] == str(RECORD_LIMIT + 1).encode()
    assert b"value has 8388609 bytes" in headers[BATCH_ERROR]
    assert after.value == b"b"


def test_bounding_again_changes_nothing() -> None:
    bound_batches()
    bound_batches()
    assert fetcher.MemoryRecords is BoundedRecords


def _at(records: bytes, base_offset: int) -> bytes:
    """The same batch at another offset, which its checksum does not cover."""
    return struct.pack(">q", base_offset) + records[8:]

"""Bounds the memory of one compressed record batch in every aiokafka consumer of the process.

aiokafka expands a batch as a whole, in its fetcher, before a message of it is seen: 1 MB of zstd may become gigabytes.
`bound_batches` replaces four decompression functions of aiokafka by ones that stop at `BATCH_LIMIT`, and the reader of
its fetch responses by `BoundedRecords`. A batch that is rejected, or that cannot be decompressed or parsed, is given to
the application as one message at the batch's last offset: its value is the batch as it came, the header `BATCH_ERROR`
holds the reason. The worker writes it to the dead letters (`agents.worker.sender.Incoming.batch_error`) and goes on.

The names that are replaced are those of aiokafka 0.14, which the lock file pins; `bound_batches` raises where one is
missing, and tests/agents/worker/test_bounded_batches.py checks each codec.
"""

from __future__ import annotations

import importlib
import logging
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cramjam
import lz4.frame
import zstandard
from aiokafka import codec
from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords

log = logging.getLogger(__name__)

BATCH_LIMIT = 64 * 1024 * 1024  # bytes that one batch may expand to; the topics take 1 MiB of compressed batch
RECORD_LIMIT = 8 * 1024 * 1024  # bytes of one value; the largest valid message has 4 MiB (`streams.wire`)
BATCH_ERROR = "gem-bedside-batch-error"  # header of the message that stands for a rejected batch or value
VALUE_BYTES = "gem-bedside-value-bytes"  # header beside it: the whole length of a value that was cut
RECORDS_MOST = 20_000  # in one batch; 1 MiB of the shortest legal messages, compressed, has about 10,000
FRAMES_MOST = 64  # frames in one payload; producers write one, and each costs a copy of the rest
_CHUNK = 1024 * 1024
_MAGIC_AT, _RECORDS_AT = 16, 57  # bytes of a batch's header: its format, and from format 2 on its number of records
_CODECS = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
_MODULES = (
    "aiokafka.record.default_records",
    "aiokafka.record.legacy_records",
    "aiokafka.record._crecords.default_records",
    "aiokafka.record._crecords.legacy_records",
)


class BatchTooLarge(ValueError):  # noqa: N818  (a state of the batch)
    """The batch expands past `BATCH_LIMIT`, or has more than `RECORDS_MOST` records."""

    def __init__(self, records: bool = False) -> None:
        what = f"has more than {RECORDS_MOST} records" if records else f"expands past {BATCH_LIMIT // 2**20} MiB"
        super().__init__(f"it {what}: send smaller batches")


def bound_batches() -> None:
    """Bound every aiokafka consumer of this process; call it before one is started. Again: nothing changes."""
    if fetcher.MemoryRecords is BoundedRecords:
        return
    replaced = {"gzip_decode": gunzip, "snappy_decode": unsnappy, "lz4_decode": unlz4, "zstd_decode": unzstd}
    for name in _MODULES:
        try:
            module = importlib.import_module(name)
        except ImportError:  # aiokafka without its C extensions
            continue
        for function, bounded in replaced.items():
            if hasattr(module, function):
                setattr(module, function, bounded)
            elif "default" in name:
                raise RuntimeError(f"{name} has no {function}: this aiokafka is not the one that was tested")
    fetcher.MemoryRecords = BoundedRecords


# ---- record batches --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Record:
    """A record as aiokafka's fetcher takes it."""

    offset: int
    timestamp: int
    timestamp_type: int | None
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    checksum: int | None = None


class BoundedRecords:
    """The batches of one fetch response, as aiokafka's `MemoryRecords`; each is isolated from the others."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._records = MemoryRecords(data)
        self._position = 0

    def size_in_bytes(self) -> int:
        """Size of the response."""
        return int(self._records.size_in_bytes())

    def has_next(self) -> bool:
        """True where one more whole batch follows."""
        return bool(self._records.has_next())

    def next_batch(self) -> BoundedBatch:
        """The next batch."""
        start = self._position
        (length,) = struct.unpack_from(">i", self._data, start + 8)  # after the base offset
        self._position = start + 12 + length
        return BoundedBatch(self._records.next_batch(), self._data[start : self._position])


class BoundedBatch:
    """One batch of aiokafka; iterating it raises nothing."""

    __slots__ = ("_batch", "_raw")

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch = batch
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)  # the fetcher reads the marker of a control batch so

    def __iter__(self) -> Iterator[Any]:
        try:
            if self._records_declared() > RECORDS_MOST:  # before it is expanded
                raise BatchTooLarge(records=True)
            for count, record in enumerate(self._batch):
                if count >= RECORDS_MOST:  # the formats before 2 declare no number
                    raise BatchTooLarge(records=True)
                value = record.value
                yield record if value is None or len(value) <= RECORD_LIMIT else self._cut(record, value)
        except Exception as error:  # what one producer wrote ends no consumer
            yield self._rejected(error)

    def _records_declared(self) -> int:
        """Number of records that the batch's header declares; 0 in the formats before 2, which have none."""
        if len(self._raw) < _RECORDS_AT + 4 or self._raw[_MAGIC_AT] < 2:
            return 0
        (declared,) = struct.unpack_from(">i", self._raw, _RECORDS_AT)
        return int(declared)

    def _rejected(self, error: Exception) -> _Record:
        """The message that stands for the batch, at its last offset."""
        batch = self._batch
        kind = _CODECS.get(getattr(batch, "compression_type", 0), "plain")
        last = batch.next_offset - 1
        first = getattr(batch, "base_offset", last)
        what = str(error) if isinstance(error, BatchTooLarge) else f"it cannot be read: {error!r:.200}"
        reason = f"{kind} batch of {len(self._raw)} bytes, offsets {first} to {last}: {what}"
        log.error("a batch is rejected: %s", reason)
        stamp, kind_of_stamp = getattr(batch, "max_timestamp", 0), getattr(batch, "timestamp_type", 0)
        return _Record(last, stamp, kind_of_stamp, None, bytes(self._raw), [(BATCH_ERROR, reason.encode())])

    def _cut(self, record: Any, value: bytes) -> _Record:
        reason = f"value has {len(value)} bytes, more than {RECORD_LIMIT}: send messages of about 1 s"
        headers = [(BATCH_ERROR, reason.encode()), (VALUE_BYTES, str(len(value)).encode())]
        return _Record(record.offset, record.timestamp, record.timestamp_type, record.key, value[:_CHUNK], headers)


# ---- codecs ----------------------------------------------------------------------------------------------------------


class _Output:
    """Chunks of a payload, `BATCH_LIMIT` bytes at most."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0

    def add(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > BATCH_LIMIT:
            raise BatchTooLarge
        self._chunks.append(chunk)

    def joined(self) -> bytes:
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)


def gunzip(payload: Any) -> bytes:
    """The content of gzip members."""
    return _frames(payload, lambda: zlib.decompressobj(wbits=31), lambda d: d.unconsumed_tail)


def unlz4(payload: Any) -> bytes:
    """The content of LZ4 frames."""
    return _frames(payload, lz4.frame.LZ4FrameDecompressor, lambda _: b"")  # it keeps its own rest of the input


def unzstd(payload: Any) -> bytes:
    """The content of Zstandard frames."""
    output = _Output()
    decompressor = zstandard.ZstdDecompressor(max_window_size=BATCH_LIMIT)
    with decompressor.stream_reader(bytes(payload), read_across_frames=True) as reader:
        while chunk := reader.read(_CHUNK):
            output.add(chunk)
    return output.joined()


def unsnappy(payload: Any) -> bytes:
    """The content of a raw Snappy block, or of the blocks of the xerial framing that Kafka's clients write."""
    data = memoryview(bytes(payload))
    blocks = list(_xerial_blocks(data[16:])) if codec._detect_xerial_stream(data) else [bytes(data)]
    if sum(cramjam.snappy.decompress_raw_len(block) for block in blocks) > BATCH_LIMIT:  # as each block declares
        raise BatchTooLarge
    return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks)


def _xerial_blocks(data: memoryview) -> Iterator[bytes]:
    position = 0
    while position < len(data):
        (size,) = struct.unpack_from("!i", data, position)
        position += 4
        if not 0 < size <= len(data) - position:
            raise ValueError(f"a block of {size} bytes, where {len(data) - position} are left")
        yield bytes(data[position : position + size])
        position += size


def _frames(payload: Any, begin: Callable[[], Any], rest: Callable[[Any], bytes]) -> bytes:
    """The content of concatenated frames; ``rest`` gives the input that a decompressor has not taken."""
    data, output = bytes(payload), _Output()
    for _ in range(FRAMES_MOST):
        decompressor = begin()
        chunk = decompressor.decompress(data, _CHUNK)
        output.add(chunk)
        while not decompressor.eof:
            left = rest(decompressor)
            chunk = decompressor.decompress(left, _CHUNK)
            if not chunk and not left and not decompressor.eof:
                raise EOFError("it ends within a frame")
            output.add(chunk)
        data = (decompressor.unused_data or b"").lstrip(b"\0")  # gzip members may be padded with zeros
        if not data:
            return output.joined()
    raise ValueError(f"it has more than {FRAMES_MOST} frames")

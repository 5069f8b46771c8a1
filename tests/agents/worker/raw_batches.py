"""Record batches as no client library would write them, and a Produce request that sends them unchanged."""

from __future__ import annotations

import socket
import struct
import time
import zlib
from collections.abc import Iterator

import cramjam
import crc32c
import lz4.frame
import zstandard

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
PRODUCE, PRODUCE_VERSION = 0, 7  # the first version that takes zstd


def _varint(value: int) -> bytes:
    value = value << 1 ^ value >> 63
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def record(offset_delta: int, key: bytes, value: bytes) -> bytes:
    """One record of a batch, format v2."""
    head = b"\0" + _varint(0) + _varint(offset_delta) + _varint(len(key)) + key + _varint(len(value))
    return _varint(len(head) + len(value) + 1) + head + value + _varint(0)


def compressed(codec: str, chunks: Iterator[bytes]) -> bytes:
    """The chunks in one frame, without ever holding them all; Snappy in the framing of Kafka's clients."""
    if codec == "gzip":
        gzip = zlib.compressobj(9, wbits=31)
        return b"".join(gzip.compress(chunk) for chunk in chunks) + gzip.flush()
    if codec == "lz4":
        frame = lz4.frame.LZ4FrameCompressor(block_linked=False)
        return frame.begin() + b"".join(frame.compress(chunk) for chunk in chunks) + frame.flush()
    if codec == "zstd":
        zstd = zstandard.ZstdCompressor(level=19).compressobj()
        return b"".join(zstd.compress(chunk) for chunk in chunks) + zstd.flush()
    if codec == "snappy":
        blocks = [bytes(cramjam.snappy.compress_raw(chunk)) for chunk in chunks]
        magic = b"\x82SNAPPY\0" + struct.pack("!ii", 1, 1)
        return magic + b"".join(struct.pack("!i", len(block)) + block for block in blocks)
    return b"".join(chunks)


def batch(codec: str, payload: bytes, n_records: int, base_offset: int = 0) -> bytes:
    """A record batch, format v2, around a payload of ``n_records`` records, compressed or not."""
    now_ms = time.time_ns() // 1_000_000
    body = struct.pack(">hiqqqhii", CODECS[codec], n_records - 1, now_ms, now_ms, -1, -1, -1, n_records) + payload
    tail = struct.pack(">ibI", 0, 2, crc32c.crc32c(body)) + body
    return struct.pack(">qi", base_offset, len(tail)) + tail


def bomb(codec: str, n_records: int, value_bytes: int, key: bytes = b"icu-3/07") -> bytes:
    """A batch of records full of zeros, small only while it is compressed."""
    value = bytes(value_bytes)
    return batch(codec, compressed(codec, (record(k, key, value) for k in range(n_records))), n_records)


def produce(address: str, topic: str, partition: int, records: bytes) -> int:
    """Send a batch as it is, and return its base offset."""
    name = topic.encode()
    data = struct.pack(">i", len(records)) + records
    body = struct.pack(">hhii", -1, -1, 60_000, 1) + struct.pack(">h", len(name)) + name
    body += struct.pack(">ii", 1, partition) + data
    request = struct.pack(">hhih", PRODUCE, PRODUCE_VERSION, 1, -1) + body
    host, port = address.split(",")[0].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=60) as line:
        line.sendall(struct.pack(">i", len(request)) + request)
        answer = _exactly(line, struct.unpack(">i", _exactly(line, 4))[0])
    error, offset = struct.unpack_from(">hq", answer, 4 + 4 + 2 + len(name) + 4 + 4)
    assert error == 0, f"the broker answers error {error}"
    return int(offset)


def _exactly(line: socket.socket, size: int) -> bytes:
    got = bytearray()
    while len(got) < size:
        more = line.recv(size - len(got))
        assert more, "the broker closed the connection"
        got += more
    return bytes(got)

"""Producers compress with a fast level; what they write is still LZ4 that every client reads."""

from __future__ import annotations

import random
import subprocess
import sys

import lz4.frame

PROGRAM = """
import random, sys, time
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from agents.worker.quick_compression import compress_quickly
if sys.argv[1] == "quick":
    compress_quickly()
    compress_quickly()
numbers = random.Random(1)
value = ",".join(f"{numbers.gauss(0, 1):.4f}" for _ in range(14_000)).encode()
def batch():
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=3, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=1 << 20,
    )
    assert builder.append(0, 0, b"k", value, []) is not None
    return builder.build()
built = bytes(batch())
began = time.thread_time()
for _ in range(5):
    batch()
print(time.thread_time() - began)
sys.stdout.flush()
sys.stdout.buffer.write(built[61:])  # after the header of the batch
"""


def built(how: str) -> tuple[float, bytes]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, check=True)
    seconds, _, payload = done.stdout.partition(b"\n")
    return float(seconds), payload


def test_a_batch_of_digits_is_compressed_in_a_fifth_of_the_time_and_can_be_read() -> None:
    slow_s, slow = built("plain")
    quick_s, quick = built("quick")

    assert quick_s < slow_s / 5
    assert lz4.frame.decompress(quick) == lz4.frame.decompress(slow)
    numbers = random.Random(1)
    digits = ",".join(f"{numbers.gauss(0, 1):.4f}" for _ in range(14_000)).encode()
    assert digits in lz4.frame.decompress(quick)
    assert len(quick) < len(digits)

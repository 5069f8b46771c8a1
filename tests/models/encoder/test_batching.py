"""Micro-batching over beds: one call for many, a bound on waiting, and thinning under load."""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np
import pytest

from models.encoder.batching import EncoderBatcher
from models.encoder.session import Encoded, EncoderSession


@pytest.fixture(scope="module")
def encoder() -> EncoderSession:
    return EncoderSession.load(None, "cpu", threads=1)


def window(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.5, (12, 5000)).astype(np.float32)


class Held:
    """The real encoder behind a gate, so that a test decides when a call ends."""

    max_batch = 8

    def __init__(self, encoder: EncoderSession) -> None:
        self.encoder, self.gate, self.sizes = encoder, threading.Event(), list[int]()

    def encode(self, windows: np.ndarray) -> Encoded:
        self.sizes.append(len(windows))
        assert self.gate.wait(10)
        return self.encoder.encode(windows)


async def test_six_beds_share_one_call_and_each_gets_its_own_features(encoder: EncoderSession) -> None:
    batcher = EncoderBatcher(encoder, max_wait_s=0.2)
    together = await asyncio.gather(*(batcher.encode(f"icu/{k}", window(k)) for k in range(6)))
    await batcher.close()
    assert batcher.batches == 1
    for k, features in enumerate(together):
        alone = encoder.encode(window(k)[None])
        assert features is not None and np.allclose(features.pooled, alone.pooled, atol=1e-4)


async def test_a_single_bed_waits_no_longer_than_the_bound(encoder: EncoderSession) -> None:
    batcher = EncoderBatcher(encoder, max_wait_s=0.1)
    await batcher.encode("icu/1", window(0))  # starts the service
    start = time.monotonic()
    await batcher.encode("icu/1", window(1))
    took = time.monotonic() - start
    await batcher.close()
    assert 0.1 <= took < 1.0


async def test_a_full_batch_does_not_wait(encoder: EncoderSession) -> None:
    batcher = EncoderBatcher(encoder, max_wait_s=30.0, max_batch=4)
    async with asyncio.timeout(10):
        await asyncio.gather(*(batcher.encode(f"icu/{k}", window(k)) for k in range(4)))
    await batcher.close()
    assert batcher.batches == 1


async def test_under_load_a_newer_window_takes_the_place_of_the_older(encoder: EncoderSession) -> None:
    held = Held(encoder)
    batcher = EncoderBatcher(held, max_wait_s=0.0)
    first = asyncio.create_task(batcher.encode("icu/1", window(1)))
    while not held.sizes:
        await asyncio.sleep(0.01)
    older = asyncio.create_task(batcher.encode("icu/1", window(2)))
    await asyncio.sleep(0)
    newer = asyncio.create_task(batcher.encode("icu/1", window(3)))
    assert await older is None  # at once, while the encoder is still busy
    held.gate.set()
    features = await newer
    assert await first is not None and features is not None
    await batcher.close()
    assert batcher.thinned == 1
    assert np.allclose(features.pooled, encoder.encode(window(3)[None]).pooled, atol=1e-4)


async def test_a_window_that_the_encoder_refuses_fails_its_caller_and_not_the_next_one(encoder: EncoderSession) -> None:
    batcher = EncoderBatcher(encoder, max_wait_s=0.0)
    with pytest.raises(ValueError, match="expected"):
        await batcher.encode("icu/1", np.zeros((3, 5000), np.float32))
    assert await batcher.encode("icu/1", window(1)) is not None
    await batcher.close()


async def test_a_window_that_the_encoder_refuses_does_not_fail_the_others_of_its_batch(encoder: EncoderSession) -> None:
    batcher = EncoderBatcher(encoder, max_wait_s=0.2)
    windows = [window(0), np.zeros((3, 5000), np.float32), window(2)]
    got = await asyncio.gather(
        *(batcher.encode(f"icu/{k}", each) for k, each in enumerate(windows)), return_exceptions=True
    )
    await batcher.close()
    assert isinstance(got[1], ValueError)
    for k in (0, 2):
        features = got[k]
        assert isinstance(features, Encoded)
        assert np.allclose(features.pooled, encoder.encode(windows[k][None]).pooled, atol=1e-4)

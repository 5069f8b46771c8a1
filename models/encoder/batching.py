"""Micro-batching of the encoder over beds, with a bound on the time that a window waits for others.

One window per bed is pending at a time: a newer one replaces the older, whose caller gets None. Under load the encoder
tier thus thins out by itself without a queue, and a bed always gets features of its newest signal.
Runs inside one asyncio loop; the encoder runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.encoder.session import Encoded

Floats = NDArray[np.float32]

# A window waits at most this for others; without the bound a lone bed would wait for its own next update.
MAX_WAIT_S = 0.05


class Encoder(Protocol):
    """What is batched over: an ``EncoderSession``."""

    max_batch: int

    def encode(self, windows: Floats) -> Encoded:
        """Features of windows [n, 12, 5000] mV."""


@dataclass(slots=True)
class _Pending:
    window: Floats
    since: float
    features: asyncio.Future[Encoded | None]


class EncoderBatcher:
    """Micro-batching over beds.

    Parameters
    ----------
    encoder : Encoder
    max_wait_s : float
        Longest time that a window waits for others while the encoder is idle.
    max_batch : int or None
        Most windows a call; None: ``max_batch`` of the encoder.
    clock : callable
        Monotonic seconds.

    ran : callable or None
        Called after each call of the encoder with the number of its windows and its seconds.
    replaced : callable or None
        Called for each window that a newer one replaced.

    Notes
    -----
    ``batches`` and ``thinned`` count the calls made and the windows that a newer one replaced.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        max_wait_s: float = MAX_WAIT_S,
        max_batch: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        ran: Callable[[int, float], None] | None = None,
        replaced: Callable[[], None] | None = None,
    ) -> None:
        self.encoder = encoder
        self.max_wait_s = max_wait_s
        self.max_batch = max_batch or encoder.max_batch
        self.batches = 0
        self.thinned = 0
        self._clock = clock
        self._ran = ran
        self._replaced = replaced
        self._pending: dict[str, _Pending] = {}
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "encoder")
        self._task: asyncio.Task[None] | None = None

    async def encode(self, bed_stream: str, window: Floats) -> Encoded | None:
        """Features of one window [12, 5000] mV: tokens [1, 101, width], pooled [1, embed_dim].

        None when a newer window of the same bed took its place. What the encoder raises is raised here.
        """
        if self._task is None:
            self._task = asyncio.create_task(self._serve())
        features: asyncio.Future[Encoded | None] = asyncio.get_running_loop().create_future()
        older = self._pending.pop(bed_stream, None)
        self._pending[bed_stream] = _Pending(window, older.since if older else self._clock(), features)
        if older and not older.features.done():
            self.thinned += 1
            if self._replaced is not None:
                self._replaced()
            older.features.set_result(None)
        self._arrived.set()
        return await features

    async def close(self) -> None:
        """Ends the service; windows that still wait get None."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        for pending in self._pending.values():
            if not pending.features.done():
                pending.features.set_result(None)
        self._pending.clear()
        self._thread.shutdown()

    async def _serve(self) -> None:
        while True:
            await self._arrived.wait()
            await self._wait_for_batch()
            # Those that have waited longest go first: a busy bed cannot push another one out.
            beds = sorted(self._pending, key=lambda bed: self._pending[bed].since)[: self.max_batch]
            batch = [self._pending.pop(bed) for bed in beds]
            if not self._pending:
                self._arrived.clear()
            await self._run([p for p in batch if not p.features.done()])

    async def _wait_for_batch(self) -> None:
        """Waits until the batch is full or the oldest window's time is up."""
        while len(self._pending) < self.max_batch:
            oldest = min(p.since for p in self._pending.values())
            left = oldest + self.max_wait_s - self._clock()
            if left <= 0:
                return
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), left)

    async def _run(self, batch: list[_Pending]) -> None:
        if not batch:
            return
        self.batches += 1
        began = self._clock()
        try:
            windows = np.stack([p.window for p in batch])
            encoded = await asyncio.get_running_loop().run_in_executor(self._thread, self.encoder.encode, windows)
        except Exception as error:  # the service continues with the next batch
            if len(batch) > 1:  # the failure of one window must not be that of the others
                for pending in batch:
                    await self._run([pending] if not pending.features.done() else [])
            elif not batch[0].features.done():
                batch[0].features.set_exception(error)
            return
        if self._ran is not None:
            self._ran(len(batch), self._clock() - began)
        for k, pending in enumerate(batch):
            if not pending.features.done():
                pending.features.set_result(Encoded(encoded.tokens[k : k + 1], encoded.pooled[k : k + 1]))

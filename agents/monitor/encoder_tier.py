"""The encoder tier of a monitor: ten seconds of a bed at intervals, when there is time; no other part waits for it.

Input: `Ecg` of 10 s. Output: the findings of the heads, given to ``found``. A newer window of a bed replaces an older
one that still waits, so the tier thins out under load. Without an encoder the rhythm tier goes on alone, and
`unavailable` has the reason.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from agents.metrics import Metrics
from agents.settings import Settings
from models.ecg import Ecg
from streams.alert import EncoderInfo

log = logging.getLogger(__name__)

FS_HZ = 500.0  # the encoder's rate
SAMPLES = 5000
FAILURES_IN_A_ROW = 3  # one segment's failure is that segment's; so many are the encoder's
THREADS = 1  # of one run: the rhythm tier needs the other core

Labels = dict[str, float]


class EncoderTier:
    """Runs the encoder and its heads beside the rhythm tier.

    Parameters
    ----------
    settings : Settings
    metrics : Metrics or None
        Of the worker.

    Attributes
    ----------
    info : EncoderInfo or None
        Which encoder it is; None where there is none.
    unavailable : str
        Why there is none.
    found : callable
        Called with bed stream, signal, and the findings present with their probabilities.
    """

    def __init__(self, settings: Settings, metrics: Metrics | None = None) -> None:
        self._settings = settings
        self._metrics = metrics or Metrics()
        self._batcher: Any = None
        self._heads: Any = None
        self._running: set[asyncio.Task[None]] = set()
        self._failures = 0  # in a row
        self.info: EncoderInfo | None = None
        self.unavailable = ""
        self.found: Callable[[str, Ecg, Labels], Awaitable[None]] | None = None

    async def start(self) -> None:
        """Load the encoder; its absence is reported, not raised."""
        try:
            session, self._heads = await asyncio.to_thread(self._load)
        except Exception as error:
            self.unavailable = str(error)
            log.warning("no encoder: %s", error)
            return
        from models.encoder.batching import EncoderBatcher

        metrics = self._metrics
        metrics.device.labels("encoder", session.provider).set(1)
        self._batcher = EncoderBatcher(
            session,
            max_batch=self._settings.encoder_batch,
            ran=self._count_run,
            replaced=metrics.encoder_thinned.inc,
        )
        self.info = EncoderInfo(name=session.name, weights=session.weights, provider=session.provider)

    def _count_run(self, windows: int, seconds: float) -> None:
        self._metrics.encoder_batch.observe(windows)
        self._metrics.encoder_seconds.observe(seconds)

    def _load(self) -> tuple[Any, Any]:
        from models.encoder.heads import load_heads
        from models.encoder.session import EncoderSession

        session = EncoderSession.load(self._settings.encoder, self._settings.device, threads=THREADS, tokens=False)
        heads = load_heads(session.folder, session.weights, self._settings.fold) if session.trained else None
        return session, heads

    async def stop(self) -> None:
        """Cancel the windows under way and close the session."""
        for task in self._running:
            task.cancel()
        if self._batcher is not None:
            await self._batcher.close()

    @property
    def thinned(self) -> int:
        """Windows that a newer one replaced."""
        return 0 if self._batcher is None else int(self._batcher.thinned)

    @property
    def busy(self) -> bool:
        """Windows are under way."""
        return bool(self._running)

    def offer(self, bed_stream: str, ecg: Ecg) -> None:
        """Ten seconds of a bed: taken when there is time."""
        if self._batcher is None:
            return
        task = asyncio.create_task(self._encode(bed_stream, ecg))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _encode(self, bed_stream: str, ecg: Ecg) -> None:
        from models.signal.conditioning import to_twelve

        try:
            window, _present = to_twelve(ecg, FS_HZ)
            window = np.ascontiguousarray(window[:, :SAMPLES])
        except Exception:  # this segment's alone
            log.exception("the encoder cannot take a segment of bed %s", bed_stream)
            return
        if window.shape[1] < SAMPLES:
            return
        try:
            encoded = await self._batcher.encode(bed_stream, window)
            if encoded is None:  # a newer window took its place
                return
            (labels,) = [None] if self._heads is None else self._heads.present(encoded.pooled)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # the rhythm tier goes on; the next window is another try
            self._failures += 1
            log.exception("the encoder failed on a segment of bed %s", bed_stream)
            if self._failures >= FAILURES_IN_A_ROW:
                self.unavailable = f"the encoder failed: {error}"
            return
        self._failures = 0
        self.unavailable = ""
        if self.found is not None and labels is not None:
            await self.found(bed_stream, ecg, labels)

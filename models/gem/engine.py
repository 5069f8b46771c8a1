"""Serves one GEM to many beds: requests join and leave a running batch; the most urgent and newest start first.

In: `GemRequest`. Out: `GemAnswer`, or ``GemUnavailable`` with the reason. One thread owns the model. Between two
decoding steps it removes the sequences that have ended, were cancelled, or passed their deadline, and starts waiting
requests in their slots: one at a time, or as many as the decoder prefills together. A sequence is moved to another slot
only where no request waits for the one that became free. A second thread draws pages and
builds prompts, so that the device does not wait for them. The queue is bounded: when it is full, the least urgent and
oldest request is dropped.

Failures of the model reach every caller as ``GemUnavailable``. Out of memory fails the requests concerned; a lost GPU
fails all of them and closes the engine (``available`` is False from then on). The caller then uses the rule-based
report and raises the technical alarm. Torch is imported only where a torch model is loaded.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from models.encoder.session import NVIDIA_DEVICE
from models.gem.also_found import also_found
from models.gem.errors import DeviceLost, GemUnavailable, OutOfMemory
from models.gem.onnx_decoder import OnnxDecoder, unsupported_reason
from models.gem.request import GemAnswer, GemRequest, ModelCard, Prepared

QUEUE_LIMIT = 32  # waiting segments; with more, the oldest would miss its deadline anyway
CLOSE_S = 10.0  # a step of the largest model takes less; without the bound a hung driver would block the worker


class Decoder(Protocol):
    """A model with slots, each holding one sequence; the engine drives it."""

    slots: int
    longest: int
    eos: int
    card: ModelCard
    prefill: int  # prompts that `start_many` takes

    def prompt(self, request: GemRequest) -> Prepared:
        """Ids, window and page of a request, for ``start``.

        Raises ValueError where the prompt cannot be built.
        """

    def start(self, slot: int, prompt: Any) -> tuple[int, int]:
        """Prefill a slot; returns the first new token and the length of the prompt."""

    def start_many(self, slots: Sequence[int], prompts: Sequence[Any]) -> list[tuple[int, int]]:
        """``start`` for several slots at once."""

    def step(self, active: int) -> list[list[int]]:
        """The next tokens of the slots 0 … active - 1: one at least, more where a draft was right."""

    def move(self, source: int, target: int) -> None:
        """Move the sequence of slot ``source`` to slot ``target``."""

    def text(self, ids: list[int]) -> str:
        """Text of token ids."""


class GemTicket:
    """A submitted request: ``result`` waits for the answer, ``cancel`` drops the request."""

    def __init__(self, request: GemRequest, submitted: float) -> None:
        self.request = request
        self.submitted = submitted
        self.future: Future[GemAnswer] = Future()
        # A caller that is cancelled must not cancel the future itself: the engine's thread could then not set it.
        self.future.set_running_or_notify_cancel()
        self.cancelled = False

    def cancel(self) -> None:
        """Drop the request before the next token; ``result`` then raises ``GemUnavailable("cancelled")``."""
        self.cancelled = True

    def result(self, timeout_s: float | None = None) -> GemAnswer:
        """Wait for the answer; raises ``GemUnavailable`` where there is none."""
        return self.future.result(timeout_s)

    def __await__(self) -> Any:
        return asyncio.wrap_future(self.future).__await__()


@dataclass(slots=True, eq=False)
class _Waiting:
    """A request in the queue; ``order`` is its urgency, then its order of arrival."""

    order: tuple[int, int]
    ticket: GemTicket
    taken: bool = False  # its prompt is being built
    ready: Prepared | None = None  # once its prompt is built


@dataclass(slots=True)
class _Running:
    """Sequence of a slot."""

    ticket: GemTicket
    tokens: list[int]
    max_tokens: int
    first_token_at: float
    ready: Prepared
    emitted: int = field(default=0)  # characters given to ``on_text``

    def add(self, tokens: list[int], eos: int) -> None:
        """The next tokens; those behind the end of the answer, or over its limit, are left out."""
        kept = tokens[: max(1, self.max_tokens - len(self.tokens))]
        self.tokens += kept[: kept.index(eos) + 1] if eos in kept else kept

    def text(self, decoded: str, *, whole: bool) -> str:
        """Text so far, from that of the tokens; ``whole``: the model has ended it."""
        out = f"{self.ready.remark} {decoded.lstrip()}" if self.ready.remark else decoded
        more = also_found(decoded, self.ready.findings) if whole else ""
        return f"{out.rstrip()} {more}" if more else out


class GemEngine:
    """Generation as a service.

    Parameters
    ----------
    decoder : Decoder
    queue_limit : int
        Waiting requests, at most.
    clock : callable
        Monotonic seconds.

    Examples
    --------
    >>> engine = GemEngine.load("/models/gem", "cuda")                         # doctest: +SKIP
    >>> answer = engine.submit(GemRequest(ecg, deadline_s=10)).result()         # doctest: +SKIP
    >>> answer = await engine.answer(GemRequest(ecg, urgency=2))                # doctest: +SKIP
    """

    def __init__(
        self, decoder: Decoder, *, queue_limit: int = QUEUE_LIMIT, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._decoder = decoder
        self._limit = queue_limit
        self._clock = clock
        self._order = itertools.count()
        self._waiting: list[_Waiting] = []  # the next one last
        self._running: list[_Running] = []
        self._changed = threading.Condition()
        self._closed_reason: str | None = None
        self._prompt_thread = threading.Thread(target=self._make_prompts, name="gem-prompts", daemon=True)
        self._prompt_thread.start()
        self._thread = threading.Thread(target=self._serve, name="gem", daemon=True)
        self._thread.start()

    @classmethod
    def load(
        cls,
        folder: Path | str,
        device: str = "auto",
        dtype: str = "auto",
        *,
        runtime: str = "auto",
        slots: int | None = None,
        longest: int | None = None,
        queue_limit: int = QUEUE_LIMIT,
        threads: int | None = None,
        compiler: str | None = None,
    ) -> Self:
        """An engine for a checkpoint folder of the published layout, at any size.

        Parameters
        ----------
        folder : path
        device : {"auto", "cpu", "cuda"}
            A device that does not exist is an error.
        dtype : {"auto", "fp32", "bf16", "fp16", "fp8"}
            ``auto``: bf16 on CUDA for a model of 500 million weights or more, else fp32. ``fp8``: the products of the
            layers in 8 bits, the rest in bf16.
        runtime : {"auto", "torch", "onnx"}
            ``auto``: ONNX Runtime for a compact ECG-only GEM on the CPU (torch is not imported), else torch.
            Both give the same answers.
        slots : int or None
            Sequences at a time; None: as many as fit into memory, 32 at most.
        longest : int or None
            Positions of a slot, prompt and answer; None: the limit of the model, 2048 at most.
        threads : int or None
            Of one call on the CPU; small models are slower with several.
        compiler : str or None
            Backend of `torch.compile` for the layers ("inductor"); None: they run as they are.

        Raises
        ------
        GemUnavailable
            No such folder, missing tensors, no such device, or no torch.
        """
        folder = Path(folder)
        if runtime == "auto":
            on_gpu = device.startswith("cuda") or (device == "auto" and NVIDIA_DEVICE.exists())
            runtime = "torch" if on_gpu or dtype not in ("auto", "fp32") or unsupported_reason(folder) else "onnx"
        try:
            decoder: Decoder
            if runtime == "onnx":
                decoder = OnnxDecoder.load(folder, slots=slots, longest=longest, threads=threads)
            else:
                from models.gem.decoding import TorchDecoder

                decoder = TorchDecoder.load(
                    folder, device, dtype, slots=slots, longest=longest, threads=threads, compiler=compiler
                )
        except ImportError as error:
            why = f"GEM needs the extra 'gem' (pip install 'gem-bedside[gem]'): {error}; {unsupported_reason(folder)}"
            raise GemUnavailable(why.rstrip("; "), lasting=True) from error
        except (ValueError, KeyError, OSError, OutOfMemory, DeviceLost) as error:
            raise GemUnavailable(f"GEM could not be loaded: {error}", lasting=True) from error
        return cls(decoder, queue_limit=queue_limit)

    @property
    def card(self) -> ModelCard:
        """Identity of the loaded model."""
        return self._decoder.card

    @property
    def available(self) -> bool:
        """False once the model is lost or the engine closed."""
        return self._closed_reason is None

    def submit(self, request: GemRequest) -> GemTicket:
        """Queue a request; raises ``GemUnavailable`` when the engine is closed."""
        ticket = GemTicket(request, self._clock())
        with self._changed:
            if self._closed_reason is not None:
                raise GemUnavailable(self._closed_reason, lasting=True)
            self._waiting.append(_Waiting((request.urgency, next(self._order)), ticket))
            self._waiting.sort(key=lambda entry: entry.order)
            dropped = self._waiting.pop(0).ticket if len(self._waiting) > self._limit else None
            self._changed.notify_all()
        if dropped is not None:
            _fail(dropped, GemUnavailable(f"gave way in a queue of {self._limit} to a newer or more urgent segment"))
        return ticket

    async def answer(self, request: GemRequest) -> GemAnswer:
        """The answer to a request; cancelling the caller cancels it."""
        ticket = self.submit(request)
        try:
            return await asyncio.wrap_future(ticket.future)
        except asyncio.CancelledError:
            ticket.cancel()
            raise

    def close(self) -> None:
        """End the threads; waiting and running requests fail with ``GemUnavailable``."""
        self._end("the engine was closed")
        self._thread.join(CLOSE_S)

    def _make_prompts(self) -> None:
        """Loop of the prompt thread: builds the prompt of the most urgent request that has none."""
        while True:
            with self._changed:
                while self._closed_reason is None and all(w.taken for w in self._waiting):
                    self._changed.wait()
                if self._closed_reason is not None:
                    return
                waiting = next(w for w in reversed(self._waiting) if not w.taken)
                waiting.taken = True
            ready, rejected = Prepared(None), None
            try:
                ready = self._decoder.prompt(waiting.ticket.request)
            except Exception as error:  # an error of renderer or tokenizer fails this segment alone
                rejected = GemUnavailable(f"GEM cannot be asked about this segment: {error}")
            with self._changed:
                waiting.ready = ready
                done = (rejected is not None or bool(ready.answer)) and waiting in self._waiting
                if done:
                    self._waiting.remove(waiting)
                self._changed.notify_all()
            if rejected is not None:
                _fail(waiting.ticket, rejected)
            elif done:
                self._resolve(waiting.ticket, ready.answer)

    def _resolve(self, ticket: GemTicket, text: str) -> None:
        """Answer a request without the model."""
        if ticket.request.on_text is not None:
            ticket.request.on_text(text)
        seconds = self._clock() - ticket.submitted
        ticket.future.set_result(GemAnswer(text, 0, "stop", seconds, seconds))

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not self._running and self._closed_reason is None and not self._ready():
                    self._changed.wait()
                if self._closed_reason is not None:
                    return
            try:
                ended = self._advance()
                self._drop_expired()
                self._fill(ended)
            except DeviceLost as error:
                self._end(f"the device was lost: {error}")
            except OutOfMemory as error:
                self._drop_running(GemUnavailable(f"out of memory: {error}"))
            except Exception as error:  # a defect: the callers must fail rather than wait
                self._end(f"the model failed: {type(error).__name__}: {error}")

    def _ready(self) -> bool:
        """The next request has its prompt, or has expired."""
        return bool(self._waiting) and (self._waiting[-1].ready is not None or self._expired(self._waiting[-1].ticket))

    def _drop_expired(self) -> None:
        """Fail the queued requests that were cancelled or passed their deadline."""
        with self._changed:
            late = [w for w in self._waiting if self._expired(w.ticket)]
            self._waiting = [w for w in self._waiting if w not in late]
        for waiting in late:
            waited = self._clock() - waiting.ticket.submitted
            limit = waiting.ticket.request.deadline_s
            _fail(
                waiting.ticket,
                GemUnavailable(
                    "cancelled" if waiting.ticket.cancelled else f"waited {waited:.1f} s of {limit:g} s in the queue"
                ),
            )

    def _advance(self) -> list[int]:
        """Run one decoding step of all running sequences; returns the slots whose sequence has ended."""
        if not self._running:
            return []
        for running, tokens in zip(self._running, self._decoder.step(len(self._running)), strict=True):
            running.add(tokens, self._decoder.eos)
        return [slot for slot, running in enumerate(self._running) if self._finished(running)]

    def _fill(self, ended: list[int]) -> None:
        """Start the most urgent and newest requests in free slots, those that just ended first; close the gaps left.

        One prefill a step, so that running sequences continue.
        """
        free = [*ended, *range(len(self._running), self._decoder.slots)][: self._decoder.prefill]
        taken = self._take(len(free))
        try:
            for slot, running in self._started(free, taken):
                if slot == len(self._running):
                    self._running.append(running)
                else:
                    self._running[slot] = running
                    ended.remove(slot)
                if self._finished(running):  # with its first token
                    ended.append(slot)
        finally:
            for slot in sorted(ended, reverse=True):
                last = len(self._running) - 1
                if slot != last:
                    self._decoder.move(last, slot)
                    self._running[slot] = self._running[last]
                self._running.pop()

    def _take(self, most: int) -> list[_Waiting]:
        """The next waiting requests whose prompts are built."""
        with self._changed:
            taken: list[_Waiting] = []
            while len(taken) < most and self._waiting and self._waiting[-1].ready is not None:
                taken.append(self._waiting.pop())
        return taken

    def _started(self, slots: Sequence[int], taken: Sequence[_Waiting]) -> list[tuple[int, _Running]]:
        """Prefill requests, and the slots in which they run; a request that fails alone leaves no gap."""
        if len(taken) > 1:
            try:
                prompts = [w.ready.prompt for w in taken if w.ready is not None]
                first = self._decoder.start_many(slots[: len(taken)], prompts)
            except (OutOfMemory, ValueError):  # each alone: the others may fit
                pass
            except Exception as error:
                for waiting in taken:
                    _fail(waiting.ticket, GemUnavailable(f"the model failed: {error}", lasting=True))
                raise
            else:
                begun = zip(slots, taken, first, strict=False)
                return [(slot, self._begun(waiting, *token)) for slot, waiting, token in begun]
        out: list[tuple[int, _Running]] = []
        for waiting in taken:
            slot, ticket = slots[len(out)], waiting.ticket
            assert waiting.ready is not None
            try:
                token, length = self._decoder.start(slot, waiting.ready.prompt)
            except OutOfMemory as error:
                _fail(ticket, GemUnavailable(f"out of memory: {error}"))
            except ValueError as error:
                _fail(ticket, GemUnavailable(f"GEM cannot be asked about this segment: {error}"))
            except Exception as error:
                _fail(ticket, GemUnavailable(f"the model failed: {error}", lasting=True))
                raise
            else:
                out.append((slot, self._begun(waiting, token, length)))
        return out

    def _begun(self, waiting: _Waiting, token: int, length: int) -> _Running:
        """A sequence with its first token."""
        assert waiting.ready is not None
        most = min(waiting.ticket.request.max_new_tokens, self._decoder.longest - length)
        return _Running(waiting.ticket, [token], most, self._clock(), waiting.ready)

    def _finished(self, running: _Running) -> bool:
        """Emit the new text of a sequence; resolve its ticket and return True where it has ended."""
        ticket, now = running.ticket, self._clock()
        over = now - ticket.submitted >= ticket.request.deadline_s
        if ticket.cancelled:
            _fail(ticket, GemUnavailable("cancelled"))
            return True
        stopped = running.tokens[-1] == self._decoder.eos
        tokens = running.tokens[:-1] if stopped else running.tokens
        finish = "stop" if stopped else "length" if len(tokens) >= running.max_tokens else "deadline" if over else None
        self._stream(running, tokens, finish)
        if finish is None:
            return False
        answer = GemAnswer(
            running.text(self._decoder.text(tokens), whole=finish == "stop").strip(),
            len(tokens),
            finish,
            now - ticket.submitted,
            running.first_token_at - ticket.submitted,
        )
        ticket.future.set_result(answer)
        return True

    def _stream(self, running: _Running, tokens: list[int], finish: str | None) -> None:
        """Emit the text that can no longer change: an incomplete UTF-8 character is held back."""
        on_text = running.ticket.request.on_text
        if on_text is None:
            return
        text = running.text(self._decoder.text(tokens), whole=finish == "stop")
        whole = text if finish is not None else text.rstrip("\ufffd")
        if len(whole) > running.emitted:
            piece, running.emitted = whole[running.emitted :], len(whole)
            on_text(piece)

    def _expired(self, ticket: GemTicket) -> bool:
        return ticket.cancelled or self._clock() - ticket.submitted >= ticket.request.deadline_s

    def _drop_running(self, why: GemUnavailable) -> None:
        running, self._running = self._running, []
        for r in running:
            _fail(r.ticket, why)

    def _end(self, reason: str) -> None:
        with self._changed:
            self._closed_reason = self._closed_reason or reason
            waiting, self._waiting = self._waiting, []
            self._changed.notify_all()
        why = GemUnavailable(self._closed_reason, lasting=True)
        for entry in waiting:
            _fail(entry.ticket, why)
        if threading.current_thread() is self._thread or not self._thread.is_alive():
            self._drop_running(why)
        else:
            self._thread.join(CLOSE_S)
            self._drop_running(why)


def _fail(ticket: GemTicket, why: GemUnavailable) -> None:
    if not ticket.future.done():
        ticket.future.set_exception(why)

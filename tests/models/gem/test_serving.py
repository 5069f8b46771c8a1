"""Serving: drafts, prompts prefilled together, slots refilled in place, products in 8 bits; no GPU is needed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.evidence import Evidence
from models.gem import captured_features
from models.gem.captured_features import CapturedFeatures
from models.gem.checkpoint import load_checkpoint
from models.gem.decoding import DRAFT_BATCH, TorchDecoder, choose_precision
from models.gem.engine import GemEngine
from models.gem.errors import GemUnavailable, OutOfMemory
from models.gem.measuring_session import SHIPPED_GEM
from models.gem.processing import GemProcessor
from models.gem.products import DenseProduct, Fp8Product, quantised
from models.gem.prompt_context import build_prompt_context
from models.gem.request import GemRequest, ModelCard, Prepared
from models.training.simulate import simulate
from tests.models.gem.noise import noise_ecg

EVIDENCE = (Evidence("HR", 88.0, (), 0, 1), Evidence("QRS", 96.0, (), 0, 1))


def decoder_of(folder: Path, **options: Any) -> TorchDecoder:
    model = load_checkpoint(folder)
    card = ModelCard(folder.name, "", "fp32", "cpu")
    return TorchDecoder(model, GemProcessor.load(folder, model.config), card, slots=5, longest=700, **options)


def ask(seed: int, n: int = 40) -> GemRequest:
    return GemRequest(noise_ecg(seed), measurements=EVIDENCE, max_new_tokens=n, deadline_s=60.0)


def texts(engine: GemEngine, limits: tuple[int, ...]) -> list[str]:
    tickets = [engine.submit(ask(k, n)) for k, n in enumerate(limits)]
    out = [ticket.result(60).text for ticket in tickets]
    engine.close()
    return out


LIMITS = (9, 40, 17, 33, 25, 12, 30)  # more than slots; they end one by one


def test_drafts_prefill_and_refill_change_no_answer(gem_folder: Path) -> None:
    plain = texts(GemEngine(decoder_of(gem_folder, drafts=False)), LIMITS)
    quick = decoder_of(gem_folder, prefill=3)
    assert texts(GemEngine(quick), LIMITS) == plain
    assert quick.counts.drafted > 0


def test_the_shipped_gem_drafts_with_torch_as_without() -> None:
    with_drafts, without = (decoder_of(SHIPPED_GEM, drafts=drafts) for drafts in (True, False))
    for seed in (1, 2):
        ecg = simulate(np.random.default_rng(seed)).ecg
        context = build_prompt_context(ecg, None)
        request = GemRequest(ecg, measurements=context.measurements, descriptors=context.descriptors)
        ids = []
        for decoder in (with_drafts, without):
            token, _ = decoder.start(0, decoder.prompt(request).prompt)
            own = [token]
            while decoder.eos not in own and len(own) < 200:
                own += decoder.step(1)[0]
            ids.append(own[: own.index(decoder.eos)])
        assert ids[0] == ids[1]
    assert with_drafts.counts.tokens_a_step > 2.5


def test_many_sequences_run_without_drafts(gem_folder: Path) -> None:
    decoder = decoder_of(gem_folder)
    for slot in range(DRAFT_BATCH + 1):
        decoder.start(slot, decoder.prompt(ask(slot)).prompt)
    assert all(len(tokens) == 1 for tokens in decoder.step(DRAFT_BATCH + 1)) and not decoder.counts.drafted


class Slots:
    """A decoder that records what starts in which slot and what is moved; a sequence ends when the test says so."""

    slots, longest, eos, prefill = 3, 100, 2, 2
    card = ModelCard("slots", "sha256:0", "fp32", "cpu")

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.ends: set[int] = set()
        self.gate, self.stepped = threading.Semaphore(0), threading.Semaphore(0)
        self.fails: Exception | None = None

    def prompt(self, request: GemRequest) -> Prepared:
        return Prepared(request.question)

    def start(self, slot: int, prompt: str) -> tuple[int, int]:
        self.calls.append((slot, prompt))
        if self.fails is not None and prompt == "large":
            raise self.fails
        return 5, 10

    def start_many(self, slots: list[int], prompts: list[str]) -> list[tuple[int, int]]:
        if self.fails is not None and "large" in prompts:
            raise self.fails
        self.calls.append(tuple(zip(slots, prompts, strict=True)))
        return [(5, 10)] * len(slots)

    def step(self, active: int) -> list[list[int]]:
        self.stepped.release()
        assert self.gate.acquire(timeout=10)
        return [[self.eos if slot in self.ends else 6] for slot in range(active)]

    def move(self, source: int, target: int) -> None:
        self.calls.append(f"{source} to {target}")

    def text(self, ids: list[int]) -> str:
        return " ".join(map(str, ids))


def wait_for(decoder: Slots, calls: int) -> None:
    while len(decoder.calls) < calls:
        assert decoder.stepped.acquire(timeout=10)
        decoder.gate.release()


def test_a_free_slot_is_refilled_in_place_and_closed_only_where_nobody_waits() -> None:
    decoder = Slots()
    engine = GemEngine(decoder)
    first = engine.submit(GemRequest(noise_ecg(0), "a", deadline_s=60.0))
    wait_for(decoder, 1)
    others = [engine.submit(GemRequest(noise_ecg(0), q, deadline_s=60.0)) for q in "bc"]
    wait_for(decoder, 2)
    started = [pair for call in decoder.calls for pair in ([call] if isinstance(call[0], int) else call)]
    while len(started) < 3:  # b alone, where c had no prompt yet
        wait_for(decoder, len(decoder.calls) + 1)
        started = [pair for call in decoder.calls for pair in ([call] if isinstance(call[0], int) else call)]
    assert sorted(slot for slot, _ in started) == [0, 1, 2]
    waiting = engine.submit(GemRequest(noise_ecg(0), "d", deadline_s=60.0))
    before = len(decoder.calls)
    while not engine._ready():
        decoder.stepped.acquire(timeout=10)
        decoder.gate.release()
    decoder.ends = {0}
    wait_for(decoder, before + 1)
    decoder.ends = set()
    assert decoder.calls[-1] == (0, "d") and first.result(10).finish == "stop"
    assert not any(isinstance(call, str) for call in decoder.calls)
    decoder.ends = {0}
    wait_for(decoder, before + 2)
    assert decoder.calls[-1] == "2 to 0" and waiting.result(10).finish == "stop"
    decoder.ends = {0, 1}
    for ticket in others:
        decoder.gate.release()
        assert ticket.result(10).finish == "stop"
    decoder.gate.release(20)
    engine.close()


def test_of_prompts_prefilled_together_the_one_that_does_not_fit_fails_alone() -> None:
    decoder = Slots()
    decoder.fails = OutOfMemory("2 GiB wanted")
    engine = GemEngine(decoder)
    engine._take = lambda most, take=engine._take: [] if len(engine._waiting) < 2 else take(most)  # type: ignore[method-assign]
    large, small = (engine.submit(GemRequest(noise_ecg(0), q, deadline_s=60.0)) for q in ("large", "small"))
    decoder.ends = {0}
    decoder.gate.release(20)
    with pytest.raises(GemUnavailable, match="2 GiB wanted"):
        large.result(10)
    assert small.result(10).finish == "stop"
    engine.close()


def test_captured_features_are_those_of_the_towers(gem_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def replayed_as_called(run: Any) -> tuple[Any, torch.Tensor]:
        output = run()
        return type("Graph", (), {"replay": staticmethod(lambda: output.copy_(run()))}), output

    monkeypatch.setattr(captured_features, "captured", replayed_as_called)
    model = load_checkpoint(gem_folder).model
    features = CapturedFeatures(model, graphs=True)
    for n in (1, 2, 1):
        ecgs = torch.randn(n, 12, 5000, generator=torch.Generator().manual_seed(n)) * 0.3
        with torch.inference_mode():
            expected, found = model.feature_blocks(ecgs, None, None), features(ecgs, None, None)
        torch.testing.assert_close(torch.stack(found), torch.stack(expected))
    assert len(features.captured) == 2  # one a batch size


def test_a_product_in_8_bits_is_close_to_the_whole_one() -> None:
    torch.manual_seed(0)
    weight, x, residual = torch.randn(96, 64) * 0.05, torch.randn(5, 64), torch.randn(5, 96)
    x[2] *= 100.0  # each row has its own scale
    exact, rough = DenseProduct(weight)(x, residual), Fp8Product(weight)(x, residual)
    off = (exact - rough).norm(dim=1) / (exact - residual).norm(dim=1)
    assert off.max() < 0.06 and off.max() > 0.005
    values, scale = quantised(torch.zeros(2, 8))
    assert values.dtype == torch.float8_e4m3fn and not (values.float() * scale).any()


def test_fp8_is_taken_where_it_is_asked_for_and_gives_up_the_whole_weights(gem_folder: Path) -> None:
    assert choose_precision("fp8", torch.device("cuda"), gem_folder) == "fp8"
    decoder = TorchDecoder.load(gem_folder, "cpu", "fp8", slots=1)
    assert decoder.card.precision == "fp8" and decoder.dtype == torch.bfloat16
    assert not decoder.model.model.layers[0].self_attn.q_proj.weight.numel()
    token, _ = decoder.start(0, decoder.prompt(ask(0)).prompt)
    assert 0 <= token < decoder.model.config.vocab_size and decoder.step(1)


def test_compiled_layers_give_the_same_answers(gem_folder: Path) -> None:
    engines = [GemEngine(decoder_of(gem_folder, compiler=compiler)) for compiler in (None, "eager")]
    assert texts(engines[0], (20, 10)) == texts(engines[1], (20, 10))

"""GPU: captured decoding steps give the answers of the CPU, and the encoder gives its features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from models.encoder.configuration import COMPACT
from models.encoder.export import random_state, write_encoder
from models.encoder.session import CUDA, EncoderSession
from models.gem.decoding import DRAFTED, WINDOW, TorchDecoder
from models.gem.engine import GemEngine
from models.gem.request import GemRequest
from tests.models.gem.noise import noise_ecg

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
needs_ort_gpu = pytest.mark.skipif(CUDA not in onnxruntime.get_available_providers(), reason="onnxruntime has no CUDA")


def answers(engine: GemEngine) -> list[str]:
    tickets = [engine.submit(GemRequest(noise_ecg(k), max_new_tokens=12 + 7 * k, deadline_s=120)) for k in range(5)]
    texts = [ticket.result(120).text for ticket in tickets]
    engine.close()
    return texts


@needs_gpu
def test_captured_steps_give_the_answers_of_the_cpu(gem_folder: Path) -> None:
    on_cpu = answers(GemEngine.load(gem_folder, "cpu", runtime="torch", slots=5, threads=1))
    engine = GemEngine.load(gem_folder, "cuda", "fp32", slots=5)
    assert engine.card.device == "cuda"
    assert answers(engine) == on_cpu


@needs_gpu
def test_windows_can_be_captured_before_they_are_needed(gem_folder: Path) -> None:
    decoder = TorchDecoder.load(gem_folder, "cuda", slots=2)
    decoder.start(0, decoder.prompt(GemRequest(noise_ecg(1))).prompt)
    decoder.warm([1, 2], 2 * WINDOW)
    widths = (1, DRAFTED)
    assert sorted(decoder._captured) == [(b, w, n) for b in (1, 2) for w in (WINDOW, 2 * WINDOW) for n in widths]


@needs_gpu
def test_bf16_is_taken_where_it_is_asked_for(gem_folder: Path) -> None:
    decoder = TorchDecoder.load(gem_folder, "cuda", "bf16", slots=2)
    assert decoder.card.precision == "bf16" and decoder.dtype == torch.bfloat16


@needs_gpu
def test_a_small_model_stays_in_fp32_and_its_steps_are_captured(gem_folder: Path) -> None:
    decoder = TorchDecoder.load(gem_folder, "cuda", slots=2)
    assert decoder.card.precision == "fp32" and decoder.graphs
    token, length = decoder.start(0, decoder.prompt(GemRequest(noise_ecg(1))).prompt)
    assert 0 <= token < decoder.model.config.vocab_size and length > 101
    assert len(decoder.step(1)) == 1
    window = -(-(length + 1) // WINDOW) * WINDOW  # the prompt and the new token, rounded up
    assert list(decoder._captured) == [(1, window, 1)]  # a question without evidence has no likely texts to draft from


@needs_ort_gpu
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("fp16", 0.1)])
def test_features_on_cuda_are_those_of_the_cpu(tmp_path: Path, precision: str, tolerance: float) -> None:
    state = random_state(COMPACT, 1)
    write_encoder(tmp_path / "cpu", state, COMPACT, name="cpu", trained=False)
    write_encoder(tmp_path / "gpu", state, COMPACT, name="gpu", trained=False, precision=precision)
    windows = np.random.default_rng(0).normal(0, 0.5, (70, 12, 5000)).astype(np.float32)  # more than a batch
    on_gpu = EncoderSession.load(tmp_path / "gpu", "cuda")
    on_cpu = EncoderSession.load(tmp_path / "cpu", "cpu").encode(windows)
    assert on_gpu.provider == CUDA
    assert np.abs(on_gpu.encode(windows).tokens - on_cpu.tokens).max() <= tolerance
    assert np.abs(on_gpu.pooled(windows) - on_cpu.pooled).max() <= tolerance

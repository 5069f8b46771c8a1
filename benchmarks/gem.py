"""Speed of the encoder, the page renderer and GEM's decoding; writes ``benchmarks/gem.md``.

``python -m benchmarks.gem`` measures and prints; ``--write`` keeps the table. GPU rows are measured where there is a
GPU; the table says where there is none. Each figure is the best of several runs. On the CPU one thread runs and its own
busy time is taken, because other programs share the machine; ONNX Runtime and torch alternate.

The lower bound of a decoding step is memory traffic: it reads all weights of the language model once, and the keys and
values of each sequence once, at the bandwidth of the device's data sheet (memory clock × bus width).
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from models.ecg import Ecg
from models.encoder.configuration import COMPACT, PUBLISHED, TowerConfig
from models.encoder.export import random_state, write_encoder
from models.encoder.session import CUDA, EncoderSession
from models.encoder.tower import EcgTower
from models.gem.checkpoint import save_checkpoint
from models.gem.decoding import TorchDecoder
from models.gem.initialization import compact_config, published_config, random_gem, train_tokenizer
from models.gem.onnx_decoder import OnnxDecoder, OnnxPrompt
from models.gem.page import people_page, reference_page
from models.gem.processing import GemProcessor
from models.gem.request import ModelCard
from models.leads import STANDARD_12
from models.networks.onnx_runtime import onnx_runtime

BATCHES = (1, 8, 32)
NEW_TOKENS = 128
PROMPT = 748  # positions of ECG, page (centre crop) and question of the published model
COMPACT_PROMPT = 190  # of ECG and question of an ECG-only compact GEM
COMPACT_VOCABULARY = 2000
RUNS = 5
TABLE = Path(__file__).with_suffix(".md")


def best(call: Callable[[], object], runs: int = RUNS, clock: Callable[[], float] = time.perf_counter) -> float:
    """Shortest of several runs, seconds."""
    took = []
    for _ in range(runs):
        start = clock()
        call()
        took.append(clock() - start)
    return min(took)


def encoder_rows() -> list[str]:
    """Windows per second, ONNX Runtime and torch in turns."""
    rows = []
    torch.set_num_threads(1)
    for name, config, n in (("compact", COMPACT, 8), ("published", PUBLISHED, 4)):
        with tempfile.TemporaryDirectory() as folder:
            ort_s, torch_s, error = _cpu_encoder(config, Path(folder), n)
        rows.append(
            f"| {name}, {config.parameters / 1e6:.1f} M | CPU, 1 thread, fp32, batch {n} | {n / ort_s:.1f} | "
            f"{n / torch_s:.1f} | {torch_s / ort_s:.2f} | {error:.1e} |"
        )
        if CUDA in onnx_runtime().get_available_providers() and torch.cuda.is_available():
            rows.append(_gpu_encoder(name, config))
    return rows


def _cpu_encoder(config: TowerConfig, folder: Path, n: int) -> tuple[float, float, float]:
    state = random_state(config, 1)
    write_encoder(folder, state, config, name="benchmark", trained=False)
    session = EncoderSession.load(folder, "cpu", threads=1)
    tower = EcgTower(config).eval()
    tower.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
    windows = np.random.default_rng(0).normal(0, 0.5, (n, 12, 5000)).astype(np.float32)
    tensor = torch.from_numpy(windows)
    with torch.inference_mode():
        error = float(np.abs(session.encode(windows).tokens - tower(tensor).tokens.numpy()).max())
        pairs = [
            (
                best(lambda: session.encode(windows), 1, time.thread_time),
                best(lambda: tower(tensor), 1, time.thread_time),
            )
            for _ in range(2 * RUNS)
        ]
    return min(a for a, _ in pairs), min(b for _, b in pairs), error


def _gpu_encoder(name: str, config: TowerConfig) -> str:
    state = random_state(config, 1)
    n = 512
    windows = np.random.default_rng(0).normal(0, 0.5, (n, 12, 5000)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        write_encoder(Path(folder), state, config, name="benchmark", trained=False, precision="fp16")
        session = EncoderSession.load(Path(folder), "cuda")
        session.pooled(windows)
        ort_s = best(lambda: session.pooled(windows))
    tower = EcgTower(config).eval()
    tower.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
    tower = tower.half().cuda()

    def run_torch() -> None:
        for k in range(0, n, session.max_batch):
            tower(torch.from_numpy(windows[k : k + session.max_batch]).cuda()).pooled.cpu()

    with torch.inference_mode():
        run_torch()
        torch_s = best(run_torch)
    where = f"{torch.cuda.get_device_name()}, fp16, batch {session.max_batch}, with transfers"
    return (
        f"| {name}, {config.parameters / 1e6:.1f} M | {where} | {n / ort_s:.0f} | {n / torch_s:.0f} | "
        f"{torch_s / ort_s:.2f} | |"
    )


def page_rows() -> list[str]:
    """Rows of the page renderer."""
    rng = np.random.default_rng(0)
    beats = np.sin(np.linspace(0, 24 * np.pi, 5000)) ** 31
    ecg = Ecg(STANDARD_12, 500.0, (beats + rng.normal(0, 0.02, (12, 5000))).astype(np.float32))
    rows = []
    for name, draw in (("reference page, 2200 × 1700", reference_page), ("page for people, 3 × 4 + 1", people_page)):
        draw(ecg)
        rows.append(
            f"| {name} | {1000 * best(lambda d=draw: d(ecg), 20):.1f} | "  # type: ignore[misc]
            f"{1000 * best(lambda d=draw: d(ecg), 20, time.thread_time):.1f} |"
        )  # type: ignore[misc]
    return rows


def decoding_rows(decoder: TorchDecoder, prompt_length: int, name: str, bandwidth: float | None) -> list[str]:
    """Time to first token of one prompt, and tokens per second at each batch, for prompts of random embeddings."""
    hidden = decoder.model.config.hidden_size
    clock = time.thread_time if decoder.device.type == "cpu" else time.perf_counter
    weights = sum(p.numel() * p.element_size() for p in decoder.model.model.layers.parameters())
    weights += decoder.model.lm_head.weight.numel() * decoder.model.lm_head.weight.element_size()
    cache = (
        2
        * decoder.model.config.num_hidden_layers
        * decoder.model.config.num_key_value_heads
        * (decoder.model.config.head_dim * decoder.model.lm_head.weight.element_size())
    )
    rows = []
    for batch in BATCHES:
        first_s = [_prefill(decoder, slot, prompt_length, hidden, clock) for slot in range(batch)]
        decoder.warm((batch,), prompt_length + 3 + NEW_TOKENS)
        for _ in range(3):
            decoder.step(batch)
        start = clock()
        for _ in range(NEW_TOKENS):
            decoder.step(batch)
        step_s = (clock() - start) / NEW_TOKENS
        floor = (
            ""
            if bandwidth is None
            else (f"{100 * (weights + batch * cache * (prompt_length + NEW_TOKENS / 2)) / bandwidth / step_s:.0f} %")
        )
        rows.append(
            f"| {name} | {batch} | {1000 * min(first_s):.0f} | {batch / step_s:.0f} | {1000 * step_s:.2f} | {floor} |"
        )
    return rows


def _prefill(decoder: TorchDecoder, slot: int, length: int, hidden: int, clock: Callable[[], float]) -> float:
    embeds = torch.randn(1, length, hidden, device=decoder.device, dtype=decoder.dtype) * 0.02
    start = clock()
    decoder.start_with([slot], [embeds])
    return clock() - start


def compact_decoder() -> TorchDecoder:
    """The compact shape with random weights on the CPU."""
    model = random_gem(compact_config(COMPACT_VOCABULARY), seed=0)
    return _decoder(model, slots=max(BATCHES), longest=512)


def onnx_row() -> str:
    """The compact shape on ONNX Runtime, which runs one sequence after another."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        texts = [f"rhythm {k} with rate {k * 7} and interval {k * 13} ms in lead {k % 12}" for k in range(4000)]
        vocabulary = train_tokenizer(texts, place / "tokenizer.model", vocabulary=300).vocabulary
        model = random_gem(compact_config(max(vocabulary, COMPACT_VOCABULARY)), seed=0)
        save_checkpoint(place, model)
        decoder = OnnxDecoder.load(place, threads=1)
    prompt = np.random.default_rng(0).normal(0, 0.02, (1, COMPACT_PROMPT, model.config.hidden_size)).astype(np.float32)
    first_s = best(lambda: decoder.start(0, OnnxPrompt(prompt)), RUNS, time.thread_time)
    start = time.thread_time()
    for _ in range(NEW_TOKENS):
        decoder.step(1)
    step_s = (time.thread_time() - start) / NEW_TOKENS
    return (
        f"| compact, 4 × 256, ONNX Runtime, CPU 1 thread | 1 | {1000 * first_s:.0f} | {1 / step_s:.0f} | "
        f"{1000 * step_s:.2f} | |"
    )


def published_decoder() -> TorchDecoder:
    """The 7-B shape with random weights made on the GPU."""
    model = random_gem(published_config(), seed=0, device="cuda", dtype=torch.bfloat16)
    return _decoder(model, slots=max(BATCHES), longest=1024)


def _decoder(model: object, slots: int, longest: int) -> TorchDecoder:
    class NoText(GemProcessor):
        """Prompts are embeddings here; only the end token is used."""

        def __init__(self) -> None:
            self.tokenizer = type("Ids", (), {"eos": -1})()

    return TorchDecoder(model, NoText(), ModelCard("benchmark", "", "", "", False), slots=slots, longest=longest)  # type: ignore[arg-type]


def memory_bandwidth() -> float:
    """Bytes per second by the data sheet: memory clock × bus width, two transfers a clock."""
    device = torch.cuda.get_device_properties(0)
    return 2 * device.memory_clock_rate * 1e3 * device.memory_bus_width / 8


def table() -> str:
    """The whole table as Markdown."""
    torch.set_num_threads(1)
    with torch.inference_mode():
        encoder, pages = encoder_rows(), page_rows()
        decoding = decoding_rows(compact_decoder(), COMPACT_PROMPT, "compact, 4 × 256, torch, CPU 1 thread", None)
        decoding.append(onnx_row())
        gpu = torch.cuda.is_available()
        if gpu:
            decoding += decoding_rows(
                published_decoder(), PROMPT, f"7 B, {torch.cuda.get_device_name()}, bf16", memory_bandwidth()
            )
    missing = (
        ""
        if gpu
        else (
            "\n**No GPU was available for this table.** The 7-B shape, the encoder on CUDA and the share of the\n"
            "memory-bandwidth floor were not measured; run `python -m benchmarks.gem --write` on a machine with one.\n"
        )
    )
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return f"""# Encoder, page and GEM: speed

`python -m benchmarks.gem --write`, {today}; {platform.machine()}, {os.cpu_count()} cores, load
{os.getloadavg()[0]:.1f} while measuring (other programs ran); torch {torch.__version__},
ONNX Runtime {onnx_runtime().__version__}. Best of several runs. Times on the CPU are those that one core
was busy, so that the other programs do not count.
{missing}
## ECG-CoCa, windows of 12 × 5000 per second

| tower | where | ONNX Runtime | torch | ratio | largest difference of features |
|---|---|---|---|---|---|
{chr(10).join(encoder)}

## Drawing a page

| page | wall, ms | CPU, ms |
|---|---|---|
{chr(10).join(pages)}

## Decoding

Prompts of {COMPACT_PROMPT} (compact) and {PROMPT} (7 B) positions, {NEW_TOKENS} new tokens a sequence, random weights.

| model | batch | first token of one prompt, ms | tokens/s | step, ms | of the bandwidth floor |
|---|---|---|---|---|---|
{chr(10).join(decoding)}
"""


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gem")
    parser.add_argument("--write", action="store_true", help=f"keep the table in {TABLE.name}")
    options = parser.parse_args()
    text = table()
    print(text)
    if options.write:
        TABLE.write_text(text)


if __name__ == "__main__":
    main()

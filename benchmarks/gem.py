"""Speed of the encoder, the page renderer and GEM's decoding; writes ``benchmarks/gem.md``.

``python -m benchmarks.gem`` measures and prints; ``--write`` keeps the table; ``--parts`` names what is measured. GPU
rows are measured where there is a GPU (some ten minutes); the table says where there is none. Each figure is the best
of several runs. On the CPU one thread runs and its own busy time is taken, because other programs share the machine;
ONNX Runtime and torch alternate.

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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.ecg import Ecg
from models.encoder.configuration import COMPACT, PUBLISHED, TowerConfig
from models.encoder.export import random_state, write_encoder
from models.encoder.session import CUDA, EncoderSession
from models.encoder.tower import EcgTower
from models.gem.checkpoint import save_checkpoint
from models.gem.decoding import PREFILL, TorchDecoder
from models.gem.engine import GemEngine
from models.gem.initialization import compact_config, published_config, random_gem, train_tokenizer
from models.gem.measuring_session import SHIPPED_GEM
from models.gem.onnx_decoder import OnnxDecoder, OnnxPrompt
from models.gem.page import people_page, reference_page
from models.gem.processing import GemProcessor
from models.gem.prompt_context import build_prompt_context
from models.gem.request import GemAnswer, GemRequest, ModelCard, Prepared
from models.gem.special_tokens import IMAGE_TOKEN
from models.leads import STANDARD_12
from models.networks.onnx_runtime import onnx_runtime
from models.training.simulate import simulate

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


class NoText(GemProcessor):
    """Prompts are tensors here; only the end token is used."""

    def __init__(self) -> None:
        self.tokenizer = type("Ids", (), {"eos": -1})()


CARD = ModelCard("benchmark", "", "", "", False)


def _decoder(model: object, slots: int, longest: int, **options: Any) -> TorchDecoder:
    return TorchDecoder(model, NoText(), CARD, slots=slots, longest=longest, **options)  # type: ignore[arg-type]


GPU_KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("bf16", {}),
    ("bf16, layers compiled", {"compiler": "inductor"}),
    ("fp8", {"fp8": True}),
    ("fp8, layers compiled", {"fp8": True, "compiler": "inductor"}),
)
"""How the layers of the 7-B shape run; each with a fresh model, as fp8 gives up the weights."""


def gpu_decoding_rows() -> list[str]:
    """Steps of the 7-B shape in every kind."""
    rows = []
    for kind, options in GPU_KINDS:
        model = random_gem(published_config(), seed=0, device="cuda", dtype=torch.bfloat16)
        decoder = _decoder(model, slots=max(BATCHES), longest=1024, **options)
        name = f"7 B, {torch.cuda.get_device_name()}, {kind}"
        rows += decoding_rows(decoder, PROMPT, name, memory_bandwidth())
        del model, decoder
        torch.cuda.empty_cache()
    return rows


class WholePrompts(TorchDecoder):
    """A decoder whose prompts are random: text, an ECG and where the model has a vision tower a page."""

    def prompt(self, request: GemRequest) -> Prepared:
        """A prompt of the length of the grounded question."""
        config = self.model.config
        ids = [*range(3, 38), IMAGE_TOKEN, *range(3, 38)]
        inputs: dict[str, Any] = {"input_ids": torch.tensor([ids])}
        inputs["ecgs"] = torch.randn(1, config.tower.leads, config.tower.samples)
        if config.vision is not None:
            side = int(config.vision.image_size)
            inputs["pages"] = torch.randn(1, 3, side, side)
        return Prepared(inputs)

    def text(self, ids: list[int]) -> str:
        """No text."""
        return ""


def engine_row(model: object, name: str, *, answers: int, tokens: int, slots: int, **options: Any) -> str:
    """Answers of a fixed length through the engine: prompts, towers, prefill, steps, slots that are filled again."""
    decoder = WholePrompts(model, NoText(), CARD, slots=slots, longest=1536, **options)  # type: ignore[arg-type]
    decoder.warm([b for b in BATCHES_WARMED if b <= slots], PROMPT + tokens)
    engine = GemEngine(decoder, queue_limit=answers)
    ecg = Ecg(("II",), 500.0, np.zeros((1, 5000), np.float32))

    def run(count: int) -> list[GemAnswer]:
        tickets = [engine.submit(GemRequest(ecg, max_new_tokens=tokens, deadline_s=600.0)) for _ in range(count)]
        return [ticket.result(600.0) for ticket in tickets]

    run(min(answers, 2 * decoder.prefill))  # towers and first prefills are captured
    start = time.perf_counter()
    given = run(answers)
    wall = time.perf_counter() - start
    engine.close()
    first = sorted(answer.first_token_s for answer in given)[0]
    total = sum(answer.tokens for answer in given)
    return f"| {name} | {slots} | {decoder.prefill} | {answers} | {total / wall:.0f} | {1000 * first:.0f} |"


BATCHES_WARMED = (1, 2, 4, 8, 16, 32)


def engine_rows() -> list[str]:
    """The engine with the compact shape on the CPU, and with the 7-B shape where there is a GPU."""
    compact = random_gem(compact_config(COMPACT_VOCABULARY), seed=0)
    rows = [engine_row(compact, "compact, torch, CPU 1 thread", answers=8, tokens=40, slots=4)]
    if torch.cuda.is_available():
        for prefill in (1, PREFILL):
            model = random_gem(published_config(), seed=0, device="cuda", dtype=torch.bfloat16)
            name = f"7 B, {torch.cuda.get_device_name()}, bf16, layers compiled"
            rows.append(engine_row(model, name, answers=96, tokens=300, slots=32, prefill=prefill, compiler="inductor"))
            del model
            torch.cuda.empty_cache()
    return rows


def draft_rows() -> list[str]:
    """The shipped compact GEM with and without drafts, in turns, on simulated ECGs: the same ids are asked for."""
    decoders = {drafts: OnnxDecoder.load(SHIPPED_GEM, threads=1, drafts=drafts) for drafts in (False, True)}
    seconds, answers = dict.fromkeys(decoders, 0.0), []
    for seed in range(DRAFTED_ECGS):
        ecg = simulate(np.random.default_rng(seed)).ecg
        context = build_prompt_context(ecg, None)
        request = GemRequest(ecg, measurements=context.measurements, descriptors=context.descriptors)
        ids = []
        for drafts, decoder in decoders.items():
            prompt = decoder.prompt(request).prompt
            if prompt is None:
                break
            start = time.thread_time()
            ids.append(_greedy(decoder, prompt))
            seconds[drafts] += time.thread_time() - start
        if len(ids) == len(decoders):
            answers.append(ids[0] == ids[1])
    counts = decoders[True].counts
    same = f"{sum(answers)} of {len(answers)}"
    return [
        f"| compact GEM, ONNX Runtime, CPU 1 thread | {same} | {100 * counts.acceptance:.0f} % | "
        f"{counts.tokens_a_step:.1f} | {seconds[False] / seconds[True]:.2f} |"
    ]


DRAFTED_ECGS = 24


def _greedy(decoder: OnnxDecoder, prompt: OnnxPrompt) -> list[int]:
    token, _ = decoder.start(0, prompt)
    ids = [token]
    while decoder.eos not in ids and len(ids) < 2 * NEW_TOKENS:
        ids += decoder.step(1)[0]
    return ids[: ids.index(decoder.eos)] if decoder.eos in ids else ids[: 2 * NEW_TOKENS]


def memory_bandwidth() -> float:
    """Bytes per second by the data sheet: memory clock × bus width, two transfers a clock."""
    device = torch.cuda.get_device_properties(0)
    return 2 * device.memory_clock_rate * 1e3 * device.memory_bus_width / 8


PARTS = ("encoder", "pages", "decoding", "engine", "drafts")
NOT_ASKED = "| not asked for |"


def table(parts: Sequence[str] = PARTS) -> str:
    """The table of the parts asked for as Markdown."""
    torch.set_num_threads(1)
    gpu = torch.cuda.is_available()
    with torch.inference_mode():
        encoder = encoder_rows() if "encoder" in parts else [NOT_ASKED]
        pages = page_rows() if "pages" in parts else [NOT_ASKED]
        decoding = [NOT_ASKED]
        if "decoding" in parts:
            decoding = decoding_rows(compact_decoder(), COMPACT_PROMPT, "compact, 4 × 256, torch, CPU 1 thread", None)
            decoding.append(onnx_row())
            decoding += gpu_decoding_rows() if gpu else []
        engine = engine_rows() if "engine" in parts else [NOT_ASKED]
        drafts = draft_rows() if "drafts" in parts else [NOT_ASKED]
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

## Engine, end to end

Answers of a fixed length, all asked for at once; towers and prefill are in the time.

| model | slots | prompts prefilled together | answers | tokens/s | first token of the first answer, ms |
|---|---|---|---|---|---|
{chr(10).join(engine)}

## Drafts

| model | answers that are the same | drafted tokens accepted | tokens a step | CPU time, without to with |
|---|---|---|---|---|
{chr(10).join(drafts)}
"""


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gem")
    parser.add_argument("--write", action="store_true", help=f"keep the table in {TABLE.name}")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    if options.write and set(options.parts) != set(PARTS):
        parser.error("--write keeps whole tables: leave --parts out")
    text = table(options.parts)
    print(text)
    if options.write:
        TABLE.write_text(text)


if __name__ == "__main__":
    main()

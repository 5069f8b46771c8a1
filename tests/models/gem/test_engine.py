"""The engine: answers do not depend on the batch, urgency and age order the queue, every failure is reported."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from models.ecg import Ecg
from models.gem.checkpoint import load_checkpoint
from models.gem.decoding import DRAFTED, WINDOW, TorchDecoder, choose_precision
from models.gem.engine import GemEngine, GemTicket
from models.gem.errors import DeviceLost, GemUnavailable, OutOfMemory
from models.gem.onnx_decoder import OnnxDecoder
from models.gem.processing import GemProcessor
from models.gem.request import GemRequest, ModelCard, Prepared
from tests.models.gem.noise import noise_ecg

QUESTIONS = ["What is the rhythm?", "Is there ST elevation in lead V2 or V1?", "Name the axis."]


@pytest.fixture(scope="module", params=["torch", "onnx"])
def engine(gem_folder: Path, request: pytest.FixtureRequest) -> Iterator[GemEngine]:
    made = GemEngine.load(gem_folder, "cpu", runtime=request.param, slots=8, threads=1)
    yield made
    made.close()


def ask(seed: int, **fields: Any) -> GemRequest:
    defaults: dict[str, Any] = {"question": QUESTIONS[seed % 3], "max_new_tokens": 40, "deadline_s": 60.0}
    return GemRequest(noise_ecg(seed), **(defaults | fields))


def test_eight_at_once_say_what_each_says_alone(engine: GemEngine) -> None:
    alone = [engine.submit(ask(k)).result(60) for k in range(8)]
    together = [ticket.result(60) for ticket in [engine.submit(ask(k)) for k in range(8)]]
    assert [a.text for a in together] == [a.text for a in alone]
    assert len({a.text for a in alone}) > 4  # the answers do differ from ECG to ECG


def test_the_answer_is_that_of_greedy_generate(engine: GemEngine, gem_folder: Path) -> None:
    model = load_checkpoint(gem_folder)
    processor = GemProcessor.load(gem_folder, model.config)
    for k in range(3):
        batch = processor([noise_ecg(k)], [QUESTIONS[k]])
        ids = model.generate(**batch, max_new_tokens=40, do_sample=False)[0].tolist()
        ids = ids[: ids.index(2)] if 2 in ids else ids
        assert engine.submit(ask(k)).result(60).text == processor.tokenizer.decode(ids).strip()


def test_requests_of_different_lengths_leave_without_disturbing_the_others(engine: GemEngine) -> None:
    alone = {n: engine.submit(ask(1, max_new_tokens=n)).result(60).text for n in (5, 17, 40)}
    tickets = [(n, engine.submit(ask(1, max_new_tokens=n))) for n in (5, 40, 17, 5, 40)]
    assert all(ticket.result(60).text == alone[n] for n, ticket in tickets)


def test_text_streams_in_pieces_that_make_the_answer(engine: GemEngine) -> None:
    pieces: list[str] = []
    answer = engine.submit(ask(0, on_text=pieces.append)).result(60)
    assert len(pieces) > 5 and "".join(pieces).strip() == answer.text


def test_a_token_limit_cuts_the_answer_and_says_so(engine: GemEngine) -> None:
    answer = engine.submit(ask(0, max_new_tokens=7)).result(60)
    assert (answer.tokens, answer.finish) == (7, "length")
    assert 0 < answer.first_token_s <= answer.seconds


def test_a_deadline_in_the_middle_cuts_the_answer_and_says_so(engine: GemEngine) -> None:
    slow_reader = {"on_text": lambda _: time.sleep(0.02)}  # 800 tokens take 16 s at least
    answer = engine.submit(ask(0, max_new_tokens=800, deadline_s=1.0, **slow_reader)).result(60)
    assert answer.finish == "deadline" and 0 < answer.tokens < 800 and 1.0 <= answer.seconds < 10


def test_a_cancelled_request_ends_at_once(engine: GemEngine) -> None:
    ticket = engine.submit(ask(0, max_new_tokens=900))
    ticket.cancel()
    with pytest.raises(GemUnavailable, match="cancelled"):
        ticket.result(10)


def test_cancelling_the_caller_cancels_the_request(engine: GemEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    tickets: list[GemTicket] = []
    submit = engine.submit

    def recorded(request: GemRequest) -> GemTicket:
        tickets.append(submit(request))
        return tickets[-1]

    monkeypatch.setattr(engine, "submit", recorded)

    async def cancelled_after_the_first_words() -> None:
        begun = threading.Event()
        task = asyncio.create_task(engine.answer(ask(0, max_new_tokens=900, on_text=lambda _: begun.set())))
        assert await asyncio.to_thread(begun.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled_after_the_first_words())
    (ticket,) = tickets
    with pytest.raises(GemUnavailable, match="cancelled"):
        ticket.result(60)
    assert engine.submit(ask(1, max_new_tokens=3)).result(60).tokens == 3


def test_one_lead_is_asked_about_with_the_others_absent(engine: GemEngine) -> None:
    twelve = noise_ecg(5)
    answer = engine.submit(GemRequest(twelve.select(["II"]), max_new_tokens=5)).result(60)
    assert answer.tokens > 0


def test_a_prompt_longer_than_a_slot_is_refused_with_both_numbers(gem_folder: Path) -> None:
    small = GemEngine.load(gem_folder, "cpu", slots=1, longest=120, threads=1)
    with pytest.raises(GemUnavailable, match=r"the prompt has \d+ positions, a slot holds 120"):
        small.submit(ask(0)).result(30)
    small.close()


class Scripted:
    """A decoder whose steps a test lets happen one by one, or makes fail."""

    longest, eos, prefill = 100, 2, 1
    card = ModelCard("scripted", "sha256:0", "fp32", "cpu")

    def __init__(self, slots: int = 1) -> None:
        self.slots = slots
        self.started: list[str] = []
        self.gate = threading.Semaphore(0)
        self.fails: Exception | None = None

    def prompt(self, request: GemRequest) -> Prepared:
        return Prepared(request.question)

    def start(self, slot: int, prompt: str) -> tuple[int, int]:
        self.started.append(prompt)
        if self.fails:
            raise self.fails
        return 5, 10

    def step(self, active: int) -> list[list[int]]:
        assert self.gate.acquire(timeout=10)
        if self.fails:
            raise self.fails
        return [[self.eos]] * active

    def move(self, source: int, target: int) -> None: ...

    def text(self, ids: list[int]) -> str:
        return " ".join(map(str, ids))


ONE_LEAD = Ecg(("II",), 250.0, noise_ecg(0).mv[:1, :500])


def waiting_engine(queue_limit: int = 8) -> tuple[GemEngine, Scripted]:
    """An engine whose only slot is taken, so that what is submitted next waits."""
    decoder = Scripted()
    engine = GemEngine(decoder, queue_limit=queue_limit)
    engine.submit(GemRequest(ONE_LEAD, "first"))
    while decoder.started != ["first"]:
        time.sleep(0.005)
    return engine, decoder


def test_the_most_urgent_goes_first_and_of_equals_the_newest() -> None:
    engine, decoder = waiting_engine()
    tickets = [engine.submit(GemRequest(ONE_LEAD, q, urgency=u)) for q, u in (("old", 0), ("lethal", 2), ("new", 0))]
    for _ in range(4):
        decoder.gate.release()
    for ticket in tickets:
        ticket.result(10)
    engine.close()
    assert decoder.started == ["first", "lethal", "new", "old"]


def test_in_a_full_queue_the_least_urgent_and_oldest_gives_way() -> None:
    engine, decoder = waiting_engine(queue_limit=2)
    wards = (("old", 0), ("lethal", 2), ("new", 0))
    old, lethal, new = (engine.submit(GemRequest(ONE_LEAD, q, urgency=u)) for q, u in wards)
    with pytest.raises(GemUnavailable, match="gave way in a queue of 2") as why:
        old.result(1)
    assert not why.value.lasting
    for _ in range(3):
        decoder.gate.release()
    assert lethal.result(10).finish == new.result(10).finish == "stop"
    engine.close()


def test_a_request_whose_time_ran_out_in_the_queue_is_not_started() -> None:
    engine, decoder = waiting_engine()
    late = engine.submit(GemRequest(ONE_LEAD, "late", deadline_s=0.05))
    time.sleep(0.1)
    decoder.gate.release()
    with pytest.raises(GemUnavailable, match=r"waited 0\.\d s of 0\.05 s in the queue"):
        late.result(10)
    engine.close()
    assert "late" not in decoder.started


def test_out_of_memory_fails_the_request_and_the_engine_goes_on() -> None:
    decoder = Scripted()
    decoder.fails = OutOfMemory("2 GiB wanted, 1 GiB free")
    engine = GemEngine(decoder)
    with pytest.raises(GemUnavailable, match="out of memory: 2 GiB wanted") as why:
        engine.submit(GemRequest(ONE_LEAD)).result(10)
    assert not why.value.lasting and engine.available
    decoder.fails = None
    decoder.gate.release()
    assert engine.submit(GemRequest(ONE_LEAD)).result(10).finish == "stop"
    engine.close()


@pytest.mark.parametrize("error", [DeviceLost("CUDA error: device-side assert"), RuntimeError("a defect")])
def test_a_lost_device_fails_everyone_and_whoever_comes_after(error: Exception) -> None:
    engine, decoder = waiting_engine()
    waiting = engine.submit(GemRequest(ONE_LEAD, "waiting"))
    decoder.fails = error
    decoder.gate.release()
    with pytest.raises(GemUnavailable, match=str(error)) as why:
        waiting.result(10)
    assert why.value.lasting and not engine.available
    with pytest.raises(GemUnavailable, match=str(error)):
        engine.submit(GemRequest(ONE_LEAD))


def test_a_segment_that_cannot_be_made_a_prompt_fails_alone(engine: GemEngine) -> None:
    with pytest.raises(GemUnavailable, match="GEM cannot be asked about this segment"):
        engine.submit(GemRequest(None)).result(10)  # type: ignore[arg-type]  # what a defect upstream could hand over
    assert engine.submit(ask(1, max_new_tokens=3)).result(60).tokens == 3


class CapturedAsCalls(TorchDecoder):
    """Steps are captured as plain calls, as no GPU is there: the choice of batch and window is the real one."""

    def _capture(self, batch: int, window: int, width: int) -> Any:
        return SimpleNamespace(replay=lambda: self._decode(batch, window, width))


def test_slots_that_ride_along_in_a_captured_batch_change_no_answer(gem_folder: Path, engine: GemEngine) -> None:
    plain = TorchDecoder.load(gem_folder, "cpu", slots=5, threads=1)
    decoder = CapturedAsCalls(plain.model, plain.processor, plain.card, slots=5, longest=plain.longest, graphs=True)
    captured = GemEngine(decoder)
    limits = (9, 40, 17, 33, 25)  # they leave one by one: batches of 5, 4, 3, 2 and 1 run as 5, 4, 4, 2 and 1
    tickets = [captured.submit(ask(k, max_new_tokens=n)) for k, n in enumerate(limits)]
    answers = [ticket.result(60).text for ticket in tickets]
    captured.close()
    assert answers == [engine.submit(ask(k, max_new_tokens=n)).result(60).text for k, n in enumerate(limits)]
    assert {batch for batch, *_ in decoder._captured} >= {1, 2, 4}


def test_a_warmed_decoder_captures_nothing_later(gem_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = TorchDecoder.load(gem_folder, "cpu", slots=2, threads=1)
    decoder = CapturedAsCalls(plain.model, plain.processor, plain.card, slots=2, longest=600, graphs=True)
    decoder.warm((1, 2), positions=plain.longest)
    assert sorted(decoder._captured) == [
        (b, w, n) for b in (1, 2) for w in (WINDOW, 2 * WINDOW, 600) for n in (1, DRAFTED)
    ]
    monkeypatch.delattr(CapturedAsCalls, "_capture")  # torch's own would fail here: there is no GPU
    _, length = decoder.start(0, decoder.prompt(ask(0)).prompt)
    before = -(-(length + 1) // WINDOW)
    while -(-(decoder._host_lengths[0] + 1) // WINDOW) == before:  # into the next window
        decoder.step(1)
    assert len(decoder.step(1)) == 1


@pytest.mark.parametrize(
    ("device", "weights", "precision"),
    [("cuda", 2_000_000, "fp32"), ("cuda", 7_000_000_000, "bf16"), ("cpu", 7_000_000_000, "fp32")],
)
def test_a_small_model_stays_in_fp32_on_a_gpu(tmp_path: Path, device: str, weights: int, precision: str) -> None:
    """The device is a name and the weights are a file's header alone: neither the GPU nor 7 B weights are needed."""
    header = json.dumps({"w": {"dtype": "F16", "shape": [1000, weights // 1000], "data_offsets": [0, 2 * weights]}})
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header.encode())
        file.truncate(8 + len(header) + 2 * weights)  # sparse
    place = torch.device(device)
    assert choose_precision("auto", place, tmp_path) == precision
    assert choose_precision("bf16", place, tmp_path) == "bf16"
    with pytest.raises(ValueError, match="'int8' is not one of auto, fp32, bf16, fp16"):
        choose_precision("int8", place, tmp_path)


def test_closing_tells_those_who_wait() -> None:
    engine, decoder = waiting_engine()
    waiting = engine.submit(GemRequest(ONE_LEAD, "waiting"))
    decoder.gate.release()
    engine.close()
    with pytest.raises(GemUnavailable, match="closed"):
        waiting.result(10)


def test_a_folder_without_a_model_is_a_lasting_reason(tmp_path: Path) -> None:
    with pytest.raises(GemUnavailable, match=r"GEM could not be loaded: .* holds no \.safetensors file") as why:
        GemEngine.load(tmp_path, "cpu")
    assert why.value.lasting


def test_the_card_names_weights_precision_and_device_whatever_the_runtime(gem_folder: Path) -> None:
    cards = [TorchDecoder.load(gem_folder, "cpu", threads=1).card, OnnxDecoder.load(gem_folder, threads=1).card]
    assert cards[0] == cards[1]
    assert (cards[0].precision, cards[0].device, cards[0].trained) == ("fp32", "cpu", False)
    assert cards[0].weights.startswith("sha256:")


def test_a_compact_gem_answers_without_torch(gem_folder: Path, engine: GemEngine) -> None:
    code = (
        "import sys\nclass Hidden:\n    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'transformers'):\n            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
        "from tests.models.gem.noise import noise_ecg\nfrom models.gem.engine import GemEngine\n"
        "from models.gem.request import GemRequest\n"
        "engine = GemEngine.load(sys.argv[1], 'cpu', threads=1)\n"
        "print(engine.submit(GemRequest(noise_ecg(4), max_new_tokens=20, deadline_s=60)).result().text)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(gem_folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    asked = GemRequest(noise_ecg(4), max_new_tokens=20, deadline_s=60.0)
    assert done.stdout.rstrip("\n") == engine.submit(asked).result(60).text


def test_half_precision_answers_too_and_is_named(gem_folder: Path) -> None:
    half = GemEngine.load(gem_folder, "cpu", "bf16", threads=1)
    assert half.card.precision == "bf16"
    assert half.submit(ask(2, max_new_tokens=8)).result(60).tokens > 0
    half.close()


def test_a_gem_that_reads_pages_needs_torch_and_says_so(gem_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(gem_folder, tmp_path / "gem"))
    document = json.loads((folder / "config.json").read_text()) | {"vision_config": {"hidden_size": 32}}
    (folder / "config.json").write_text(json.dumps(document))
    with pytest.raises(GemUnavailable, match="only a GEM without a vision tower"):
        GemEngine.load(folder, "cpu", runtime="onnx")

"""Answers of a GEM to the questions of a conversation file: several processes, resumable after a kill.

In: conversations, their data folder, a checkpoint folder. Out: a JSON Lines file, one `Answer` a line, in the order in
which they were given. A run that was killed goes on where it stopped: a torn last line is dropped, and answered ids
are not asked again (the reference's own script opens the file anew and loses them). Beside the file lies
``<name>.run.json`` with the digest of the weights and the settings; answers of another model or setting are an error.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.corpus.conversation_files import Conversation
from models.corpus.published_layout import MissingFileError, PublishedLayout, blank_ecg
from models.ecg import Ecg
from models.gem.special_tokens import IMAGE_MARK

MAX_NEW_TOKENS = 1024  # of the reference's evaluation
CHUNK = 16  # questions that a process takes at a time: enough to fill the slots of an engine
ANSWER_S = 3600.0  # an evaluation has no deadline; without a bound a hung device would block it for good
ABLATIONS = ("none", "zero", "noise", "swapped", "blank page")
"""What is put in place of a record's input: nothing, a flat ECG, Gaussian noise, the ECG (and page) of the next
record, or a white page."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes
    ----------
    id : str
    text : str
    tokens : int
    finish : str
        ``stop``, ``length``, or ``error: …`` with an empty text.
    seconds : float
    """

    id: str
    text: str
    tokens: int
    finish: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationSettings:
    """Settings of a run; part of its identity.

    Attributes
    ----------
    model : Path
        Checkpoint folder.
    device, dtype : str
        As of ``GemEngine.load``.
    max_new_tokens : int
    evidence : bool
        Give measurements and encoder findings in the prompt, to models trained so.
    ablation : str
        One of `ABLATIONS`.
    """

    model: Path
    device: str = "auto"
    dtype: str = "auto"
    max_new_tokens: int = MAX_NEW_TOKENS
    evidence: bool = False
    ablation: str = "none"

    def __post_init__(self) -> None:
        if self.ablation not in ABLATIONS:
            raise ValueError(f"ablation {self.ablation!r} is not one of {', '.join(ABLATIONS)}")


class AnswersOfAnotherRunError(ValueError):
    """The answers file belongs to another model or other settings."""


def generate(
    conversations: Sequence[Conversation],
    layout: PublishedLayout,
    settings: GenerationSettings,
    out: Path,
    *,
    processes: int = 1,
    progress: Any = None,
) -> dict[str, Answer]:
    """Ask every question that ``out`` holds no answer to; returns all answers by id.

    Parameters
    ----------
    processes : int
        Each loads the model; on CUDA they share the devices in turn.
    progress : callable or None
        Called with the number of answers so far.

    Raises
    ------
    AnswersOfAnotherRunError
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    _check_run(out, settings)
    answers = read_answers(out)
    open_ones = [k for k, c in enumerate(conversations) if c.id not in answers]
    chunks = [open_ones[k : k + CHUNK] for k in range(0, len(open_ones), CHUNK)]
    with out.open("a", encoding="utf-8") as file:
        for given in _answered(conversations, layout, settings, chunks, processes):
            for answer in given:
                answers[answer.id] = answer
                file.write(json.dumps(asdict(answer), ensure_ascii=False) + "\n")
            file.flush()
            if progress is not None:
                progress(len(answers))
    return {c.id: answers[c.id] for c in conversations}


def read_answers(path: Path) -> dict[str, Answer]:
    """Answers of a file by id; a torn last line is cut off the file."""
    return {row["id"]: Answer(**row) for row in whole_lines(path)}


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """Objects of a JSON Lines file; a last line that a kill has torn is cut off the file."""
    if not path.exists():
        return []
    whole = path.read_bytes()
    end = whole.rfind(b"\n") + 1
    if end < len(whole):
        with path.open("r+b") as file:
            file.truncate(end)
    return [json.loads(line) for line in whole[:end].decode().splitlines()]


def ablated(ecg: Ecg, other: Ecg, ablation: str, seed: int) -> Ecg:
    """The ECG that is given in place of ``ecg``; ``other`` is the next record's."""
    if ablation == "zero":
        return Ecg(ecg.leads, ecg.fs_hz, np.zeros_like(ecg.mv), sex=ecg.sex, age_years=ecg.age_years)
    if ablation == "noise":
        noise = np.random.default_rng(seed).normal(0.0, 0.2, ecg.mv.shape).astype(np.float32)
        return Ecg(ecg.leads, ecg.fs_hz, noise, sex=ecg.sex, age_years=ecg.age_years)
    return other if ablation == "swapped" else ecg


def _check_run(out: Path, settings: GenerationSettings) -> None:
    from models.encoder.weights_digest import checked_digest

    identity = {
        "weights": checked_digest(settings.model),
        "max_new_tokens": settings.max_new_tokens,
        "evidence": settings.evidence,
        "ablation": settings.ablation,
        "dtype": settings.dtype,
    }
    path = out.with_suffix(".run.json")
    if path.exists():
        before = json.loads(path.read_text())
        differing = [key for key, value in identity.items() if before.get(key) != value]
        if differing and out.exists() and out.stat().st_size:
            raise AnswersOfAnotherRunError(
                f"{out} holds answers of another run ({', '.join(differing)} differ): choose another file, or remove it"
            )
    path.write_text(json.dumps(identity) + "\n")


def _answered(
    conversations: Sequence[Conversation],
    layout: PublishedLayout,
    settings: GenerationSettings,
    chunks: Sequence[Sequence[int]],
    processes: int,
) -> Iterator[list[Answer]]:
    if not chunks:
        return
    if processes <= 1:
        asker = _Asker(conversations, layout, settings, settings.device)
        try:
            yield from (asker(chunk) for chunk in chunks)
        finally:
            asker.close()
        return
    context = multiprocessing.get_context("spawn")  # CUDA and ONNX Runtime do not survive a fork
    numbers = context.Queue()
    for number in range(processes):
        numbers.put(number)
    with context.Pool(processes, _start, (conversations, layout, settings, numbers)) as pool:
        yield from pool.imap_unordered(_ask, chunks)


_asker: _Asker | None = None  # of a child process


def _start(
    conversations: Sequence[Conversation], layout: PublishedLayout, settings: GenerationSettings, numbers: Any
) -> None:
    global _asker
    _asker = _Asker(conversations, layout, settings, _device_of(settings.device, numbers.get()))


def _ask(chunk: Sequence[int]) -> list[Answer]:
    assert _asker is not None
    return _asker(chunk)


def _device_of(device: str, number: int) -> str:
    """The device of one process: the visible GPUs in turn."""
    if device != "cuda":
        return device
    import torch

    return f"cuda:{number % max(1, torch.cuda.device_count())}"


class _Asker:
    """A loaded model that answers chunks of questions."""

    def __init__(
        self, conversations: Sequence[Conversation], layout: PublishedLayout, settings: GenerationSettings, device: str
    ) -> None:
        from models.gem.engine import GemEngine

        self._conversations, self._layout, self._settings = conversations, layout, settings
        threads = 1 if device == "cpu" else None
        self._engine = GemEngine.load(settings.model, device, settings.dtype, threads=threads, queue_limit=4 * CHUNK)
        self._predictor = None
        if settings.evidence:
            from models.gem.prompt_context import FindingPredictor

            self._predictor = FindingPredictor.load()

    def close(self) -> None:
        self._engine.close()

    def __call__(self, chunk: Sequence[int]) -> list[Answer]:
        tickets: list[tuple[int, Any]] = []
        for k in chunk:
            try:
                tickets.append((k, self._engine.submit(self._request(k))))
            except (MissingFileError, ValueError, OSError) as error:
                tickets.append((k, error))
        return [self._answer(k, ticket) for k, ticket in tickets]

    def _answer(self, k: int, ticket: Any) -> Answer:
        from models.gem.errors import GemUnavailable

        name = self._conversations[k].id
        if isinstance(ticket, Exception):
            return Answer(name, "", 0, f"error: {ticket}", 0.0)
        try:
            answer = ticket.result()
        except GemUnavailable as error:
            return Answer(name, "", 0, f"error: {error}", 0.0)
        return Answer(name, answer.text, answer.tokens, answer.finish, round(answer.seconds, 3))

    def _request(self, k: int) -> Any:
        from models.gem.request import GemRequest

        settings, conversation = self._settings, self._conversations[k]
        other = self._conversations[(k + 1) % len(self._conversations)]
        ecg = ablated(self._ecg(conversation), self._ecg(other), settings.ablation, k)
        question = conversation.question.replace(IMAGE_MARK, "").strip()
        given: dict[str, Any] = {}
        if settings.evidence:
            from models.gem.prompt_context import build_prompt_context

            context = build_prompt_context(ecg, self._predictor)
            given = {
                "measurements": context.measurements,
                "descriptors": context.descriptors,
                "findings": context.findings,
            }
        page = self._layout.image_path(other if settings.ablation == "swapped" else conversation)
        return GemRequest(
            ecg,
            question=question,
            page=page,
            blank_page=settings.ablation == "blank page",
            deadline_s=ANSWER_S,
            max_new_tokens=settings.max_new_tokens,
            **given,
        )

    def _ecg(self, conversation: Conversation) -> Ecg:
        return self._layout.ecg(conversation) or blank_ecg()

"""Alignment: ``python -m models.training.align --data DIR --folds DIR --tower FILE``.

LLaVA's first stage at compact size: the tower and the language model stay as they are, the two projectors learn to put
the ECG's tokens where the language model understands them, by asking for the diagnosis alone. Starts from the folder
that `language` wrote and the tower that `pretrain` wrote.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models.corpus.datasets import TRAIN, TUNE, real_records
from models.gem.checkpoint import save_checkpoint
from models.gem.conversation import question_with_context
from models.gem.modeling import GemForCausalLM
from models.gem.processing import GemProcessor
from models.training.conversations import Course, Example, collate, fit
from models.training.labelled_records import MEASURED, Told, real_stories, simulated_stories
from models.training.language import WORK, load_tower, open_stage
from models.training.pretrain import ENCODER
from models.training.report_text import dialogue, narrate
from models.training.windows import vary

TOWER = ENCODER / "tower.safetensors"
CHECKED = 64  # tuning records whose loss is logged
_ALL = np.ones(12, bool)


def options_of(name: str, description: str, steps: int) -> argparse.ArgumentParser:
    """The options that both stages share."""
    parser = argparse.ArgumentParser(prog=f"python -m models.training.{name}", description=description)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--tower", type=Path, default=TOWER)
    parser.add_argument("--simulated", type=int, default=500)
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    return parser


def load_stories(options: argparse.Namespace) -> tuple[list[Told], list[Told]]:
    """Training stories (real and simulated) and tuning stories."""
    told = real_stories(real_records(options.data, options.folds), options.work.parent / MEASURED)
    made = simulated_stories(options.simulated, options.seed, options.work.parent / f"simulated-{MEASURED}")
    return [t for t in told if t.split == TRAIN] + made, [t for t in told if t.split == TUNE]


def diagnosis_example(processor: GemProcessor, told: Told, rng: np.random.Generator) -> Example | None:
    """Question for the diagnosis, answered by the label; None where the label says nothing that may be told."""
    sentences = narrate(told.story, rng)
    if not sentences or not any(r.startswith("label") for r in sentences[-1].rests_on):
        return None
    last = sentences[-1]
    question = question_with_context("What is the diagnosis?", told.story.evidence, told.story.shown)
    return Example(*processor.training_example([(question, last.text)]), vary(rng, told.ecg, _ALL))


def full_example(processor: GemProcessor, told: Told, rng: np.random.Generator) -> Example:
    """The whole interpretation, or a short question about it."""
    return Example(*processor.training_example([dialogue(told.story, rng)]), vary(rng, told.ecg, _ALL))


def weights_of(told: list[Told]) -> np.ndarray:
    """How often a record is drawn: the more, the rarer its rarest told finding."""
    count: dict[str, int] = {}
    for t in told:
        for name, there in t.story.labels.items():
            count[name] = count.get(name, 0) + bool(there)
    rare = [
        max([1.0, *(np.sqrt(150 / count[n]) for n, there in t.story.labels.items() if there and count[n] < 150)])
        for t in told
    ]
    weight = np.minimum(rare, 4.0)
    out: np.ndarray = weight / weight.sum()
    return out


def tuning_loss(model: GemForCausalLM, processor: GemProcessor, tune: list[Told], seed: int) -> dict[str, float]:
    """Loss on whole interpretations of tuning records, each always worded alike."""
    losses = []
    for first in range(0, min(CHECKED, len(tune)), 16):
        examples = [
            full_example(processor, t, np.random.default_rng([seed, k])) for k, t in enumerate(tune[first : first + 16])
        ]
        with torch.no_grad():
            batch = collate(examples)
            device = next(model.parameters()).device
            losses.append(float(model(**{k: v.to(device) for k, v in batch.items() if v is not None}).loss))
    return {"tune_loss": float(np.mean(losses))}


def projectors(model: GemForCausalLM) -> list[nn.Parameter]:
    return [*model.model.ecg_projector.parameters(), *model.model.mm_projector.parameters()]


def main(argv: list[str] | None = None) -> None:
    options = options_of("align", "Align the ECG tokens with the language model.", 150).parse_args(argv)
    torch.set_num_threads(options.threads)
    model, processor = open_stage(options.work, options.seed, options.work / "gem-language")
    load_tower(model, options.tower)
    model.to(options.device)
    train, tune = load_stories(options)
    share = weights_of(train)

    def draw(rng: np.random.Generator, n: int) -> list[Example]:
        out: list[Example] = []
        while len(out) < n:
            example = diagnosis_example(processor, train[int(rng.choice(len(train), p=share))], rng)
            out += [example] if example is not None else []
        return out

    course = Course("align", options.steps, options.batch, lr=2e-3, seed=options.seed)
    fit(
        model,
        course,
        draw,
        options.work,
        projectors(model),
        lambda m: tuning_loss(m, processor, tune, options.seed),
        options.device,
    )
    print(save_checkpoint(options.work / "gem-aligned", model, options.work / "tokenizer.model"))


if __name__ == "__main__":
    main()

"""Alignment of ECG tokens and text: ``python -m models.training.align --data DIR --folds DIR --tower FILE``.

The first stage of LLaVA's training. The tower and the language model are frozen; the two projectors learn to map the
ECG's tokens into the embedding space of the language model, with the diagnosis as the only target. Starts from the
folder that `language` wrote and the tower that `pretrain` wrote; writes ``gem-aligned`` in the work folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models.corpus.datasets import TRAIN, TUNE, real_records
from models.corpus.measurement_cache import MEASURED
from models.gem.checkpoint import save_checkpoint
from models.gem.conversation import question_with_context
from models.gem.modeling import GemForCausalLM
from models.gem.processing import GemProcessor
from models.gem.report_sentences import report_sentences
from models.training.conversations import Example, StageConfig, collate, fit_stage
from models.training.labelled_records import LabelledRecord, labelled_records, simulated_labelled_records
from models.training.language import WORK, load_tower, open_stage
from models.training.pretrain import ENCODER
from models.training.report_text import report_conversation
from models.training.window_pool import augment

TOWER = ENCODER / "tower.safetensors"
CHECKED = 64  # tuning records whose loss is logged
_ALL = np.ones(12, bool)


def stage_options(name: str, description: str, steps: int) -> argparse.ArgumentParser:
    """Command-line options that alignment and instruction tuning share."""
    parser = argparse.ArgumentParser(prog=f"python -m models.training.{name}", description=description)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--tower", type=Path, default=TOWER)
    parser.add_argument("--simulated", type=int, default=500)
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--save-every", type=int, default=StageConfig.save_every)
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    return parser


def load_labelled_records(options: argparse.Namespace) -> tuple[list[LabelledRecord], list[LabelledRecord]]:
    """Labelled records for training (real and simulated) and for tuning."""
    labelled = labelled_records(real_records(options.data, options.folds), options.work.parent / MEASURED)
    simulated = simulated_labelled_records(
        options.simulated, options.seed, options.work.parent / f"simulated-{MEASURED}"
    )
    return [t for t in labelled if t.split == TRAIN] + simulated, [t for t in labelled if t.split == TUNE]


def diagnosis_example(processor: GemProcessor, record: LabelledRecord, rng: np.random.Generator) -> Example | None:
    """Question for the diagnosis with the label as the answer; None where no label can be stated."""
    sentences = report_sentences(record.context, rng)
    if not sentences or not any(r.startswith("label") for r in sentences[-1].rests_on):
        return None
    last = sentences[-1]
    question = question_with_context("What is the diagnosis?", record.context.measurements, record.context.descriptors)
    return Example(*processor.training_example([(question, last.text)]), augment(rng, record.ecg, _ALL))


def full_example(processor: GemProcessor, record: LabelledRecord, rng: np.random.Generator) -> Example:
    """Example with the whole interpretation, or with a short question about it."""
    return Example(
        *processor.training_example([report_conversation(record.context, rng)]), augment(rng, record.ecg, _ALL)
    )


def sampling_weights(labelled: list[LabelledRecord]) -> np.ndarray:
    """Sampling probability of each record: higher, the rarer its rarest finding."""
    count: dict[str, int] = {}
    for t in labelled:
        for name, there in t.context.labels.items():
            count[name] = count.get(name, 0) + bool(there)
    rare = [
        max([1.0, *(np.sqrt(150 / count[n]) for n, there in t.context.labels.items() if there and count[n] < 150)])
        for t in labelled
    ]
    weight = np.minimum(rare, 4.0)
    out: np.ndarray = weight / weight.sum()
    return out


def tuning_loss(
    model: GemForCausalLM, processor: GemProcessor, tune: list[LabelledRecord], seed: int
) -> dict[str, float]:
    """Loss on the interpretations of tuning records; the wording of each is fixed by the seed."""
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
    """Parameters of both projectors."""
    return [*model.model.ecg_projector.parameters(), *model.model.mm_projector.parameters()]


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    options = stage_options("align", "Align the ECG tokens with the language model.", 150).parse_args(argv)
    torch.set_num_threads(options.threads)
    model, processor = open_stage(options.work, options.seed, options.work / "gem-language")
    load_tower(model, options.tower)
    model.to(options.device)
    train, tune = load_labelled_records(options)
    share = sampling_weights(train)

    def draw(rng: np.random.Generator, n: int) -> list[Example]:
        out: list[Example] = []
        while len(out) < n:
            example = diagnosis_example(processor, train[int(rng.choice(len(train), p=share))], rng)
            out += [example] if example is not None else []
        return out

    stage = StageConfig(
        "align", options.steps, options.batch, lr=2e-3, seed=options.seed, save_every=options.save_every
    )
    fit_stage(
        model,
        stage,
        draw,
        options.work,
        projectors(model),
        lambda m: tuning_loss(m, processor, tune, options.seed),
        options.device,
    )
    print(save_checkpoint(options.work / "gem-aligned", model, options.work / "tokenizer.model"))


if __name__ == "__main__":
    main()

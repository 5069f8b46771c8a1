"""Alignment of the measuring tower's tokens: ``python -m models.training.align``.

The first stage of LLaVA's training: the language model is frozen, and the projector learns to map the tower's tokens
into its embedding space. Data: random estimates without evidence in the prompt (`estimate_conversations`); no recording
is needed. Starts from the folder that `language` wrote, or from another compact GEM (``--start``); writes
``gem-aligned`` in the work folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from models.gem.checkpoint import save_checkpoint
from models.gem.modeling import GemForCausalLM
from models.gem.processing import GemProcessor
from models.training.conversations import Example, StageConfig, collate, fit_stage
from models.training.estimate_conversations import random_example
from models.training.language import WORK, load_language, open_stage

CHECKED = 32  # unseen conversations whose loss is logged


def stage_options(name: str, description: str, steps: int) -> argparse.ArgumentParser:
    """Command-line options that alignment and instruction tuning share."""
    parser = argparse.ArgumentParser(prog=f"python -m models.training.{name}", description=description)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    return parser


def check(model: GemForCausalLM, processor: GemProcessor, seed: int) -> dict[str, float]:
    """Loss and share of right tokens on unseen conversations, with and without evidence."""
    out = {}
    for name, share in (("without evidence", 0.0), ("with evidence", 1.0)):
        examples = [random_example(processor, [], np.random.default_rng([seed, 7, k]), share) for k in range(CHECKED)]
        batch = {k: v for k, v in collate(examples).items() if v is not None}
        batch = {k: v.to(next(model.parameters()).device) for k, v in batch.items()}
        with torch.no_grad():
            result = model(**batch)
        out[name] = float(result.loss)
    return out


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = stage_options("align", "Align the tower's tokens with the language model.", 200)
    parser.add_argument("--start", type=Path, help="folder of the language model; default: gem-language in --work")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    start = options.start or options.work / "gem-language"
    tokenizer = options.work / "tokenizer.model"
    if options.start is not None:
        options.work.mkdir(parents=True, exist_ok=True)
        tokenizer.write_bytes((start / "tokenizer.model").read_bytes())
    model, processor = open_stage(options.work, options.seed)
    load_language(model, start)
    model.to(options.device)

    def draw(rng: np.random.Generator, n: int) -> list[Example]:
        return [random_example(processor, [], rng, 0.0) for _ in range(n)]

    stage = StageConfig("align", options.steps, options.batch, lr=3e-3, seed=options.seed)
    trained = list(model.model.measuring_projector.parameters())
    fit_stage(model, stage, draw, options.work, trained, lambda m: check(m, processor, options.seed), options.device)
    print(save_checkpoint(options.work / "gem-aligned", model, tokenizer))


if __name__ == "__main__":
    main()

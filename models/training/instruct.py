"""Instruction tuning: ``python -m models.training.instruct --data DIR --folds DIR --out FOLDER``.

GEM's single stage: the tower is frozen, the projectors and the whole language model are trained with a cosine schedule
and a loss on the answers. Data: labelled records with report text, real and simulated. Starts from the folder that
`align` wrote; writes the compact GEM ``gem-compact`` in half precision.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from models.gem.checkpoint import save_checkpoint
from models.training.align import full_example, load_labelled_records, sampling_weights, stage_options, tuning_loss
from models.training.conversations import Example, StageConfig, fit_stage
from models.training.language import load_tower, open_stage, text_examples

TEXT_SHARE = 0.4  # of a batch are text-only conversations with synthetic context: copying is not unlearnt
NO_ECG = np.zeros((12, 5000), np.float32)  # window of a text-only conversation
COMPACT_GEM = Path(__file__).resolve().parent.parent / "weights" / "gem-compact"


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = stage_options("instruct", "Tune the compact GEM on grounded interpretations.", 600)
    parser.add_argument("--out", type=Path, default=COMPACT_GEM)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    model, processor = open_stage(options.work, options.seed, options.work / "gem-aligned")
    load_tower(model, options.tower)
    model.to(options.device)
    train, tune = load_labelled_records(options)
    share = sampling_weights(train)

    def draw(rng: np.random.Generator, n: int) -> list[Example]:
        text_only = [replace(e, ecg=NO_ECG) for e in text_examples(processor, rng, round(n * TEXT_SHARE))]
        real = rng.choice(len(train), n - len(text_only), p=share)
        return [*(full_example(processor, train[k], rng) for k in real), *text_only]

    stage = StageConfig(
        "instruct", options.steps, options.batch, lr=1e-3, seed=options.seed, save_every=options.save_every
    )
    trained = [p for n, p in model.named_parameters() if "ecg_tower" not in n]
    fit_stage(
        model,
        stage,
        draw,
        options.work,
        trained,
        lambda m: tuning_loss(m, processor, tune, options.seed),
        options.device,
    )
    print(save_checkpoint(options.out, model.half(), options.work / "tokenizer.model"))


if __name__ == "__main__":
    main()

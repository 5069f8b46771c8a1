"""Instruction tuning: ``python -m models.training.instruct --data DIR --folds DIR --out FOLDER``.

GEM's one stage (tower frozen; projectors and the whole language model trained; cosine, loss on the answers), on the
knowledge-guided interpretations of the training records and of simulated ones. Starts from the folder that `align`
wrote; writes the compact GEM, ``gem-compact``, in half precision.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from models.gem.checkpoint import save_checkpoint
from models.training.align import full_example, load_stories, options_of, tuning_loss, weights_of
from models.training.conversations import Course, Example, fit
from models.training.language import load_tower, open_stage, text_examples

TEXT_SHARE = 0.4  # of a batch are dialogues about invented values, so that what was learnt there is kept
NO_ECG = np.zeros((12, 5000), np.float32)  # takes the place of the window that such a dialogue does not have
COMPACT_GEM = Path(__file__).resolve().parent.parent / "weights" / "gem-compact"


def main(argv: list[str] | None = None) -> None:
    parser = options_of("instruct", "Tune the compact GEM on grounded interpretations.", 600)
    parser.add_argument("--out", type=Path, default=COMPACT_GEM)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    model, processor = open_stage(options.work, options.seed, options.work / "gem-aligned")
    load_tower(model, options.tower)
    model.to(options.device)
    train, tune = load_stories(options)
    share = weights_of(train)

    def draw(rng: np.random.Generator, n: int) -> list[Example]:
        spoken = [replace(e, ecg=NO_ECG) for e in text_examples(processor, rng, round(n * TEXT_SHARE))]
        real = rng.choice(len(train), n - len(spoken), p=share)
        return [*(full_example(processor, train[k], rng) for k in real), *spoken]

    course = Course("instruct", options.steps, options.batch, lr=1e-3, seed=options.seed)
    learns = [p for n, p in model.named_parameters() if "ecg_tower" not in n]
    fit(
        model,
        course,
        draw,
        options.work,
        learns,
        lambda m: tuning_loss(m, processor, tune, options.seed),
        options.device,
    )
    print(save_checkpoint(options.out, model.half(), options.work / "tokenizer.model"))


if __name__ == "__main__":
    main()

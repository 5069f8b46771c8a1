"""Instruction tuning: ``python -m models.training.instruct --data DIR --folds DIR --out FOLDER``.

GEM's single stage: the tower is frozen, the projector and the whole language model are trained with a cosine schedule
and a loss on the answers. Data: conversations with and without evidence in the prompt (`estimate_conversations`); the
evidence is that of labelled records, real and simulated, or synthetic. Starts from the folder that `align` wrote and
the measuring tower that `measuring` wrote; writes the compact GEM ``gem-compact`` in half precision.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from models.corpus.datasets import TRAIN, real_records
from models.corpus.measurement_cache import MEASURED
from models.gem.checkpoint import save_checkpoint
from models.gem.modeling import GemForCausalLM
from models.training.align import check, stage_options
from models.training.conversations import Example, StageConfig, fit_stage
from models.training.estimate_conversations import random_example
from models.training.labelled_records import labelled_records, simulated_labelled_records
from models.training.language import open_stage
from models.training.measuring import load_tower
from models.training.report_text import ReportContext

WITH_EVIDENCE = 0.5  # share of a batch with evidence in the prompt
COMPACT_GEM = Path(__file__).resolve().parent.parent / "weights" / "gem-compact"


def record_contexts(options: argparse.Namespace) -> list[ReportContext]:
    """Measurements and labels of the training records, real and simulated; records that cannot be measured are left."""
    cache = options.work.parent
    labelled = labelled_records(real_records(options.data, options.folds), cache / MEASURED)
    simulated = simulated_labelled_records(options.simulated, options.seed, cache / f"simulated-{MEASURED}")
    found = [t.context for t in [*labelled, *simulated] if t.split == TRAIN]
    return [context for context in found if context.measurements]


def put_tower(model: GemForCausalLM, folder: Path) -> None:
    """Put the measuring tower of a folder, with its thresholds, into the model."""
    tower, limits = load_tower(folder)
    model.model.measuring_tower = tower
    model.config.measuring_config = {"sizes": tower.sizes.to_dict(), "thresholds": limits}


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = stage_options("instruct", "Tune the compact GEM on interpretations.", 700)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", type=Path, required=True)
    parser.add_argument("--simulated", type=int, default=500)
    parser.add_argument("--tower", type=Path, help="folder of the measuring tower; default: the parent of --work")
    parser.add_argument("--out", type=Path, default=COMPACT_GEM)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    model, processor = open_stage(options.work, options.seed, options.work / "gem-aligned")
    model.to(options.device)
    contexts = record_contexts(options)

    def draw(rng: np.random.Generator, n: int) -> list[Example]:
        return [random_example(processor, contexts, rng, WITH_EVIDENCE) for _ in range(n)]

    stage = StageConfig("instruct", options.steps, options.batch, lr=1e-3, seed=options.seed)
    trained = [p for n, p in model.named_parameters() if "measuring_tower" not in n]
    fit_stage(model, stage, draw, options.work, trained, lambda m: check(m, processor, options.seed), options.device)
    put_tower(model.cpu(), options.tower or options.work.parent)
    print(save_checkpoint(options.out, model.half(), options.work / "tokenizer.model"))


if __name__ == "__main__":
    main()

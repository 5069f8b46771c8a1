"""A small GEM with random weights, made once a session."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.gem.checkpoint import save_checkpoint
from models.gem.initialization import compact_config, random_gem, train_tokenizer

WORDS = (
    "sinus",
    "rhythm",
    "atrial",
    "fibrillation",
    "with",
    "a",
    "rate",
    "of",
    "bpm",
    "PR",
    "interval",
    "QRS",
    "QT",
    "lead",
    "II",
    "V1",
    "V2",
    "shows",
    "no",
    "ST",
    "elevation",
    "depression",
    "T",
    "wave",
    "normal",
    "axis",
    "the",
)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Models of this size lose more to threads than they gain."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def gem_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder of an ECG-only GEM: LLaMA 2 × 64, untrained."""
    folder = tmp_path_factory.mktemp("gem-small")
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, 10)) + f" {rng.integers(40, 200)} ms." for _ in range(1500)]
    tokenizer = train_tokenizer(texts, folder / "tokenizer.model", vocabulary=400)
    config = compact_config(tokenizer.vocabulary, hidden=64, layers=2, heads=4, trained=False)
    save_checkpoint(folder, random_gem(config, seed=3), folder / "tokenizer.model")
    return folder

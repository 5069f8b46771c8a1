"""Runs our classes on folders made by the GEM reference and reports the largest error of each tensor.

The kind of a folder follows from its files, not from its name:

=====================================================  ==================================================
it holds                                               what is compared
=====================================================  ==================================================
``weights_table.json`` and ``io.safetensors``          the ECG tower at the table's size
``io.safetensors`` with text, ``model.safetensors``    the whole ECG-CoCa
``inputs`` and ``outputs.safetensors``, ``config``     GEM: processing, features, logits, sequences
``expected.safetensors`` and ``records.json``          records to tower input
``pixels.safetensors``, ``preprocessor_config.json``   pages to pixels, and the geometry of crops
pages beside their geometry (``.png``, ``.json``)      the page renderer
``prompts.json``                                       conversation templates
``ecgbench.json``, ``grounding_scores.json``           metrics
``keys.json``                                          names and shapes of a checkpoint's tensors
=====================================================  ==================================================

Tolerances are those of the fixtures (`models.evaluation.comparison`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from models.evaluation.comparison import Comparison, ParityLine
from models.evaluation.parity_metrics import compare_ecgbench, compare_grounding
from models.evaluation.parity_models import compare_coca, compare_gem, compare_layout_names, compare_tower
from models.evaluation.parity_processing import (
    compare_pages,
    compare_pixels,
    compare_preprocessing,
    compare_prompts,
    drawn_pages,
)

Comparer = Callable[[Path, Comparison], None]


def run_parity(folder: Path | str) -> Iterator[ParityLine]:
    """Every comparison that a fixture folder allows.

    Raises
    ------
    ValueError
        The folder holds nothing that can be compared.
    """
    folder = Path(folder)
    found = False
    for compare in _kinds(folder):
        found = True
        to = Comparison(folder)
        compare(folder, to)
        yield from to.lines
    if not found:
        raise ValueError(f"{folder} holds no parity fixture of a known layout")


def _kinds(folder: Path) -> list[Comparer]:
    def has(*names: str) -> bool:
        return all((folder / name).is_file() for name in names)

    kinds: list[tuple[bool, Comparer]] = [
        (has("weights_table.json", "io.safetensors"), compare_tower),
        (has("model.safetensors", "io.safetensors"), compare_coca),
        (has("config.json", "inputs.safetensors", "outputs.safetensors"), compare_gem),
        (has("expected.safetensors", "records.json"), compare_preprocessing),
        (has("pixels.safetensors", "preprocessor_config.json"), compare_pixels),
        (bool(drawn_pages(folder)), compare_pages),
        (has("prompts.json"), compare_prompts),
        (has("ecgbench.json"), compare_ecgbench),
        (has("grounding_scores.json"), compare_grounding),
        (has("keys.json"), compare_layout_names),
    ]
    return [compare for there, compare in kinds if there]

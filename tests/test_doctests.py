"""Every example in a docstring gives the result that is printed below it."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("models", "streams", "agents", "station", "deploy", "verification")
OPTIONAL = {"torch", "transformers", "onnx", "onnxruntime", "safetensors", "sentencepiece", "tokenizers", "sklearn"}
WITH_EXAMPLES = [
    str(path.relative_to(ROOT).with_suffix("")).replace("/", ".").removesuffix(".__init__")
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if ">>> " in path.read_text()
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_give_what_they_print(name: str) -> None:
    try:
        module = import_module(name)
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in OPTIONAL:
            raise
        pytest.skip(f"{missing.name} is not installed")
    assert not doctest.testmod(module).failed


def test_each_public_verb_has_an_example() -> None:
    import models

    assert models.__all__ == ["encode", "find_beats", "find_episodes", "measure"]
    for verb in models.__all__:
        assert ">>> " in getattr(models, verb).__doc__, verb

"""The graph of the pooled feature alone: the same feature, the same findings, at half of the cost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from models.encoder.configuration import COMPACT
from models.encoder.export import tower_graph
from models.encoder.heads import load_heads
from models.encoder.pooled_graph import TOWER_FILE, add_pooled_graph, main
from models.encoder.session import COMPACT_FOLDER, POOLED, POOLED_FILE, EncoderSession, EncoderUnavailable
from models.leads import STANDARD_12
from models.networks.loading import open_session
from tests.agents.signals import ecg

PROBABILITY = 0.06  # of 184 labelled records the largest difference is 0.05


def beds(n: int) -> np.ndarray:
    """Ten seconds of sinus rhythm of different rates, among them slow and fast ones, with noise."""
    signals = [ecg(10, 45.0 + 12 * k, leads=STANDARD_12, fs_hz=500.0, seed=k) for k in range(n)]
    return np.stack([signal.mv for signal in signals])


def test_the_class_token_alone_gives_the_same_pooled_feature() -> None:
    state = load_file(COMPACT_FOLDER / TOWER_FILE)
    windows = beds(3)
    (pooled,) = open_session(tower_graph(state, COMPACT, tokens=False)).run(None, {"ecg": windows})
    assert np.abs(pooled - EncoderSession.load(None, "cpu", threads=1).pooled(windows)).max() < 1e-4


def test_a_monitor_finds_with_it_what_the_whole_encoder_finds() -> None:
    whole, fast = (EncoderSession.load(None, "cpu", threads=1, tokens=tokens) for tokens in (True, False))
    assert (fast.name, fast.weights) == (f"{whole.name} int8", whole.weights)
    heads = load_heads(fast.folder, fast.weights)
    assert heads is not None
    windows = beds(10)
    encoded = fast.encode(windows)
    assert encoded.tokens.shape == (10, 0, COMPACT.width)
    expected, found = heads.probabilities(whole.pooled(windows)), heads.probabilities(encoded.pooled)
    assert np.abs(expected - found).max() < PROBABILITY
    clear = np.abs(expected - heads.threshold) > PROBABILITY
    assert clear.mean() > 0.8
    assert ((expected >= heads.threshold) == (found >= heads.threshold))[clear].all()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(COMPACT_FOLDER, tmp_path / "encoder"))


def test_the_command_makes_the_graph_of_a_folder(folder: Path) -> None:
    (folder / POOLED_FILE).unlink()
    document = json.loads((folder / "config.json").read_text())
    del document[POOLED]
    (folder / "config.json").write_text(json.dumps(document))
    plain = EncoderSession.load(folder, "cpu", threads=1, tokens=False)  # a folder without one: the whole encoder
    assert plain.name == document["name"] and plain.encode(beds(1)).tokens.shape[1] == COMPACT.tokens
    main([str(folder)])
    assert EncoderSession.load(folder, "cpu", threads=1, tokens=False).name.endswith("int8")


def test_a_tower_that_is_not_the_models_makes_no_graph(folder: Path) -> None:
    state = load_file(folder / TOWER_FILE)
    save_file(state | {"proj": 2.0 * state["proj"]}, folder / TOWER_FILE)
    with pytest.raises(ValueError, match=r"is not the tower of model\.onnx"):
        add_pooled_graph(folder)


def test_a_graph_that_is_another_file_is_not_loaded(folder: Path) -> None:
    with (folder / POOLED_FILE).open("ab") as file:
        file.write(b"x")
    with pytest.raises(EncoderUnavailable, match="is corrupt or another file"):
        EncoderSession.load(folder, "cpu", tokens=False)

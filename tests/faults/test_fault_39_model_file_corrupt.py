"""Fault 39: a model file is cut short, flipped by a bit, or another one than its configuration says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from models.encoder.configuration import TowerConfig
from models.encoder.session import COMPACT_FOLDER, EncoderSession, EncoderUnavailable
from models.gem.checkpoint import save_checkpoint
from models.gem.engine import GemEngine
from models.gem.errors import GemUnavailable
from models.gem.initialization import compact_config, random_gem


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(COMPACT_FOLDER, tmp_path / "encoder"))


def test_one_flipped_bit_is_found(folder: Path) -> None:
    graph = folder / "model.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    with pytest.raises(EncoderUnavailable, match="is corrupt or another file: its digest is sha256:"):
        EncoderSession.load(folder, "cpu")


def test_a_file_that_was_cut_short_is_found(folder: Path) -> None:
    graph = folder / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:1000])
    with pytest.raises(EncoderUnavailable, match="1000 bytes"):
        EncoderSession.load(folder, "cpu")


def test_a_configuration_without_its_digest_is_refused(folder: Path) -> None:
    path = folder / "config.json"
    document = json.loads(path.read_text())
    del document["weights"]
    path.write_text(json.dumps(document))
    with pytest.raises(EncoderUnavailable, match="weights missing"):
        EncoderSession.load(folder, "cpu")


@pytest.mark.parametrize("runtime", ["torch", "onnx"])
def test_one_flipped_bit_of_a_gem_is_found_whatever_runs_it(tmp_path: Path, runtime: str) -> None:
    small = compact_config(64, hidden=32, layers=1, heads=2, tower=TowerConfig(32, 1, 8, 64, embed_dim=16))
    save_checkpoint(tmp_path, random_gem(small, seed=1))
    path = tmp_path / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(GemUnavailable, match="are corrupt or another model's: their digest is sha256:") as why:
        GemEngine.load(tmp_path, "cpu", runtime=runtime)
    assert why.value.lasting


def test_what_is_no_graph_at_all_is_an_error_of_this_room(folder: Path) -> None:
    import hashlib

    (folder / "model.onnx").write_bytes(b"not a graph")
    path = folder / "config.json"
    document = json.loads(path.read_text()) | {"weights": f"sha256:{hashlib.sha256(b'not a graph').hexdigest()}"}
    path.write_text(json.dumps(document))
    with pytest.raises(EncoderUnavailable, match="cannot be run on CPUExecutionProvider"):
        EncoderSession.load(folder, "cpu")

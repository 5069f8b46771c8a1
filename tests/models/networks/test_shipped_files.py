"""Shipped weights are loaded only as they were released, and ONNX Runtime leaves nothing in the home folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.networks import shipped_files
from models.networks.shipped_files import MANIFEST, WEIGHTS, WrongDigest, check_shipped, shipped_digests

ROOT = Path(__file__).resolve().parents[3]

USE_EVERYTHING = """
import numpy as np
from models.encoder.session import EncoderSession
from models.beats.detector import find_beats
from models.ecg import Ecg
EncoderSession.load(device="cpu").encode(np.zeros((1, 12, 5000), np.float32))
find_beats(Ecg(("II",), 250.0, np.random.default_rng(1).normal(0, 0.1, (1, 2500)).astype(np.float32)))
"""


def test_the_manifest_lists_every_file() -> None:
    command = "run: python -m models.networks.shipped_files"
    assert json.loads(MANIFEST.read_text()) == shipped_digests(), command


@pytest.mark.parametrize("change", ["replaced", "not listed"])
def test_another_file_is_refused(change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    name = "delineator.onnx"
    content = bytearray((WEIGHTS / name).read_bytes())
    (weights / name).write_bytes(content)
    monkeypatch.setattr(shipped_files, "WEIGHTS", weights)
    monkeypatch.setattr(shipped_files, "MANIFEST", weights / "digests.json")
    listed = shipped_digests()
    (weights / "digests.json").write_text(json.dumps(listed))
    check_shipped(weights / name)
    if change == "replaced":
        content[1000] ^= 1  # one bit
        (weights / name).write_bytes(content)
    else:
        (weights / name).rename(weights / "other.onnx")
        name = "other.onnx"
    with pytest.raises(WrongDigest, match=rf"models/weights/{name} is not the file of this release"):
        check_shipped(weights / name)
    check_shipped(tmp_path / "a-sites-own.onnx")  # outside: by its own config.json


def test_onnx_runtime_leaves_no_file_in_the_home_folder(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", USE_EVERYTHING], env=environment, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == []

"""The ONNX session: the same features as torch, on the device that was asked for, without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file

from models.encoder.configuration import COMPACT, TowerConfig
from models.encoder.export import random_state, tower_graph, write_encoder
from models.encoder.heads import load_heads
from models.encoder.session import COMPACT_FOLDER, EncoderSession, EncoderUnavailable
from models.encoder.tower import EcgTower

FEATURE_TOLERANCE = 1e-4  # ONNX against torch, float32


def windows(n: int, seed: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.5, (n, 12, 5000)).astype(np.float32)


@pytest.fixture(scope="module")
def compact() -> EncoderSession:
    return EncoderSession.load(None, "cpu", threads=1)


def test_the_features_equal_those_of_torch(compact: EncoderSession) -> None:
    tower = EcgTower(COMPACT).eval()
    tower.load_state_dict(load_file(COMPACT_FOLDER / "tower.safetensors"))
    ecg = windows(11)  # more than one batch, and the last one not full
    encoded = compact.encode(ecg)
    with torch.no_grad():
        expected = tower(torch.from_numpy(ecg))
    assert np.abs(encoded.tokens - expected.tokens.numpy()).max() <= FEATURE_TOLERANCE
    assert np.abs(encoded.pooled - expected.pooled.numpy()).max() <= FEATURE_TOLERANCE


SIZES = [
    TowerConfig(48, 3, 12, 192, 50, embed_dim=32),
    TowerConfig(64, 1, 16, 128, 100, 1000, 3, 8),
    TowerConfig(32, 2, 8, 128, embed_dim=24, lead_norm=True),
]


@pytest.mark.parametrize("config", SIZES)
def test_any_size_of_tower_can_be_exported(config: TowerConfig, tmp_path: Path) -> None:
    state = random_state(config, 3)
    write_encoder(tmp_path, state, config, name="some", trained=False)
    tower = EcgTower(config).eval()
    tower.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
    ecg = np.random.default_rng(1).normal(size=(2, config.leads, config.samples)).astype(np.float32)
    with torch.no_grad():
        expected = tower(torch.from_numpy(ecg)).tokens.numpy()
    assert np.abs(EncoderSession.load(tmp_path, "cpu").encode(ecg).tokens - expected).max() <= FEATURE_TOLERANCE


def test_samples_that_are_missing_count_as_zero(compact: EncoderSession) -> None:
    holes = windows(1)
    holes[0, 3, 100:200], holes[0, 5, 7] = np.nan, np.inf
    filled = np.where(np.isfinite(holes), holes, 0).astype(np.float32)
    assert np.array_equal(compact.encode(holes).tokens, compact.encode(filled).tokens)


def test_the_shipped_encoder_says_that_it_is_trained(compact: EncoderSession) -> None:
    assert (compact.name, compact.trained, compact.provider) == ("ecg-coca-compact", True, "CPUExecutionProvider")
    assert compact.weights.startswith("sha256:") and len(compact.weights) == 71


def test_the_shipped_encoder_is_what_its_tower_exports_to() -> None:
    state = {name: tensor.numpy() for name, tensor in load_file(COMPACT_FOLDER / "tower.safetensors").items()}
    graph = tower_graph(state, COMPACT)
    assert graph == (COMPACT_FOLDER / "model.onnx").read_bytes()


def test_the_shipped_heads_belong_to_the_shipped_encoder(compact: EncoderSession) -> None:
    heads = load_heads(COMPACT_FOLDER, compact.weights)
    assert heads is not None and {"NORM", "MI", "CD", "STTC", "AFIB"} <= set(heads.labels)


def test_half_precision_is_for_cuda_and_the_cpu_says_so(tmp_path: Path) -> None:
    write_encoder(tmp_path, random_state(COMPACT, 1), COMPACT, name="half", trained=False, precision="fp16")
    onnx.checker.check_model(tmp_path / "model.onnx")
    with pytest.raises(EncoderUnavailable, match="exported in fp16, which runs on CUDA alone"):
        EncoderSession.load(tmp_path, "cpu")


def test_no_windows_give_no_features(compact: EncoderSession) -> None:
    encoded = compact.encode(np.empty((0, 12, 5000), np.float32))
    assert encoded.tokens.shape == (0, 101, 128) and encoded.pooled.shape == (0, 64)


def test_the_pooled_feature_alone_is_the_same(compact: EncoderSession) -> None:
    ecg = windows(9)
    assert np.array_equal(compact.pooled(ecg), compact.encode(ecg).pooled)


def test_eleven_leads_are_refused_with_both_shapes(compact: EncoderSession) -> None:
    with pytest.raises(ValueError, match=r"\(1, 11, 5000\), expected \[n, 12, 5000\]"):
        compact.encode(np.zeros((1, 11, 5000), np.float32))


def test_a_folder_without_an_encoder_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(EncoderUnavailable, match=r"model\.onnx and config\.json .*models\.encoder\.export"):
        EncoderSession.load(tmp_path)


def test_a_missing_tensor_is_named_when_exporting() -> None:
    state = random_state(COMPACT, 1)
    del state["ln_post.bias"]
    with pytest.raises(ValueError, match=r"1 of 56 tensors of the ECG tower are missing, first ln_post\.bias"):
        tower_graph(state, COMPACT)


def test_the_session_needs_no_torch() -> None:
    code = (
        "import sys, numpy as np\nfrom models.encoder.session import EncoderSession\n"
        "EncoderSession.load(None, 'cpu').encode(np.zeros((1, 12, 5000), np.float32))\n"
        "assert not {'torch', 'transformers', 'onnx'} & set(sys.modules), 'a heavy import'"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""Fault 38: the GPU is lost or its libraries do not load, and ONNX Runtime would go on on the CPU without a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from models.encoder.session import CPU, CUDA, EncoderSession, EncoderUnavailable, reject_fallback
from models.gem.engine import GemEngine
from models.gem.errors import GemUnavailable
from tests.deploy.command import MISSING, STEADY, gem_bedside, simulated


def test_a_session_that_fell_back_is_refused() -> None:
    with pytest.raises(EncoderUnavailable, match="asked for CUDAExecutionProvider, but ONNX Runtime gives CPU"):
        reject_fallback(CUDA, [CPU])
    with pytest.raises(EncoderUnavailable, match="gives nothing"):
        reject_fallback(CUDA, [])
    reject_fallback(CUDA, [CUDA, CPU])


@pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(), reason="this onnxruntime has CUDA")
def test_cuda_that_this_onnxruntime_lacks_is_an_error_and_not_a_slow_encoder() -> None:
    with pytest.raises(EncoderUnavailable, match=r"device cuda was asked for, .*gem-bedside\[gpu\]"):
        EncoderSession.load(None, "cuda")


def test_auto_says_where_it_runs() -> None:
    assert EncoderSession.load(None, "auto").provider in (CPU, CUDA)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_gem_on_a_gpu_that_is_not_there_is_told_and_lasts(tmp_path: Path) -> None:
    with pytest.raises(GemUnavailable, match=r"device cuda was asked for, but torch .* sees no CUDA device") as why:
        GemEngine.load(tmp_path, "cuda")
    assert why.value.lasting


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_interpret_on_a_gpu_that_is_not_there_ends_with_status_3(tmp_path: Path) -> None:
    ecg, _ = simulated(STEADY, 12.0)
    record = tmp_path / "steady.csv"
    np.savetxt(record, ecg.mv.T, delimiter=",", header=",".join(ecg.leads), comments="", fmt="%.3f")
    ran = gem_bedside("interpret", record, "--fs", 500, "--json", device="cuda")
    assert ran.status == MISSING and ran.out == ""
    assert "device cuda was asked for" in ran.err


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(EncoderUnavailable, match="'tpu' is not one of auto, cpu, cuda"):
        EncoderSession.load(None, "tpu")

"""Heads: labels only where heads were trained, on this encoder, without the fold that is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.encoder.heads import Heads, load_heads


def afib_head(weights: str = "sha256:abc") -> Heads:
    return Heads(
        labels=("AFIB", "STACH"),
        weight=np.array([[2.0, 0.0], [0.0, 1.0]], np.float32),
        bias=np.zeros(2, np.float32),
        mean=np.array([1.0, 0.0], np.float32),
        scale=np.ones(2, np.float32),
        threshold=np.array([0.5, 0.9], np.float32),
        weights=weights,
    )


def test_a_folder_without_heads_flags_nothing_whatever_the_fold(tmp_path: Path) -> None:
    assert load_heads(tmp_path, "sha256:abc") is None
    assert load_heads(tmp_path, "sha256:abc", fold=3) is None


def test_a_label_is_present_from_its_own_threshold(tmp_path: Path) -> None:
    afib_head().save(tmp_path / "heads.npz")
    heads = load_heads(tmp_path, "sha256:abc")
    assert heads is not None
    present = heads.present(np.array([[1.0, 2.0], [2.0, 3.0]], np.float32))
    assert present[0] == pytest.approx({"AFIB": 0.5})
    assert present[1] == pytest.approx({"AFIB": 0.8808, "STACH": 0.9526}, abs=1e-4)


def test_a_fold_that_was_not_trained_is_an_error_and_never_the_shipped_heads(tmp_path: Path) -> None:
    afib_head().save(tmp_path / "heads.npz")
    with pytest.raises(FileNotFoundError, match="fold 2"):
        load_heads(tmp_path, "sha256:abc", fold=2)
    replace(afib_head(), threshold=np.array([0.1, 0.1], np.float32)).save(tmp_path / "heads.fold2.npz")
    heads = load_heads(tmp_path, "sha256:abc", fold=2)
    assert heads is not None and heads.threshold[0] == pytest.approx(0.1)


def test_heads_of_another_encoder_are_refused(tmp_path: Path) -> None:
    afib_head().save(tmp_path / "heads.npz")
    with pytest.raises(ValueError, match="trained on an encoder sha256:abc, this one is sha256:def"):
        load_heads(tmp_path, "sha256:def")


def test_heads_that_do_not_fit_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match=r"heads of 2 labels .*bias \(3,\)"):
        replace(afib_head(), bias=np.zeros(3, np.float32))

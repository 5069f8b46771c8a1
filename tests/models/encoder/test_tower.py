"""The torch tower: tensor names, sizes, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from models.encoder.configuration import COMPACT, PUBLISHED, TowerConfig
from models.encoder.tower import EcgTower


def test_the_published_size_has_85_989_888_parameters_under_152_names() -> None:
    with torch.device("meta"):
        tower = EcgTower(PUBLISHED)
    shapes = {name: tuple(tensor.shape) for name, tensor in tower.state_dict().items()}
    assert shapes == PUBLISHED.shapes()
    assert len(shapes) == 152
    assert sum(p.numel() for p in tower.parameters()) == PUBLISHED.parameters == 85_989_888


def test_a_configuration_is_read_back_from_the_shapes_alone() -> None:
    config = TowerConfig(width=48, layers=3, head_width=12, mlp_width=192, embed_dim=32)
    assert TowerConfig.from_shapes(config.shapes(), head_width=12) == config


def test_the_open_clip_defaults_are_heads_of_64_and_an_mlp_of_four_widths() -> None:
    ecg = {"seq_length": 5000, "lead_num": 12, "layers": 12, "width": 768, "patch_size": 50, "output_tokens": True}
    assert TowerConfig.from_open_clip({"embed_dim": 512, "ecg_cfg": ecg}) == PUBLISHED


def test_a_window_of_another_length_is_refused_with_both_shapes() -> None:
    with pytest.raises(ValueError, match=r"\(1, 12, 4096\), expected \[batch, 12, 5000\]"):
        EcgTower(COMPACT)(torch.zeros(1, 12, 4096))


def test_the_class_token_comes_first_and_moves_with_every_patch() -> None:
    torch.manual_seed(0)
    tower = EcgTower(COMPACT).eval()
    quiet, loud = torch.zeros(1, 12, 5000), torch.zeros(1, 12, 5000)
    loud[0, 1, 4980] = 1.0  # one sample of the last patch of lead II
    with torch.no_grad():
        before, after = tower(quiet), tower(loud)
    assert before.tokens.shape == (1, 101, 128)
    assert not torch.equal(before.tokens[:, 0], after.tokens[:, 0])
    assert not torch.equal(before.pooled, after.pooled)


def test_patches_that_do_not_fill_the_window_are_refused() -> None:
    with pytest.raises(ValueError, match="5000 samples are not a whole number of patches of 48"):
        TowerConfig(patch_size=48)

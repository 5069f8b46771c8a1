"""Checkpoint folders: what is missing is named, what is pickled is not opened, and a round trip changes nothing."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.encoder.configuration import TowerConfig
from models.encoder.export import random_state
from models.encoder.import_checkpoint import import_checkpoint
from models.encoder.safetensors_folder import CheckpointError
from models.encoder.tower_checkpoint import read_tower
from models.encoder.weights_digest import weights_digest
from models.gem.checkpoint import (
    layout,
    load_checkpoint,
    save_checkpoint,
)
from models.gem.initialization import compact_config, published_config, random_gem

SMALL = {"hidden": 32, "layers": 1, "heads": 2, "tower": TowerConfig(32, 1, 8, 64, embed_dim=16)}
CLIP = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 56,
    "patch_size": 14,
    "hidden_act": "quick_gelu",
}


def saved(folder: Path, **fields: object) -> Path:
    save_checkpoint(folder, random_gem(compact_config(64, **(SMALL | fields)), seed=1))  # type: ignore[arg-type]
    return folder


def without(folder: Path, *names: str) -> dict[str, torch.Tensor]:
    """Takes tensors out of a folder and returns them."""
    state = load_file(folder / "model.safetensors")
    taken = {name: state.pop(name) for name in names}
    save_file(state, folder / "model.safetensors")
    return taken


def test_a_round_trip_changes_no_tensor_and_no_field(tmp_path: Path) -> None:
    model = random_gem(compact_config(64, **SMALL, trained=False, evidence_in_prompt=True), seed=1)
    save_checkpoint(tmp_path, model)
    back = load_checkpoint(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), back.parameters(), strict=True))
    assert (back.config.trained, back.config.evidence_in_prompt, back.config.tower) == (False, True, SMALL["tower"])


def test_the_published_layout_is_840_tensors_of_7_149_680_128_parameters() -> None:
    shapes = layout(published_config())
    assert len(shapes) == 840
    assert sum(int(torch.Size(s).numel()) for s in shapes.values()) == 7_149_680_128


def test_missing_tensors_are_reported_by_name_and_count(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    without(folder, "lm_head.weight", "model.ecg_projector.bias")
    with pytest.raises(CheckpointError, match=r"2 missing \(model\.ecg_projector\.bias, lm_head\.weight\)"):
        load_checkpoint(folder)


def test_a_tensor_of_another_shape_is_reported_with_both_shapes(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    state = load_file(folder / "model.safetensors")
    state["model.norm.weight"] = torch.ones(33)
    save_file(state, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"1 of another shape \(model\.norm\.weight \(33,\), expected \(32,\)"):
        load_checkpoint(folder)


def test_a_cut_file_is_no_readable_checkpoint(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is no readable safetensors file"):
        load_checkpoint(folder)


def test_shards_are_read_as_one_and_have_one_digest(tmp_path: Path) -> None:
    folder = saved(tmp_path / "whole")
    whole = load_checkpoint(folder)
    digest = weights_digest(folder)
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    for k in range(2):
        part = {n: t for i, (n, t) in enumerate(state.items()) if i % 2 == k}
        save_file(part, folder / f"model-0000{k + 1}-of-00002.safetensors")
    back = load_checkpoint(folder)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), back.parameters(), strict=True))
    assert weights_digest(folder) != digest and weights_digest(folder) == weights_digest(folder)


@pytest.mark.parametrize("kind", ["mlp2x_gelu", "mlp3x_gelu"])
def test_the_kind_of_the_ecg_projector_follows_from_its_tensors_not_from_the_configuration(
    tmp_path: Path, kind: str
) -> None:
    folder = saved(tmp_path, ecg_projector_type=kind)
    document = json.loads((folder / "config.json").read_text()) | {"ecg_projector_type": "linear"}
    (folder / "config.json").write_text(json.dumps(document))
    assert load_checkpoint(folder).config.ecg_projector_type == kind


def test_sizes_of_the_towers_follow_from_the_tensors_where_nothing_says_them(tmp_path: Path) -> None:
    folder = saved(tmp_path, tower=TowerConfig(64, 1, 64, 128, embed_dim=16), vision=CLIP | {"hidden_size": 64})
    document = json.loads((folder / "config.json").read_text())
    del document["tower_config"], document["vision_config"]
    (folder / "config.json").write_text(json.dumps(document))
    config = load_checkpoint(folder).config
    assert config.tower == TowerConfig(64, 1, 64, 128, embed_dim=16)
    assert (config.vision.image_size, config.vision.num_hidden_layers) == (56, 2)


def test_the_vision_tower_comes_from_the_checkpoint_and_from_the_clip_folder_only_where_it_lacks_it(
    tmp_path: Path,
) -> None:
    folder = saved(tmp_path, vision=CLIP, mm_vision_tower="./clip")
    own = load_checkpoint(folder).model.vision_tower.clip.embeddings.class_embedding
    prefix = "model.vision_tower.vision_tower.vision_model."
    names = [n for n in load_file(folder / "model.safetensors") if n.startswith(prefix)]
    other = {
        f"vision_model.{n.removeprefix(prefix)}": torch.full_like(t, 0.5)
        for n, t in load_file(folder / "model.safetensors").items()
        if n.startswith(prefix)
    }
    (folder / "clip").mkdir()
    (folder / "clip" / "config.json").write_text(json.dumps(CLIP))
    save_file(other, folder / "clip" / "model.safetensors")
    assert torch.equal(load_checkpoint(folder).model.vision_tower.clip.embeddings.class_embedding, own)
    without(folder, *names)
    assert load_checkpoint(folder).model.vision_tower.clip.embeddings.class_embedding.eq(0.5).all()


def test_a_pickled_checkpoint_is_not_opened_but_pointed_to_the_import(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"no \.safetensors file; pytorch_model\.bin must be imported first"):
        load_checkpoint(tmp_path)


def test_the_published_encoder_file_is_imported_without_its_prefix(tmp_path: Path) -> None:
    config = TowerConfig(64, 1, 64, 128, embed_dim=16)
    state = {f"module.ecg.{n}": torch.from_numpy(t) for n, t in random_state(config, 1).items()}
    torch.save({"state_dict": state | {"module.logit_scale": torch.tensor(2.66)}, "epoch": 20}, tmp_path / "cpt.pt")
    names = import_checkpoint(tmp_path / "cpt.pt", tmp_path / "out")
    assert len(names) == len(config.shapes()) + 1 and "logit_scale" in names
    tower, read, _ = read_tower(tmp_path / "out")
    assert read == config and (tower["proj"] == state["module.ecg.proj"].numpy()).all()


class Harmful:
    """Would run a program when unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("touch was-run",)


def test_a_pickle_that_holds_code_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"a": torch.ones(1), "b": Harmful()}}, tmp_path / "bad.pt")
    with pytest.raises(pickle.UnpicklingError):
        import_checkpoint(tmp_path / "bad.pt", tmp_path / "out")
    assert not (tmp_path / "was-run").exists()


def test_import_copies_the_configuration_and_joins_shards(tmp_path: Path) -> None:
    folder = saved(tmp_path / "src")
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    half = len(state) // 2
    for k, part in enumerate((list(state.items())[:half], list(state.items())[half:])):
        torch.save(dict(part), folder / f"pytorch_model-0000{k + 1}-of-00002.bin")
    names = import_checkpoint(folder, tmp_path / "out")
    assert len(names) == len(state)
    assert load_checkpoint(tmp_path / "out").config.hidden_size == 32
    shutil.rmtree(tmp_path / "out")

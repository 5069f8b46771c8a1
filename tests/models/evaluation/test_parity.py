"""Every fixture that the GEM reference made passes, and a fixture that was tampered with does not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.evaluation.parity import ParityLine, run_parity

FOLDERS = (
    "coca_tiny_text",
    "ecg_coca_full",
    "ecg_preprocess",
    "ecg_render",
    "eval_metrics",
    "gem_tiny_v1",
    "gem_tiny_v2",
    "image_preprocess",
    "prompts",
    "state_dict_7b",
)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def out_of_tolerance(folder: Path) -> list[ParityLine]:
    return [line for line in run_parity(folder) if not line.ok]


@pytest.mark.parametrize("name", FOLDERS)
def test_the_fixture_passes_at_its_tolerance(parity_home: Path, name: str) -> None:
    lines = list(run_parity(parity_home / name))
    assert len(lines) >= 3
    assert [line for line in lines if not line.ok] == []


def test_a_folder_is_known_by_what_it_holds_and_not_by_its_name(parity_home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "anything"
    shutil.copytree(parity_home / "prompts", folder)
    assert {line.fixture for line in run_parity(folder)} == {"anything"}


def test_a_wrong_weight_is_found(parity_home: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(parity_home / "coca_tiny_text", tmp_path / "coca"))
    (folder / "model.safetensors").chmod(0o644)
    state = load_file(folder / "model.safetensors")
    state["ecg.transformer.resblocks.0.mlp.c_fc.bias"] += 0.01
    save_file(state, folder / "model.safetensors")
    wrong = {line.tensor for line in out_of_tolerance(folder)}
    assert "ecg_token_embs" in wrong and "text_features" not in wrong


def test_a_wrong_word_of_a_prompt_is_counted(parity_home: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(parity_home / "prompts", tmp_path / "prompts"))
    path = folder / "prompts.json"
    path.chmod(0o644)
    document = json.loads(path.read_text())
    document["llava_v1"] = document["llava_v1"].replace("curious human", "curious humxn")
    path.write_text(json.dumps(document))
    line = next(line for line in run_parity(folder) if line.tensor == "llava_v1")
    assert (line.max_error, line.tolerance, line.ok) == (1.0, 0.0, False)


def test_a_page_moved_by_three_pixels_is_out(parity_home: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(parity_home / "ecg_render", tmp_path / "render"))
    path = folder / "r0-0.json"
    path.chmod(0o644)
    document = json.loads(path.read_text())
    for lead in document["leads"]:
        lead["plotted_pixels_every_50th_yx"] = [[y + 3, x] for y, x in lead["plotted_pixels_every_50th_yx"]]
    path.write_text(json.dumps(document))
    assert sum(not line.ok for line in run_parity(folder)) == 12


def test_a_folder_with_nothing_known_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no parity fixture of a known layout"):
        list(run_parity(tmp_path))


def test_a_line_is_what_the_command_prints(parity_home: Path) -> None:
    line = next(run_parity(parity_home / "prompts"))
    assert list(line.to_json()) == ["fixture", "tensor", "max_error", "tolerance", "ok"]
    json.dumps(line.to_json(), allow_nan=False)

"""Training as published, on the reference's tiny fixture: its loss, what is trained, resume after SIGKILL, LoRA."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402

from models.corpus.conversation_files import read_conversations  # noqa: E402
from models.corpus.published_layout import PublishedLayout  # noqa: E402
from models.encoder.import_checkpoint import import_checkpoint  # noqa: E402
from models.encoder.safetensors_folder import CheckpointError  # noqa: E402
from models.encoder.tower_checkpoint import GEM_TOWER  # noqa: E402
from models.gem.checkpoint import load_checkpoint  # noqa: E402
from models.training.base_checkpoint import open_base  # noqa: E402
from models.training.finetune import (  # noqa: E402
    FinetuneConfig,
    add_lora,
    finetune,
    learning_rate,
    mean_loss,
    trained_parameters,
)
from models.training.published_conversations import ConversationExamples, collate_pages  # noqa: E402

QUICK = FinetuneConfig(
    train="full", steps=3, batch=1, accumulate=2, lr=1e-3, precision="no", save_every=2, parity=True, seed=1
)


@pytest.fixture(scope="module")
def tiny(parity_home: Path) -> Path:
    return parity_home / "gem_tiny_v1"


@pytest.fixture(scope="module")
def root(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fixture's records and pages as a folder of the published layout, with three conversations."""
    root = tmp_path_factory.mktemp("layout")
    (root / "ecg_timeseries").symlink_to(tiny / "records")
    (root / "ecg_images").symlink_to(tiny / "images")
    (first,) = json.loads((tiny / "dataset.json").read_text())
    answers = ("Atrial fibrillation.", "Sinus rhythm, QRS duration 92 ms.")
    others = [
        {**first, "id": f"c{k}", "conversations": [first["conversations"][0], {"from": "gpt", "value": answer}]}
        for k, answer in enumerate(answers)
    ]
    (root / "ecg_jsons").mkdir()
    (root / "ecg_jsons" / "ECG_Grounding.json").write_text(json.dumps([first, *others]))
    return root


@pytest.fixture(scope="module")
def llava(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A LLaVA folder without ECG tower, and the folder of a tower imported from the published kind of file."""
    base, tower = tmp_path_factory.mktemp("llava"), tmp_path_factory.mktemp("tower")
    for name in ("tokenizer.model", "clip-tiny"):
        (base / name).symlink_to(tiny / name)
    document = json.loads((tiny / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({k: v for k, v in document.items() if "ecg" not in k}))
    state = load_file(tiny / "model.safetensors")
    save_file({k: v for k, v in state.items() if ".ecg_" not in k}, base / "model.safetensors")
    import_checkpoint(tiny / "cpt_tiny.pt", tower)
    (tower / "coca_gem_tiny_v1.json").write_bytes((tiny / "coca_gem_tiny_v1.json").read_bytes())
    return base, tower


def examples(root: Path, processor: object, n: int | None = None) -> ConversationExamples:
    conversations = read_conversations(root / "ecg_jsons" / "ECG_Grounding.json")[:n]
    return ConversationExamples(conversations, PublishedLayout(root), processor, parity=True)  # type: ignore[arg-type]


def test_the_loss_is_the_references(tiny: Path, root: Path) -> None:
    model, processor = open_base(tiny)
    expected = json.loads((tiny / "meta.json").read_text())["train.loss"]
    assert mean_loss(model, examples(root, processor, 1), QUICK) == pytest.approx(expected, abs=1e-4)


def test_a_llava_checkpoint_gets_the_tower_and_a_new_projector(
    llava: tuple[Path, Path], tiny: Path, root: Path, tmp_path: Path
) -> None:
    base, tower = llava
    with pytest.raises(CheckpointError, match="no ECG tower"):
        open_base(base)
    model, processor = open_base(base, tower)
    imported = {f"{GEM_TOWER}{n.removeprefix('ecg.')}": p for n, p in load_file(tower / "model.safetensors").items()}
    theirs = dict(load_checkpoint(tiny).named_parameters()) | imported
    differing = {n for n, p in model.named_parameters() if not torch.equal(p, theirs[n])}
    assert differing == {"model.ecg_projector.weight", "model.ecg_projector.bias"}

    before = mean_loss(model, examples(root, processor), QUICK)
    start = {n: p.detach().clone() for n, p in model.named_parameters()}
    trained = finetune(
        model, examples(root, processor), None, replace(QUICK, train="projector", lr=3e-2, steps=6), tmp_path
    )
    assert mean_loss(trained, examples(root, processor), QUICK) < before
    moved = {n for n, p in trained.named_parameters() if not torch.equal(p, start[n])}
    assert moved == {"model.ecg_projector.weight", "model.ecg_projector.bias"}
    assert (tmp_path / "projector.png").stat().st_size > 1000


def test_full_training_leaves_the_towers_alone(tiny: Path) -> None:
    model, _ = open_base(tiny)
    trained_parameters(model, "full")
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen and all("tower." in name for name in frozen)
    assert model.lm_head.weight.requires_grad and model.model.embed_tokens.weight.requires_grad


def test_lora_merged_equals_lora_applied(tiny: Path, root: Path) -> None:
    model, processor = open_base(tiny)
    batch = collate_pages([examples(root, processor)[0]])
    with torch.no_grad():
        plain = model(**batch).logits
    adapted = add_lora(model, replace(QUICK, train="lora"))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:  # zero at first, so that adapters change nothing
                parameter.normal_(0.0, 0.2, generator=torch.Generator().manual_seed(len(name)))
        applied = adapted(**batch).logits
        merged = adapted.merge_and_unload()(**batch).logits
    assert (applied - plain).abs().max() > 0.05
    assert torch.allclose(applied, merged, atol=1e-4)


def test_lora_training_writes_a_folder_that_answers(llava: tuple[Path, Path], root: Path, tmp_path: Path) -> None:
    base, tower = llava
    model, processor = open_base(base, tower)
    config = replace(QUICK, train="lora", steps=2)
    before = mean_loss(model, examples(root, processor), config)
    trained = finetune(model, examples(root, processor), examples(root, processor, 1), config, tmp_path)
    assert mean_loss(trained, examples(root, processor), config) < before
    assert not [n for n, _ in trained.named_parameters() if "lora" in n]
    assert (tmp_path / "adapters" / "adapter_config.json").is_file()
    assert "held_out_loss" in (tmp_path / "lora.csv").read_text()


def test_the_learning_rate_warms_up_and_falls_to_zero() -> None:
    config = FinetuneConfig()
    rates = [learning_rate(k, 1000, config) for k in range(1000)]
    assert rates[0] < rates[29] == pytest.approx(2e-5) and rates[999] < 1e-9
    assert max(rates) == pytest.approx(2e-5)


def test_an_interrupted_run_resumes_to_the_same_loss(tiny: Path, root: Path, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    config = replace(QUICK, steps=4)
    model, processor = open_base(tiny)
    finetune(model, examples(root, processor), None, config, whole)

    class Interrupted(ConversationExamples):
        """Ends the run in its third step."""

        def of_step(self, step: int, batch: int, seed: int) -> list[int]:
            if step == 2:
                raise KeyboardInterrupt
            return super().of_step(step, batch, seed)

    conversations = read_conversations(root / "ecg_jsons" / "ECG_Grounding.json")
    model, processor = open_base(tiny)
    with pytest.raises(KeyboardInterrupt):
        finetune(
            model, Interrupted(conversations, PublishedLayout(root), processor, parity=True), None, config, stopped
        )
    assert json.loads((stopped / "latest.json").read_text()) == {"step": 2}
    model, processor = open_base(tiny)
    finetune(model, examples(root, processor), None, config, stopped)
    assert (stopped / "full.csv").read_text() == (whole / "full.csv").read_text()


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_loss(tiny: Path, root: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    steps = 6
    model, processor = open_base(tiny)
    finetune(model, examples(root, processor), None, replace(QUICK, steps=steps, lr=1e-3), whole)

    command = [
        sys.executable, "-m", "models.training.finetune", "--base", str(tiny), "--data", str(root),
        "--json", str(root / "ecg_jsons" / "ECG_Grounding.json"), "--out", str(killed), "--steps", str(steps),
        "--batch", "1", "--lr", "1e-3", "--precision", "no", "--save-every", "1", "--seed", "1", "--parity",
    ]  # fmt: skip
    latest = killed / "training" / "latest.json"
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 120
    while not (latest.is_file() and json.loads(latest.read_text())["step"] >= 2) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stopped = json.loads(latest.read_text())["step"]
    assert 2 <= stopped < steps
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

    def last_loss(path: Path) -> float:
        with path.open(newline="") as file:
            *_, row = csv.DictReader(file)
        assert row["step"] == str(steps)
        return float(row["loss"])

    assert last_loss(killed / "training" / "full.csv") == pytest.approx(last_loss(whole / "full.csv"), abs=1e-4)
    assert load_checkpoint(killed).config.tower is not None


def test_missing_files_are_counted_before_anything_is_trained(tiny: Path, root: Path, tmp_path: Path) -> None:
    from models.training.finetune import main

    rows = json.loads((root / "ecg_jsons" / "ECG_Grounding.json").read_text())
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps([{**rows[0], "ecg": "nowhere"}]))
    options = ["--base", str(tiny), "--data", str(root), "--json", str(broken), "--out", str(tmp_path / "out")]
    assert main(options) == 1 and not (tmp_path / "out").exists()

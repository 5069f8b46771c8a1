"""Every stage of the compact GEM by its documented command: killed with SIGKILL, it ends as an undisturbed run.

The commands run on a small folder of real recordings. The process is killed as soon as its first state file is there;
started again, it takes the other steps, and its weights and the last row of its log equal those of a run that nobody
stopped. (`test_finetune` does the same for the training as published.)
"""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import numpy as np  # noqa: E402
from safetensors import safe_open  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from models.gem.measuring_session import SHIPPED_GEM  # noqa: E402

PATIENCE_S = 120.0  # for the first state file, on a busy machine
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
SAVES = "--save-every", "2"


@dataclass(frozen=True)
class Stage:
    """A command, its files, and the stage whose work folder it continues.

    Attributes
    ----------
    options : tuple of str
        ``WORK`` stands for the work folder, ``DATA`` for the recordings, ``OUT`` for the folder that is written.
    state, log, result : str
        State file and log in the work folder; weights that the finished command leaves, in it or in ``OUT``.
    """

    name: str
    options: tuple[str, ...]
    state: str
    log: str
    result: str
    after: str | None = None

    def options_of(self, work: Path, data: Path) -> list[str]:
        """Options of the command for the folders of a run."""
        folders = {"WORK": str(work), "DATA": str(data), "OUT": str(work / "out"), "FOLDS": str(data / "folds")}
        return [folders.get(word, word) for word in (*self.options, "--work", "WORK", *SAVES)]


RECORDS = "--data", "DATA", "--folds", "FOLDS"
GEM = "--gem", str(SHIPPED_GEM), "--out", "OUT"
FEW = "--simulated", "6", "--steps", "4"
STAGES = {
    stage.name: stage
    for stage in (
        Stage("pretrain", (*RECORDS, *FEW, "--out", "OUT"), "state.safetensors", "log.csv", "out/tower.safetensors"),
        Stage(
            "language",
            ("--drills", "1", "--lookups", "1", "--steps", "4", "--batch", "2"),
            "language.safetensors",
            "language.csv",
            "gem-language/model.safetensors",
        ),
        Stage(
            "align",
            (*RECORDS, *FEW, "--batch", "2"),
            "align.safetensors",
            "align.csv",
            "gem-aligned/model.safetensors",
            after="language",
        ),
        Stage(
            "instruct",
            (*RECORDS, *FEW, "--batch", "3", "--out", "OUT"),
            "instruct.safetensors",
            "instruct.csv",
            "out/model.safetensors",
            after="align",
        ),
        Stage(
            "measuring",
            (*RECORDS, *FEW, "--measured", "2", *GEM),
            "measuring-state.safetensors",
            "measuring.csv",
            "out/model.safetensors",
        ),
        Stage(
            "page",
            (*RECORDS, "--reader-steps", "3", "--joint-steps", "2", *GEM),
            "page-state.safetensors",
            "page.csv",
            "out/model.safetensors",
        ),
    )
}

LANGUAGE_STAGES = ("language", "align", "instruct")  # slow: a start of their process alone is 6 s of computing


@pytest.fixture(scope="module")
def recordings(data_home: Path, score_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen records of the PTB-XL part, twelve of them to train on, and the committed folds."""
    import soundfile

    folder = tmp_path_factory.mktemp("recordings")
    (folder / "folds").symlink_to(score_home / "folds")
    (folder / "ptbxl").mkdir()
    with (data_home / "ptbxl" / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    of_fold = {fold: [row for row in rows if row["strat_fold"] == fold] for fold in ("1", "7", "8")}
    wanted = [*of_fold["1"][:12], *of_fold["7"][:2], *of_fold["8"][:2]]
    with soundfile.SoundFile(data_home / "ptbxl" / "ptbxl_dev.flac") as file:
        windows = []
        for row in wanted:
            file.seek(int(row["row"]) * 12 * 2500)
            windows.append(file.read(12 * 2500, dtype="int16"))
        soundfile.write(folder / "ptbxl" / "ptbxl_dev.flac", np.concatenate(windows), file.samplerate)
    with (folder / "ptbxl" / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "row": k} for k, row in enumerate(wanted))
    return folder


@dataclass(frozen=True)
class Runs:
    """Work folders of the module's runs: ``<stage>-whole`` and ``<stage>-killed``."""

    home: Path
    data: Path

    def prepared(self, stage: Stage, how: str) -> Path:
        """A work folder in which the stage may begin: empty, or as the stage before it left it."""
        work = self.home / f"{stage.name}-{how}"
        if stage.after is None:
            work.mkdir()
        else:
            shutil.copytree(self.undisturbed(STAGES[stage.after]), work)
        return work

    def undisturbed(self, stage: Stage) -> Path:
        """Work folder of a run from the first step to the last, in this process."""
        work = self.home / f"{stage.name}-whole"
        if not work.is_dir():
            self.prepared(stage, "whole")
            import_module(f"models.training.{stage.name}").main(stage.options_of(work, self.data))
        return work


@pytest.fixture(scope="module")
def runs(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("runs"), recordings)


def rows_of(log: Path) -> list[dict[str, str]]:
    """Rows of a log; none where there is no log yet."""
    if not log.is_file():
        return []
    with log.open(newline="") as file:
        return list(csv.DictReader(file))


def kill_at_first_save(command: list[str], state: Path) -> int:
    """Start a command and kill it when its state file is there; returns the steps that the file holds."""
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE_S
    while not state.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    with safe_open(state, "pt") as file:
        return int(file.get_tensor("step"))


@pytest.mark.data
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LANGUAGE_STAGES else name for name in STAGES]
)
def test_a_killed_stage_ends_as_an_undisturbed_one(name: str, runs: Runs) -> None:
    stage = STAGES[name]
    whole, killed = runs.undisturbed(stage), runs.prepared(stage, "killed")
    for cache in (*whole.glob("*.npz"), *whole.glob("*measurements.json"), *whole.glob("tokenizer.model")):
        shutil.copy(cache, killed)  # each stage writes them at its first run and reads them afterwards
    command = [sys.executable, "-m", f"models.training.{name}", *stage.options_of(killed, runs.data)]
    done = kill_at_first_save(command, killed / stage.state)
    steps = int(rows_of(whole / stage.log)[-1]["step"])
    before = rows_of(killed / stage.log)
    assert 1 <= done < steps and not (killed / stage.result).is_file()

    again = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    after = rows_of(killed / stage.log)[len(before) :]
    # It went on, it did not begin anew, and its losses are those of the other run.
    assert after == [row for row in rows_of(whole / stage.log) if int(row["step"]) > done]
    expected, found = load_file(whole / stage.result), load_file(killed / stage.result)
    assert expected.keys() == found.keys()
    for key, tensor in expected.items():
        torch.testing.assert_close(found[key], tensor, msg=lambda text, key=key: f"{key}: {text}")

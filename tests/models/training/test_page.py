"""The page tower's training in a tiny run: pages and where their traces lie, losses, a stopped run that goes on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402

from models.corpus.datasets import TRAIN, CorpusRecord  # noqa: E402
from models.evaluation.scanned_pages import coloured, taken_apart  # noqa: E402
from models.finding_names import FINDINGS  # noqa: E402
from models.gem.measuring_layout import ATTRIBUTES, OUTPUTS, READABLE, VALUE_OUTPUTS, MeasuringSizes  # noqa: E402
from models.gem.measuring_tower import MeasuringTower  # noqa: E402
from models.gem.page_layout import COLUMNS, FIRST_COLUMN, HEIGHT, SMALL_PER_MV, WIDTH, ZERO_LINES, PageSizes  # noqa: E402
from models.gem.page_tower import WHOLE, PageTower  # noqa: E402
from models.training import page as training  # noqa: E402
from models.training.drawn_pages import DrawnPage, drawn_page, page_without_ecg  # noqa: E402
from models.training.page import (  # noqa: E402
    LabelledWindows,
    PageConfig,
    TuningRows,
    best_share,
    draw,
    fresh_tower,
    labelled_windows,
    page_document,
    put_tower,
    reading_losses,
    step_losses,
    taught,
    train,
    tuning_rows,
)
from models.training.simulate import simulate  # noqa: E402

SIZES = PageSizes(channels=6, colours=4)
SETTINGS = PageConfig(
    reader_steps=4, joint_steps=2, real=1, simulated=1, warm_up=1, save_every=2, precision="fp32", lr=5e-3
)


@pytest.fixture(scope="module")
def windows() -> LabelledWindows:
    made = [simulate(np.random.default_rng([3, k])) for k in range(4)]
    return labelled_windows(CorpusRecord(f"simulated/{k}", TRAIN, s.ecg, s.findings, True) for k, s in enumerate(made))


@pytest.fixture(scope="module")
def teacher() -> MeasuringTower:
    torch.manual_seed(1)
    return MeasuringTower(MeasuringSizes(channels=6, hidden=8)).eval()


def _darkness_on_the_trace(drawn: DrawnPage) -> float:
    """Share of the columns in which the darkest pixel within two of the trace is darker than the row's usual paper."""
    grey = drawn.pixels.astype(np.float32).mean(axis=0)
    hits = []
    for lead, zero in enumerate(ZERO_LINES):
        at = np.round(zero - drawn.heights[lead] * SMALL_PER_MV - 0.5).astype(int)
        for column in range(20, COLUMNS - 20, 11):
            rows = np.clip(np.arange(at[column] - 2, at[column] + 3), 0, HEIGHT - 1)
            hits.append(grey[rows, FIRST_COLUMN + column].min() < np.median(grey) - 40)
    return float(np.mean(hits))


@pytest.mark.parametrize("seed", range(4))
def test_traces_lie_where_the_targets_say(seed: int) -> None:
    mv = simulate(np.random.default_rng(seed), rhythm="sinus").ecg.mv.astype(np.float32)
    plain = drawn_page(np.random.default_rng(seed), mv, plain=True)
    assert plain.pixels.shape == (3, HEIGHT, WIDTH) and _darkness_on_the_trace(plain) > 0.98
    assert _darkness_on_the_trace(drawn_page(np.random.default_rng(seed), mv)) > 0.9


def test_a_page_is_put_together_as_it_was_taken_apart() -> None:
    mv = simulate(np.random.default_rng(2)).ecg.mv.astype(np.float32)
    page = drawn_page(np.random.default_rng(0), mv, plain=True).pixels
    ink, grid = taken_apart(page)
    assert 0.01 < (ink > 0.3).mean() < 0.2 and (grid > 0.05).mean() > 0.05
    assert coloured(np.random.default_rng(3), ink, grid).shape == page.shape


def test_leads_that_are_not_there_have_no_target_and_an_empty_page_has_none() -> None:
    mv = simulate(np.random.default_rng(2)).ecg.mv.astype(np.float32)
    mv[3:] = 0.0
    drawn = drawn_page(np.random.default_rng(1), mv)
    assert np.isfinite(drawn.heights).all(axis=1).tolist() == [True] * 3 + [False] * 9
    kinds = {page_without_ecg(np.random.default_rng(k), drawn.pixels).pixels.tobytes()[:4000] for k in range(12)}
    assert len(kinds) > 3 and np.isnan(page_without_ecg(np.random.default_rng(0), drawn.pixels).heights).all()


def test_a_batch_depends_on_its_step_alone(windows: LabelledWindows) -> None:
    first, again = (draw(np.random.default_rng([7, 1]), SETTINGS, windows) for _ in range(2))
    assert torch.equal(first.pages, again.pages) and first.pages.shape[1:] == (3, HEIGHT, WIDTH)
    assert not torch.equal(first.pages[0], draw(np.random.default_rng([7, 2]), SETTINGS, windows).pages[0])


def test_a_reading_that_is_right_costs_less(windows: LabelledWindows, teacher: MeasuringTower) -> None:
    tower = fresh_tower(teacher, SIZES, 1)
    batch = draw(np.random.default_rng(1), SETTINGS, windows)
    with torch.no_grad():
        reading = tower.reader(batch.pages)
    right = reading._replace(leads=batch.heights.nan_to_num(0.0))
    away, near = (reading_losses(r, batch.heights)["height"].item() for r in (reading, right))
    assert near == 0.0 < away


def test_every_gradient_is_finite_where_leads_are_missing(windows: LabelledWindows, teacher: MeasuringTower) -> None:
    tower = fresh_tower(teacher, SIZES, 1)
    with torch.no_grad():
        assert tower.reader.seen.bias is not None
        tower.reader.seen.bias.fill_(-9.0)  # no lead is seen: windows of zeros
    batch = draw(np.random.default_rng(1), SETTINGS, windows)
    parts = step_losses(tower, teacher, batch, WHOLE, "fp32", "cpu")
    torch.stack(list(parts.values())).sum().backward()
    assert all(p.grad.isfinite().all() for p in tower.parameters() if p.grad is not None)


def test_what_cannot_be_read_teaches_that_alone(teacher: MeasuringTower) -> None:
    with torch.no_grad():
        output = teacher(torch.zeros(1, 12, 5000))
        output.logits[:, VALUE_OUTPUTS + ATTRIBUTES.index(READABLE)] = -5.0
        targets = taught(output, torch.full((1, len(FINDINGS)), float("nan")))
    assert not targets["marks"].any() and targets["values"].isnan().all()
    assert targets["attributes"].isfinite().sum() == 1


def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    windows: LabelledWindows, teacher: MeasuringTower, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(SETTINGS, windows, tmp_path / "whole", fresh_tower(teacher, SIZES, 1), teacher, "cpu")
    calls = []

    def stopping(*given: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return step_losses(*given, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(training, "step_losses", stopping)
        with pytest.raises(KeyboardInterrupt):
            train(SETTINGS, windows, tmp_path / "stopped", fresh_tower(teacher, SIZES, 1), teacher, "cpu")
    resumed = train(SETTINGS, windows, tmp_path / "stopped", fresh_tower(teacher, SIZES, 1), teacher, "cpu")
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], tensor)
    rows = (tmp_path / "stopped" / "page.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "2", "4", "6"]
    assert rows == (tmp_path / "whole" / "page.csv").read_text().splitlines()


def test_the_tower_is_put_into_a_gem(windows: LabelledWindows, teacher: MeasuringTower, tmp_path: Path) -> None:
    gem, out = tmp_path / "gem", tmp_path / "out"
    gem.mkdir()
    save_file({"model.norm.weight": torch.ones(3)}, gem / "model.safetensors")
    (gem / "config.json").write_text("{}")
    (gem / "tokenizer.model").write_bytes(b"pieces")
    tower = fresh_tower(teacher, SIZES, 1).eval()
    rows = tuning_rows(tower, teacher, windows)
    assert rows.signal.shape == rows.page.shape == (4, OUTPUTS)
    digest = put_tower(gem, tower, page_document(tower, rows), out)
    state, config = load_file(out / "model.safetensors"), json.loads((out / "config.json").read_text())
    assert config["weights"] == digest and config["page_config"]["sizes"] == SIZES.to_dict()
    again = PageTower(SIZES, MeasuringSizes(**config["page_config"]["measuring"]))
    again.load_state_dict(
        {k.removeprefix("model.page_tower."): v.float() for k, v in state.items() if "page_tower" in k}
    )


def test_the_share_is_that_of_the_better_tower() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (60, len(FINDINGS))).astype(np.float32)
    good, bad = np.zeros((60, OUTPUTS), np.float32), rng.normal(0, 3, (60, OUTPUTS)).astype(np.float32)
    first = VALUE_OUTPUTS + len(ATTRIBUTES) - len(FINDINGS)
    good[:, first : first + len(FINDINGS)] = 6 * truth - 3
    assert best_share(TuningRows(good, bad, truth)) <= 0.1 and best_share(TuningRows(bad, good, truth)) >= 0.9


def test_the_command_trains_and_writes_a_gem(
    windows: LabelledWindows, gem_with_tower: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, out = tmp_path / "work", tmp_path / "out"
    windows.save(work / "page-windows.npz")
    windows.save(work / "page-windows-tune.npz")
    monkeypatch.setattr(training, "PageSizes", lambda: SIZES)
    steps = ["--reader-steps", "1", "--joint-steps", "1", "--work", str(work)]
    folders = ["--data", "none", "--folds", "none", "--gem", str(gem_with_tower), "--out", str(out)]
    training.main([*folders, *steps])
    config = json.loads((out / "config.json").read_text())
    assert set(config["page_config"]) == {"sizes", "measuring", "share", "thresholds", "thresholds_both"}
    first = (out / "model.safetensors").read_bytes()
    training.main([*folders, *steps])  # all steps are done
    assert (out / "model.safetensors").read_bytes() == first


@pytest.fixture
def gem_with_tower(teacher: MeasuringTower, tmp_path: Path) -> Path:
    """A folder with the measuring tower of a GEM and nothing else."""
    folder = tmp_path / "small-gem"
    folder.mkdir()
    own = {f"model.measuring_tower.{k}": v.contiguous() for k, v in teacher.state_dict().items()}
    save_file(own, folder / "model.safetensors")
    measuring = {"sizes": teacher.sizes.to_dict(), "thresholds": {}}
    (folder / "config.json").write_text(json.dumps({"measuring_config": measuring}))
    (folder / "tokenizer.model").write_bytes(b"pieces")
    return folder

"""The measuring tower's training in a tiny run: targets of a window, steps that learn, a stopped run that goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.corpus.datasets import TRAIN, TUNE, CorpusRecord  # noqa: E402
from models.corpus.measurement_cache import RecordMeasurements  # noqa: E402
from models.finding_names import FINDINGS  # noqa: E402
from models.gem.measuring_layout import ATTRIBUTES, BINS, FRAMES, MARKS, PATCH, QUANTITIES, READABLE, MeasuringSizes  # noqa: E402
from models.grounding.segment_measurements import measure_segment  # noqa: E402
from models.training.measuring import (  # noqa: E402
    PAGES,
    MeasuringConfig,
    load_tower,
    losses,
    outputs_of,
    save_tower,
    scores,
    thresholds,
    train,
)
from models.training.measuring_data import (  # noqa: E402
    MeasuringPool,
    coloured_noise,
    distributions,
    measuring_pool,
    pages_of,
    unreadable_batch,
)
from models.training.simulate import simulate  # noqa: E402

SIZES = MeasuringSizes(channels=12, hidden=24)


@pytest.fixture(scope="module")
def pool() -> MeasuringPool:
    made = [simulate(np.random.default_rng([3, k]), rhythm="sinus" if k % 2 else "afib") for k in range(6)]
    records = [CorpusRecord(f"simulated/{k}", TRAIN, s.ecg, s.findings, True) for k, s in enumerate(made)]
    measured = {r.key: RecordMeasurements.of(measure_segment(r.ecg)) for r in records[:4]}
    return measuring_pool(records, measured, {"simulated/4": 88.0})


def test_targets_are_those_of_measurement_detector_and_label(pool: MeasuringPool) -> None:
    assert pool.marks.shape == (6, MARKS, FRAMES) and pool.attributes.shape == (6, len(ATTRIBUTES))
    assert (
        np.isfinite(pool.values[:4, 0]).all() and pool.values[4].tolist()[0] == 88.0 and np.isnan(pool.values[5]).all()
    )
    rate = (pool.marks[1, -1] > 150).sum()  # about two frames a beat
    assert 6 * 1.5 < rate < 6 * 10 and pool.attributes[1, ATTRIBUTES.index("SINUS")] == 1.0
    assert (pool.attributes[:, ATTRIBUTES.index(READABLE)] == 1.0).all()
    p_waves, none = ATTRIBUTES.index("P waves"), ATTRIBUTES.index("no P waves")
    assert pool.attributes[1, p_waves] == 1.0 and pool.attributes[1, none] == 0.0


def test_marks_move_with_the_window(pool: MeasuringPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.training.measuring_data.disturbed", lambda rng, mv, present: mv)
    moved = 0
    for seed in range(8):
        batch = pool.draw(np.random.default_rng(seed), 1)
        k = next(k for k in range(len(pool)) if np.array_equal(pool.attributes[k], batch.attributes[0], equal_nan=True))
        lead = batch.ecg[0, 1] - batch.ecg[0, 1].mean(), pool.window(k)[1] - pool.window(k)[1].mean()
        of_ecg = int(np.correlate(*lead, mode="full").argmax()) - 4999
        marks = batch.marks[0, 3], pool.marks[k, 3].astype(float)
        of_marks = int(np.correlate(*marks, mode="full").argmax()) - FRAMES + 1
        assert of_ecg == of_marks * PATCH
        moved += of_ecg != 0
    assert moved >= 3


def test_a_value_is_a_distribution_around_it() -> None:
    p = distributions(np.array([72.0, np.nan, 96.0, 1000.0], np.float32))
    assert p.shape == (len(QUANTITIES), BINS) and np.isnan(p[1]).all()
    assert p[[0, 2, 3]].sum(axis=1) == pytest.approx(1.0) and p[3].argmax() == BINS - 1


def test_windows_without_an_ecg_teach_readability_alone() -> None:
    batch = unreadable_batch(np.random.default_rng(0), 20)
    assert (batch.attributes[:, ATTRIBUTES.index(READABLE)] == 0).all() and np.isnan(batch.attributes[:, 1:]).all()
    assert not batch.marks.any() and not batch.measurable.any() and np.isfinite(batch.ecg).all()
    assert any(not w.any() for w in batch.ecg) and coloured_noise(np.random.default_rng(1), 1.0).std() == pytest.approx(
        1.0, rel=0.1
    )


def test_pages_hold_what_was_drawn(pool: MeasuringPool) -> None:
    drawn = pages_of(pool, 2, 1)
    assert len(drawn) == 2 and drawn.attributes.shape == (2, len(ATTRIBUTES))
    rows = [k for k in range(6) if any(np.array_equal(pool.marks[k], m) for m in drawn.marks)]
    assert len(rows) == 2


def test_a_few_steps_lower_the_loss_and_a_stopped_run_goes_on(pool: MeasuringPool, tmp_path: Path) -> None:
    pools = {TRAIN: pool, TUNE: pool, "simulated": pool, PAGES: pages_of(pool, 2, 1)}
    settings = MeasuringConfig(
        steps=12, real=4, pages=1, simulated=2, unreadable=2, warm_up=2, save_every=6, average=0.5, precision="fp32"
    )
    tower = train(settings, pools, tmp_path, SIZES, "cpu")
    rows = (tmp_path / "measuring.csv").read_text().splitlines()
    first, last = (
        dict(zip(rows[0].split(","), map(float, row.split(",")), strict=True)) for row in (rows[1], rows[-1])
    )
    assert last["marks"] < first["marks"] and first["step"] == 6 and last["step"] == 12
    again = train(settings, {}, tmp_path, SIZES, "cpu")  # all steps are done: no pool is drawn from
    for name, tensor in tower.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor)
    save_tower(tmp_path, tower, {"AFIB": 0.4})
    read, limits = load_tower(tmp_path)
    logits = outputs_of(read, pool)
    np.testing.assert_allclose(logits, outputs_of(tower, pool), atol=1e-5)
    assert limits == {"AFIB": 0.4} and set(scores(logits, pool)) >= {"HR", "QRS", "PR", "QT", "auc", "readable"}
    assert set(thresholds(logits, pool)) <= set(FINDINGS)


def test_unknown_targets_cost_nothing(pool: MeasuringPool) -> None:
    from models.gem.measuring_tower import MeasuringTower

    torch.manual_seed(0)
    out = MeasuringTower(SIZES)(torch.from_numpy(pool.window(0)[None]))
    batch = {k: torch.from_numpy(v) for k, v in pool.draw(np.random.default_rng(0), 1)._asdict().items()}
    batch = {k: torch.full_like(v, float("nan")) if k not in ("ecg", "marks") else v for k, v in batch.items()}
    parts = losses(out, batch)
    assert all(parts[name].item() == 0.0 for name in ("values", "measurable", "attributes"))

"""Pre-training on a handful of simulated records: it resumes where it stopped, and writes an encoder that runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.corpus.datasets import REPORT, TRAIN, TUNE  # noqa: E402
from models.encoder.configuration import TowerConfig  # noqa: E402
from models.encoder.heads import load_heads  # noqa: E402
from models.encoder.session import EncoderSession  # noqa: E402
from models.evaluation.binary_scores import auc, best_threshold, macro_auc  # noqa: E402
from models.finding_names import FINDINGS  # noqa: E402
from models.training.captions import CONTEXT, START, STOP, caption, tokens  # noqa: E402
from models.training.linear_heads import fit_heads  # noqa: E402
from models.training.pretrain import PretrainConfig, finish, train  # noqa: E402
from models.training.simulate import simulate  # noqa: E402
from models.training.window_pool import WindowPool, augment, pool_of_simulated  # noqa: E402

TINY = TowerConfig(width=32, layers=1, head_width=16, mlp_width=64, embed_dim=16, lead_norm=True)
PLAN = PretrainConfig(steps=6, batch=8, simulated=24, save_every=3, warm_up=2, average=0.5)


@pytest.fixture(scope="module")
def pool() -> WindowPool:
    return pool_of_simulated(simulate(np.random.default_rng(k)) for k in range(24))


def test_a_window_keeps_its_record_and_knows_its_leads(pool: WindowPool) -> None:
    assert pool.mv.shape == (24, 12, 5000) and pool.present.all()
    assert np.abs(pool.window(0) - simulate(np.random.default_rng(0)).ecg.mv).max() < 0.001  # kept in microvolts
    assert np.isfinite(pool.beat).any() and np.isfinite(pool.intervals[:, 0]).all()


def test_variation_never_invents_a_lead(pool: WindowPool) -> None:
    present = np.zeros(12, bool)
    present[1] = True
    for seed in range(20):
        varied = augment(np.random.default_rng(seed), pool.window(0) * present[:, None], present)
        assert np.isfinite(varied).all() and not varied[~present].any()


def test_captions_say_what_is_there_and_nothing_else() -> None:
    text = caption({"SINUS": True, "LBBB": False}, {"HR": 71.6, "PR": 231.0})
    assert text == "sinus rhythm . hr=70 pr=240"
    row = tokens([text])[0]
    assert row.shape == (CONTEXT,) and row[0] == START and STOP in row


def test_a_run_that_is_stopped_goes_on_as_if_it_had_not_been(
    pool: WindowPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = train(PLAN, pool, pool, pool, tmp_path / "a", TINY)
    draw, drawn = WindowPool.draw, []

    def draw_until_killed(self: WindowPool, rng: np.random.Generator, n: int) -> object:
        drawn.append(n)
        if len(drawn) > 8:  # two draws a step: killed in the fifth step, after the save at three
            raise KeyboardInterrupt
        return draw(self, rng, n)

    monkeypatch.setattr(WindowPool, "draw", draw_until_killed)
    with pytest.raises(KeyboardInterrupt):
        train(PLAN, pool, pool, pool, tmp_path / "b", TINY)
    monkeypatch.setattr(WindowPool, "draw", draw)
    resumed = train(PLAN, pool, pool, pool, tmp_path / "b", TINY)
    a, b = straight.tower.state_dict(), resumed.tower.state_dict()
    assert all(torch.allclose(a[k], b[k], atol=1e-6) for k in a)
    assert (tmp_path / "b" / "log.csv").read_text().count("\n") == 3 and (tmp_path / "b" / "log.png").is_file()


def test_the_encoder_written_runs_and_its_heads_belong_to_it(pool: WindowPool, tmp_path: Path) -> None:
    model = train(PLAN, pool, pool, pool, tmp_path / "work", TINY)
    finish(PLAN, model, {TRAIN: pool, TUNE: pool, REPORT: pool}, pool, tmp_path / "work", tmp_path / "out")
    session = EncoderSession.load(tmp_path / "out", "cpu", threads=1)
    assert session.trained
    output = session.encode(np.stack([pool.window(k) for k in range(3)]))
    with torch.no_grad():
        expected = model.tower(torch.from_numpy(np.stack([pool.window(k) for k in range(3)]))).pooled.numpy()
    assert np.allclose(output.pooled, expected, atol=1e-3)
    heads = load_heads(tmp_path / "out", session.weights)
    assert heads is not None and set(heads.labels) <= set(FINDINGS) and len(heads.labels) >= 1


def test_the_encoder_reads_millivolts_and_z_scores_alike(pool: WindowPool, tmp_path: Path) -> None:
    tower = train(PLAN, pool, pool, pool, tmp_path, TINY).tower
    mv = pool.window(1)
    scores = (mv - mv.mean(axis=1, keepdims=True)) / mv.std(axis=1, keepdims=True)
    with torch.no_grad():
        a, b = tower(torch.from_numpy(np.stack([mv, scores]).astype(np.float32))).pooled.numpy()
    assert np.abs(a - b).max() < 0.15 * np.abs(a).max()


def test_heads_separate_what_a_line_can_and_leave_out_what_was_hardly_seen() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 6)).astype(np.float32)
    y = np.stack([(x[:, 0] > 0.5), np.arange(400) < 3], axis=1).astype(np.float32)
    heads = fit_heads(x[:300], y[:300], x[300:], y[300:], ("UP", "RARE"), "sha256:x")
    assert heads.labels == ("UP",)
    assert auc(heads.probabilities(x[300:])[:, 0], y[300:, 0]) > 0.98
    assert 0.1 < float(heads.threshold[0]) < 0.9


def test_auc_and_threshold_by_hand() -> None:
    score, y = np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])
    assert auc(score, y) == 0.75
    assert 0.1 < best_threshold(score, y) < 0.35
    assert np.isnan(macro_auc(score[:, None].astype(np.float32), y[:, None].astype(np.float32))[0])  # too few to say

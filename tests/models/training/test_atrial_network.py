"""Training of the atrial network: its windows and labels, its loss, and that the exported file runs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from models.networks.atrial import CLASSES, FIBRILLATION, FS_HZ, AtrialNetwork
from models.training.atrial_network import BATCH, AtrialModel, AtrialSampler, export, loss_of
from models.training.rhythm_corpus import RhythmRecord

RNG = np.random.default_rng(5)


def record(source: str, label: str, seconds: float, af: list[tuple[int, int]] | None = None) -> RhythmRecord:
    mv = RNG.standard_normal((1, round(seconds * FS_HZ))).astype(np.float32)
    return RhythmRecord(source, label, mv, label, spans={"AF": af or []})


def corpus() -> Any:
    handheld = [record("cinc2017", label, seconds) for label in CLASSES for seconds in [7.0] + [9.0, 30.0, 60.0] * 5]
    holter = [record("mitdb", "", 300.0, [(0, 10000)]), record("mitdb", "", 300.0)]
    return SimpleNamespace(handheld=handheld, holter=holter, noise=[])


def test_a_batch_is_of_one_length_and_the_same_seed_draws_the_same() -> None:
    held = corpus()
    sampler, again = AtrialSampler(held, 3), AtrialSampler(held, 3)
    assert all(r.n >= 8 * FS_HZ for r in sampler.records) and sampler.batches() == len(sampler.records) // BATCH
    for plan, same in zip(sampler.epoch(), again.epoch(), strict=True):
        (x, target, coarse), (y, *_) = sampler.batch(plan), again.batch(same)
        assert x.shape[:2] == (BATCH, 1) and 9 * FS_HZ <= x.shape[2] <= 30 * FS_HZ
        assert torch.equal(x, y) and len(target) == len(coarse) == BATCH
        assert target.max() < len(CLASSES) and bool(torch.isfinite(x).all())


def test_of_holter_recordings_only_fibrillation_or_not_is_asked() -> None:
    sampler = AtrialSampler(corpus(), 0)
    drawn = [sampler.batch(sampler.records[:BATCH]) for _ in range(10)]
    labels = torch.cat([target[coarse] for _, target, coarse in drawn]).tolist()
    assert set(labels) == {FIBRILLATION, CLASSES.index("N")}

    class Says(torch.nn.Module):
        def __init__(self, logits: list[float]) -> None:
            super().__init__()
            self.logits = torch.tensor([logits])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.logits

    x, is_none, coarse = torch.zeros(1, 1, 900), torch.tensor([0]), torch.tensor([True])
    normal, other = ([9.0, 0.0, 0.0, 0.0], [0.0, 0.0, 9.0, 0.0])
    assert float(loss_of(Says(normal), x, is_none, coarse)) == pytest.approx(
        float(loss_of(Says(other), x, is_none, coarse))
    )
    assert float(loss_of(Says([0.0, 9.0, 0.0, 0.0]), x, is_none, coarse)) > 5.0


def test_the_file_answers_as_the_model_does_at_any_length(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = AtrialModel().eval()
    export(model, tmp_path / "atrial.onnx")
    mv = RNG.standard_normal((1, 2000)).astype(np.float32)
    net = AtrialNetwork(tmp_path / "atrial.onnx")
    for n in (2000, 1200, 500):
        assert np.isfinite(net(mv[:, :n], FS_HZ, [0]))
    from models.networks.scaling import net_input

    x = np.concatenate([s * net_input(mv[:, -1000:], 100.0)[0][:, None] for s in (1.0, -1.0)]).astype(np.float32)
    logits = model(torch.from_numpy(x)).detach().numpy()
    odds = [row[FIBRILLATION] - np.log(np.exp(np.delete(row, FIBRILLATION)).sum()) for row in logits]
    assert net(mv[:, -1000:], FS_HZ, [0]) == pytest.approx(float(np.mean(odds)), abs=1e-4)

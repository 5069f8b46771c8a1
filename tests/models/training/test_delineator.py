"""The delineation network's training: targets that cross one half at the mark, folds left out, weights that load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.networks.delineator import CELL_S, DelineationNetwork
from models.networks.segments import segments_of

torch = pytest.importorskip("torch", reason="training needs the extra gem")

from models.training.delineator_data import SAMPLES, DelineationBatch, DelineationExamples, coverage  # noqa: E402
from models.training.delineator_network import export, loss_of, records_of_fold  # noqa: E402
from models.training.delineator_unet import DelineationModel  # noqa: E402


def test_a_target_crosses_one_half_where_the_mark_is() -> None:
    runs = segments_of(coverage(np.array([[100.3, 112.75]]))[None], 0.0)
    assert runs.start[0] / CELL_S == pytest.approx(100.3, abs=0.1)
    assert runs.end[0] / CELL_S == pytest.approx(112.75, abs=0.1)


def test_folds_are_kept_apart_by_data_set(tmp_path: Path) -> None:
    (tmp_path / "ludb.csv").write_text("record,fold\n101,0\n7,1\n")
    (tmp_path / "mitdb.csv").write_text("record,fold\n101,1\n202,0\n")
    assert records_of_fold(tmp_path, "0") == {"ludb": {"101"}, "mitdb": {"202"}}
    with pytest.raises(SystemExit, match="no record has fold 9"):
        records_of_fold(tmp_path, "9")


def test_exported_weights_give_the_same_probabilities(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = DelineationModel().eval()
    export(net, tmp_path / "c.onnx")
    x = np.random.default_rng(0).normal(0, 1, (3, 640)).astype(np.float32)
    with torch.no_grad():
        waves, beats = net(torch.from_numpy(x[None]))
    output = DelineationNetwork(tmp_path / "c.onnx")(x)
    assert np.allclose(output.waves, torch.softmax(waves, dim=2)[0].numpy(), atol=1e-4)
    assert np.allclose(output.beat, torch.sigmoid(beats)[0, 0].numpy(), atol=1e-4)
    assert np.allclose(output.waves.sum(axis=1), 1.0, atol=1e-4)


def test_leads_may_come_in_any_order_and_number() -> None:
    torch.manual_seed(0)
    net = DelineationModel().eval()
    x = torch.randn(1, 4, 320)
    with torch.no_grad():
        waves, beats = net(x)
        turned, same = net(x.flip(1))
    assert torch.allclose(waves.flip(1), turned, atol=1e-5)
    assert torch.allclose(beats, same, atol=1e-5)


@pytest.mark.data
def test_examples_are_finite_and_can_be_learnt_from(data_home: Path) -> None:
    torch.set_num_threads(1)
    few = {
        "ludb": frozenset(str(k) for k in range(1, 201) if k % 20),
        "mitdb": frozenset(str(k) for k in range(102, 240)),
    }
    examples = DelineationExamples(data_home, few, seed=3)
    assert len(examples.mitdb) == 1
    net = DelineationModel().train()
    for batch in (examples.marked(lead_budget=4), examples.beats(lead_budget=4)):
        assert isinstance(batch, DelineationBatch)
        assert batch.x.shape[2] == SAMPLES
        assert np.isfinite(batch.x).all()
        loss, parts = loss_of(net, batch)
        loss.backward()
        assert all(np.isfinite(v) for v in parts.values())
        assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)

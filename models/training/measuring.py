"""Train the measuring tower: ``python -m models.training.measuring --data DIR --folds DIR``.

Data: the real windows of the training split and simulated ones, with wave and beat probabilities of the delineation
network and the beat detector, the cached measurements and the findings of the labels; and windows without an ECG.
Output: ``measuring.safetensors`` (weights) and ``measuring.json`` (sizes and thresholds) in the work folder; with
``--gem`` the tower is put into the folder of a compact GEM. A run that was stopped resumes. 1,600 steps take some ten
minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from models.corpus.datasets import REPORT, TRAIN, TUNE, CorpusRecord, real_records, twelve
from models.corpus.measurement_cache import MEASURED, SETS, measure_records
from models.encoder.weights_digest import weights_digest
from models.evaluation.binary_scores import MIN_EXAMPLES, best_threshold, macro_auc
from models.finding_names import FINDINGS
from models.gem.estimates import expected_value
from models.gem.measuring_layout import ATTRIBUTES, BINS, QUANTITIES, READABLE, VALUE_OUTPUTS, MeasuringSizes
from models.gem.measuring_session import MEASURING_TOWER
from models.gem.measuring_tower import MeasuringOutput, MeasuringTower
from models.training import checkpoints
from models.training.labelled_records import simulated_records
from models.training.measuring_data import (
    MeasuringBatch,
    MeasuringPool,
    joined,
    measuring_pool,
    pages_of,
    unreadable_batch,
)
from models.training.precision import mixed
from models.training.progress import Log, bar
from models.training.window_pool import average_beat

Floats = NDArray[np.float32]

WORK = Path(".gem-bedside/training")
WEIGHTS_FILE, CONFIG_FILE = "measuring.safetensors", "measuring.json"
MARK_WEIGHT, VALUE_WEIGHT, MEASURABLE_WEIGHT, ATTRIBUTE_WEIGHT = 4.0, 1.0, 0.5, 3.0
WITHIN = {"HR": 5.0, "PR": 30.0, "QRS": 20.0, "QT": 40.0}  # of the measurement, bpm and ms: the scores of the log
PAGES, DRAWN = "pages", 500  # pool of windows read from drawn pages, and their number


@dataclass(frozen=True)
class MeasuringConfig:
    """Settings of a run."""

    steps: int = 1600
    real: int = 26  # windows of a batch
    pages: int = 8
    simulated: int = 14
    unreadable: int = 6
    lr: float = 2e-3
    warm_up: int = 100
    weight_decay: float = 0.05
    average: float = 0.998  # of the weights that are kept (exponential moving average)
    seed: int = 20261123
    save_every: int = 250
    precision: str = "bf16"


def read_pools(
    data: Path, folds: Path, work: Path, simulated: int, measured_simulated: int, seed: int
) -> dict[str, MeasuringPool]:
    """Pools of the training, tuning and simulated windows; written at the first run, read afterwards.

    The windows of the pool ``pages`` are those of some training records as read from their drawn pages.
    """
    files = {name: work / f"measuring-{name}.npz" for name in (TRAIN, TUNE)}
    files["simulated"] = work / f"measuring-simulated-{seed}-{simulated}.npz"
    files[PAGES] = work / f"measuring-{PAGES}.npz"
    if not (files[TRAIN].is_file() and files[TUNE].is_file()):
        records = [r for r in real_records(data, folds) if r.split != REPORT]
        measured = measure_records(records, work / MEASURED)
        rates = measured_rates(r for r in records if r.source not in SETS)
        for split in (TUNE, TRAIN):
            measuring_pool([r for r in records if r.split == split], measured, rates).save(files[split])
    if not files["simulated"].is_file():
        made = simulated_records(simulated, seed)
        known = measure_records(made[:measured_simulated], work / f"simulated-{MEASURED}")
        measuring_pool(made, known, measured_rates(made[measured_simulated:])).save(files["simulated"])
    if not files[PAGES].is_file():
        pages_of(MeasuringPool.read(files[TRAIN]), DRAWN, seed).save(files[PAGES])
    return {name: MeasuringPool.read(path) for name, path in files.items()}


def measured_rates(records: Iterable[CorpusRecord]) -> dict[str, float]:
    """Rate by record key, bpm, by the beat detector; records with too few beats are left out."""
    found = ((r.key, average_beat(*twelve(r.ecg))[1]) for r in records)
    return {key: rates["HR"] for key, rates in found if rates}


def losses(out: MeasuringOutput, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Every loss by name, with its weight."""
    n = len(QUANTITIES)
    logits = out.logits[:, : n * BINS].view(-1, n, BINS).log_softmax(-1)
    measurable, attributes = (
        out.logits[:, n * BINS : VALUE_OUTPUTS],
        out.logits[:, VALUE_OUTPUTS : VALUE_OUTPUTS + len(ATTRIBUTES)],
    )
    known = batch["values"].isfinite().all(-1)
    each = -(batch["values"].nan_to_num(0.0) * logits).sum(-1)
    return {
        "marks": MARK_WEIGHT * functional.binary_cross_entropy_with_logits(out.marks, batch["marks"].clamp(0, 1)),
        "values": VALUE_WEIGHT * (each * known).sum() / known.sum().clamp(min=1),
        "measurable": MEASURABLE_WEIGHT * masked_bce(measurable, batch["measurable"]),
        "attributes": ATTRIBUTE_WEIGHT * masked_bce(attributes, batch["attributes"]),
    }


def masked_bce(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy over the targets that are not NaN."""
    known = target.isfinite()
    loss = functional.binary_cross_entropy_with_logits(logits, target.nan_to_num(0.0), reduction="none")
    return (loss * known).sum() / known.sum().clamp(min=1)


def train(
    settings: MeasuringConfig, pools: dict[str, MeasuringPool], work: Path, sizes: MeasuringSizes, device: str
) -> MeasuringTower:
    """Run the steps, or resume them; returns the tower with averaged weights."""
    torch.manual_seed(settings.seed)
    model = MeasuringTower(sizes).to(device)
    keep = torch.optim.swa_utils.get_ema_multi_avg_fn(settings.average)  # type: ignore[no-untyped-call]
    averaged = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=keep)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.lr, betas=(0.9, 0.98), weight_decay=settings.weight_decay
    )
    both = torch.nn.ModuleDict({"model": model, "averaged": averaged})
    done = checkpoints.resume(work / "measuring-state.safetensors", both, optimizer)
    log = Log(work / "measuring.csv")
    with bar("measuring tower", settings.steps, done) as progress:
        for step in range(done, settings.steps):
            for group in optimizer.param_groups:
                ramp = min(1.0, (step + 1) / settings.warm_up)
                group["lr"] = settings.lr * ramp * (0.02 + 0.49 * (1 + math.cos(math.pi * step / settings.steps)))
            torch.manual_seed(settings.seed + step)  # of the dropout: a resumed run draws the same
            batch = draw(np.random.default_rng([settings.seed, step]), settings, pools)
            on_device = {k: torch.from_numpy(v).to(device) for k, v in batch._asdict().items()}
            with mixed(device, settings.precision):
                out = model(on_device["ecg"])
            parts = losses(out, on_device)
            optimizer.zero_grad()
            torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            averaged.update_parameters(model)
            progress.advance(progress.task_ids[0])
            if (step + 1) % settings.save_every == 0 or step + 1 == settings.steps:
                checkpoints.save(work / "measuring-state.safetensors", both, optimizer, step + 1)
                figures = {k: float(v.detach()) for k, v in parts.items()}
                tower = cast(MeasuringTower, averaged.module)
                log.add(step + 1, figures | scores(outputs_of(tower, pools[TUNE]), pools[TUNE]))
                log.plot(work / "measuring.png")
    return cast(MeasuringTower, averaged.module).eval()


def draw(rng: np.random.Generator, settings: MeasuringConfig, pools: dict[str, MeasuringPool]) -> MeasuringBatch:
    """Batch of a step."""
    return joined(
        pools[TRAIN].draw(rng, settings.real),
        pools[PAGES].draw(rng, settings.pages),
        pools["simulated"].draw(rng, settings.simulated),
        unreadable_batch(rng, settings.unreadable),
    )


def outputs_of(tower: MeasuringTower, pool: MeasuringPool, size: int = 64) -> Floats:
    """Outputs for a pool's windows, not augmented, [n, OUTPUTS]."""
    was, device = tower.training, next(tower.parameters()).device
    tower.eval()
    out = []
    with torch.no_grad():
        for first in range(0, len(pool), size):
            ecg = np.stack([pool.window(k) for k in range(first, min(len(pool), first + size))])
            out.append(tower(torch.from_numpy(ecg).to(device)).logits.cpu().numpy())
    tower.train(was)
    return np.concatenate(out)


def scores(logits: Floats, pool: MeasuringPool) -> dict[str, float]:
    """Shares of values within `WITHIN` of the measurement, and the macro-AUC of the findings."""
    out = {}
    for k, (name, limit) in enumerate(WITHIN.items()):
        known = np.flatnonzero(np.isfinite(pool.values[:, k]))
        found = [expected_value(name, logits[i, k * BINS : (k + 1) * BINS]) for i in known]
        out[name] = float(np.mean(np.abs(np.array(found) - pool.values[known, k]) <= limit))
    first = VALUE_OUTPUTS + len(ATTRIBUTES) - len(FINDINGS)
    out["auc"] = macro_auc(
        logits[:, first : first + len(FINDINGS)], pool.attributes[:, len(ATTRIBUTES) - len(FINDINGS) :]
    )[0]
    readable = logits[:, VALUE_OUTPUTS + ATTRIBUTES.index(READABLE)]
    out["readable"] = float((readable > 0).mean())
    return out


def thresholds(logits: Floats, pool: MeasuringPool) -> dict[str, float]:
    """Probability from which each finding is called: the best F1 on the tuning windows; never without training."""
    out = {}
    for name in FINDINGS:
        column = VALUE_OUTPUTS + ATTRIBUTES.index(name)
        y = pool.attributes[:, ATTRIBUTES.index(name)]
        known = np.isfinite(y)
        if min((y[known] == 1).sum(), (y[known] == 0).sum()) >= MIN_EXAMPLES:
            p = 1 / (1 + np.exp(-logits[known, column].astype(np.float64)))
            out[name] = float(best_threshold(p, y[known].astype(np.float64)))
    return out


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m models.training.measuring", description="Train the measuring tower of the compact GEM."
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of recordings (ptbxl, ludb, …)")
    parser.add_argument("--folds", type=Path, required=True, help="folder with ludb.csv and cinc2017.csv")
    parser.add_argument("--work", type=Path, default=WORK, help="caches, checkpoints, log, plot")
    parser.add_argument("--steps", type=int, default=MeasuringConfig.steps)
    parser.add_argument("--save-every", type=int, default=MeasuringConfig.save_every)
    parser.add_argument("--simulated", type=int, default=1000)
    parser.add_argument("--measured", type=int, default=800, help="of the simulated records, those that are measured")
    parser.add_argument("--seed", type=int, default=MeasuringConfig.seed)
    parser.add_argument("--gem", type=Path, help="folder of a compact GEM that the tower is put into")
    parser.add_argument("--out", type=Path, help="folder to write that GEM to; default: --gem itself")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    settings = MeasuringConfig(steps=options.steps, seed=options.seed, save_every=options.save_every)
    pools = read_pools(options.data, options.folds, options.work, options.simulated, options.measured, options.seed)
    tower = train(settings, pools, options.work, MeasuringSizes(), options.device)
    save_tower(options.work, tower, thresholds(outputs_of(tower, pools[TUNE]), pools[TUNE]))
    print(json.dumps(scores(outputs_of(tower, pools[TUNE]), pools[TUNE])))
    if options.gem is not None:
        print(put_tower(options.gem, options.work, options.out or options.gem))


def put_tower(folder: Path, work: Path, out: Path) -> str:
    """Write the GEM of ``folder`` with the measuring tower of a work folder to ``out``, in half precision."""
    document = json.loads((folder / "config.json").read_text())
    state = load_file(folder / "model.safetensors")
    tower, limits = load_tower(work)
    state = {name: tensor for name, tensor in state.items() if not name.startswith(MEASURING_TOWER)}
    state |= {f"{MEASURING_TOWER}{name}": tensor for name, tensor in tower.state_dict().items()}
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = (folder / "tokenizer.model").read_bytes()
    save_file(
        {k: v.half().contiguous() for k, v in state.items()}, out / "model.safetensors", metadata={"format": "pt"}
    )
    document["measuring_config"] = {"sizes": tower.sizes.to_dict(), "thresholds": limits}
    document["weights"] = weights_digest(out)
    (out / "config.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    (out / "tokenizer.model").write_bytes(tokenizer)
    return str(document["weights"])


def save_tower(folder: Path, tower: MeasuringTower, limits: dict[str, float]) -> None:
    """Write weights, sizes and thresholds."""
    state = {k: v.detach().cpu().contiguous() for k, v in tower.state_dict().items()}
    save_file(state, folder / WEIGHTS_FILE)
    document = {"sizes": tower.sizes.to_dict(), "thresholds": limits}
    (folder / CONFIG_FILE).write_text(json.dumps(document, indent=1) + "\n")


def load_tower(folder: Path) -> tuple[MeasuringTower, dict[str, float]]:
    """Tower and thresholds that `save_tower` wrote."""
    document = json.loads((folder / CONFIG_FILE).read_text())
    tower = MeasuringTower(MeasuringSizes(**document["sizes"]))
    tower.load_state_dict(load_file(folder / WEIGHTS_FILE))
    return tower.eval(), document["thresholds"]


if __name__ == "__main__":
    main()

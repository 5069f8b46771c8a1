"""Pre-train the compact encoder: ``python -m models.training.pretrain --data DIR --folds DIR``.

ECG-CoCa's recipe at a size that a laptop trains: contrast and caption over real (PTB-XL folds 1–6, LUDB without fold 4,
Challenge samples, CinC 2017) and simulated windows, then the heads. Writes an encoder folder (``model.onnx``,
``config.json``, ``heads.npz``, and the tower as safetensors for alignment), the log and its plot. Resumes by itself.
On one core with bf16 about half an hour for the 3,000 steps; ``--device cuda`` in minutes.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.corpus.datasets import REPORT, TRAIN, TUNE, real_records
from models.corpus.measurement_cache import measure_records
from models.encoder.configuration import COMPACT, TowerConfig
from models.encoder.export import write_encoder
from models.evaluation.binary_scores import macro_auc
from models.finding_names import FINDINGS
from models.training import checkpoints
from models.training.coca import Batch, Coca, total
from models.training.labelled_records import MEASURED
from models.training.linear_heads import MIN_POSITIVE, fit_heads
from models.training.precision import mixed
from models.training.progress import Log, bar
from models.training.simulate import simulate
from models.training.windows import Pool, pool_of_records, pool_of_simulated

Floats = NDArray[np.float32]

WORK = Path(".gem-bedside/training")
ENCODER = Path(__file__).resolve().parent.parent / "weights" / "encoder-compact"


@dataclass(frozen=True)
class Plan:
    """How the run goes."""

    steps: int = 3000
    batch: int = 64
    real_share: float = 0.6  # of a batch; the rest is simulated
    simulated: int = 3000
    lr: float = 1e-3  # a hundredth of the published size takes twice its rate
    warm_up: int = 100
    weight_decay: float = 0.1
    average: float = 0.998  # of the weights that are shipped (exponential moving average)
    seed: int = 20261123
    save_every: int = 200
    threads: int = 1
    read_share: float = 0.7  # of the patches are looked at in a step: cheaper, and nothing can be learnt by heart
    precision: str = "bf16"  # of the products; fp32 where the processor has no bf16


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m models.training.pretrain", description="Pre-train the compact encoder."
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of recordings (ptbxl, ludb, …)")
    parser.add_argument("--folds", type=Path, required=True, help="folder with ludb.csv and cinc2017.csv")
    parser.add_argument("--work", type=Path, default=WORK / "encoder", help="checkpoints, log, plot")
    parser.add_argument("--out", type=Path, default=ENCODER, help="encoder folder to write")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--simulated", type=int, default=Plan.simulated)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--threads", type=int, default=Plan.threads)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default=Plan.precision)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(argv)
    plan = Plan(
        steps=options.steps,
        simulated=options.simulated,
        seed=options.seed,
        threads=options.threads,
        precision=options.precision,
    )
    torch.set_num_threads(plan.threads)
    pools, made = read_pools(options.data, options.folds, options.work, plan)
    model = train(plan, pools[TRAIN], made, pools[TUNE], options.work, COMPACT, options.device)
    finish(plan, model, pools, made, options.work, options.out)


def read_pools(data: Path, folds: Path, work: Path, plan: Plan) -> tuple[dict[str, Pool], Pool]:
    """The real windows by split, and the simulated ones; made once and kept in the work folder."""
    files = {name: work / f"pool-{name}-measured.npz" for name in (TRAIN, TUNE, REPORT)}
    files["simulated"] = work / f"pool-simulated-{plan.seed}-{plan.simulated}.npz"
    if not all(path.is_file() for path in files.values()):
        records = list(real_records(data, folds))
        found = {key: m.intervals for key, m in measure_records(records, work.parent / MEASURED).items()}
        for split in (TRAIN, TUNE, REPORT):
            pool_of_records([r for r in records if r.split == split], found).save(files[split])
        rng = np.random.default_rng(plan.seed)
        pool_of_simulated(simulate(rng) for _ in range(plan.simulated)).save(files["simulated"])
    pools = {name: Pool.read(path) for name, path in files.items()}
    return pools, pools.pop("simulated")


def train(
    plan: Plan, real: Pool, made: Pool, tune: Pool, work: Path, config: TowerConfig = COMPACT, device: str = "cpu"
) -> Coca:
    """Run or resume; returns the averaged model."""
    torch.manual_seed(plan.seed)
    model = Coca(config).to(device)
    keep = torch.optim.swa_utils.get_ema_multi_avg_fn(plan.average)  # type: ignore[no-untyped-call]
    averaged = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=keep)
    best = cast(Coca, averaged.module)
    flat = [p for p in model.parameters() if p.ndim < 2]
    deep = [p for p in model.parameters() if p.ndim >= 2]
    groups = [{"params": deep, "weight_decay": plan.weight_decay}, {"params": flat, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=plan.lr, betas=(0.9, 0.98), eps=1e-6)
    both = torch.nn.ModuleDict({"model": model, "averaged": averaged})
    done = checkpoints.resume(work / "state.safetensors", both, optimizer)
    log = Log(work / "log.csv")
    with bar("pre-training", plan.steps, done) as progress:
        for step in range(done, plan.steps):
            for group in optimizer.param_groups:
                group["lr"] = plan.lr * _schedule(step, plan)
            rng = np.random.default_rng([plan.seed, step])  # the batch of a step is the same in every run
            batch = _batch(rng, plan, real, made, device)
            read = rng.permutation(config.patches)[: round(plan.read_share * config.patches)]
            # The fused attention is slow at going backwards on a CPU.
            with mixed(device, plan.precision), sdpa_kernel(SDPBackend.MATH):
                losses = model.losses(batch, torch.from_numpy(np.sort(read)).to(device))
            optimizer.zero_grad()
            total(losses).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            averaged.update_parameters(model)
            progress.advance(progress.task_ids[0])
            if (step + 1) % plan.save_every == 0 or step + 1 == plan.steps:
                checkpoints.save(work / "state.safetensors", both, optimizer, step + 1)
                scores = torch.from_numpy(pooled_of(best, tune)).to(device)
                with torch.no_grad():
                    tuned, _ = macro_auc(best.findings(scores).cpu().numpy(), tune.findings)
                log.add(step + 1, {**{k: float(v.detach()) for k, v in losses.items()}, "tune_auc": tuned})
                log.plot(work / "log.png")
    return best.eval()


def _schedule(step: int, plan: Plan) -> float:
    warm = min(1.0, (step + 1) / plan.warm_up)
    return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / plan.steps)))


def _batch(rng: np.random.Generator, plan: Plan, real: Pool, made: Pool, device: str) -> Batch:
    n = round(plan.batch * plan.real_share)
    parts = zip(real.draw(rng, n), made.draw(rng, plan.batch - n), strict=True)
    arrays: list[NDArray[Any]] = [np.concatenate([a, b]) for a, b in parts]
    return Batch(*(torch.from_numpy(x).to(device) for x in arrays))


def pooled_of(model: Coca, pool: Pool, leads: tuple[int, ...] | None = None, size: int = 64) -> Floats:
    """Pooled features of every window of a pool, unvaried; only of ``leads`` (indices of the twelve) where given."""
    out = []
    device = next(model.parameters()).device
    model.eval()
    with torch.no_grad():
        for first in range(0, len(pool), size):
            ecg = np.stack([pool.window(k) for k in range(first, min(len(pool), first + size))])
            if leads is not None:
                ecg[:, [k for k in range(12) if k not in leads]] = 0.0
            out.append(model.tower(torch.from_numpy(ecg).to(device)).pooled.cpu().numpy())
    model.train()
    return np.concatenate(out)


def finish(plan: Plan, model: Coca, pools: dict[str, Pool], made: Pool, work: Path, out: Path) -> None:
    """Export the tower, fit the heads, and write what was seen."""
    state = {k: v.detach().cpu().contiguous() for k, v in model.tower.state_dict().items()}
    scores: dict[str, object] = {}
    about = {
        "seed": plan.seed,
        "steps": plan.steps,
        "data": "PTB-XL part folds 1-6, LUDB folds 0-3, Challenge 2021 samples, CinC 2017 folds 0-3, simulated",
        "recipe": "models.training.pretrain",
    }
    digest = write_encoder(
        out,
        {k: v.numpy() for k, v in state.items()},
        model.tower.config,
        name="ecg-coca-compact",
        trained=True,
        about=about,
    )
    save_file(state, out / "tower.safetensors")
    real = pooled_of(model, pools[TRAIN])
    simulated = pooled_of(model, made)
    findings = np.concatenate([pools[TRAIN].findings, made.findings])
    findings[:, np.nansum(pools[TRAIN].findings, axis=0) < MIN_POSITIVE] = np.nan  # simulation alone makes no head
    heads = fit_heads(
        np.concatenate([real, simulated]),
        findings,
        pooled_of(model, pools[TUNE]),
        pools[TUNE].findings,
        FINDINGS,
        digest,
        np.concatenate([pools[TRAIN].weight, np.full(len(made), 0.05)]).astype(np.float32),
    )
    heads.save(out / "heads.npz")
    heads.save(out / "heads.fold4.npz")  # no record of that fold was trained on
    columns = [FINDINGS.index(label) for label in heads.labels]
    twelve_leads = pools[REPORT].present.all(axis=1)
    for name, leads in (("12 leads", None), ("II alone", (1,)), ("limb leads and V1", (0, 1, 2, 3, 4, 5, 6))):
        said = heads.probabilities(pooled_of(model, pools[REPORT], leads))
        mean, each = macro_auc(said[twelve_leads], pools[REPORT].findings[twelve_leads][:, columns])
        scores[name] = {"macro_auc": round(mean, 4), **{heads.labels[int(k)]: round(v, 4) for k, v in each.items()}}
    (work / "scores.json").write_text(json.dumps({"plan": asdict(plan), "report": scores}, indent=1) + "\n")
    print(json.dumps(scores, indent=1))


if __name__ == "__main__":
    main()

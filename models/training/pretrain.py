"""Pre-train the compact encoder: ``python -m models.training.pretrain --data DIR --folds DIR``.

ECG-CoCa's recipe (Zhao et al. 2024) at a size that a laptop trains: contrastive and caption losses over real windows
(PTB-XL folds 1–6, LUDB without fold 4, Challenge samples, CinC 2017) and simulated ones, then the linear heads.

Output: an encoder folder (``model.onnx``, ``config.json``, ``heads.npz``, and the tower as safetensors for alignment),
and a log with its plot in the work folder. A run that was stopped resumes. 3,000 steps take about half an hour on one
core with bf16, minutes with ``--device cuda``.
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
from models.corpus.measurement_cache import MEASURED, measure_records
from models.encoder.configuration import COMPACT, TowerConfig
from models.encoder.export import write_encoder
from models.evaluation.binary_scores import macro_auc
from models.finding_names import FINDINGS
from models.training import checkpoints
from models.training.compact_coca import CompactCoca, PretrainBatch, weighted_sum
from models.training.linear_heads import MIN_POSITIVE, fit_heads
from models.training.precision import mixed
from models.training.progress import Log, bar
from models.training.simulate import simulate
from models.training.window_pool import WindowPool, pool_of_records, pool_of_simulated

Floats = NDArray[np.float32]

WORK = Path(".gem-bedside/training")
ENCODER = Path(__file__).resolve().parent.parent / "weights" / "encoder-compact"


@dataclass(frozen=True)
class PretrainConfig:
    """Settings of a pre-training run."""

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
    read_share: float = 0.7  # of the patches enter a step: cheaper, and it regularises
    precision: str = "bf16"  # of the products; fp32 where the processor has no bf16


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m models.training.pretrain", description="Pre-train the compact encoder."
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of recordings (ptbxl, ludb, …)")
    parser.add_argument("--folds", type=Path, required=True, help="folder with ludb.csv and cinc2017.csv")
    parser.add_argument("--work", type=Path, default=WORK / "encoder", help="checkpoints, log, plot")
    parser.add_argument("--out", type=Path, default=ENCODER, help="encoder folder to write")
    parser.add_argument("--steps", type=int, default=PretrainConfig.steps)
    parser.add_argument("--save-every", type=int, default=PretrainConfig.save_every)
    parser.add_argument("--simulated", type=int, default=PretrainConfig.simulated)
    parser.add_argument("--seed", type=int, default=PretrainConfig.seed)
    parser.add_argument("--threads", type=int, default=PretrainConfig.threads)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default=PretrainConfig.precision)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(argv)
    settings = PretrainConfig(
        steps=options.steps,
        simulated=options.simulated,
        seed=options.seed,
        save_every=options.save_every,
        threads=options.threads,
        precision=options.precision,
    )
    torch.set_num_threads(settings.threads)
    pools, simulated = read_pools(options.data, options.folds, options.work, settings)
    model = train(settings, pools[TRAIN], simulated, pools[TUNE], options.work, COMPACT, options.device)
    finish(settings, model, pools, simulated, options.work, options.out)


def read_pools(
    data: Path, folds: Path, work: Path, settings: PretrainConfig
) -> tuple[dict[str, WindowPool], WindowPool]:
    """Real windows by split, and simulated ones; written to the work folder at the first run, read afterwards."""
    files = {name: work / f"pool-{name}-measured.npz" for name in (TRAIN, TUNE, REPORT)}
    files["simulated"] = work / f"pool-simulated-{settings.seed}-{settings.simulated}.npz"
    if not all(path.is_file() for path in files.values()):
        records = list(real_records(data, folds))
        found = {key: m.intervals for key, m in measure_records(records, work.parent / MEASURED).items()}
        for split in (TRAIN, TUNE, REPORT):
            pool_of_records([r for r in records if r.split == split], found).save(files[split])
        rng = np.random.default_rng(settings.seed)
        pool_of_simulated(simulate(rng) for _ in range(settings.simulated)).save(files["simulated"])
    pools = {name: WindowPool.read(path) for name, path in files.items()}
    return pools, pools.pop("simulated")


def train(
    settings: PretrainConfig,
    real: WindowPool,
    simulated: WindowPool,
    tune: WindowPool,
    work: Path,
    config: TowerConfig = COMPACT,
    device: str = "cpu",
) -> CompactCoca:
    """Run pre-training, or resume it; returns the model with averaged weights."""
    torch.manual_seed(settings.seed)
    model = CompactCoca(config).to(device)
    keep = torch.optim.swa_utils.get_ema_multi_avg_fn(settings.average)  # type: ignore[no-untyped-call]
    averaged = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=keep)
    best = cast(CompactCoca, averaged.module)
    flat = [p for p in model.parameters() if p.ndim < 2]
    deep = [p for p in model.parameters() if p.ndim >= 2]
    groups = [{"params": deep, "weight_decay": settings.weight_decay}, {"params": flat, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=settings.lr, betas=(0.9, 0.98), eps=1e-6)
    both = torch.nn.ModuleDict({"model": model, "averaged": averaged})
    done = checkpoints.resume(work / "state.safetensors", both, optimizer)
    log = Log(work / "log.csv")
    with bar("pre-training", settings.steps, done) as progress:
        for step in range(done, settings.steps):
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * _schedule(step, settings)
            rng = np.random.default_rng([settings.seed, step])  # the batch of a step is the same in every run
            batch = _batch(rng, settings, real, simulated, device)
            read = rng.permutation(config.patches)[: round(settings.read_share * config.patches)]
            # The backward pass of the fused attention is slow on a CPU.
            with mixed(device, settings.precision), sdpa_kernel(SDPBackend.MATH):
                losses = model.losses(batch, torch.from_numpy(np.sort(read)).to(device))
            optimizer.zero_grad()
            weighted_sum(losses).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            averaged.update_parameters(model)
            progress.advance(progress.task_ids[0])
            if (step + 1) % settings.save_every == 0 or step + 1 == settings.steps:
                checkpoints.save(work / "state.safetensors", both, optimizer, step + 1)
                scores = torch.from_numpy(pooled_of(best, tune)).to(device)
                with torch.no_grad():
                    tuned, _ = macro_auc(best.findings(scores).cpu().numpy(), tune.findings)
                log.add(step + 1, {**{k: float(v.detach()) for k, v in losses.items()}, "tune_auc": tuned})
                log.plot(work / "log.png")
    return best.eval()


def _schedule(step: int, settings: PretrainConfig) -> float:
    ramp = min(1.0, (step + 1) / settings.warm_up)
    return ramp * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / settings.steps)))


def _batch(
    rng: np.random.Generator, settings: PretrainConfig, real: WindowPool, simulated: WindowPool, device: str
) -> PretrainBatch:
    n = round(settings.batch * settings.real_share)
    parts = zip(real.draw(rng, n), simulated.draw(rng, settings.batch - n), strict=True)
    arrays: list[NDArray[Any]] = [np.concatenate([a, b]) for a, b in parts]
    return PretrainBatch(*(torch.from_numpy(x).to(device) for x in arrays))


def pooled_of(model: CompactCoca, pool: WindowPool, leads: tuple[int, ...] | None = None, size: int = 64) -> Floats:
    """Pooled features [n, embed_dim] of a pool's windows, not augmented; ``leads`` (indices) zeroes all others."""
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


def finish(
    settings: PretrainConfig,
    model: CompactCoca,
    pools: dict[str, WindowPool],
    simulated: WindowPool,
    work: Path,
    out: Path,
) -> None:
    """Export the tower, fit the linear heads, and write the scores of the report split."""
    state = {k: v.detach().cpu().contiguous() for k, v in model.tower.state_dict().items()}
    scores: dict[str, object] = {}
    about = {
        "seed": settings.seed,
        "steps": settings.steps,
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
    pooled = np.concatenate([pooled_of(model, pools[TRAIN]), pooled_of(model, simulated)])
    findings = np.concatenate([pools[TRAIN].findings, simulated.findings])
    findings[:, np.nansum(pools[TRAIN].findings, axis=0) < MIN_POSITIVE] = (
        np.nan
    )  # no head from simulated records alone
    heads = fit_heads(
        pooled,
        findings,
        pooled_of(model, pools[TUNE]),
        pools[TUNE].findings,
        FINDINGS,
        digest,
        np.concatenate([pools[TRAIN].weight, np.full(len(simulated), 0.05)]).astype(np.float32),
    )
    heads.save(out / "heads.npz")
    heads.save(out / "heads.fold4.npz")  # training used no record of that fold
    columns = [FINDINGS.index(label) for label in heads.labels]
    twelve_leads = pools[REPORT].present.all(axis=1)
    for name, leads in (("12 leads", None), ("II alone", (1,)), ("limb leads and V1", (0, 1, 2, 3, 4, 5, 6))):
        predicted = heads.probabilities(pooled_of(model, pools[REPORT], leads))
        mean, each = macro_auc(predicted[twelve_leads], pools[REPORT].findings[twelve_leads][:, columns])
        scores[name] = {"macro_auc": round(mean, 4), **{heads.labels[int(k)]: round(v, 4) for k, v in each.items()}}
    (work / "scores.json").write_text(json.dumps({"settings": asdict(settings), "report": scores}, indent=1) + "\n")
    print(json.dumps(scores, indent=1))


if __name__ == "__main__":
    main()

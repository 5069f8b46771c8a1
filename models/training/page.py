"""Train the page tower: ``python -m models.training.page --data DIR --folds DIR --gem models/weights/gem-compact``.

In: twelve-lead windows of the training split and windows simulated anew in each step, drawn as pages in the renderer's
colours and in others, moved and with noise (`models.training.drawn_pages`); windows and pages without an ECG. Out:
the GEM's folder with the tower in it; its limits, and its weight beside the signal's tower, are chosen on the tuning
fold. Log, plot and state lie in the work folder.

Two stages. The reader alone learns where each trace lies, on parts of pages. Then reader and a measuring tower learn
together: that of the GEM, from whose weights it starts, is its teacher, on the very window that was drawn, and the
labels of the findings are known. A run that was stopped resumes at its last save; the batch of a step depends on the
step's number alone.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from models.corpus.datasets import TRAIN, TUNE, CorpusRecord, real_records, twelve
from models.corpus.finding_labels import FindingLabels
from models.encoder.weights_digest import weights_digest
from models.evaluation.binary_scores import MIN_EXAMPLES, best_threshold
from models.finding_names import FINDINGS
from models.gem.measuring_layout import ATTRIBUTES, BINS, QUANTITIES, READABLE, VALUE_OUTPUTS, MeasuringSizes
from models.gem.measuring_session import MEASURING_TOWER
from models.gem.measuring_tower import MeasuringOutput, MeasuringTower
from models.gem.page_layout import REACH, SMALL_PER_MV, STEP, TOKENS, PageSizes, row_of_zero
from models.gem.page_session import PAGE_TOWER
from models.gem.page_tower import WHOLE, PageReading, PageTower
from models.training import checkpoints
from models.training.drawn_pages import DrawnPage, drawn_page, page_without_ecg
from models.training.measuring import losses
from models.training.measuring_data import unreadable_window
from models.training.precision import mixed
from models.training.progress import Log, bar
from models.training.simulate import simulate
from models.training.window_pool import MICROVOLT, StoredWindows, disturbed, shifted

Floats = NDArray[np.float32]

WORK = Path(".gem-bedside/training")
STATE_FILE = "page-state.safetensors"
ALL_LEADS = 12
ATTENTION_WEIGHT, HEIGHT_WEIGHT, SEEN_WEIGHT = 0.3, 1.0, 0.5
HEIGHT_FLOOR_MV = 0.1  # added to a lead's own size: an error counts by the size of its lead
PART = TOKENS // 2  # tokens of a page in the first stage
OF_LABEL = 0.5  # weight of a finding's label beside the teacher's probability
GAIN = (0.4, 1.6)  # of a drawn window: rows overlap more or less
SHARES = tuple(np.round(np.arange(0.0, 1.01, 0.1), 2).tolist())  # of the page tower beside the signal's, searched
LOSSES = ("attention", "height", "seen", "marks", "values", "measurable", "attributes")


@dataclass(frozen=True)
class PageConfig:
    """Settings of a run."""

    reader_steps: int = 200
    joint_steps: int = 80
    real: int = 3  # windows of a batch
    simulated: int = 2
    without_ecg: float = 0.5  # share of the batches that have one page more, without an ECG
    lr: float = 3e-3  # of the reader
    measuring_lr: float = 2e-4
    warm_up: int = 10
    weight_decay: float = 0.01
    seed: int = 20261128
    save_every: int = 20
    precision: str = "bf16"

    @property
    def steps(self) -> int:
        """Steps of both stages."""
        return self.reader_steps + self.joint_steps


@dataclass(eq=False)
class LabelledWindows(StoredWindows):
    """Twelve-lead windows with the findings of their labels."""

    findings: Floats  # [n, FINDINGS] 0, 1, NaN unknown


def labelled_windows(records: Iterable[CorpusRecord]) -> LabelledWindows:
    """Windows of the records with twelve leads."""
    mv, present, findings = [], [], []
    for record in records:
        window, there = twelve(record.ecg)
        if there.all():
            mv.append(np.clip(np.round(window * MICROVOLT), -32767, 32767).astype(np.int16))
            present.append(there)
            findings.append(_label_row(record.labels))
    return LabelledWindows(np.stack(mv), np.stack(present), np.ones(len(mv)), np.stack(findings))


def _label_row(labels: FindingLabels) -> Floats:
    return np.array([float(labels[f]) if f in labels else np.nan for f in FINDINGS], np.float32)


def read_windows(data: Path, folds: Path, work: Path, split: str = TRAIN) -> LabelledWindows:
    """Windows of a split; written at the first run, read afterwards."""
    path = work / ("page-windows.npz" if split == TRAIN else f"page-windows-{split}.npz")
    if not path.is_file():
        records = (r for r in real_records(data, folds) if r.split == split and len(r.ecg.leads) >= ALL_LEADS)
        labelled_windows(records).save(path)
    return LabelledWindows.read(path)


@dataclass(frozen=True, eq=False)
class PageBatch:
    """Pages with their windows.

    Attributes
    ----------
    pages : float [B, 3, HEIGHT, WIDTH]
        0 to 1.
    heights : float [B, LEADS, COLUMNS]
        NaN where nothing is drawn.
    windows : float [B, LEADS, SAMPLES]
        What was drawn, mV; zeros for a page without an ECG.
    findings : float [B, FINDINGS]
        NaN where nothing is known.
    """

    pages: Tensor
    heights: Tensor
    windows: Tensor
    findings: Tensor


def draw(rng: np.random.Generator, settings: PageConfig, windows: LabelledWindows) -> PageBatch:
    """Batch of a step."""
    parts: list[tuple[Floats, Floats]] = []
    for k in windows.drawn(rng, settings.real):
        parts.append((_augmented(rng, windows.window(int(k))), windows.findings[k]))
    for _ in range(settings.simulated):
        made = simulate(rng)
        parts.append((_augmented(rng, twelve(made.ecg)[0]), _label_row(made.findings)))
    if rng.random() < settings.without_ecg / 2:
        parts.append((unreadable_window(rng), np.full(len(FINDINGS), np.nan, np.float32)))
    drawn = [drawn_page(rng, mv) for mv, _ in parts]
    if rng.random() < settings.without_ecg / 2:
        drawn.append(page_without_ecg(rng, drawn[0].pixels))
        parts.append((np.zeros_like(parts[0][0]), np.full(len(FINDINGS), np.nan, np.float32)))
    return page_batch(drawn, [mv for mv, _ in parts], [labels for _, labels in parts])


def _augmented(rng: np.random.Generator, mv: Floats) -> Floats:
    if rng.random() < 0.6:
        mv = shifted(mv, int(rng.integers(-500, 500)))
    gain = np.exp(rng.uniform(*np.log(GAIN)))
    mv = mv / max(1.0, float(np.quantile(np.abs(mv), 0.999)) / 3.0)  # z-scored records are taller than any paper
    out: Floats = (disturbed(rng, mv, np.ones(len(mv), bool)) * gain).astype(np.float32)
    return out


def page_batch(drawn: Sequence[DrawnPage], windows: Sequence[Floats], findings: Sequence[Floats]) -> PageBatch:
    """Tensors of drawn pages and of their windows."""
    return PageBatch(
        torch.from_numpy(np.stack([d.pixels for d in drawn])).float() / 255.0,
        torch.from_numpy(np.stack([d.heights for d in drawn])),
        torch.from_numpy(np.stack(windows)),
        torch.from_numpy(np.stack(findings)),
    )


def reading_losses(reading: PageReading, heights: Tensor) -> dict[str, Tensor]:
    """Losses of the reader by name, with their weights; ``heights`` [B, LEADS, columns], NaN where nothing is drawn."""
    there = heights.isfinite()
    mv = heights.nan_to_num(0.0)
    zero = torch.from_numpy(row_of_zero()).to(mv)
    row = (zero[None, :, None] - mv * SMALL_PER_MV).clamp(0.0, 2 * REACH - 1.001)
    above = row.long()
    share = row - above
    attention = reading.where.gather(2, torch.stack([above, above + 1], dim=2))
    away = -((1.0 - share) * attention[:, :, 0] + share * attention[:, :, 1])
    power = (mv.square() * there).sum(-1, keepdim=True) / there.sum(-1, keepdim=True).clamp(min=1)
    off = (reading.leads - mv).abs() / (power.sqrt() + HEIGHT_FLOOR_MV)
    count = there.sum().clamp(min=1)
    drawn = there.view(*reading.seen.shape, -1).float().mean(-1)
    return {
        "attention": ATTENTION_WEIGHT * (away * there).sum() / count,
        "height": HEIGHT_WEIGHT * (off * there).sum() / count,
        "seen": SEEN_WEIGHT * functional.binary_cross_entropy_with_logits(reading.seen, drawn),
    }


def taught(taught_by: MeasuringOutput, findings: Tensor) -> dict[str, Tensor]:
    """Targets as of `models.training.measuring.losses`: the teacher's outputs, and the labels of findings."""
    n = len(QUANTITIES)
    logits = taught_by.logits
    attributes = logits[:, VALUE_OUTPUTS : VALUE_OUTPUTS + len(ATTRIBUTES)].sigmoid()
    readable = attributes[:, ATTRIBUTES.index(READABLE)] >= 0.5
    measurable = logits[:, n * BINS : VALUE_OUTPUTS].sigmoid()
    values = logits[:, : n * BINS].view(-1, n, BINS).softmax(-1)
    first = len(ATTRIBUTES) - len(FINDINGS)
    own = attributes[:, first:]
    attributes[:, first:] = torch.where(findings.isfinite(), OF_LABEL * findings + (1 - OF_LABEL) * own, own)
    unread = torch.full_like(attributes, float("nan"))
    unread[:, ATTRIBUTES.index(READABLE)] = attributes[:, ATTRIBUTES.index(READABLE)]
    kept = (measurable >= 0.5) & readable[:, None]
    return {
        "marks": taught_by.marks.sigmoid() * readable[:, None, None],
        "values": torch.where(kept[..., None], values, torch.full_like(values, float("nan"))),
        "measurable": measurable * readable[:, None],
        "attributes": torch.where(readable[:, None], attributes, unread),
    }


def own_measuring_tower(gem: Path) -> MeasuringTower:
    """The measuring tower of a GEM's folder."""
    sizes = MeasuringSizes(**json.loads((gem / "config.json").read_text())["measuring_config"]["sizes"])
    tower = MeasuringTower(sizes)
    state = load_file(gem / "model.safetensors")
    own = {n.removeprefix(MEASURING_TOWER): x.float() for n, x in state.items() if n.startswith(MEASURING_TOWER)}
    tower.load_state_dict(own)
    return tower.eval()


def fresh_tower(teacher: MeasuringTower, sizes: PageSizes, seed: int) -> PageTower:
    """A tower with a random reader, and the weights of a measuring tower."""
    torch.manual_seed(seed)
    tower = PageTower(sizes, teacher.sizes)
    tower.measuring.load_state_dict(teacher.state_dict())
    return tower


def train(
    settings: PageConfig,
    windows: LabelledWindows | None,
    work: Path,
    tower: PageTower,
    teacher: MeasuringTower,
    device: str,
) -> PageTower:
    """Run the steps, or resume them; a finished run needs no windows."""
    tower.to(device).train()
    teacher.to(device).eval()
    optimizer = torch.optim.AdamW(
        [{"params": list(tower.reader.parameters())}, {"params": list(tower.measuring.parameters())}],
        betas=(0.9, 0.98),
        weight_decay=settings.weight_decay,
    )
    done = checkpoints.resume(work / STATE_FILE, tower, optimizer)
    log = Log(work / "page.csv")
    with bar("page tower", settings.steps, done) as progress:
        for step in range(done, settings.steps):
            assert windows is not None
            set_rates(optimizer, settings, step)
            torch.manual_seed(settings.seed + step)  # of the dropout: a resumed run draws the same
            rng = np.random.default_rng([settings.seed, step])
            batch = draw(rng, settings, windows)
            joint = step >= settings.reader_steps
            first = 0 if joint else int(rng.integers(TOKENS - PART + 1))
            tokens = WHOLE if joint else slice(first, first + PART)
            parts = step_losses(tower, teacher, batch, tokens, settings.precision, device)
            optimizer.zero_grad()
            torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
            optimizer.step()
            progress.advance(progress.task_ids[0])
            if (step + 1) % settings.save_every == 0 or step + 1 == settings.steps:
                checkpoints.save(work / STATE_FILE, tower, optimizer, step + 1)
                log.add(step + 1, {name: float(parts[name].detach()) if name in parts else math.nan for name in LOSSES})
                log.plot(work / "page.png")
    return tower.eval()


def step_losses(
    tower: PageTower, teacher: MeasuringTower, batch: PageBatch, tokens: slice, precision: str, device: str
) -> dict[str, Tensor]:
    """Every loss of a step by name; those of the measuring tower where the whole page is read."""
    pages, heights = batch.pages.to(device), batch.heights.to(device)
    with mixed(device, precision):
        if tokens != WHOLE:
            columns = heights[..., STEP * tokens.start : STEP * tokens.stop]
            return reading_losses(tower.reader(pages, tokens), columns)
        reading, output = tower(pages)
        with torch.no_grad():
            targets = taught(teacher(batch.windows.to(device)), batch.findings.to(device))
    return reading_losses(reading, heights) | losses(output, targets)


def set_rates(optimizer: torch.optim.Optimizer, settings: PageConfig, step: int) -> None:
    """A ramp, then a cosine over both stages; the measuring tower's ramp begins with the second stage."""
    cosine = 0.02 + 0.49 * (1 + math.cos(math.pi * step / settings.steps))
    starts = ((settings.lr, 0), (settings.measuring_lr, settings.reader_steps))
    for group, (peak, first) in zip(optimizer.param_groups, starts, strict=True):
        group["lr"] = peak * cosine * min(1.0, max(0, step + 1 - first) / settings.warm_up)


@dataclass(frozen=True, eq=False)
class TuningRows:
    """Outputs of both towers for the tuning records, and their labels.

    Attributes
    ----------
    signal, page : float32 [n, OUTPUTS]
    findings : float32 [n, FINDINGS]
        NaN where nothing is known.
    """

    signal: Floats
    page: Floats
    findings: Floats


@torch.no_grad()
def tuning_rows(tower: PageTower, teacher: MeasuringTower, windows: LabelledWindows) -> TuningRows:
    """Outputs for windows, and for their pages as the renderer draws them."""
    device = next(tower.parameters()).device
    signal, page = [], []
    for k in range(len(windows)):
        mv = windows.window(k)
        pixels = drawn_page(np.random.default_rng(0), mv, plain=True).pixels
        signal.append(teacher(torch.from_numpy(mv[None]).to(device)).logits)
        page.append(tower(torch.from_numpy(pixels[None]).to(device).float() / 255.0)[1].logits)
    return TuningRows(torch.cat(signal).cpu().numpy(), torch.cat(page).cpu().numpy(), windows.findings)


def finding_thresholds(logits: Floats, findings: Floats) -> dict[str, float]:
    """Probability from which each finding is called: the best F1 on the tuning records."""
    out = {}
    for k, name in enumerate(FINDINGS):
        known = np.isfinite(findings[:, k])
        y = findings[known, k].astype(np.float64)
        if min((y == 1).sum(), (y == 0).sum()) >= MIN_EXAMPLES:
            p = 1 / (1 + np.exp(-logits[known, VALUE_OUTPUTS + ATTRIBUTES.index(name)].astype(np.float64)))
            out[name] = float(best_threshold(p, y))
    return out


def best_share(rows: TuningRows) -> float:
    """Weight of the page tower with the lowest cross-entropy of the findings on the tuning records."""
    first = VALUE_OUTPUTS + len(ATTRIBUTES) - len(FINDINGS)
    signal, page = (x[:, first : first + len(FINDINGS)].astype(np.float64) for x in (rows.signal, rows.page))
    known = np.isfinite(rows.findings)
    y = np.nan_to_num(rows.findings)

    def loss(share: float) -> float:
        logits = (1 - share) * signal + share * page
        return float(((np.logaddexp(0, logits) - y * logits) * known).sum() / known.sum())

    return float(min(SHARES, key=loss))


def page_document(tower: PageTower, rows: TuningRows) -> dict[str, Any]:
    """``page_config`` of a GEM."""
    share = best_share(rows)
    both = ((1 - share) * rows.signal + share * rows.page).astype(np.float32)
    return {
        "sizes": tower.sizes.to_dict(),
        "measuring": tower.measuring.sizes.to_dict(),
        "share": share,
        "thresholds": finding_thresholds(rows.page, rows.findings),
        "thresholds_both": finding_thresholds(both, rows.findings),
    }


def put_tower(folder: Path, tower: PageTower, document: Mapping[str, Any], out: Path) -> str:
    """Write the GEM of ``folder`` with a page tower to ``out``, in half precision; returns its digest."""
    config = json.loads((folder / "config.json").read_text())
    state = {k: v for k, v in load_file(folder / "model.safetensors").items() if not k.startswith(PAGE_TOWER)}
    state |= {f"{PAGE_TOWER}{name}": tensor.detach().cpu() for name, tensor in tower.state_dict().items()}
    tokenizer = (folder / "tokenizer.model").read_bytes()
    out.mkdir(parents=True, exist_ok=True)
    half = {name: tensor.half().contiguous() for name, tensor in state.items()}
    save_file(half, out / "model.safetensors", metadata={"format": "pt"})
    config["page_config"] = dict(document)
    config["weights"] = weights_digest(out)
    (out / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    (out / "tokenizer.model").write_bytes(tokenizer)
    return str(config["weights"])


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m models.training.page", description="Train the page tower of the compact GEM."
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of recordings (ptbxl, ludb, …)")
    parser.add_argument("--folds", type=Path, required=True, help="folder with ludb.csv and cinc2017.csv")
    parser.add_argument("--gem", type=Path, required=True, help="folder of a compact GEM with its measuring tower")
    parser.add_argument("--out", type=Path, help="folder to write that GEM to; default: --gem itself")
    parser.add_argument("--work", type=Path, default=WORK, help="caches, checkpoints, log, plot")
    parser.add_argument("--reader-steps", type=int, default=PageConfig.reader_steps)
    parser.add_argument("--joint-steps", type=int, default=PageConfig.joint_steps)
    parser.add_argument("--save-every", type=int, default=PageConfig.save_every)
    parser.add_argument("--seed", type=int, default=PageConfig.seed)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    settings = PageConfig(options.reader_steps, options.joint_steps, seed=options.seed, save_every=options.save_every)
    train_windows, tune_windows = (
        read_windows(options.data, options.folds, options.work, split) for split in (TRAIN, TUNE)
    )
    teacher = own_measuring_tower(options.gem)
    fresh = fresh_tower(teacher, PageSizes(), options.seed)
    tower = train(settings, train_windows, options.work, fresh, teacher, options.device)
    rows = tuning_rows(tower, teacher, tune_windows)
    document = page_document(tower, rows)
    print(json.dumps(document))
    print(put_tower(options.gem, tower, document, options.out or options.gem))


if __name__ == "__main__":
    main()

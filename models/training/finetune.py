"""Training as published: ``python -m models.training.finetune --base DIR --tower DIR --data ROOT --json FILE… …``.

Starts from a LLaVA-1.6-Vicuna or PULSE checkpoint with an ECG-CoCa tower (or from a GEM), trains on conversation files
in the published layout, and writes a GEM folder. The towers stay frozen. Notable features:

* ``--train projector`` (ECG projector alone), ``full`` (GEM's stage: both projectors and the language model) or
  ``lora`` (adapters by peft, merged into the folder that is written; the adapters are kept beside it);
* the reference's hyper-parameters as defaults: AdamW 2e-5, no weight decay, cosine with 3 % warm-up, 1 epoch, batches
  of 256 (here ``--batch`` × ``--accumulate`` × processes), bf16, gradient checkpointing, gradients clipped at 1;
* several GPUs by ``accelerate launch`` (FSDP and DeepSpeed configurations in ``deploy/training``);
* a run that was stopped resumes from its last save with the examples, and so the loss, that it would have had;
* loss on held-out conversations during training, a CSV log and a PNG of the curves.

Deviations: sums are kept in float32 under bf16 autocast, where the reference's weights are bf16 with a float32 copy in
DeepSpeed; windows are resampled to 500 Hz and leads put in order, unless ``--parity`` asks for the reference's reading.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.corpus.conversation_files import Conversation, read_conversations
from models.corpus.published_layout import PublishedLayout, check
from models.gem.checkpoint import save_checkpoint
from models.gem.modeling import GemForCausalLM
from models.training.base_checkpoint import PROJECTOR, open_base
from models.training.progress import Log, bar
from models.training.published_conversations import ConversationExamples, collate_pages

TRAINED = ("projector", "full", "lora")
LORA_TARGETS = r"model\.layers\.\d+\.(self_attn|mlp)\.(q|k|v|o|gate|up|down)_proj"
CLIP = 1.0  # of the gradient's norm, as transformers' Trainer by default
CHECKED = 64  # held-out conversations whose loss is logged


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """Settings of a run; the defaults are the reference's.

    Attributes
    ----------
    train : {"projector", "full", "lora"}
    steps : int or None
        Optimizer steps; None: one epoch.
    batch, accumulate : int
        Examples a process takes at once, and how often before a step.
    lr, warm_up_share, weight_decay : float
    lora_rank, lora_alpha : int
    precision : {"bf16", "no"}
        Of the products.
    save_every : int
        Steps between saves; a save can be resumed from.
    seed : int
    parity : bool
        Read records as the reference does.
    """

    train: str = "full"
    steps: int | None = None
    batch: int = 16
    accumulate: int = 2
    lr: float = 2e-5
    warm_up_share: float = 0.03
    weight_decay: float = 0.0
    lora_rank: int = 16
    lora_alpha: int = 32
    precision: str = "bf16"
    gradient_checkpointing: bool = True
    save_every: int = 500
    seed: int = 42
    parity: bool = False

    def __post_init__(self) -> None:
        if self.train not in TRAINED:
            raise ValueError(f"train {self.train!r} is not one of {', '.join(TRAINED)}")


def trained_parameters(model: GemForCausalLM, train: str) -> list[nn.Parameter]:
    """Parameters that a kind of training moves; the others are frozen."""
    chosen = []
    for name, parameter in model.named_parameters():
        if train == "projector":
            wanted = name.startswith(PROJECTOR)
        elif train == "lora":
            wanted = "lora_" in name or "_projector." in name
        else:
            wanted = "ecg_tower." not in name and "vision_tower." not in name
        parameter.requires_grad_(wanted)
        chosen += [parameter] if wanted else []
    return chosen


def add_lora(model: GemForCausalLM, config: FinetuneConfig) -> Any:
    """The model with adapters in the language model's linear layers (a peft model around it)."""
    from peft import LoraConfig, get_peft_model

    lora = LoraConfig(r=config.lora_rank, lora_alpha=config.lora_alpha, target_modules=LORA_TARGETS)
    return get_peft_model(model, lora)


def learning_rate(step: int, steps: int, config: FinetuneConfig) -> float:
    """Cosine from ``lr`` to 0 after a linear warm-up."""
    warm_up = max(1, round(config.warm_up_share * steps))
    if step < warm_up:
        return config.lr * (step + 1) / warm_up
    return config.lr * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def finetune(
    model: GemForCausalLM,
    examples: ConversationExamples,
    held_out: ConversationExamples | None,
    config: FinetuneConfig,
    work: Path,
) -> GemForCausalLM:
    """Train, or resume; returns the model with adapters merged.

    Parameters
    ----------
    work : Path
        Folder of saves, log and plot.
    """
    from accelerate import Accelerator

    precision = "no" if config.precision == "no" else "bf16"
    accelerator = Accelerator(mixed_precision=precision, gradient_accumulation_steps=config.accumulate)
    adapted = add_lora(model, config) if config.train == "lora" else model
    parameters = trained_parameters(adapted, config.train)
    if config.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    optimizer = torch.optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay)
    whole_batch = config.batch * config.accumulate * accelerator.num_processes
    steps = config.steps if config.steps is not None else max(1, math.ceil(len(examples) / whole_batch))
    prepared, optimizer = accelerator.prepare(adapted, optimizer)
    done = _resume(accelerator, work)
    log = Log(work / f"{config.train}.csv")
    prepared.train()
    with bar(config.train, steps, done) as progress:
        for step in range(done, steps):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, steps, config)
            loss = _step(accelerator, prepared, optimizer, examples, parameters, config, step)
            progress.advance(progress.task_ids[0])
            if (step + 1) % config.save_every == 0 or step + 1 == steps:
                scores = {"loss": loss}
                if held_out is not None:
                    scores["held_out_loss"] = mean_loss(prepared, held_out, config, accelerator.device)
                _save(accelerator, work, step + 1)
                if accelerator.is_main_process:
                    log.add(step + 1, scores)
                    log.plot(work / f"{config.train}.png")
    accelerator.wait_for_everyone()
    trained = accelerator.unwrap_model(prepared)
    if config.train == "lora":
        if accelerator.is_main_process:
            trained.save_pretrained(str(work / "adapters"))
        trained = trained.merge_and_unload()
    trained.gradient_checkpointing_disable()
    trained.eval()
    out: GemForCausalLM = trained
    return out


def _step(
    accelerator: Any,
    model: nn.Module,
    optimizer: Any,
    examples: ConversationExamples,
    parameters: Sequence[nn.Parameter],
    config: FinetuneConfig,
    step: int,
) -> float:
    """One optimizer step over ``accumulate`` batches of this process; the mean loss over all processes."""
    whole_batch = config.batch * config.accumulate * accelerator.num_processes
    indices = examples.of_step(step, whole_batch, config.seed)[accelerator.process_index :: accelerator.num_processes]
    losses: list[Tensor] = []
    for first in range(0, len(indices), config.batch):
        batch = collate_pages([examples[k] for k in indices[first : first + config.batch]])
        with accelerator.accumulate(model):
            loss = model(**_on(batch, accelerator.device)).loss
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(parameters, CLIP)
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.detach())
    mean = torch.stack(losses).mean()
    return float(accelerator.reduce(mean, "mean"))


@torch.no_grad()
def mean_loss(
    model: nn.Module, examples: ConversationExamples, config: FinetuneConfig, device: str | torch.device = "cpu"
) -> float:
    """Loss over the first `CHECKED` conversations."""
    model.eval()
    n = min(CHECKED, len(examples))
    total = 0.0
    for first in range(0, n, config.batch):
        batch = [examples[k] for k in range(first, min(n, first + config.batch))]
        total += float(model(**_on(collate_pages(batch), device)).loss) * len(batch)
    model.train()
    return total / n


def _on(batch: dict[str, Any], device: str | torch.device) -> dict[str, Any]:
    def moved(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.to(device)
        return [moved(v) for v in value] if isinstance(value, list) and isinstance(value[0], Tensor) else value

    return {name: moved(value) for name, value in batch.items()}


def _save(accelerator: Any, work: Path, step: int) -> None:
    """Save the state so that a kill at any instant leaves a whole one."""
    fresh, final = work / "state.new", work / f"state-{step}"
    accelerator.save_state(str(fresh))
    if accelerator.is_main_process:
        fresh.replace(final)
        (work / "latest.new").write_text(json.dumps({"step": step}))
        (work / "latest.new").replace(work / "latest.json")
        for old in work.glob("state-*"):
            if old != final:
                shutil.rmtree(old)
    accelerator.wait_for_everyone()


def _resume(accelerator: Any, work: Path) -> int:
    """Load the newest state; the steps done, 0 for a fresh start."""
    work.mkdir(parents=True, exist_ok=True)
    path = work / "latest.json"
    if not path.is_file():
        return 0
    step = int(json.loads(path.read_text())["step"])
    accelerator.load_state(str(work / f"state-{step}"))
    return step


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit status 1 where the data are incomplete."""
    options = _parser().parse_args(argv)
    layout = PublishedLayout(options.data)
    conversations = [c for path in options.json for c in read_conversations(path)]
    held_out = [c for path in options.held_out for c in read_conversations(path)]
    missing = {k: n for k, n in check(layout, [*conversations, *held_out]).items() if k.endswith("missing")}
    if missing:
        print(f"{options.data}: {', '.join(f'{n} {kind}' for kind, n in missing.items())}", file=sys.stderr)
        return 1
    model, processor = open_base(options.base, options.tower, options.seed)

    def examples(of: Sequence[Conversation]) -> ConversationExamples:
        return ConversationExamples(of, layout, processor, parity=options.parity)

    config = FinetuneConfig(
        train=options.train,
        steps=options.steps,
        batch=options.batch,
        accumulate=options.accumulate,
        lr=options.lr,
        lora_rank=options.lora_rank,
        precision=options.precision,
        gradient_checkpointing=not options.no_gradient_checkpointing,
        save_every=options.save_every,
        seed=options.seed,
        parity=options.parity,
    )
    work = options.out / "training"
    trained = finetune(model, examples(conversations), examples(held_out) if held_out else None, config, work)
    print(save_checkpoint(options.out, trained, options.base / "tokenizer.model"))
    return 0


def _parser() -> argparse.ArgumentParser:
    defaults = FinetuneConfig()
    parser = argparse.ArgumentParser(prog="python -m models.training.finetune", description="Training as published.")
    parser.add_argument("--base", type=Path, required=True, help="folder of LLaVA-1.6-Vicuna, PULSE or a GEM")
    parser.add_argument("--tower", type=Path, help="folder of the ECG-CoCa tower, where the base has none")
    parser.add_argument("--data", type=Path, required=True, help="root of the published layout")
    parser.add_argument("--json", type=Path, nargs="+", required=True, help="conversation files")
    parser.add_argument("--held-out", type=Path, nargs="*", default=[], help="conversation files for the logged loss")
    parser.add_argument("--out", type=Path, required=True, help="folder of the GEM; state and log in training/")
    parser.add_argument("--train", choices=TRAINED, default=defaults.train)
    parser.add_argument("--steps", type=int, help="default: one epoch")
    parser.add_argument("--batch", type=int, default=defaults.batch)
    parser.add_argument("--accumulate", type=int, default=defaults.accumulate)
    parser.add_argument("--lr", type=float, default=defaults.lr)
    parser.add_argument("--lora-rank", type=int, default=defaults.lora_rank)
    parser.add_argument("--precision", choices=("bf16", "no"), default=defaults.precision)
    parser.add_argument("--no-gradient-checkpointing", action="store_true")
    parser.add_argument("--save-every", type=int, default=defaults.save_every)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--parity", action="store_true", help="read records as the reference does")
    return parser


if __name__ == "__main__":
    sys.exit(main())

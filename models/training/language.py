"""Train a small LLaMA on report text: ``python -m models.training.language``.

GEM starts from a pretrained language model; at this size there is none, so one is trained first, on conversations with
synthetic context (`report_text.synthetic_context`). It learns to copy the numbers, descriptors and findings of the
prompt, and the wording of the reports. No ECG and no recording is needed. Writes the tokenizer and ``gem-language``;
`align` and `instruct` continue from it.

Each number is one token, so that copying it is one step of attention. Copying is trained first, on copy exercises
(`report_text.drill`); the embeddings of numbers start as sums over their digits.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from models.encoder.configuration import COMPACT
from models.finding_names import TITLES
from models.gem.checkpoint import load_checkpoint, save_checkpoint
from models.gem.configuration import GemConfig
from models.gem.conversation import GROUNDED_QUESTION, TEMPLATES
from models.gem.modeling import GemForCausalLM
from models.gem.processing import GemProcessor, PagePreprocessor
from models.gem.tokenizer import GemTokenizer
from models.leads import STANDARD_12
from models.training.conversations import Example, StageConfig, collate, fit_stage, similar_length
from models.training.report_text import QUESTIONS, drill, report_conversation, synthetic_context

WORK = Path(".gem-bedside/training/gem")
WHOLE_NUMBERS = 800  # 0–799: rates, and intervals in ms
MILLIVOLTS = [f"{sign}{k / 100:.2f}" for sign in ("", "-") for k in range(200)]
NUMBERS = [*map(str, range(WHOLE_NUMBERS)), *MILLIVOLTS]
"""Numbers that are one token each, with the blank before them."""
VOCABULARY = len(NUMBERS) + 660  # 256 of them bytes, so that any question can be encoded
HIDDEN, LAYERS, HEADS, MLP = 192, 3, 6, 512
EMBED_SPREAD = 0.5
DRILL_SHARE = 0.1  # share of copy exercises in the language stage
CHECK_CONVERSATIONS = 48  # unseen ones, at every save: share of numbers copied correctly
CONTEXT = 1024


def compact_config(vocabulary: int) -> GemConfig:
    """The compact GEM: the published classes at a small size, ECG-only."""
    return GemConfig(
        vocab_size=vocabulary,
        hidden_size=HIDDEN,
        intermediate_size=MLP,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=CONTEXT,
        rms_norm_eps=1e-5,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=None,
        tower_config=COMPACT.to_dict(),
        mm_hidden_size=HIDDEN,
        ecg_projector_type="linear",
        mm_projector_type="mlp2x_gelu",
        tokenizer_model_max_length=CONTEXT,
        evidence_in_prompt=True,
        independent_leads=1,  # leads are masked in training
    )


def train_tokenizer(target: Path, seed: int, conversations: int = 4000) -> None:
    """Train a SentencePiece model of `VOCABULARY` pieces on report text; numbers and lead names are one piece each."""
    import sentencepiece

    rng = np.random.default_rng(seed)
    texts = [" ".join(report_conversation(synthetic_context(rng), rng)) for _ in range(conversations)]
    texts += [*TITLES.values(), *QUESTIONS] * 20
    # Parts of every prompt: one piece each.
    whole = [TEMPLATES["llava_v1"].opening.strip(), GROUNDED_QUESTION, "USER:", "ASSISTANT:", "Measured:", "Found:"]
    spaced = [*NUMBERS, *STANDARD_12, "HR", "PR", "QRS", "QT", "QTcF", "ST", "bpm", "ms", "mV"]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        vocab_size=VOCABULARY,
        model_type="bpe",
        character_coverage=1.0,
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        minloglevel=2,
        user_defined_symbols=["▁" + w.replace(" ", "▁") for w in (*whole, *spaced)]
        + [w.replace(" ", "▁") for w in whole],
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(model.getvalue())


def text_examples(
    processor: GemProcessor, rng: np.random.Generator, n: int, drills: float = 0.0, shuffled: float = 0.5
) -> list[Example]:
    """Text-only examples with synthetic context; a share of ``drills`` are copy exercises."""
    out = []
    for _ in range(n):
        turn = (
            drill(NUMBERS, rng, shuffled=shuffled)
            if rng.random() < drills
            else report_conversation(synthetic_context(rng), rng)
        )
        out.append(Example(*processor.training_example([turn], mark=False)))
    return out


def number_accuracy(model: GemForCausalLM, processor: GemProcessor, seed: int) -> dict[str, float]:
    """Share of numbers, and of all tokens, of unseen answers that the model predicts under teacher forcing."""
    examples = text_examples(processor, np.random.default_rng([seed, 1]), CHECK_CONVERSATIONS)
    batch = collate(examples)
    labels = batch.pop("labels")
    assert labels is not None
    with torch.no_grad():
        device = next(model.parameters()).device
        predicted = model(**{k: v.to(device) for k, v in batch.items() if v is not None}).logits.argmax(-1).cpu()
    numbers = torch.tensor([processor.tokenizer.encode(f"a {n}", bos=False)[-1] for n in NUMBERS])
    asked = torch.isin(labels[:, 1:], numbers)
    right = predicted[:, :-1] == labels[:, 1:]
    return {"numbers": float(right[asked].float().mean()), "tokens": float(right[labels[:, 1:] >= 0].float().mean())}


def open_stage(work: Path, seed: int, earlier: Path | None = None) -> tuple[GemForCausalLM, GemProcessor]:
    """Model and processor of a work folder: newly initialised, or from the folder ``earlier`` of a finished stage."""
    tokenizer = work / "tokenizer.model"
    if not tokenizer.is_file():
        train_tokenizer(tokenizer, seed)
    pieces = GemTokenizer(tokenizer)
    torch.manual_seed(seed)
    if earlier is not None:
        model = load_checkpoint(earlier)
    else:
        model = GemForCausalLM(compact_config(pieces.vocabulary))
        initialize_weights(model, pieces)
    return model, GemProcessor(model.config, pieces, PagePreprocessor())


@torch.no_grad()
def initialize_weights(model: GemForCausalLM, pieces: GemTokenizer) -> None:
    """Initialise the weights at the scale of a narrow model, so that attention is not uniform from the first step on.

    Input and output embeddings start alike, so that copying a token is near at hand.
    """
    branch_scale = (2 * len(model.model.layers)) ** -0.5
    for name, weight in model.model.layers.named_parameters():
        if weight.ndim == 2:
            ends_a_branch = name.endswith(("o_proj.weight", "down_proj.weight"))
            weight.normal_(0.0, weight.shape[1] ** -0.5 * (branch_scale if ends_a_branch else 1.0))
    embeds = model.model.embed_tokens.weight
    embeds.normal_(0.0, EMBED_SPREAD)
    embeds.copy_(digit_embeddings(embeds, pieces))
    model.lm_head.weight.copy_(embeds * (HIDDEN**-0.5 / EMBED_SPREAD))


def digit_embeddings(embeds: torch.Tensor, pieces: GemTokenizer) -> torch.Tensor:
    """Embeddings in which a number starts as the sum of a vector for each digit at its place, and for its sign.

    1,200 numbers then share some forty vectors, and a step on one number moves the others.
    """
    out = embeds.clone()
    vectors: dict[tuple[int, str], torch.Tensor] = {}
    for number in NUMBERS:
        *_, piece = pieces.encode(f"a {number}", bos=False)
        signs = [(0, "-" if number.startswith("-") else "."[: "." in number])]
        places = list(enumerate(reversed(number.lstrip("-").replace(".", "").zfill(3)), start=1))
        parts = [vectors.setdefault(part, torch.randn_like(out[0])) for part in (*signs, *places)]
        out[piece] = embeds.std() * torch.stack(parts).sum(0) / len(parts) ** 0.5
    return out


def load_tower(model: GemForCausalLM, path: Path) -> None:
    """Load the pre-trained ECG tower into the model."""
    model.model.ecg_tower.ecg_tower.load_state_dict(load_file(path))


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m models.training.language", description="Train a small LLaMA on report text."
    )
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--drills", type=int, default=600, help="steps of copying in order, the first stage")
    parser.add_argument("--lookups", type=int, default=400, help="steps of look-up by name, the second stage")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--save-every", type=int, default=100)
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    model, processor = open_stage(options.work, options.seed)
    model.to(options.device)
    named = [p for n, p in model.named_parameters() if "ecg_tower" not in n and "projector" not in n]
    stages = (
        ("drill", options.drills, 1.0, 0.5),
        ("lookup", options.lookups, 1.0, 1.0),
        ("language", options.steps, DRILL_SHARE, 1.0),
    )
    for name, steps, share, shuffled in stages:

        def draw(rng: np.random.Generator, n: int, share: float = share, shuffled: float = shuffled) -> list[Example]:
            return similar_length(text_examples(processor, rng, 3 * n, share, shuffled), rng, n)

        fit_stage(
            model,
            StageConfig(
                name, steps, options.batch, lr=2e-3, weight_decay=0.05, seed=options.seed, save_every=options.save_every
            ),
            draw,
            options.work,
            named,
            lambda m: number_accuracy(m, processor, options.seed),
            options.device,
        )
    print(save_checkpoint(options.work / "gem-language", model, options.work / "tokenizer.model"))


if __name__ == "__main__":
    main()

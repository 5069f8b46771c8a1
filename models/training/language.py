"""Teach a small LLaMA to speak of ECGs: ``python -m models.training.language``.

GEM starts from a language model that can read and write; at this size there is none, so one is trained first, on
dialogues about values that nobody measured (`narrate.invented_story`): it learns to carry over the numbers, words and
findings that the prompt states, and the house's wording. No ECG and no recording is needed. Writes the tokenizer and a
GEM folder without an ECG tower's knowledge; `align` and `instruct` go on from it.

A number is one piece of the vocabulary, so that carrying it over is one step of attention. It is learnt first, on
drills (names with any numbers, to be said again); and the vectors of numbers start as sums over digits.
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
from models.training.conversations import Course, Example, alike, collate, fit
from models.training.report_text import QUESTIONS, dialogue, drill, invented_story

WORK = Path(".gem-bedside/training/gem")
WHOLE_NUMBERS = 800  # 0–799: rates, and intervals in ms
MILLIVOLTS = [f"{sign}{k / 100:.2f}" for sign in ("", "-") for k in range(200)]
NUMBERS = [*map(str, range(WHOLE_NUMBERS)), *MILLIVOLTS]
"""Each is one piece, with the blank before it."""
VOCABULARY = len(NUMBERS) + 660  # 256 of them bytes, so that any question can be read
HIDDEN, LAYERS, HEADS, MLP = 192, 3, 6, 512
EMBED_SPREAD = 0.5
DRILL_SHARE = 0.1  # of the dialogues of the language stage
CHECK_DIALOGUES = 48  # unseen ones, at every save: are numbers repeated right?
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


def train_tokenizer(target: Path, seed: int, dialogues: int = 4000) -> None:
    """A SentencePiece model of `VOCABULARY` pieces over the house's own texts; numbers and leads are whole."""
    import sentencepiece

    rng = np.random.default_rng(seed)
    texts = [" ".join(dialogue(invented_story(rng), rng)) for _ in range(dialogues)]
    texts += [*TITLES.values(), *QUESTIONS] * 20
    # Said in every prompt, so one piece each.
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
    """Dialogues about invented values, without the mark of an ECG; a share of them are drills (`narrate.drill`)."""
    out = []
    for _ in range(n):
        turn = drill(NUMBERS, rng, shuffled=shuffled) if rng.random() < drills else dialogue(invented_story(rng), rng)
        out.append(Example(*processor.training_example([turn], mark=False)))
    return out


def numbers_right(model: GemForCausalLM, processor: GemProcessor, seed: int) -> dict[str, float]:
    """Share of the numbers, and of all tokens, of unseen answers that the model gives after reading up to them."""
    examples = text_examples(processor, np.random.default_rng([seed, 1]), CHECK_DIALOGUES)
    batch = collate(examples)
    labels = batch.pop("labels")
    assert labels is not None
    with torch.no_grad():
        device = next(model.parameters()).device
        said = model(**{k: v.to(device) for k, v in batch.items() if v is not None}).logits.argmax(-1).cpu()
    numbers = torch.tensor([processor.tokenizer.encode(f"a {n}", bos=False)[-1] for n in NUMBERS])
    asked = torch.isin(labels[:, 1:], numbers)
    right = said[:, :-1] == labels[:, 1:]
    return {"numbers": float(right[asked].float().mean()), "tokens": float(right[labels[:, 1:] >= 0].float().mean())}


def open_stage(work: Path, seed: int, earlier: Path | None = None) -> tuple[GemForCausalLM, GemProcessor]:
    """The model and the processor of a work folder: fresh, or as an earlier stage left them in its folder."""
    tokenizer = work / "tokenizer.model"
    if not tokenizer.is_file():
        train_tokenizer(tokenizer, seed)
    pieces = GemTokenizer(tokenizer)
    torch.manual_seed(seed)
    if earlier is not None:
        model = load_checkpoint(earlier)
    else:
        model = GemForCausalLM(compact_config(pieces.vocabulary))
        begin(model, pieces)
    return model, GemProcessor(model.config, pieces, PagePreprocessor())


@torch.no_grad()
def begin(model: GemForCausalLM, pieces: GemTokenizer) -> None:
    """Initial weights at the scale of a narrow model, in which attention looks somewhere from the first step on.

    What is read and what is said start alike, so that carrying over is near at hand.
    """
    depth = (2 * len(model.model.layers)) ** -0.5
    for name, weight in model.model.layers.named_parameters():
        if weight.ndim == 2:
            ends_a_branch = name.endswith(("o_proj.weight", "down_proj.weight"))
            weight.normal_(0.0, weight.shape[1] ** -0.5 * (depth if ends_a_branch else 1.0))
    embeds = model.model.embed_tokens.weight
    embeds.normal_(0.0, EMBED_SPREAD)
    embeds.copy_(spelled(embeds, pieces))
    model.lm_head.weight.copy_(embeds * (HIDDEN**-0.5 / EMBED_SPREAD))


def spelled(embeds: torch.Tensor, pieces: GemTokenizer) -> torch.Tensor:
    """Embeddings in which a number starts as the sum of a vector for each of its digits at its place, and its sign.

    Twelve hundred numbers share some forty vectors then, and what is learnt of one holds for all.
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
    """Put the pre-trained ECG tower in its place."""
    model.model.ecg_tower.ecg_tower.load_state_dict(load_file(path))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m models.training.language", description="Teach a small LLaMA to speak."
    )
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--drills", type=int, default=600, help="steps of repeating alone, before all else")
    parser.add_argument("--lookups", type=int, default=400, help="steps of looking up, before the language")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--batch", type=int, default=24)
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
            return alike(text_examples(processor, rng, 3 * n, share, shuffled), rng, n)

        fit(
            model,
            Course(name, steps, options.batch, lr=2e-3, weight_decay=0.05, seed=options.seed, save_every=100),
            draw,
            options.work,
            named,
            lambda m: numbers_right(m, processor, options.seed),
            options.device,
        )
    print(save_checkpoint(options.work / "gem-language", model, options.work / "tokenizer.model"))


if __name__ == "__main__":
    main()

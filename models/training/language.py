"""Teach a small LLaMA to speak of ECGs: ``python -m models.training.language``.

GEM starts from a language model that can read and write; at this size there is none, so one is trained first, on
dialogues about values that nobody measured (`narrate.invented_story`): it learns to repeat the numbers that the prompt
states, to say what follows from them, and the house's wording. No ECG and no recording is needed. Writes the tokenizer
and a GEM folder without an ECG tower's knowledge; `align` and `instruct` go on from it.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from models.encoder.config import COMPACT
from models.gem.checkpoint import load_checkpoint, save_checkpoint
from models.gem.configuration_gem import GemConfig
from models.gem.conversation import GROUNDED_QUESTION, TEMPLATES
from models.gem.modeling_gem import GemForCausalLM
from models.gem.processing_gem import GemProcessor, PagePreprocessor
from models.gem.tokenizer import GemTokenizer
from models.training.dialogues import Course, Example, collate, fit
from models.training.findings import TITLES
from models.training.narrate import QUESTIONS, dialogue, invented_story

WORK = Path(".gem-bedside/training/gem")
VOCABULARY = 640  # 256 of them bytes, so that any question can be read
HIDDEN, LAYERS, HEADS, MLP = 128, 3, 4, 384
CHECK_DIALOGUES = 24  # unseen ones, at every save: are numbers repeated right?
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
    )


def train_tokenizer(target: Path, seed: int, dialogues: int = 4000) -> None:
    """A SentencePiece model of `VOCABULARY` pieces over the house's own texts; digits stand alone."""
    import sentencepiece

    rng = np.random.default_rng(seed)
    texts = [" ".join(dialogue(invented_story(rng), rng)) for _ in range(dialogues)]
    texts += [*TITLES.values(), *QUESTIONS] * 20
    # Said in every prompt, so one piece each.
    whole = [
        TEMPLATES["llava_v1"].opening.strip(),
        GROUNDED_QUESTION,
        "USER:",
        "ASSISTANT:",
        "Measured:",
        "REGULARITY",
        "ABSENT_P",
    ]
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
        user_defined_symbols=["▁" + w.replace(" ", "▁") for w in whole] + [w.replace(" ", "▁") for w in whole],
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(model.getvalue())


def text_examples(processor: GemProcessor, rng: np.random.Generator, n: int) -> list[Example]:
    """Dialogues about invented values, without the mark of an ECG."""
    return [Example(*processor.training_example([dialogue(invented_story(rng), rng)], mark=False)) for _ in range(n)]


def digits_right(model: GemForCausalLM, processor: GemProcessor, seed: int) -> dict[str, float]:
    """Share of the digits of unseen answers that the model gives when it has read the answer up to them."""
    examples = text_examples(processor, np.random.default_rng([seed, 1]), CHECK_DIALOGUES)
    batch = collate(examples)
    labels = batch.pop("labels")
    assert labels is not None
    with torch.no_grad():
        device = next(model.parameters()).device
        said = model(**{k: v.to(device) for k, v in batch.items() if v is not None}).logits.argmax(-1).cpu()
    digits = torch.tensor([processor.tokenizer.encode(str(d), bos=False)[-1] for d in range(10)])
    asked = torch.isin(labels[:, 1:], digits)
    right = said[:, :-1] == labels[:, 1:]
    return {"digits": float(right[asked].float().mean()), "tokens": float(right[labels[:, 1:] >= 0].float().mean())}


def open_stage(work: Path, seed: int, earlier: Path | None = None) -> tuple[GemForCausalLM, GemProcessor]:
    """The model and the processor of a work folder: fresh, or as an earlier stage left them in its folder."""
    tokenizer = work / "tokenizer.model"
    if not tokenizer.is_file():
        train_tokenizer(tokenizer, seed)
    pieces = GemTokenizer(tokenizer)
    torch.manual_seed(seed)
    model = GemForCausalLM(compact_config(pieces.vocabulary)) if earlier is None else load_checkpoint(earlier)
    return model, GemProcessor(model.config, pieces, PagePreprocessor())


def load_tower(model: GemForCausalLM, path: Path) -> None:
    """Put the pre-trained ECG tower in its place."""
    model.model.ecg_tower.ecg_tower.load_state_dict(load_file(path))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m models.training.language", description="Teach a small LLaMA to speak."
    )
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    model, processor = open_stage(options.work, options.seed)
    model.to(options.device)
    course = Course(
        "language", options.steps, options.batch, lr=3e-3, weight_decay=0.05, seed=options.seed, save_every=100
    )
    named = [p for n, p in model.named_parameters() if "ecg_tower" not in n and "projector" not in n]
    fit(
        model,
        course,
        lambda rng, n: text_examples(processor, rng, n),
        options.work,
        named,
        lambda m: digits_right(m, processor, options.seed),
        options.device,
    )
    print(save_checkpoint(options.work / "gem-language", model, options.work / "tokenizer.model"))


if __name__ == "__main__":
    main()

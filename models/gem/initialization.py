"""Makes a GEM of any size: configuration, vocabulary, random weights. Training starts here; benchmarks too.

A compact GEM is the same classes and the same folder layout as the published 7-B model::

    tokenizer = train_tokenizer(texts, folder / "tokenizer.model", vocabulary=2000)
    model = random_gem(compact_config(tokenizer.vocabulary), seed=1)
    model.model.ecg_tower.ecg_tower.load_state_dict(pretrained_tower)       # where there is one
    processor = GemProcessor(model.config, tokenizer, PagePreprocessor.of(model.config))
    ids, labels = processor.training_example([(question, answer)])          # with the window from ``ecg_window(ecg)``
    loss = model(input_ids=ids, labels=labels, ecgs=windows).loss           # train ecg_projector, mm_projector, LLaMA
    save_checkpoint(folder, model)                                          # config.json, model.safetensors
    engine = GemEngine.load(folder)                                         # the service; ``load_checkpoint`` the model

``config.trained`` is True by default: save untrained weights with ``trained=False``.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.encoder.configuration import COMPACT, PUBLISHED, TowerConfig
from models.gem.checkpoint import assign_parameter, empty_model, rebuild_buffers
from models.gem.configuration import GemConfig
from models.gem.modeling import GemForCausalLM
from models.gem.tokenizer import GemTokenizer

CLIP_LARGE = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 336,
    "patch_size": 14,
    "hidden_act": "quick_gelu",
    "projection_dim": 768,
}


def compact_config(
    vocabulary: int,
    *,
    hidden: int = 256,
    layers: int = 4,
    heads: int = 4,
    tower: TowerConfig = COMPACT,
    vision: dict[str, Any] | None = None,
    longest: int = 1024,
    **fields: Any,
) -> GemConfig:
    """A GEM for two CPU cores: about 5 M parameters, ECG only unless ``vision`` (CLIP's fields) is given."""
    return GemConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=hidden * 8 // 3 // 16 * 16,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        rms_norm_eps=1e-5,
        max_position_embeddings=longest,
        tokenizer_model_max_length=longest,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        tower_config=tower.to_dict(),
        vision_config=vision,
        mm_hidden_size=vision["hidden_size"] if vision else tower.width,
        **fields,
    )


def published_config(**fields: Any) -> GemConfig:
    """The 7-B shape: Vicuna-7B, CLIP ViT-L/14 at 336 pixels, ECG-CoCa."""
    return GemConfig(
        vocab_size=32000,
        hidden_size=4096,
        intermediate_size=11008,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=32,
        rms_norm_eps=1e-5,
        max_position_embeddings=4096,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        tower_config=PUBLISHED.to_dict(),
        vision_config=dict(CLIP_LARGE),
        **fields,
    )


def random_gem(
    config: GemConfig, *, seed: int = 0, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> GemForCausalLM:
    """Random weights made on the device itself; the same seed and device give the same weights."""
    model = empty_model(config)
    for name, parameter in list(model.named_parameters()):
        generator = torch.Generator(device).manual_seed(seed + zlib.crc32(name.encode()))
        if parameter.ndim == 1:
            value = torch.full(parameter.shape, 1.0 if name.endswith("weight") else 0.0, device=device, dtype=dtype)
        else:
            scale = 0.02 if "embed" in name else parameter[0].numel() ** -0.5
            value = torch.empty(parameter.shape, device=device, dtype=dtype).normal_(0.0, scale, generator=generator)
        assign_parameter(model, name, nn.Parameter(value))
    rebuild_buffers(model, device)
    return model


def train_tokenizer(texts: Iterable[str], path: Path, *, vocabulary: int = 2000) -> GemTokenizer:
    """A SentencePiece vocabulary in LLaMA's style (BPE, digits apart, bytes for the unknown), written to ``path``."""
    from sentencepiece import SentencePieceTrainer

    out = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=out,
        vocab_size=vocabulary,
        model_type="bpe",
        byte_fallback=True,
        split_digits=True,
        character_coverage=0.9995,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        num_threads=1,
        minloglevel=2,
        allow_whitespace_only_pieces=True,
        hard_vocab_limit=False,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(out.getvalue())
    return GemTokenizer(path)

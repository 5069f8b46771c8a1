"""ECG-CoCa beside its ECG tower: text tower, caption decoder, losses, zero-shot scores.

Used for zero-shot scores against class prompts and to check a checkpoint; the monitor does not need it. The text tower
is BERT with mean pooling over tokens that are not padding. The caption decoder reads BERT's states, which attend to the
whole text: it was trained with the future in view, so its captions are not to be used.
In: ECG float [batch, 12, 5000] mV; text ids int [batch, tokens], padding 0. Out: `CocaOutput`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertModel

from models.encoder.configuration import LAYER_NORM_EPS, TowerConfig
from models.encoder.tower import Block, EcgTower

PAD = 0
CONTRASTIVE_WEIGHT, CAPTION_WEIGHT = 1.0, 2.0  # as ECG-CoCa was trained


class EncodedText(NamedTuple):
    """Output of the text tower.

    Attributes
    ----------
    features : float [batch, embed_dim]
        Normalised.
    states : float [batch, tokens, width]
        Last hidden states of BERT.
    """

    features: Tensor
    states: Tensor


class CocaOutput(NamedTuple):
    """Output of CoCa for pairs of ECG and text.

    Attributes
    ----------
    ecg_features, text_features : float [batch, embed_dim]
        Normalised.
    ecg_tokens : float [batch, patches, width]
        Patch tokens after the last norm.
    text_states : float [batch, tokens, width]
    logits : float [batch, tokens - 1, vocabulary]
        Of the next token.
    labels : int [batch, tokens - 1]
    contrastive_loss, caption_loss : float []
        With their weights.
    """

    ecg_features: Tensor
    text_features: Tensor
    ecg_tokens: Tensor
    text_states: Tensor
    logits: Tensor
    labels: Tensor
    contrastive_loss: Tensor
    caption_loss: Tensor


class TextTower(nn.Module):
    """BERT, mean pooling, one projection."""

    def __init__(self, config: BertConfig, embed_dim: int) -> None:
        super().__init__()
        self.transformer = BertModel(config, add_pooling_layer=False)
        self.proj = nn.Linear(config.hidden_size, embed_dim, bias=False)

    def forward(self, ids: Tensor) -> EncodedText:
        """Text ids [batch, tokens], 0 where padded → features and states."""
        mask = ids != PAD
        states = self.transformer(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        pooled = (states * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        return EncodedText(functional.normalize(self.proj(pooled), dim=-1), states)


class CaptionDecoder(nn.Module):
    """Causal blocks alternating with cross-attention to the ECG's tokens."""

    def __init__(self, width: int, heads: int, layers: int, vocabulary: int, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        hidden = int(width * mlp_ratio)
        self.resblocks = nn.ModuleList(Block(width, heads, hidden, causal=True) for _ in range(layers))
        self.cross_attn = nn.ModuleList(Block(width, heads, hidden, cross=True) for _ in range(layers))
        self.ln_final = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.text_projection = nn.Parameter(torch.zeros(width, vocabulary))

    def forward(self, states: Tensor, ecg_tokens: Tensor) -> Tensor:
        """States [batch, tokens, width] and ECG tokens [batch, patches, width] → logits [batch, tokens, vocabulary]."""
        for block, cross in zip(self.resblocks, self.cross_attn, strict=True):
            states = cross(block(states), ecg_tokens)
        out: Tensor = self.ln_final(states) @ self.text_projection
        return out


class Coca(nn.Module):
    """ECG-CoCa under the names of its published checkpoint (without the prefix ``module.``)."""

    def __init__(
        self,
        tower: TowerConfig,
        bert: BertConfig,
        *,
        decoder_width: int,
        decoder_heads: int,
        decoder_layers: int,
        vocabulary: int,
    ) -> None:
        super().__init__()
        self.ecg = EcgTower(tower)
        self.text = TextTower(bert, tower.embed_dim)
        self.text_decoder = CaptionDecoder(decoder_width, decoder_heads, decoder_layers, vocabulary)
        self.logit_scale = nn.Parameter(torch.tensor(1 / 0.07).log())

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """From an open_clip configuration, its text encoder's ``config.json``, and ``model.safetensors``."""
        folder = Path(folder)
        document = read_coca_config(folder)
        state = load_file(folder / "model.safetensors")
        decoder = document["multimodal_cfg"]
        bert = BertConfig(**json.loads((folder / document["text_cfg"]["hf_model_name"] / "config.json").read_text()))
        model = cls(
            TowerConfig.from_open_clip(document),
            bert,
            decoder_width=decoder["width"],
            decoder_heads=decoder["heads"],
            decoder_layers=decoder["layers"],
            vocabulary=state["text_decoder.text_projection"].shape[1],
        )
        model.load_state_dict(state)
        return model.eval()

    def encode_ecg(self, ecg: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised features [batch, embed_dim], and patch tokens [batch, patches, width]."""
        out = self.ecg(ecg)
        return functional.normalize(out.pooled, dim=-1), out.normed[:, 1:]

    def zero_shot(self, ecg_features: Tensor, class_ids: Tensor) -> Tensor:
        """Score of each class prompt for each ECG, [batch, classes], 0 to 1."""
        classes = self.text(class_ids).features
        return torch.sigmoid(self.logit_scale.exp() * ecg_features @ classes.T)

    def forward(self, ecg: Tensor, ids: Tensor) -> CocaOutput:
        """ECG [batch, 12, 5000] mV and text ids [batch, tokens] of the same pairs → features, logits and losses."""
        ecg_features, ecg_tokens = self.encode_ecg(ecg)
        text = self.text(ids)
        logits = self.text_decoder(text.states[:, :-1], ecg_tokens)
        labels = ids[:, 1:]
        similar = self.logit_scale.exp() * ecg_features @ text.features.T
        pairs = torch.arange(len(ids), device=ids.device)
        contrastive = (functional.cross_entropy(similar, pairs) + functional.cross_entropy(similar.T, pairs)) / 2
        caption = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=PAD)
        return CocaOutput(
            ecg_features,
            text.features,
            ecg_tokens,
            text.states,
            logits,
            labels,
            CONTRASTIVE_WEIGHT * contrastive,
            CAPTION_WEIGHT * caption,
        )


def read_coca_config(folder: Path) -> dict[str, Any]:
    """The open_clip configuration of a folder: the JSON file that has ``ecg_cfg`` and ``multimodal_cfg``."""
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text())
        if isinstance(document, dict) and {"ecg_cfg", "text_cfg", "multimodal_cfg"} <= set(document):
            return cast(dict[str, Any], document)
    raise FileNotFoundError(f"{folder} holds no open_clip configuration with ecg_cfg, text_cfg and multimodal_cfg")

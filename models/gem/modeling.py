"""GEM: an ECG tower and a vision tower in front of a LLaMA, with the tensor names of the published checkpoint.

In: token ids with ``<image>`` (-200), ECG windows float [batch, 12, 5000] mV, pages as CLIP pixels. Out: `GemOutput`.
Each ``<image>`` is replaced by the 101 ECG tokens, then the page's tokens (`models.gem.merge`). Deviation from the
reference: ECG or page may be left out; its ablation shows that the time series alone is within one or two points of
both (arXiv 2503.06073, table 2). LLaMA and CLIP are those of transformers; nothing here re-implements them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPVisionModel, LlamaModel
from transformers.cache_utils import Cache
from transformers.generation import GenerationMixin
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.models.llama.modeling_llama import LlamaPreTrainedModel

from models.encoder.tower import EcgTower
from models.gem.anyres import PINPOINTS, Size, crop_grid, unpadded
from models.gem.configuration import PROJECTORS, GemConfig
from models.gem.measuring_tower import MeasuringTower
from models.gem.merge import IGNORED, Merged, merge_features
from models.gem.page_tower import PageTower

Pages = Tensor | Sequence[Tensor]


@dataclass
class GemOutput(CausalLMOutputWithPast):  # type: ignore[misc]  # transformers is untyped here
    """Output of `GemForCausalLM`: ``CausalLMOutputWithPast`` with the merged sequence of the logits.

    Attributes
    ----------
    logits : float [batch, length, vocabulary]
    loss : float or None
        Mean next-token cross-entropy over labels that are not -100.
    inputs_embeds : float [batch, length, hidden] or None
        The merged sequence; None for a step that continues one.
    attention_mask : bool [batch, length] or None
    past_key_values : Cache or None
        Keys and values, [batch, kv_heads, length, head] per layer.
    hidden_states, attentions : tuple of float or None
        [batch, length, hidden] and [batch, heads, length, length] per layer, where asked for.
    """

    inputs_embeds: Tensor | None = None
    attention_mask: Tensor | None = None


class EcgTowerHolder(nn.Module):
    """Gives the ECG tower the name that the checkpoint has for it."""

    def __init__(self, config: GemConfig) -> None:
        super().__init__()
        assert config.tower is not None
        self.ecg_tower = EcgTower(config.tower)

    def forward(self, ecgs: Tensor) -> Tensor:
        """[batch, 12, 5000] mV → the last block's tokens [batch, 101, width]."""
        tokens: Tensor = self.ecg_tower(ecgs).tokens
        return tokens


class VisionModelHolder(nn.Module):
    """Gives CLIP's vision model the name that the checkpoint has for it."""

    def __init__(self, config: GemConfig) -> None:
        super().__init__()
        self.vision_model = CLIPVisionModel(config.vision)


class VisionTower(nn.Module):
    """CLIP up to the layer whose features are used; the layers after it are loaded, not run."""

    def __init__(self, config: GemConfig) -> None:
        super().__init__()
        self.vision_tower = VisionModelHolder(config)
        self.select_layer = config.mm_vision_select_layer
        self.patches_only = config.mm_vision_select_feature == "patch"

    @property
    def clip(self) -> Any:
        """The CLIP vision transformer."""
        return self.vision_tower.vision_model

    @property
    def side(self) -> int:
        """Patches along one side of a crop."""
        return int(self.clip.config.image_size) // int(self.clip.config.patch_size)

    def forward(self, pixels: Tensor) -> Tensor:
        """[crops, 3, size, size] → patch features [crops, side * side, width]."""
        x = self.clip.pre_layrnorm(self.clip.embeddings(pixels.to(self.clip.pre_layrnorm.weight.dtype)))
        layers = self.clip.encoder.layers
        run = self.select_layer if self.select_layer >= 0 else len(layers) + 1 + self.select_layer
        for layer in layers[:run]:
            x = layer(x, None)
        features: Tensor = x[:, 1:] if self.patches_only else x
        return features


def projector(kind: str, inputs: int, outputs: int) -> nn.Module:
    """``linear``: one layer. ``mlp<n>x_gelu``: n of them, with exact GELU between. ``identity``: nothing."""
    if kind == "linear":
        return nn.Linear(inputs, outputs)
    if kind == "identity":
        return nn.Identity()
    layers = re.fullmatch(r"mlp(\d+)x_gelu", kind)
    if not layers:
        raise ValueError(f"projector {kind!r} is not one of {', '.join(PROJECTORS)}")
    between = [part for _ in range(int(layers[1]) - 1) for part in (nn.GELU(), nn.Linear(outputs, outputs))]
    return nn.Sequential(nn.Linear(inputs, outputs), *between)


class GemModel(LlamaModel):  # type: ignore[misc]  # transformers is untyped here
    """LLaMA with the towers and projectors beside its own layers."""

    config_class = GemConfig

    def __init__(self, config: GemConfig) -> None:
        super().__init__(config)
        tower = config.tower
        if tower is not None:
            self.ecg_tower = EcgTowerHolder(config)
            self.ecg_projector = projector(config.ecg_projector_type, tower.width, config.mm_hidden_size)
        if config.vision is not None:
            self.vision_tower = VisionTower(config)
        if config.measuring is not None:
            self.measuring_tower = MeasuringTower(config.measuring)
        if config.page is not None:
            self.page_tower = PageTower(*config.page)
        self.mm_projector = projector(config.mm_projector_type, config.mm_hidden_size, config.hidden_size)
        if config.unpads:
            self.image_newline = nn.Parameter(torch.zeros(config.hidden_size))
        self.post_init()

    def ecg_features(self, ecgs: Tensor) -> Tensor:
        """[batch, 12, 5000] mV → [batch, 101, hidden]. The tower is frozen, as in the reference's training."""
        with torch.no_grad():
            tokens = self.ecg_tower(ecgs)
        features: Tensor = self.mm_projector(self.ecg_projector(tokens.to(self.mm_projector_dtype)))
        return features

    def page_features(self, pages: Pages, sizes: Sequence[Size] | None) -> list[Tensor]:
        """Features of each page, [tokens, hidden].

        Parameters
        ----------
        pages : float [batch, 3, s, s], or a sequence (or batch) of [crops, 3, s, s]
            One view a page, or the whole page followed by its crops.
        sizes : sequence of (width, height) or None
            Of the pages as drawn; needed to lay crops out.
        """
        crops = [page if page.ndim == 4 else page[None] for page in pages]
        with torch.no_grad():
            patches = self.vision_tower(torch.cat(list(crops)))
        features = self.mm_projector(patches.to(self.mm_projector_dtype)).split([len(c) for c in crops])
        if isinstance(pages, Tensor) and pages.ndim == 4:
            return [f[0] for f in features]
        if sizes is None and self.config.mm_patch_merge_type != "flat":
            raise ValueError(f"{len(crops)} pages with crops, but no page sizes to lay the crops out by")
        sizes = sizes or [(0, 0)] * len(crops)
        return [self._laid_out(f, size) for f, size in zip(features, sizes, strict=True)]

    @property
    def mm_projector_dtype(self) -> torch.dtype:
        """Number format of the projector, and so of its inputs."""
        return next(self.mm_projector.parameters()).dtype

    def _laid_out(self, features: Tensor, size: Size) -> Tensor:
        """One page's features [crops, side², hidden] → [tokens, hidden]: the whole page, then the grid of crops."""
        if self.config.mm_patch_merge_type == "flat":
            return features.flatten(0, 1)
        whole, crops = features[0], features[1:]
        if not len(crops):
            return torch.cat([whole, self.image_newline[None]]) if self.config.unpads else whole
        s, D = self.vision_tower.side, features.shape[-1]
        points = [tuple(p) for p in self.config.image_grid_pinpoints or PINPOINTS]
        columns, rows = crop_grid(size, points, int(self.vision_tower.clip.config.image_size))
        grid = crops.view(rows, columns, s, s, D)  # [rows · columns, s², D] → [rows, columns, s, s, D]
        if not self.config.unpads:
            return torch.cat([whole, grid.permute(0, 2, 1, 3, 4).reshape(-1, D)])
        grid = grid.permute(0, 2, 1, 3, 4).reshape(rows * s, columns * s, D)  # one image of features
        keep_rows, keep_columns = unpadded(size, rows * s, columns * s)
        grid = grid[keep_rows, keep_columns]
        newline = self.image_newline.to(grid.dtype).expand(grid.shape[0], 1, D)
        return torch.cat([whole, torch.cat([grid, newline], dim=1).flatten(0, 1)])

    def feature_blocks(self, ecgs: Tensor | None, pages: Pages | None, sizes: Sequence[Size] | None) -> list[Tensor]:
        """Feature block of each sample, [ECG tokens][page tokens, hidden]; either may be missing."""
        parts: list[list[Tensor]] = []
        if ecgs is not None:
            parts.append(list(self.ecg_features(ecgs if ecgs.ndim == 3 else ecgs[None])))
        if pages is not None:
            parts.append(self.page_features(pages, sizes))
        if len({len(p) for p in parts}) > 1:
            raise ValueError(f"{len(parts[0])} ECGs, but {len(parts[1])} pages: one page an ECG is expected")
        return [torch.cat(pair) for pair in zip(*parts, strict=True)]


class GemForCausalLM(LlamaPreTrainedModel, GenerationMixin):  # type: ignore[misc]  # transformers is untyped here
    """GEM with its language head.

    Examples
    --------
    Answers to a batch of prompts of different lengths (left padding is the caller's, ``GemProcessor`` does it)::

        ids = model.generate(**processor(ecgs=[ecg], questions=["What is the rhythm?"]), max_new_tokens=64)
    """

    config_class = GemConfig

    def __init__(self, config: GemConfig) -> None:
        super().__init__(config)
        self.model = GemModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> nn.Embedding:
        """Token embeddings, as transformers asks for them."""
        return cast(nn.Embedding, self.model.embed_tokens)

    def merge(
        self,
        input_ids: Tensor,
        *,
        ecgs: Tensor | None = None,
        pages: Pages | None = None,
        page_sizes: Sequence[Size] | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        padding_side: str = "right",
        blocks: Sequence[Tensor] | None = None,
    ) -> Merged:
        """Merge the prompt's embeddings with the features of its ECG and page; see `merge_features`.

        ``blocks`` are those features, where they are known.
        """
        if blocks is not None:
            pass
        elif ecgs is None and pages is None:
            blocks = [self.model.embed_tokens.weight.new_zeros(0, self.config.hidden_size)] * input_ids.shape[0]
        else:
            blocks = self.model.feature_blocks(ecgs, pages, page_sizes)
        return merge_features(
            input_ids,
            blocks,
            self.model.embed_tokens,
            attention_mask=attention_mask,
            labels=labels,
            longest=self.config.tokenizer_model_max_length,
            padding_side=padding_side,
        )

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        ecgs: Tensor | None = None,
        pages: Pages | None = None,
        page_sizes: Sequence[Size] | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> GemOutput:
        """Logits, and the loss where labels are given.

        With ``ecgs`` or ``pages`` the ids are merged with their features first (right padding, as in training).
        """
        if ecgs is not None or pages is not None:
            if input_ids is None:
                raise ValueError("ecgs and pages need input_ids that say where they go")
            merged = self.merge(
                input_ids, ecgs=ecgs, pages=pages, page_sizes=page_sizes, attention_mask=attention_mask, labels=labels
            )
            input_ids, inputs_embeds, labels = None, merged.inputs_embeds, merged.labels
            attention_mask = merged.attention_mask
        out = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            **kwargs,
        )
        keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(out.last_hidden_state[:, keep])
        loss = None
        if labels is not None:
            loss = functional.cross_entropy(
                logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORED
            )
        return GemOutput(
            loss=loss,
            logits=logits,
            past_key_values=out.past_key_values,
            hidden_states=out.hidden_states,
            attentions=out.attentions,
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
        )

    @torch.no_grad()
    def generate(
        self,
        input_ids: Tensor | None = None,
        *,
        ecgs: Tensor | None = None,
        pages: Pages | None = None,
        page_sizes: Sequence[Size] | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """New token ids only, as transformers' ``generate``; prompts of a batch are padded on the left."""
        if input_ids is not None and inputs_embeds is None:
            merged = self.merge(
                input_ids,
                ecgs=ecgs,
                pages=pages,
                page_sizes=page_sizes,
                attention_mask=attention_mask,
                padding_side="left",
            )
            inputs_embeds, attention_mask = merged.inputs_embeds, merged.attention_mask.long()
        return super().generate(inputs_embeds=inputs_embeds, attention_mask=attention_mask, **kwargs)

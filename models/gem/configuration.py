"""Configuration of GEM: LLaMA's own fields, those of the published checkpoint, and the two towers' sizes.

A published ``config.json`` names its towers by path; their sizes are then read from the files beside it or from the
tensors themselves (``models.gem.checkpoint``). A folder written by this project carries both sizes inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import CLIPVisionConfig, LlamaConfig

from models.encoder.configuration import TowerConfig
from models.gem.measuring_layout import MeasuringSizes
from models.gem.page_layout import PageSizes

IMAGE_ASPECTS = ("ori", "pad", "anyres")  # anything else is treated as the reference treats it: like "ori"
PROJECTORS = ("linear", "mlp2x_gelu", "identity")  # mlp<n>x_gelu for any n
CONTEXT_TOKENS = 4096  # prompts are cut there, as the reference does


class GemConfig(LlamaConfig):  # type: ignore[misc]  # transformers is untyped here
    """Configuration of a GEM checkpoint.

    Attributes
    ----------
    tower_config : dict or None
        Sizes of the ECG tower (``TowerConfig.to_dict``); None: the model has no ECG tower.
    vision_config : dict or None
        Sizes of the CLIP vision tower; None: the model reads no page (ECG-only checkpoints).
    image_aspect_ratio : str
        How a page becomes pixels: ``ori`` (resize, centre crop), ``pad`` (square pad), ``anyres`` (page and crops).
    mm_patch_merge_type : str
        How the crops' features are laid out: ``flat``, ``spatial`` or ``spatial_unpad``.
    ecg_projector_type, mm_projector_type : str
        ``linear`` or ``mlp2x_gelu``; the tensors' names in a checkpoint have the last word.
    unfreeze_mm_vision_tower : bool
        The vision tower was trained with the rest.
    tokenizer_model_max_length : int
        Longest prompt with its tokens of ECG and page.
    measuring_config : dict or None
        ``sizes`` of the measuring tower (``MeasuringSizes.to_dict``) and ``thresholds`` of its findings; None: none.
    page_config : dict or None
        ``sizes`` of the page tower (``PageSizes.to_dict``) and of its own measuring tower (``measuring``),
        ``thresholds`` of its findings, and ``share`` and ``thresholds_both`` of both towers together; None: no page
        tower.
    evidence_in_prompt : bool
        The model was trained on prompts with measured values too (compact GEM).
    trained : bool
        False: random weights; its answers are never published.
    weights : str or None
        Digest of the tensors' file as it was saved; another file beside this configuration is rejected by the service.
    """

    model_type = "llava_llama"

    tower_config: dict | None = None  # type: ignore[type-arg]  # read by a strict dataclass that knows no parameters
    vision_config: dict | None = None  # type: ignore[type-arg]
    measuring_config: dict | None = None  # type: ignore[type-arg]
    page_config: dict | None = None  # type: ignore[type-arg]
    mm_ecg_tower: str | None = None
    open_clip_config: str | None = None
    ecg_projector_type: str = "linear"
    mm_vision_tower: str | None = None
    mm_hidden_size: int = 1024
    mm_projector_type: str = "mlp2x_gelu"
    mm_vision_select_layer: int = -2
    mm_vision_select_feature: str = "patch"
    mm_patch_merge_type: str = "flat"
    image_aspect_ratio: str = "ori"
    image_grid_pinpoints: list | None = None  # type: ignore[type-arg]
    unfreeze_mm_vision_tower: bool = False
    tokenizer_padding_side: str = "right"
    tokenizer_model_max_length: int = CONTEXT_TOKENS
    evidence_in_prompt: bool = False
    trained: bool = True
    weights: str | None = None

    @property
    def tower(self) -> TowerConfig | None:
        """Sizes of the ECG tower; None without one."""
        return TowerConfig(**self.tower_config) if self.tower_config else None

    @property
    def vision(self) -> CLIPVisionConfig | None:
        """Configuration of the CLIP vision tower; None without one."""
        return CLIPVisionConfig(**self.vision_config) if self.vision_config else None

    @property
    def measuring(self) -> MeasuringSizes | None:
        """Sizes of the measuring tower; None without one."""
        return MeasuringSizes(**self.measuring_config["sizes"]) if self.measuring_config else None

    @property
    def page(self) -> tuple[PageSizes, MeasuringSizes] | None:
        """Sizes of the page tower and of its own measuring tower; None without them."""
        if not self.page_config:
            return None
        return PageSizes(**self.page_config["sizes"]), MeasuringSizes(**self.page_config["measuring"])

    @property
    def unpads(self) -> bool:
        """Rows of crops end with the vector ``image_newline``."""
        return "unpad" in self.mm_patch_merge_type


def vision_sizes(document: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a CLIP vision ``config.json`` that fix the tower (also from a whole CLIP's configuration)."""
    document = document.get("vision_config", document)
    names = (
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_channels",
        "image_size",
        "patch_size",
        "hidden_act",
        "layer_norm_eps",
        "projection_dim",
    )
    return {name: document[name] for name in names if name in document}

"""The ECG-CoCa tower in torch, with the tensor names of the published checkpoint.

In: ECG windows float [batch, 12, 5000], mV at 500 Hz. Out: the last block's tokens [batch, 101, width], class token
first (what GEM reads), and the pooled feature [batch, embed_dim] (what zero-shot scores and heads read).
Method: pre-norm transformer with exact GELU over 50-sample patches; facts and figures as published with GEM
(arXiv 2503.06073) and ECG-Chat (arXiv 2408.08849).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.encoder.configuration import LAYER_NORM_EPS, SPREAD_FLOOR_MV, TowerConfig, wander_basis


class TowerOutput(NamedTuple):
    """Output of a tower for a batch.

    Attributes
    ----------
    tokens : float [batch, 1 + patches, width]
        Output of the last block without final norm, class token first.
    normed : float [batch, 1 + patches, width]
        The tokens after ``ln_post``.
    pooled : float [batch, embed_dim]
        Class token after ``ln_post`` through ``proj``.
    """

    tokens: Tensor
    normed: Tensor
    pooled: Tensor


class SelfAttention(nn.Module):
    """Multi-head self-attention whose tensors are packed as in ``nn.MultiheadAttention`` (q, k, v stacked).

    Parameters
    ----------
    causal : bool
        Each position attends to itself and those before it.
    """

    def __init__(self, width: int, heads: int, causal: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.causal = causal
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        """Attention over x [B, T, W]; with ``memory`` [B, S, W], keys and values come from it (cross-attention)."""
        B, T, W = x.shape
        if memory is None:
            q, k, v = functional.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        else:
            weight, bias = self.in_proj_weight, self.in_proj_bias
            q = functional.linear(x, weight[:W], bias[:W])
            k, v = functional.linear(memory, weight[W:], bias[W:]).chunk(2, dim=-1)
        q, k, v = (t.view(B, -1, self.heads, W // self.heads).transpose(1, 2) for t in (q, k, v))  # [B, H, T, W/H]
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        out: Tensor = self.out_proj(y.transpose(1, 2).reshape(B, T, W))
        return out


class Mlp(nn.Module):
    """Two linear layers with exact GELU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, hidden)
        self.c_proj = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] → [B, T, width]."""
        out: Tensor = self.c_proj(functional.gelu(self.c_fc(x)))
        return out


class Block(nn.Module):
    """One pre-norm block; ``cross`` adds the norm of the memory that is attended to."""

    def __init__(self, width: int, heads: int, hidden: int, *, causal: bool = False, cross: bool = False) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        if cross:
            self.ln_1_kv = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.attn = SelfAttention(width, heads, causal)
        self.ln_2 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.mlp = Mlp(width, hidden)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        """Input x [B, T, width], with ``memory`` [B, S, width] for cross-attention → [B, T, width]."""
        x = x + self.attn(self.ln_1(x), None if memory is None else self.ln_1_kv(memory))
        out: Tensor = x + self.mlp(self.ln_2(x))
        return out


class Blocks(nn.Module):
    """A stack of blocks under the name that the checkpoint gives it."""

    def __init__(self, width: int, heads: int, hidden: int, layers: int, *, causal: bool = False) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width, heads, hidden, causal=causal) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] → [B, T, width]."""
        for block in self.resblocks:
            x = block(x)
        return x


class LeadNorm(nn.Module):
    """Remove slow wander from each lead and divide it by its root mean square: shape without voltage.

    Millivolts and z-scored records give the same result. No weights: the basis is not in the state dict.
    """

    basis: Tensor

    def __init__(self, samples: int) -> None:
        super().__init__()
        self.samples = samples
        self.register_buffer("basis", torch.from_numpy(wander_basis(samples)), persistent=False)

    def forward(self, ecg: Tensor) -> Tensor:
        """[batch, leads, samples] mV → the same shape, without unit."""
        with torch.autocast(ecg.device.type, enabled=False):  # wander is larger than what lies on it: all digits count
            basis = self.basis.to(ecg.dtype)
            steady = ecg - (ecg @ basis) @ basis.T
            return steady / (steady.square().mean(dim=-1, keepdim=True).sqrt() + SPREAD_FLOOR_MV)


class EcgTower(nn.Module):
    """The encoder of a 12-lead ECG.

    Examples
    --------
    >>> from models.encoder.configuration import COMPACT
    >>> EcgTower(COMPACT)(torch.zeros(2, 12, 5000)).tokens.shape
    torch.Size([2, 101, 128])
    """

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        scale = width**-0.5  # ViT's own initial scale
        self.lead_norm = LeadNorm(config.samples) if config.lead_norm else nn.Identity()
        self.class_embedding = nn.Parameter(scale * torch.randn(width))
        self.positional_embedding = nn.Parameter(scale * torch.randn(config.tokens, width))
        self.proj = nn.Parameter(scale * torch.randn(width, config.embed_dim))
        self.conv1 = nn.Conv1d(config.leads, width, config.patch_size, stride=config.patch_size, bias=False)
        self.ln_pre = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.transformer = Blocks(width, config.heads, config.mlp_width, config.layers)
        self.ln_post = nn.LayerNorm(width, eps=LAYER_NORM_EPS)

    def forward(self, ecg: Tensor, patches: Tensor | None = None) -> TowerOutput:
        """ECG [batch, leads, samples] mV; ``patches`` (indices) selects the patches that enter, as in training."""
        expected = (self.config.leads, self.config.samples)
        if tuple(ecg.shape[1:]) != expected:
            raise ValueError(f"ECG windows are {tuple(ecg.shape)}, expected [batch, {expected[0]}, {expected[1]}]")
        ecg = self.lead_norm(ecg.float()).to(self.conv1.weight.dtype)  # a root mean square needs float32's range
        x = self.conv1(ecg).transpose(1, 2)  # [B, leads, samples] → [B, patches, W]
        x = torch.cat([self.class_embedding.expand(x.shape[0], 1, -1), x], dim=1)  # [B, 1 + patches, W]
        x = x + self.positional_embedding
        if patches is not None:
            x = torch.cat([x[:, :1], x[:, 1:][:, patches]], dim=1)
        tokens = self.transformer(self.ln_pre(x))
        normed = self.ln_post(tokens)
        return TowerOutput(tokens, normed, normed[:, 0] @ self.proj)

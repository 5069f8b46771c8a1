"""One LLaMA layer for inference in few kernels: the cost of a token is memory traffic, and kernel launches add to it.

Queries, keys and values come from one matrix product, and so do the two inputs of the feed-forward; residuals are added
inside the products; the rotary embedding is three operations. Weights are those of transformers, joined once; the
parameters of the module become views of the joined tensors, so that memory is taken once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class FusedLayer:
    """A decoder layer around an attention that the caller computes.

    Parameters
    ----------
    layer : LlamaDecoderLayer
        Of transformers; its parameters are joined in place.
    heads, kv_heads, head : int
        Query heads, key and value heads, width of one.
    """

    def __init__(self, layer: Any, heads: int, kv_heads: int, head: int) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.heads, self.kv_heads, self.head = heads, kv_heads, head
        self.norm_1, self.norm_2 = layer.input_layernorm.weight, layer.post_attention_layernorm.weight
        self.eps = float(layer.input_layernorm.variance_epsilon)
        self.qkv = join([attention.q_proj, attention.k_proj, attention.v_proj])
        self.out = join([attention.o_proj])
        self.gate_up = join([mlp.gate_proj, mlp.up_proj])
        self.down = join([mlp.down_proj])
        self.act = mlp.act_fn

    def attention_inputs(self, x: Tensor, cos: Tensor, signed_sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Input x [B, T, hidden] → queries [B, heads, T, head], keys and values [B, kv_heads, T, head], rotated."""
        B, T, hidden = x.shape
        normal = functional.rms_norm(x, (hidden,), self.norm_1, self.eps)
        qkv = (
            functional.linear(normal, self.qkv).view(B, T, -1, self.head).transpose(1, 2)
        )  # [B, heads + 2 kv_heads, T, head]
        # qkv [B, heads + 2 kv_heads, T, head]
        both, v = qkv[:, : -self.kv_heads], qkv[:, -self.kv_heads :]
        both = torch.addcmul(both * cos, both.roll(self.head // 2, -1), signed_sin)
        return both[:, : self.heads], both[:, self.heads :], v

    def output(self, x: Tensor, y: Tensor) -> Tensor:
        """Input x [B, T, hidden] and attention output y [B, heads, T, head] → output of the layer [B, T, hidden]."""
        B, T, hidden = x.shape
        flat = torch.addmm(x.view(B * T, hidden), y.transpose(1, 2).reshape(B * T, -1), self.out.t())
        normal = functional.rms_norm(flat, (hidden,), self.norm_2, self.eps)
        gate, up = functional.linear(normal, self.gate_up).chunk(2, dim=-1)
        return torch.addmm(flat, self.act(gate) * up, self.down.t()).view(B, T, hidden)


def rotation(rotary: Any, positions: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine, and sine with its first half negated, of each position: [positions, head] each."""
    at = torch.arange(positions, device=like.device)
    cos, sin = rotary(like.new_zeros(1, 1).float(), at[None])
    half = sin.shape[-1] // 2
    signed_sin = torch.cat([-sin[0, :, :half], sin[0, :, half:]], dim=-1)
    return cos[0].to(like.dtype), signed_sin.to(like.dtype)


def join(linears: Sequence[nn.Linear]) -> Tensor:
    """The weights of several layers as one tensor, of which the layers' own become views."""
    if any(linear.bias is not None for linear in linears):
        raise ValueError("this LLaMA has biases in its projections, which the published GEM has not")
    weights = [linear.weight.detach() for linear in linears]
    joined = torch.cat(weights) if len(weights) > 1 else weights[0]
    start = 0
    for linear in linears:
        stop = start + linear.out_features
        linear.weight = nn.Parameter(joined[start:stop], requires_grad=False)
        start = stop
    return joined

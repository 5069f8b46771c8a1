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

from models.gem.products import DenseProduct, Fp8Product, Product


class FusedLayer:
    """A decoder layer around an attention that the caller computes.

    Parameters
    ----------
    layer : LlamaDecoderLayer
        Of transformers; its parameters are joined in place.
    heads, kv_heads, head : int
        Query heads, key and value heads, width of one.
    fp8 : bool
        Products in 8 bits (`models.gem.products`); the weights of the module are given up.
    """

    def __init__(self, layer: Any, heads: int, kv_heads: int, head: int, *, fp8: bool = False) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.heads, self.kv_heads, self.head = heads, kv_heads, head
        self.norm_1, self.norm_2 = layer.input_layernorm.weight, layer.post_attention_layernorm.weight
        self.eps = float(layer.input_layernorm.variance_epsilon)
        product = _fp8_product if fp8 else _dense_product
        self.qkv = product([attention.q_proj, attention.k_proj, attention.v_proj])
        self.out = product([attention.o_proj])
        self.gate_up = product([mlp.gate_proj, mlp.up_proj])
        self.down = product([mlp.down_proj])
        self.act = mlp.act_fn

    def attention_inputs(self, x: Tensor, cos: Tensor, signed_sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Input x [B, T, hidden] → queries [B, heads, T, head], keys and values [B, kv_heads, T, head], rotated."""
        B, T, hidden = x.shape
        normal = functional.rms_norm(x, (hidden,), self.norm_1, self.eps)
        qkv = self.qkv(normal.view(B * T, hidden))
        qkv = qkv.view(B, T, -1, self.head).transpose(1, 2)  # [B, heads + 2 kv_heads, T, head]
        both, v = qkv[:, : -self.kv_heads], qkv[:, -self.kv_heads :]
        both = torch.addcmul(both * cos, both.roll(self.head // 2, -1), signed_sin)
        return both[:, : self.heads], both[:, self.heads :], v

    def output(self, x: Tensor, y: Tensor) -> Tensor:
        """Input x [B, T, hidden] and attention output y [B, heads, T, head] → output of the layer [B, T, hidden]."""
        B, T, hidden = x.shape
        flat = self.out(y.transpose(1, 2).reshape(B * T, -1), x.reshape(B * T, hidden))
        normal = functional.rms_norm(flat, (hidden,), self.norm_2, self.eps)
        gate, up = self.gate_up(normal).chunk(2, dim=-1)
        return self.down(self.act(gate) * up, flat).view(B, T, hidden)

    def compiled(self, backend: str) -> None:
        """Compile both parts with `torch.compile`, for fixed shapes: norms, rotation and activation in few kernels."""
        for name in ("attention_inputs", "output"):
            setattr(self, name, torch.compile(getattr(self, name), backend=backend, dynamic=False))


def _dense_product(linears: Sequence[nn.Linear]) -> Product:
    return DenseProduct(join(linears))


def _fp8_product(linears: Sequence[nn.Linear]) -> Product:
    product = Fp8Product(torch.cat([linear.weight.detach() for linear in linears]))
    for linear in linears:
        linear.weight = nn.Parameter(linear.weight.new_empty(0), requires_grad=False)
    return product


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

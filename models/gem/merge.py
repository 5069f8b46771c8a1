"""Merge of text and features: each ``<image>`` of the token sequence is replaced by the features of ECG and page.

Rules of the reference model (checked by the parity fixtures): each ``<image>`` (id -200) is replaced by the next
feature block; a row without one still consumes a block; rows are cut at the longest prompt of the model and padded with
zero vectors on the given side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.gem.special_tokens import IMAGE_TOKEN

IGNORED = -100  # label of a position without loss


class Merged(NamedTuple):
    """Sequences of embeddings, padded to one length.

    Attributes
    ----------
    inputs_embeds : float [batch, length, hidden]
    attention_mask : bool [batch, length]
        False where padded.
    position_ids : int [batch, length]
        Counted from the first position of a row that is not padding.
    labels : int [batch, length] or None
        ``IGNORED`` at features and padding; None without labels.
    """

    inputs_embeds: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    labels: Tensor | None


def merge_features(
    input_ids: Tensor,
    blocks: Sequence[Tensor],
    embed_tokens: nn.Embedding,
    *,
    attention_mask: Tensor | None = None,
    labels: Tensor | None = None,
    longest: int,
    padding_side: str = "right",
) -> Merged:
    """Merge text ids and feature blocks to one sequence of embeddings per row.

    Parameters
    ----------
    input_ids : int [batch, tokens]
        With ``IMAGE_TOKEN`` at the place of a block.
    blocks : sequence of float [n_i, hidden]
        One per row, and one more for each further ``<image>`` of a row.
    attention_mask : bool [batch, tokens] or None
        Padding tokens (False) are dropped first.
    """
    B = input_ids.shape[0]
    mask = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
    needed = sum(max(1, int((row[keep] == IMAGE_TOKEN).sum())) for row, keep in zip(input_ids, mask, strict=True))
    if needed != len(blocks):
        raise ValueError(f"the prompts take {needed} feature blocks ({B} rows), but {len(blocks)} were given")
    queue = iter(blocks)
    rows, row_labels = [], []
    for k in range(B):
        ids = input_ids[k][mask[k]]
        target = labels[k][mask[k]] if labels is not None else torch.full_like(ids, IGNORED)
        places = (ids == IMAGE_TOKEN).nonzero().flatten().tolist()
        if not places:
            next(queue)
        parts, part_labels, start = [], [], 0
        for place in [*places, len(ids)]:
            parts.append(embed_tokens(ids[start:place]))
            part_labels.append(target[start:place])
            if place < len(ids):
                block = next(queue).to(parts[0].dtype)
                parts.append(block)
                part_labels.append(target.new_full((len(block),), IGNORED))
            start = place + 1
        rows.append(torch.cat(parts)[:longest])
        row_labels.append(torch.cat(part_labels)[:longest])
    return _padded(rows, row_labels if labels is not None else None, padding_side)


def _padded(rows: list[Tensor], labels: list[Tensor] | None, side: str) -> Merged:
    if side not in ("left", "right"):
        raise ValueError(f"padding side {side!r} is neither left nor right")
    length = max(len(row) for row in rows)
    embeds = rows[0].new_zeros(len(rows), length, rows[0].shape[1])
    mask = torch.zeros(len(rows), length, dtype=torch.bool, device=embeds.device)
    positions = torch.zeros(len(rows), length, dtype=torch.long, device=embeds.device)
    target = None if labels is None else labels[0].new_full((len(rows), length), IGNORED)
    for k, row in enumerate(rows):
        at = slice(length - len(row), length) if side == "left" else slice(0, len(row))
        embeds[k, at] = row
        mask[k, at] = True
        positions[k, at] = torch.arange(len(row), device=embeds.device)
        if target is not None and labels is not None:
            target[k, at] = labels[k]
    return Merged(embeds, mask, positions, target)

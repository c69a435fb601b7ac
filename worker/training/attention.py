"""Attention for rows that hold several whole conversations one after another.

Each conversation attends only to itself: one causal kernel call per conversation, no dense block mask. The
borders come with the batch. It does not decide where they are and holds no cache: it is for training only.
"""

from itertools import pairwise
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface

PACKED_ATTENTION = "sft_studio_packed"


class PackedAttentionUnsupported(Exception):
    """The model asks for something this attention does not compute (soft caps, sinks, position biases)."""


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    borders: list[int] | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention inside each conversation of a row.

    query: [1, heads, tokens, head_dim]; key, value: [1, kv_heads, tokens, head_dim]; borders: n + 1 places.
    Returns [1, tokens, heads, head_dim]. Raises PackedAttentionUnsupported for what it cannot do.
    """
    if borders is None or query.shape[0] != 1:
        raise PackedAttentionUnsupported("packed attention needs one row and its conversations' borders")
    for name in ("softcap", "s_aux", "position_bias"):
        if kwargs.get(name) is not None:
            raise PackedAttentionUnsupported(f"packed attention does not compute {name}")
    if attention_mask is not None:
        raise PackedAttentionUnsupported("packed attention takes no mask besides the borders")
    grouped = query.shape[1] != key.shape[1]
    outputs = []
    for start, end in pairwise(borders):
        mask = None
        if sliding_window is not None and end - start > sliding_window:
            mask = _banded_mask(end - start, sliding_window, query.device)
        outputs.append(
            functional.scaled_dot_product_attention(
                query[:, :, start:end],
                key[:, :, start:end],
                value[:, :, start:end],
                attn_mask=mask,
                dropout_p=dropout,
                is_causal=mask is None,
                scale=scaling,
                enable_gqa=grouped,
            ).transpose(1, 2)
        )
    return torch.cat(outputs, dim=1), None


def _banded_mask(length: int, window: int, device: torch.device) -> torch.Tensor:
    """True where token i may look at token j: j <= i and i - j < window (transformers' convention)."""
    distance = torch.arange(length, device=device)[:, None] - torch.arange(length, device=device)[None, :]
    return (distance >= 0) & (distance < window)


AttentionInterface.register(PACKED_ATTENTION, packed_attention)

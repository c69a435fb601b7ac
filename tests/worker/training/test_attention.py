"""Packed attention against one dense block-diagonal mask."""

from typing import Any

import pytest
import torch
from torch.nn import functional

from worker.training.attention import PackedAttentionUnsupported, packed_attention

BORDERS = [0, 5, 6, 14]


def _tensors(heads: int = 4, kv_heads: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return tuple(  # type: ignore[return-value]
        torch.randn(1, count, BORDERS[-1], 8, requires_grad=True) for count in (heads, kv_heads, kv_heads)
    )


@pytest.mark.parametrize("window", [None, 3])
def test_each_conversation_attends_to_itself_alone(window: int | None) -> None:
    query, key, value = _tensors()
    places = torch.arange(BORDERS[-1])
    owner = torch.bucketize(places, torch.tensor(BORDERS[1:]), right=True)
    distance = places[:, None] - places[None, :]
    mask = (owner[:, None] == owner[None, :]) & (distance >= 0) & (distance < (window or 99))
    dense = functional.scaled_dot_product_attention(
        query, key.repeat_interleave(2, 1), value.repeat_interleave(2, 1), attn_mask=mask, scale=0.3
    ).transpose(1, 2)
    packed, _ = packed_attention(
        torch.nn.Module(), query, key, value, None, scaling=0.3, sliding_window=window, borders=BORDERS
    )
    torch.testing.assert_close(packed, dense)
    weights = torch.randn_like(dense)
    found = torch.autograd.grad((packed * weights).sum(), (query, key, value), retain_graph=True)
    expected = torch.autograd.grad((dense * weights).sum(), (query, key, value))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "asked",
    [{"borders": None}, {"softcap": 30.0}, {"s_aux": torch.zeros(4)}, {"attention_mask": torch.zeros(1)}],
)
def test_what_it_cannot_compute_is_refused_and_not_approximated(asked: dict[str, Any]) -> None:
    query, key, value = _tensors()
    options: dict[str, Any] = {"attention_mask": None, "borders": BORDERS, **asked}
    with pytest.raises(PackedAttentionUnsupported):
        packed_attention(torch.nn.Module(), query, key, value, **options)

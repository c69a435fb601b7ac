"""Packed attention against one dense block-diagonal mask."""

from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from worker.work.training import attention
from worker.work.training.attention import (
    PACKED_ATTENTION,
    VARLEN_ATTENTION,
    PackedAttentionUnsupported,
    _for_each_head,
    _half_of,
    packed_attention,
    varlen_attention,
    ways_to_attend,
)

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
    ("tokens", "parts"), [(1, [1]), (256, [256]), (270, [270]), (400, [200, 200]), (700, [234, 234, 232])]
)
def test_no_block_of_queries_is_a_few_rows_that_were_left_over(tokens: int, parts: list[int]) -> None:
    blocks = list(attention._blocks(5, 5 + tokens))
    assert [block.stop - block.start for block in blocks] == parts
    assert [block.start for block in blocks] == [5, *(block.stop for block in blocks[:-1])]


@pytest.mark.parametrize("rows", [3, 256])
@pytest.mark.parametrize("heads", [(6, 2), (4, 4)])
def test_in_bf16_the_gradients_are_as_near_to_the_truth_as_torchs(
    monkeypatch: pytest.MonkeyPatch, rows: int, heads: tuple[int, int]
) -> None:
    monkeypatch.setattr(attention, "QUERY_ROWS", rows)
    wide = [(4 * x).bfloat16().double().detach().requires_grad_() for x in _tensors(*heads)]
    weights = torch.randn(1, BORDERS[-1], heads[0], 8).bfloat16()
    options: dict[str, Any] = {"attention_mask": None, "scaling": 0.3, "borders": BORDERS}

    def gradients(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        output, _ = packed_attention(torch.nn.Module(), *tensors, **options)
        found = torch.autograd.grad((output * weights.to(output.dtype)).sum(), tensors)
        return [gradient.double() for gradient in found]

    narrow = [x.detach().bfloat16().requires_grad_() for x in wide]
    exact = gradients(wide)
    ours = gradients(narrow)
    monkeypatch.setattr(attention, "_has_quick_backward", lambda *_: False)
    torchs = gradients(narrow)
    for truth, found, usual in zip(exact, ours, torchs, strict=True):
        assert (found - truth).norm() <= 2 * (usual - truth).norm() + 1e-3 * truth.norm()


def test_scores_that_would_overflow_above_the_diagonal_do_no_harm() -> None:
    query, key, value = (x.detach().bfloat16() for x in _tensors())
    # Later keys point where earlier queries look: far above the row's own sum.
    query[..., 0], key[..., 0] = 30.0, torch.arange(BORDERS[-1]) * 30.0
    tensors = [x.requires_grad_() for x in (query, key, value)]
    output, _ = packed_attention(torch.nn.Module(), *tensors, None, scaling=1.0, borders=BORDERS)
    for gradient in torch.autograd.grad(output.float().square().sum(), tensors):
        assert gradient.isfinite().all()


@pytest.mark.parametrize(
    "asked",
    [{"borders": None}, {"softcap": 30.0}, {"s_aux": torch.zeros(4)}, {"attention_mask": torch.zeros(1)}],
)
def test_what_it_cannot_compute_is_refused_and_not_approximated(asked: dict[str, Any]) -> None:
    query, key, value = _tensors()
    options: dict[str, Any] = {"attention_mask": None, "borders": BORDERS, **asked}
    with pytest.raises(PackedAttentionUnsupported):
        packed_attention(torch.nn.Module(), query, key, value, **options)


def test_the_kernel_for_whole_rows_is_tried_where_there_is_one() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert ways_to_attend(cpu, torch.bfloat16) == [PACKED_ATTENTION]
    assert ways_to_attend(gpu, torch.float32) == [PACKED_ATTENTION]
    assert ways_to_attend(gpu, torch.bfloat16) == [VARLEN_ATTENTION, PACKED_ATTENTION]
    with pytest.raises(PackedAttentionUnsupported):
        varlen_attention(torch.nn.Module(), *_tensors(), None, dropout=0.1, borders=BORDERS)


def test_the_kernel_for_whole_rows_gets_half_precision_where_autocast_left_queries_in_float32() -> None:
    query, *_ = _tensors()
    narrow = query.detach().float()
    assert _half_of(narrow) == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert _half_of(narrow) == torch.bfloat16
        assert _half_of(narrow.half()) == torch.float16


def test_on_a_gpu_keys_and_values_have_as_many_heads_as_each_other_under_autocast() -> None:
    """Rotated keys are in fp32 and values are not; of tensors without numbers a machine without a GPU can say where they lie."""
    with FakeTensorMode():
        query, key = (torch.empty(1, heads, 9, 8, device="cuda") for heads in (4, 2))
        value = key.bfloat16()
        assert [_for_each_head(one, query, None).shape[1] for one in (key, value)] == [4, 2]
        before = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
        torch.set_autocast_enabled("cuda", True)
        torch.set_autocast_dtype("cuda", torch.bfloat16)
        try:
            assert [_for_each_head(one, query, None).shape[1] for one in (key, value)] == [2, 2]
        finally:
            torch.set_autocast_enabled("cuda", before[0])
            torch.set_autocast_dtype("cuda", before[1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("window", [None, 3])
def test_the_kernel_for_whole_rows_computes_what_a_call_for_each_conversation_does(
    window: int | None,
) -> None:
    torch.manual_seed(0)
    shapes = [(1, heads, BORDERS[-1], 64) for heads in (4, 2, 2)]
    tensors = [torch.randn(shape, device="cuda").bfloat16().requires_grad_() for shape in shapes]
    found, expected = (
        attend(torch.nn.Module(), *tensors, None, scaling=0.3, sliding_window=window, borders=BORDERS)[0]
        for attend in (varlen_attention, packed_attention)
    )
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=2e-2)
    weights = torch.randn_like(expected)
    gradients = [torch.autograd.grad((one * weights).sum(), tensors) for one in (found, expected)]
    for own, other in zip(*gradients, strict=True):
        torch.testing.assert_close(own, other, rtol=5e-2, atol=5e-2)

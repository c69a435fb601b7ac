"""Attention for rows that hold several whole conversations one after another.

Each conversation attends only to itself: one causal kernel call per conversation, no dense block mask. The
borders come with the batch. It does not decide where they are and holds no cache: it is for training only.
"""

from collections.abc import Callable, Iterator
from functools import wraps
from itertools import pairwise
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface

from worker.work.training import compiled
from worker.work.training.prefixes import SharedPrefixes
from worker.work.training.shapes import rows_beside

PACKED_ATTENTION = "sft_studio_packed"
# The same by torch's kernel for rows of several conversations, which GPUs have for half precision.
VARLEN_ATTENTION = "sft_studio_varlen"
PACKED = (VARLEN_ATTENTION, PACKED_ATTENTION)
# About so many rows of queries have scores at a time in the backward pass on a CPU: they should stay in its cache.
QUERY_ROWS = 256
# Columns beside a row that carry a number to be subtracted from each of its products.
SUM_COLUMNS = 2


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
    borders = _checked_borders(query, attention_mask, borders, kwargs)
    longest = max(end - start for start, end in pairwise(borders))
    slides = sliding_window is not None and longest > sliding_window
    if not slides and dropout == 0 and _has_quick_backward(query, key, value):
        scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
        quick: torch.Tensor = _CpuPackedAttention.apply(query, key, value, scaling, borders)  # type: ignore[no-untyped-call]
        return quick, None
    outputs = []
    for start, end in pairwise(borders):
        mask = None
        if sliding_window is not None and end - start > sliding_window:
            mask = _banded_mask(end - start, sliding_window, query.device)
        keys, values = (_for_each_head(x[:, :, start:end], query, mask) for x in (key, value))
        output = functional.scaled_dot_product_attention(
            query[:, :, start:end],
            keys,
            values,
            attn_mask=mask,
            dropout_p=dropout,
            is_causal=mask is None,
            scale=scaling,
            enable_gqa=query.shape[1] != keys.shape[1],
        )
        outputs.append(output.transpose(1, 2))
    return torch.cat(outputs, dim=1), None


def _for_each_head(x: torch.Tensor, query: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Keys or values as torch's kernel wants them: [1, kv_heads, tokens, dim], or as many heads as queries have.

    On a GPU only FlashAttention knows of shared heads, and that takes half precision and no mask; with shared heads
    anything else would be computed with all scores in memory. Under autocast all of them are in half precision there, also keys
    that were rotated in fp32 and come beside values that were not.
    """
    if x.device.type != "cuda" or (_is_half(_half_of(x)) and mask is None):
        return x
    return x.repeat_interleave(query.shape[1] // x.shape[1], 1)


def _is_half(dtype: torch.dtype) -> bool:
    return dtype in (torch.bfloat16, torch.float16)


def edges_of(borders: list[int], device: torch.device) -> torch.Tensor:
    """The borders for the kernel of whole rows: int32[n + 1] on the device, made once for all layers of a pass."""
    return torch.tensor(borders, dtype=torch.int32).to(device, non_blocking=True)


def _checked_borders(
    query: torch.Tensor, mask: torch.Tensor | None, borders: list[int] | None, asked: dict[str, Any]
) -> list[int]:
    if borders is None or query.shape[0] != 1:
        raise PackedAttentionUnsupported("packed attention needs one row and its conversations' borders")
    for name in ("softcap", "s_aux", "position_bias"):
        if asked.get(name) is not None:
            raise PackedAttentionUnsupported(f"packed attention does not compute {name}")
    if mask is not None:
        raise PackedAttentionUnsupported("packed attention takes no mask besides the borders")
    return borders


def varlen_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    borders: list[int] | None = None,
    edges: torch.Tensor | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """As `packed_attention`, in one call of a kernel for all conversations: FlashAttention as torch brings it, on a GPU.

    `edges` are the borders as `edges_of` gives them, made here where they do not come along.
    """
    borders = _checked_borders(query, attention_mask, borders, kwargs)
    if dropout:
        raise PackedAttentionUnsupported("the kernel for rows of several conversations draws no dropout")
    # Not above: torch builds without FlashAttention have no such module.
    from torch.nn.attention.varlen import varlen_attn

    longest = max(end - start for start, end in pairwise(borders))
    edges = edges_of(borders, query.device) if edges is None else edges
    dtype = _half_of(query)
    queries, keys, values = (x[0].transpose(0, 1).to(dtype) for x in (query, key, value))
    output = varlen_attn(
        queries,
        keys,
        values,
        edges,
        edges,
        longest,
        longest,
        scale=scaling,
        # How far a token looks back and ahead; -1: as far as there is anything.
        window_size=(-1 if sliding_window is None else sliding_window - 1, 0),
        enable_gqa=query.shape[1] != key.shape[1],
    )
    assert isinstance(output, torch.Tensor)
    return output.unsqueeze(0), None


def _half_of(x: torch.Tensor) -> torch.dtype:
    """What autocast makes of x: it knows torch's own attention and not this kernel, and rotated queries come in fp32."""
    if _is_half(x.dtype) or not torch.is_autocast_enabled(x.device.type):
        return x.dtype
    return torch.get_autocast_dtype(x.device.type)


def ways_to_attend(device: torch.device, dtype: torch.dtype) -> list[str]:
    """Names of what may attend within the conversations of a row here, the quickest first."""
    has_kernel = device.type == "cuda" and _is_half(dtype)
    return [VARLEN_ATTENTION, PACKED_ATTENTION] if has_kernel else [PACKED_ATTENTION]


def _has_quick_backward(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> bool:
    return (
        query.device.type == "cpu"
        and query.dtype == torch.bfloat16
        and query.requires_grad
        and key.shape == value.shape
    )


class _CpuPackedAttention(torch.autograd.Function):
    """torch's own forward, and a backward of plain bf16 matrix products, for which CPUs have units.

    Only the log of each row's sum is kept; scores are computed again, some rows of queries at a time. The
    formulas are those of FlashAttention-2 (Dao 2023, section 3.1). Measured: two thirds of the time of torch's
    backward on a CPU, and no gradient of the whole row for each conversation in it.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scaling: float,
        borders: list[int],
    ) -> torch.Tensor:
        output = query.new_empty(query.shape[0], query.shape[2], query.shape[1], query.shape[3])
        log_sums = []
        keys, values = (_by_tokens(x) for x in (key, value))
        for start, end in pairwise(borders):
            rows = slice(start, end)
            own, logs = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                _with_tokens_beside(query[:, :, rows]),
                *(_for_each_query_head(x[rows], query.shape[1])[None] for x in (keys, values)),
                0.0,
                True,
                scale=scaling,
            )
            output[:, rows] = own.transpose(1, 2)[:, : end - start]
            log_sums.append(logs)
        ctx.save_for_backward(query, key, value, output, *log_sums)
        ctx.scaling, ctx.borders = scaling, borders
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, output, *log_sums = ctx.saved_tensors
        grads = tuple(torch.empty_like(x) for x in (query, key, value))
        queries, keys, values = (_by_tokens(x) for x in (query, key, value))
        outputs, grad_outputs = output[0], gradients[0][0].contiguous()
        for (start, end), logs in zip(pairwise(ctx.borders), log_sums, strict=True):
            for rows in _blocks(start, end):
                seen = slice(start, rows.stop)
                of_query, *of_seen = _rows_backward(
                    queries[rows],
                    grad_outputs[rows],
                    outputs[rows],
                    logs[0, :, rows.start - start : rows.stop - start],
                    keys[seen],
                    values[seen],
                    ctx.scaling,
                )
                grads[0][0, :, rows] = of_query
                for grad, addend in zip(grads[1:], of_seen, strict=True):
                    if rows.start == start:
                        grad[0, :, seen] = addend
                        grad[0, :, rows.stop : end] = 0
                    else:
                        grad[0, :, seen] += addend
        return *grads, None, None


def _by_tokens(x: torch.Tensor) -> torch.Tensor:
    """x[1, heads, tokens, dim] as contiguous [tokens, heads, dim], which it is where a layer's output was cut into heads."""
    return x[0].transpose(0, 1).contiguous()


def _blocks(start: int, end: int) -> Iterator[slice]:
    """The rows from `start` to `end` in equal parts: a few rows that are left over would cost nearly as much as many."""
    parts = max(1, round((end - start) / QUERY_ROWS))
    rows = max(1, -(-(end - start) // parts))
    for first in range(start, end, rows):
        yield slice(first, min(first + rows, end))


def _rows_backward(
    query: torch.Tensor,
    grad_output: torch.Tensor,
    output: torch.Tensor,
    log_sums: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scaling: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of the last rows of queries, which see all of `key`.

    query, grad_output, output: [rows, heads, dim]; log_sums: fp32[heads, rows]; key, value: [seen, kv_heads, dim]. Returns the
    shares in the gradients of query, key, value: [heads, rows, dim], [kv_heads, seen, dim].
    """
    (own, heads, dim), (seen, kv_heads, _) = query.shape, key.shape
    # What is subtracted from scores and from their gradients rides along in the products, so that it is
    # subtracted before anything is rounded.
    queries, grads = _with_sums(query, grad_output, output, log_sums, scaling)
    keys, values = _with_ones(key), _with_ones(value)
    rows = queries.shape[1]
    # One product for all query heads that share a key head.
    queries, grads = (x.view(kv_heads, -1, dim + SUM_COLUMNS) for x in (queries, grads))
    # A line for each key: so two of the three products that follow find their left factor as it lies in memory.
    share = keys.new_empty(kv_heads, keys.shape[1], queries.shape[1])
    torch.baddbmm(share, keys, queries.transpose(1, 2), beta=0, alpha=scaling, out=share)
    grad_scores = values @ grads.transpose(1, 2)
    _shares_in_place(share, grad_scores, rows, seen - own, scaling)
    keys, queries, grads = (x[..., :-SUM_COLUMNS] for x in (keys, queries, grads))
    grad_query = grad_scores.transpose(1, 2) @ keys
    return (
        grad_query.view(heads, rows, dim)[:, :own],
        (grad_scores @ queries)[:, :seen],
        (share @ grads)[:, :seen],
    )


def _shares_in_place(
    share: torch.Tensor, grad_scores: torch.Tensor, rows: int, before: int, scaling: float
) -> None:
    """exp(score) over the scores, and its product with the gradients and `scaling` over these; 0 where a row would look ahead.

    Both: [kv_heads, seen, heads of each * rows]; the first of the `rows` sees so many tokens `before` it.
    """
    if compiled.serves(share):
        compiled.shares_in_place(share, grad_scores, rows, before, scaling)
        return
    groups, seen, _ = share.shape
    share.exp_()
    # Where a row would look ahead there may be anything, infinity too: triu writes zeros over it.
    share.copy_(
        share.view(groups, seen, -1, rows).transpose(1, 2).triu(-before).transpose(1, 2).reshape_as(share)
    )
    grad_scores.mul_(share).mul_(scaling)


def _with_tokens_beside(x: torch.Tensor) -> torch.Tensor:
    """x[..., tokens, dim] with tokens of zeros after its own, which none of these sees and no gradient comes from."""
    beside = rows_beside(x.shape[-2], x)
    return functional.pad(x, (0, 0, 0, beside)) if beside else x


def _for_each_query_head(x: torch.Tensor, heads: int) -> torch.Tensor:
    """Keys or values x[tokens, kv_heads, dim] once for each head of queries, with tokens beside: [heads, tokens, dim]."""
    if compiled.serves(x):
        return compiled.for_each_head(x, heads, rows_beside(len(x), x))
    # As in torch's grouped attention: query heads that share a key head are neighbours.
    return _with_tokens_beside(x.transpose(0, 1)).repeat_interleave(heads // x.shape[1], 0)


def _with_sums(
    query: torch.Tensor,
    grad_output: torch.Tensor,
    output: torch.Tensor,
    log_sums: torch.Tensor,
    scaling: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both [heads, rows, dim + SUM_COLUMNS], with rows of zeros beside: queries and what makes their scores logarithms of
    shares, gradients and what makes products with values gradients of scores."""
    if compiled.serves(query):
        beside = rows_beside(len(query), query)
        return compiled.with_sums(query, grad_output, output, log_sums, scaling, beside)
    along = (output.float() * grad_output).sum(-1).t()
    query, grad_output = (_with_tokens_beside(x.transpose(0, 1)) for x in (query, grad_output))
    log_sums, along = (
        functional.pad(x, (0, query.shape[1] - x.shape[1])) for x in (log_sums / -scaling, -along)
    )
    return _with_columns(query, log_sums), _with_columns(grad_output, along)


def _with_ones(x: torch.Tensor) -> torch.Tensor:
    """Keys or values x[tokens, kv_heads, dim], which multiply what was put beside queries by one: [kv_heads, tokens, dim + SUM_COLUMNS],
    with tokens beside."""
    if compiled.serves(x):
        return compiled.with_ones(x, SUM_COLUMNS, rows_beside(len(x), x))
    return functional.pad(_with_tokens_beside(x.transpose(0, 1)), (0, SUM_COLUMNS), value=1.0)


def _with_columns(x: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """x: [n, rows, dim] with `numbers` fp32[n, rows] beside it, rounded, and what the rounding took away."""
    joined = x.new_empty(*x.shape[:-1], x.shape[-1] + SUM_COLUMNS)
    joined[..., :-SUM_COLUMNS] = x
    joined[..., -2] = numbers
    joined[..., -1] = numbers - joined[..., -2]
    return joined


def _banded_mask(length: int, window: int, device: torch.device) -> torch.Tensor:
    """True where token i may look at token j: j <= i and i - j < window (transformers' convention)."""
    distance = torch.arange(length, device=device)[:, None] - torch.arange(length, device=device)[None, :]
    return (distance >= 0) & (distance < window)


Attention = Callable[..., tuple[torch.Tensor, None]]


def on_whole_conversations(attend: Attention) -> Attention:
    """`attend` for rows in which what conversations share is computed once: it sees each of them whole."""

    @wraps(attend)
    def attention(
        module: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *rest: Any,
        prefixes: SharedPrefixes | None = None,
        **named: Any,
    ) -> tuple[torch.Tensor, None]:
        if prefixes is None:
            return attend(module, query, key, value, *rest, **named)
        found, _ = attend(module, *(prefixes.whole(x) for x in (query, key, value)), *rest, **named)
        return prefixes.once(found), None

    return attention


AttentionInterface.register(PACKED_ATTENTION, on_whole_conversations(packed_attention))
AttentionInterface.register(VARLEN_ATTENTION, on_whole_conversations(varlen_attention))

"""Conversations of a row that begin alike: what they share, a system prompt say, is computed once.

Nobody looks ahead, so what a token comes to depends on what stands before it in its conversation, and is the same where all of
that is the same. Attention is given each conversation whole; every other layer sees a shared token once, and what reaches
it on the way back is the sum over the conversations that share it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Self

import numpy as np
import torch
from torch.nn.modules.dropout import _DropoutNd

# Of one conversation with another; fewer save less than the copies that attention needs cost.
LEAST_TOKENS: Final = 16
# The part of all tokens of a row that has to be saved for the same reason.
LEAST_SHARE: Final = 1 / 16


@dataclass(frozen=True)
class Part:
    """Tokens that lie side by side in the whole row and among the computed ones; `first` where they stand in the row first."""

    whole: slice
    computed: slice
    first: bool


@dataclass(frozen=True)
class SharedPrefixes:
    """A row of several conversations, of whose tokens some are computed once for several places.

    `parts` are in the order of the whole row. `computed`: int64[computed], where in the whole row each computed token stands first.
    `places`: int64[whole], for each token of the whole row its place among the computed ones.
    """

    parts: tuple[Part, ...]
    computed: torch.Tensor
    places: torch.Tensor

    @classmethod
    def of(cls, ids: torch.Tensor, borders: list[int], least: int = LEAST_TOKENS) -> Self | None:
        """Of ids int64[1, tokens], each conversation held against those before it; None where it would save too little."""
        row = ids[0].cpu().numpy()
        parts = tuple(_parts([row[start:end] for start, end in pairwise(borders)], least))
        places = np.concatenate([np.arange(one.computed.start, one.computed.stop) for one in parts])
        first = np.concatenate([np.arange(one.whole.start, one.whole.stop) for one in parts if one.first])
        if len(row) - len(first) < max(1, LEAST_SHARE * len(row)):
            return None
        return cls(parts, *(torch.from_numpy(found).to(ids.device) for found in (first, places)))

    def whole(self, x: torch.Tensor) -> torch.Tensor:
        """Of x[1, heads, computed, dim] every conversation whole: [1, heads, whole, dim]."""
        found: torch.Tensor = _Whole.apply(x, self.parts)  # type: ignore[no-untyped-call]
        return found

    def once(self, x: torch.Tensor) -> torch.Tensor:
        """Of x[1, whole, heads, dim] what is computed: [1, computed, heads, dim]."""
        found: torch.Tensor = _Once.apply(x, self.parts)  # type: ignore[no-untyped-call]
        return found


def _parts(conversations: list[np.ndarray[Any, Any]], least: int) -> Iterator[Part]:
    """Those of each conversation: of the one before it that it is longest alike with, then its own."""
    runs: list[
        list[tuple[int, int]]
    ] = []  # of each conversation where its tokens lie among the computed: from, to
    whole = computed = 0
    for number, own in enumerate(conversations):
        alike = [_alike(own, other) for other in conversations[:number]]
        shared = max(alike, default=0)
        found = list(_beginning(runs[alike.index(shared)], shared)) if shared >= least else []
        count = len(found)
        if left := len(own) - (shared if found else 0):
            found.append((computed, computed + left))
            computed += left
        runs.append(found)
        for place, (start, end) in enumerate(found):
            yield Part(slice(whole, whole + end - start), slice(start, end), first=place == count)
            whole += end - start


def _alike(own: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> int:
    """How many tokens both begin with."""
    length = min(len(own), len(other))
    apart = own[:length] != other[:length]
    return int(apart.argmax()) if apart.any() else length


def _beginning(runs: list[tuple[int, int]], tokens: int) -> Iterator[tuple[int, int]]:
    for start, end in runs:
        if tokens <= 0:
            return
        yield start, min(end, start + tokens)
        tokens -= end - start


class _Whole(torch.autograd.Function):
    """Copies; on the way back what the copies got is added up in the order of the row, which an index would leave to chance."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, parts: tuple[Part, ...]) -> torch.Tensor:
        ctx.parts, ctx.tokens = parts, x.shape[2]
        return torch.cat([x[:, :, part.computed] for part in parts], dim=2)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (grad,) = gradients
        rows, heads, _, dim = grad.shape
        # As the layer before it has its outputs: token by token.
        total = grad.new_empty(rows, ctx.tokens, heads, dim).transpose(1, 2)
        for part in ctx.parts:
            if part.first:
                total[:, :, part.computed] = grad[:, :, part.whole]
            else:
                total[:, :, part.computed] += grad[:, :, part.whole]
        return total, None


class _Once(torch.autograd.Function):
    """Leaves out what other places computed too: nobody reads it there."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, parts: tuple[Part, ...]) -> torch.Tensor:
        ctx.parts, ctx.shape = parts, x.shape
        return torch.cat([x[:, part.whole] for part in parts if part.first], dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (grad,) = gradients
        whole = grad.new_zeros(ctx.shape)
        for part in ctx.parts:
            if part.first:
                whole[:, part.whole] = grad[:, part.computed]
        return whole, None


def draws_dropout(model: Any) -> bool:
    """Whether any layer drops numbers while it trains: then a shared beginning comes to something else in each conversation."""
    if asks_for_dropout(model.config):
        return True
    return any(isinstance(module, _DropoutNd) and module.p > 0 for module in model.modules())


def asks_for_dropout(config: Any) -> bool:
    """Of a model's config: of whatever it drops, which need not be a module."""
    named = config.to_dict().items()
    return any("drop" in name and isinstance(value, float | int) and value > 0 for name, value in named)

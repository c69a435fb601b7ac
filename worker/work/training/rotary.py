"""Rotary positions as one autograd function: what transformers' function computes in a dozen operations, there and back.

Each family of models has a function of its own for it, called by its attention as a global of its module: that is what is replaced,
for the whole process, where it proves to compute this.
"""

import sys
from collections.abc import Callable
from typing import Any, Final

import torch

from worker.work.training import compiled

_NAME: Final = "apply_rotary_pos_emb"
Both = tuple[torch.Tensor, torch.Tensor]


class _Rotation(torch.autograd.Function):
    """x * cos + rotate_half(x) * sin, rounded where torch's operations round."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(cos, sin)
        return _per_token(compiled.rotated, x, cos, sin)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return _per_token(compiled.rotated_back, gradients[0], *ctx.saved_tensors), None, None


def _per_token(
    rotate: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
) -> torch.Tensor:
    """Over x[1, heads, tokens, dim], whose heads lie side by side in memory for each token; cos, sin: [1, tokens, dim]."""
    return rotate(x[0].transpose(0, 1), cos[0], sin[0]).transpose(0, 1)[None]


class FusedRotation:
    """What replaces a module's function: the same for one row in bf16 on a CPU, the module's own for anything else."""

    def __init__(self, own: Callable[..., Both]) -> None:
        self.own = own

    def __call__(self, *args: Any, **kwargs: Any) -> Both:
        if kwargs or len(args) != 4 or not _is_served(*args):
            return self.own(*args, **kwargs)
        query, key, cos, sin = args
        return _Rotation.apply(query, cos, sin), _Rotation.apply(key, cos, sin)  # type: ignore[no-untyped-call]


def _is_served(query: torch.Tensor, key: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> bool:
    return (
        compiled.serves(query, key, cos, sin)
        and query.ndim == key.ndim == 4
        and query.shape[0] == key.shape[0] == 1
        and query.shape[-1] % 2 == 0
        and cos.shape == sin.shape == (1, query.shape[2], query.shape[3])
        and key.shape[2:] == query.shape[2:]
    )


def fuse_rotations(model: torch.nn.Module) -> int:
    """Replace the function in each module that the model's classes come from, where it proves to be this one; returns in how many."""
    homes = {type(module).__module__ for module in model.modules()}
    fused = 0
    for home in sorted(homes):
        own = vars(sys.modules[home]).get(_NAME)
        if callable(own) and not isinstance(own, FusedRotation) and _rotates_halves(own):
            setattr(sys.modules[home], _NAME, FusedRotation(own))
            fused += 1
    return fused


def _rotates_halves(own: Callable[..., Both]) -> bool:
    """Whether the function does to random queries and keys, to the last bit, what the formula says."""
    generator = torch.Generator().manual_seed(0)
    query, key, cos, sin = (
        torch.randn(*shape, generator=generator).bfloat16()
        for shape in ((1, 4, 3, 8), (1, 2, 3, 8), (1, 3, 8), (1, 3, 8))
    )
    try:
        found = own(query, key, cos, sin)
    except Exception:  # noqa: BLE001 - one that wants other arguments is another function
        return False
    return all(
        isinstance(rotated, torch.Tensor) and torch.equal(rotated, _by_the_formula(x, cos, sin))
        for rotated, x in zip(found, (query, key), strict=True)
    )


def _by_the_formula(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, -1)
    return x * cos[:, None] + torch.cat((-second, first), -1) * sin[:, None]

"""What is cheaper to compute again than to keep for the way back: the results of norms and of gated products.

A function marks its result with the way to it; a layer that would keep that result as its input keeps what it was made
from instead, which the function that made it keeps anyhow. Nothing else knows of it: an unmarked tensor is kept itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

_MARK = "_sft_studio_again"


@dataclass(frozen=True)
class Recipe:
    """`make(*sources)` is the tensor again, to the last bit, as it was at this version of its memory."""

    make: Callable[..., torch.Tensor]
    sources: tuple[torch.Tensor, ...]
    version: int


def mark(result: torch.Tensor, make: Callable[..., torch.Tensor], *sources: torch.Tensor) -> torch.Tensor:
    """`result`, marked with the way to it; where nothing is kept for a way back, as it is."""
    if not result.requires_grad:
        return result
    setattr(result, _MARK, Recipe(make, tuple(source.detach() for source in sources), result._version))
    return result


def to_keep(x: torch.Tensor) -> Recipe:
    """What to keep in place of `x`: its recipe, or itself where there is none or it was changed since."""
    found: Recipe | None = getattr(x, _MARK, None)
    if found is None or found.version != x._version:
        return Recipe(_itself, (x,), version=0)
    return found


def made_again(make: Callable[..., torch.Tensor], sources: Sequence[torch.Tensor]) -> torch.Tensor:
    """The tensor, from what was kept."""
    with torch.no_grad():
        return make(*sources)


def _itself(x: torch.Tensor) -> torch.Tensor:
    return x
